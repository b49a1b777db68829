"""How far a feed can be trusted: one minus the weighted checks that failed in the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from libs.core.types import SECOND, Nanos

WINDOW: Final[Nanos] = 60 * SECOND


class FeedCheck(StrEnum):
    """What can go wrong with a feed."""

    STALE = "stale"
    GAP = "gap"
    MISSING = "missing_interval"
    SEQUENCE = "sequence"
    CONTINUITY = "continuity"
    LATE = "late"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    PRICE = "price"
    VOLUME = "volume"
    OUTLIER = "outlier"
    CROSSED = "crossed"
    LOCKED = "locked"
    MISMATCH = "mismatch"
    CLOCK_OFFSET = "clock_offset"
    CLOCK_DRIFT = "clock_drift"
    RECONCILE = "reconcile"


class Grade(NamedTuple):
    """What a check costs: its weight in the score, and the failures a minute that cost all of it; fewer cost a part."""

    weight: float
    tolerated: int


GRADES: Final[dict[FeedCheck, Grade]] = {
    FeedCheck.GAP: Grade(0.5, 1),
    FeedCheck.MISSING: Grade(0.5, 1),
    FeedCheck.SEQUENCE: Grade(0.1, 5),
    FeedCheck.CONTINUITY: Grade(0.1, 3),
    FeedCheck.LATE: Grade(0.25, 10),
    FeedCheck.DUPLICATE: Grade(0.1, 100),
    FeedCheck.REJECTED: Grade(0.4, 10),
    FeedCheck.PRICE: Grade(0.4, 10),
    FeedCheck.VOLUME: Grade(0.2, 5),
    FeedCheck.OUTLIER: Grade(0.3, 5),
    FeedCheck.CROSSED: Grade(0.4, 5),
    FeedCheck.LOCKED: Grade(0.1, 50),
    FeedCheck.MISMATCH: Grade(0.25, 3),
    FeedCheck.CLOCK_OFFSET: Grade(0.1, 1),
    FeedCheck.CLOCK_DRIFT: Grade(0.1, 1),
    FeedCheck.RECONCILE: Grade(0.35, 1),
}
"""A lasting hole alone, or another venue that says otherwise, keeps the agents silent for a minute (they want 0.7).

A stale feed is not graded: while it lasts the score is 0.
"""


class Failure(NamedTuple):
    """A check that failed: how often, and one line for people."""

    check: FeedCheck
    detail: str
    times: int = 1


def graded(weights: Mapping[str, float], tolerated: Mapping[str, int]) -> dict[FeedCheck, Grade]:
    """The grades with some weights and tolerances replaced, by the names of the checks.

    Raises:
        ValueError: no check, or none with a grade, has that name.
    """
    for name in (*weights, *tolerated):
        if name not in {check.value for check in GRADES}:
            raise ValueError(f"{name!r} is no check with a weight; there are: {', '.join(GRADES)}")
    return {
        check: Grade(weights.get(check.value, grade.weight), tolerated.get(check.value, grade.tolerated))
        for check, grade in GRADES.items()
    }


class HealthScore:
    """Counts failed checks of one feed on the data clock."""

    def __init__(self, grades: Mapping[FeedCheck, Grade] = GRADES) -> None:
        self._grades = grades
        self._failed: deque[tuple[Nanos, FeedCheck, int]] = deque()
        self._recent = dict.fromkeys(FeedCheck, 0)

    def failed(self, check: FeedCheck, now: Nanos, count: int = 1) -> None:
        """`check` failed `count` times at data time `now`."""
        self._failed.append((now, check, count))
        self._recent[check] += count

    def score(self, now: Nanos, *, stale: bool = False) -> float:
        """0 (unusable) to 1 (perfect) at data time `now`; a feed that is `stale` now scores 0."""
        self._forget(now)
        if stale:
            return 0.0
        lost = sum(weight * min(1.0, self._recent[check] / most) for check, (weight, most) in self._grades.items())
        return round(max(0.0, 1.0 - lost), 4)

    def failing(self, now: Nanos) -> tuple[str, ...]:
        """The names of the checks that failed in the last minute."""
        self._forget(now)
        return tuple(check.value for check, count in self._recent.items() if count)

    def _forget(self, now: Nanos) -> None:
        while self._failed and self._failed[0][0] <= now - WINDOW:
            _, check, count = self._failed.popleft()
            self._recent[check] -= count
