"""What a venue can answer with when it is not success."""

from __future__ import annotations


class VenueError(Exception):
    """Root of what a venue can answer with. The text is one line for people: what is wrong and what to do."""


class VenueUnavailable(VenueError):
    """Network, maintenance or rate limit: try again later with back-off."""


class VenueRefused(VenueError):
    """The venue answered no, with proof: the request had no effect. `code` is the venue's own."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class VenueUnresolved(VenueError):
    """Sent, and no proof either way: the order is unresolved until the venue has been asked."""
