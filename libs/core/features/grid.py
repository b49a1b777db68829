"""Where a bar stands in trading time: a number that grows by one from bar to bar, however long the market was shut."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from libs.core.bars.sessions import Always, SessionCalendar, calendar_named, sessions_between
from libs.core.types import SECOND, Nanos

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY: Final[Nanos] = 86_400 * SECOND
WEEK: Final[Nanos] = 7 * DAY
FIRST_MONDAY: Final[Nanos] = 4 * DAY
AHEAD: Final[Nanos] = 400 * DAY
"""Sessions are looked up this far beyond what was asked for, so that a live engine asks once a year."""

OFF: Final = -1
"""Number of a bar that stands nowhere: off the grid of its length, or while the market is closed."""


class Place(NamedTuple):
    """Number of a bar, number of the session in which it opens, and its end in seconds UTC."""

    number: int
    session: float
    close: float


class Grid:
    """The places of bars of one length on one calendar.

    Markets that never close: open time / interval, days UTC for sessions, weeks from Monday. Others count the slots
    that share a moment with a session, sessions (1d) or trading weeks (1w), from 1970 on. A daily bar may also carry
    any moment of the day before its session opens, as files of daily bars do.
    """

    def __init__(self, calendar: SessionCalendar, interval_s: int) -> None:
        self.interval: Nanos = interval_s * SECOND
        self._calendar = calendar
        self.closes = not isinstance(calendar, Always)
        self._offset = FIRST_MONDAY if self.interval == WEEK else 0
        self._until: Nanos = -1
        self._starts = self._ends = self._before = np.empty(0, dtype=np.int64)

    def place(self, open_time: Nanos) -> Place:
        """Where the bar that opens at `open_time` stands; OFF when nowhere."""
        if self.closes:
            numbers, sessions, closes = self.places(np.array([open_time], dtype=np.int64))
            return Place(int(numbers[0]), float(sessions[0]), float(closes[0]))
        number, beside = divmod(open_time - self._offset, self.interval)
        close = (open_time + self.interval) / SECOND
        return Place(OFF if beside else number, float(open_time // DAY), close)

    def places(self, times: Ints) -> tuple[Ints, Floats, Floats]:
        """Numbers, sessions and ends of many bars."""
        if not self.closes:
            shifted = times - self._offset
            numbers = np.where(shifted % self.interval == 0, shifted // self.interval, np.int64(OFF))
            return numbers, (times // DAY).astype(np.float64), (times + self.interval) / SECOND
        if not len(times):
            return times, np.empty(0), np.empty(0)
        self._look_up(int(times.max()))
        at = np.minimum(np.searchsorted(self._ends, times, side="right"), len(self._ends) - 1)
        starts, ends = self._starts[at], self._ends[at]
        if self.interval >= DAY:
            near = (starts - times < DAY) & (times >= 0)
            if self.interval == WEEK:
                weeks = (starts - FIRST_MONDAY) // WEEK
                return np.where(near, weeks, OFF), weeks.astype(np.float64), (times + self.interval) / SECOND
            return np.where(near, at, OFF), at.astype(np.float64), ends / SECOND
        inside = (times % self.interval == 0) & (starts < times + self.interval) & (times >= 0)
        numbers = self._before[at] + times // self.interval - starts // self.interval
        return np.where(inside, numbers, OFF), at.astype(np.float64), (times + self.interval) / SECOND

    def _look_up(self, newest: Nanos) -> None:
        if newest < self._until:
            return
        self._until = newest + AHEAD
        spans = np.array(_sessions(self._calendar.name, self._until // (10 * 365 * DAY) + 1), dtype=np.int64)
        self._starts, self._ends = spans[:, 0], spans[:, 1]
        slots = -(-self._ends // self.interval) - self._starts // self.interval
        self._before = np.concatenate([[0], np.cumsum(slots)[:-1]])


@cache
def _sessions(calendar: str, decades: int) -> tuple[tuple[Nanos, Nanos], ...]:
    """Every session of so many decades since 1970, and of a year beyond."""
    return tuple(sessions_between(calendar_named(calendar), 0, decades * 10 * 365 * DAY + AHEAD))


@cache
def grid_of(calendar: str, interval_s: int) -> Grid:
    """The grid of a calendar by its name; one for all engines. Raises ValueError when there is no such calendar."""
    return Grid(calendar_named(calendar), interval_s)
