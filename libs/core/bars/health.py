"""How far a feed can be trusted: one minus the weighted share of checks that failed in the last minute."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from libs.core.types import SECOND, Nanos

WINDOW: Final[Nanos] = 60 * SECOND


class FeedCheck(StrEnum):
    """What can go wrong with a feed."""

    STALE = "stale"
    GAP = "gap"
    LATE = "late"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    CROSSED = "crossed"
    MISMATCH = "mismatch"


WEIGHTS: Final[dict[FeedCheck, tuple[float, int]]] = {
    FeedCheck.STALE: (1.0, 1),
    FeedCheck.GAP: (0.5, 1),
    FeedCheck.LATE: (0.25, 10),
    FeedCheck.DUPLICATE: (0.1, 100),
    FeedCheck.REJECTED: (0.4, 10),
    FeedCheck.CROSSED: (0.4, 5),
    FeedCheck.MISMATCH: (0.25, 3),
}
"""Check to its weight in the score and the number of failures a minute that count in full; fewer count in part.

A lasting hole alone keeps the agents silent for a minute (they want 0.7), a stale feed stops everything.
"""


class HealthScore:
    """Counts failed checks of one feed on the data clock."""

    def __init__(self) -> None:
        self._failed: deque[tuple[Nanos, FeedCheck, int]] = deque()
        self._recent = dict.fromkeys(FeedCheck, 0)

    def failed(self, check: FeedCheck, now: Nanos, count: int = 1) -> None:
        """`check` failed `count` times at data time `now`."""
        self._failed.append((now, check, count))
        self._recent[check] += count

    def score(self, now: Nanos, *, stale: bool = False) -> float:
        """0 (unusable) to 1 (perfect) at data time `now`; a feed that is `stale` now scores 0."""
        while self._failed and self._failed[0][0] <= now - WINDOW:
            _, check, count = self._failed.popleft()
            self._recent[check] -= count
        if stale:
            return 0.0
        lost = sum(
            weight * min(1.0, self._recent[check] / tolerated)
            for check, (weight, tolerated) in WEIGHTS.items()
            if check is not FeedCheck.STALE
        )
        return round(max(0.0, 1.0 - lost), 4)
