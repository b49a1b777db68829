"""The clocks a simulated venue lives by: the machine's, or the stamps of a recording."""

from __future__ import annotations

import time
from typing import Protocol

NANOSECONDS = 1_000_000_000


class VenueClock(Protocol):
    """The venue's own time, which its `time` call answers and which is the data clock of every client."""

    def now_ns(self) -> int:
        """Return the venue's time in nanoseconds since the epoch, UTC."""
        ...


class LiveClock:
    """The machine clock: venue time passes as machine time does."""

    def now_ns(self) -> int:
        """Return the machine's time in nanoseconds since the epoch, UTC."""
        return time.time_ns()


class ReplayClock:
    """Venue time of a recording: it moves only with the stamps that were played, and never backwards."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the newest stamp played so far, nanoseconds UTC."""
        return self._now_ns

    def advance(self, stamp_ns: int) -> None:
        """Follow one played stamp (nanoseconds UTC); an older one changes nothing."""
        self._now_ns = max(self._now_ns, stamp_ns)
