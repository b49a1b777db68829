"""How far two clocks are apart and how fast they part, told from nothing but stamps and times of arrival."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from statistics import median
from typing import Final

from libs.core.types import SECOND, Nanos

BUCKET: Final[Nanos] = SECOND
KEPT: Final = 300
"""Buckets that the estimate looks back on: five minutes."""

ENOUGH: Final = 10
"""Buckets before anything is said: a machine that has just started everything is late with its messages."""

TRUSTED: Final = 0.75
"""The quantile of the buckets that is believed. Most may be late, for a message never comes before its time; a quarter
may bear stamps from the future."""

POINTS: Final = 60
"""Points through which the slope is laid; more add work with the square of their number and little else."""

SHORTEST: Final[Nanos] = 60 * SECOND
"""Over a shorter time the jitter of the network looks like drift."""


class ClockWatch:
    """The venue's clock against this machine's.

    A message stamped `stamp` by the venue and received at `recv` proves that the venue's clock was at least there:
    stamp - recv is the offset less the time that the message took. Of each second the largest is kept, which took
    least, and of those the upper quartile: neither slow minutes nor a stamp from the future move it.
    """

    def __init__(self) -> None:
        self._bucket = -1
        self._at: Nanos = 0
        self._lead: Nanos = 0
        self._closed: deque[tuple[Nanos, Nanos]] = deque(maxlen=KEPT)

    def saw(self, stamp: Nanos, recv: Nanos) -> None:
        """A message with the venue's `stamp` arrived at `recv`, machine time, ns."""
        bucket, lead = recv // BUCKET, stamp - recv
        if bucket != self._bucket:
            if self._bucket >= 0:
                self._closed.append((self._at, self._lead))
            self._bucket, self._at, self._lead = bucket, recv, lead
        elif lead > self._lead:
            self._at, self._lead = recv, lead

    def forget(self) -> None:
        """Start anew: a clock was set, or time runs otherwise from here on."""
        self._bucket = -1
        self._closed.clear()

    @property
    def known(self) -> bool:
        """Whether enough has been seen."""
        return len(self._closed) >= ENOUGH

    @property
    def offset(self) -> Nanos:
        """Venue minus machine, ns, less the shortest transit; 0 while unknown."""
        leads = sorted(lead for _, lead in self._closed)
        return leads[int(TRUSTED * (len(leads) - 1))] if self.known else 0

    def drift_ppm(self) -> float:
        """How fast the offset grows, millionths; 0 while less than a minute is known.

        The median of the slopes between all pairs of points (Theil 1950, Sen 1968).
        """
        if len(self._closed) < 2 or self._closed[-1][0] - self._closed[0][0] < SHORTEST:
            return 0.0
        seen = list(self._closed)
        step = -(-len(seen) // POINTS)
        points = [max(seen[at : at + step], key=lambda point: point[1]) for at in range(0, len(seen), step)]
        return 1e6 * median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])


def clock_words(offset: Nanos) -> str:
    """An offset in words: whose clock is behind, and by how much."""
    side = "behind" if offset > 0 else "ahead of"
    return f"this machine's clock is {abs(offset) / SECOND:.3f} s {side} the venue's"
