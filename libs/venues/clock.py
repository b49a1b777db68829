"""Estimating a venue's clock against ours from question-and-answer pairs and from the stamps of live events."""

from __future__ import annotations

from libs.core.types import MILLISECOND, Nanos

DRIFT = 1e-4
"""How fast two clocks may part, as a fraction; ordinary crystals stay below half of it."""

TRUSTED_WIDTH: Nanos = 500 * MILLISECOND
"""An interval this narrow is read at its middle; a wider one at its early edge, because a data clock that runs late
closes a bar late while one that runs early cuts it short."""


class OffsetEstimate:
    """Venue clock minus machine clock, as the interval that every answer so far allows.

    An answer that says `venue` (floored to `resolution`) to a question sent at `sent` and answered at `received`
    proves venue - received <= offset <= venue + resolution - sent: the midpoint is NTP's, and intersecting the
    intervals keeps the fastest exchange and beats the resolution of a venue that only tells whole seconds.
    """

    def __init__(self, resolution: Nanos) -> None:
        self._resolution = resolution
        self._low: Nanos = 0
        self._high: Nanos = 0
        self._at: Nanos = 0
        self.known = False

    @property
    def width(self) -> Nanos:
        """Width of the interval, ns."""
        return self._high - self._low

    @property
    def offset(self) -> Nanos:
        """Venue minus machine, ns; 0 while unknown."""
        return self._low + self.width // 2 if self.width <= TRUSTED_WIDTH else self._low

    def answered(self, sent: Nanos, received: Nanos, venue: Nanos) -> None:
        """Take in one answer of the venue's time call; contradiction with the past (a clock was set) starts over."""
        low, high = venue - received, venue + self._resolution - sent
        if self.known:
            widening = int(DRIFT * max(0, received - self._at))
            old_low, old_high = self._low - widening, self._high + widening
            if old_low <= high and low <= old_high:
                low, high = max(low, old_low), min(high, old_high)
        self._low, self._high, self._at, self.known = low, high, received, True

    def witnessed(self, venue: Nanos, received: Nanos) -> None:
        """A live event stamped `venue` arrived at `received`: the venue's clock was at least there.

        It only ever narrows the interval; a stamp from the future says something about the event, not the clock.
        """
        low = venue - received
        if self.known and self._low < low <= self._high:
            self._low = low

    def best_question_time(self, now: Nanos) -> Nanos:
        """When to ask next so that the answer halves the interval: as the venue's clock turns over its resolution."""
        middle = self._low + self.width // 2
        return now + self._resolution - (now + middle) % self._resolution
