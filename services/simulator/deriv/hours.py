"""When a market trades: sessions of the week, the ticks that fall into them, and what is open or closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DAY_SECS: Final = 86_400
WEEK_SECS: Final = 7 * DAY_SECS
_MONDAY: Final = 4 * DAY_SECS  # the first one after the epoch, which was a Thursday
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Epochs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of trading: `weekday` 0 is Monday; first and last second of the day (UTC), both traded."""

    weekday: int
    first: int
    last: int


@dataclass(frozen=True)
class Hours:
    """The sessions of a week, in order; at most one a day."""

    sessions: tuple[Session, ...]

    @property
    def always(self) -> bool:
        """Whether it never closes."""
        return len(self.sessions) == 7 and all(s.first == 0 and s.last == DAY_SECS - 1 for s in self.sessions)

    @property
    def open_fraction(self) -> float:
        """The part of a week in which it trades."""
        return sum(session.last - session.first + 1 for session in self.sessions) / WEEK_SECS

    def on(self, epoch: int) -> Session | None:
        """Return the session of the day in which second `epoch` falls, if it has one."""
        weekday = (epoch - _MONDAY) % WEEK_SECS // DAY_SECS
        return next((session for session in self.sessions if session.weekday == weekday), None)

    def is_open(self, epoch: int) -> bool:
        """Whether the market trades in a second."""
        session = self.on(epoch)
        return session is not None and session.first <= epoch % DAY_SECS <= session.last

    def last_open(self, epoch: int) -> int:
        """Return the newest second not after `epoch` in which the market trades."""
        session = self.on(epoch)
        midnight = epoch - epoch % DAY_SECS
        while session is None or midnight + session.first > epoch:
            midnight -= DAY_SECS
            session = self.on(midnight)
        return min(epoch, midnight + session.last)

    def session_at(self, epoch: int) -> tuple[int, int]:
        """Return first and last second of the session that holds `epoch`, or of the next one."""
        midnight = epoch - epoch % DAY_SECS
        session = self.on(midnight)
        while session is None or midnight + session.last < epoch:
            midnight += DAY_SECS
            session = self.on(midnight)
        return midnight + session.first, midnight + session.last


def daily(first: int, last: int, *, weekdays: int = 5, friday_last: int | None = None) -> Hours:
    """Return the same hours on the first `weekdays` of each week, ending earlier on Fridays if given so."""
    return Hours(
        tuple(
            Session(day, first, friday_last if day == 4 and friday_last is not None else last)
            for day in range(weekdays)
        )
    )


ALWAYS: Final = daily(0, DAY_SECS - 1, weekdays=7)
FOREX: Final = daily(0, DAY_SECS - 1, friday_last=20 * 3600 + 55 * 60)
NEW_YORK: Final = daily(14 * 3600 + 30 * 60, 21 * 3600)


class Grid:
    """The seconds in which a symbol ticks, numbered without gaps: every `period_secs` of the hours it trades."""

    def __init__(self, period_secs: int, hours: Hours) -> None:
        """Sessions have to begin on a multiple of the period."""
        self._period = period_secs
        self._hours = hours
        self._always = hours.always
        self._starts = np.array([s.weekday * DAY_SECS + s.first for s in hours.sessions], dtype=np.int64)
        self._counts = np.array([(s.last - s.first) // period_secs + 1 for s in hours.sessions], dtype=np.int64)
        self._before = np.concatenate(([0], np.cumsum(self._counts)[:-1])).astype(np.int64)
        self._per_week = int(self._counts.sum())

    def is_tick(self, epoch: int) -> bool:
        """Whether a second has a tick."""
        return epoch % self._period == 0 and (self._always or self._hours.is_open(epoch))

    def index_at(self, epoch: int) -> int:
        """Return the number of the newest tick not after a second."""
        if self._always:
            return epoch // self._period
        week, offset = divmod(epoch - _MONDAY, WEEK_SECS)
        session = int(np.searchsorted(self._starts, offset, side="right")) - 1
        if session < 0:
            return week * self._per_week - 1
        within = min((offset - int(self._starts[session])) // self._period, int(self._counts[session]) - 1)
        return week * self._per_week + int(self._before[session]) + within

    def epoch_of(self, index: int) -> int:
        """Return the second of a tick."""
        return index * self._period if self._always else int(self.epochs(index, index)[0])

    def epochs(self, first: int, last: int) -> Epochs:
        """Return the seconds of ticks first..last, both included."""
        indices = np.arange(first, last + 1, dtype=np.int64)
        if self._always:
            return indices * self._period
        weeks, rest = np.divmod(indices, self._per_week)
        session = np.searchsorted(self._before, rest, side="right") - 1
        within = (rest - self._before[session]) * self._period
        return np.asarray(_MONDAY + weeks * WEEK_SECS + self._starts[session] + within, dtype=np.int64)
