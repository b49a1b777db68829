"""When a market trades: sessions, trading weeks and numbers of sessions, for 1d and 1w bars and session features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo

from libs.core.bars.holidays import us_stocks_close
from libs.core.types import DAY_S, SECOND, WEEK_S, Nanos

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Span = tuple[Nanos, Nanos]
"""[start, end), ns UTC."""

DAY: Final[Nanos] = DAY_S * SECOND
HALF_HOUR_S: Final = 1800
"""Every session here begins and ends at a multiple of it."""

EPOCH: Final = date(1970, 1, 1).toordinal()
FIRST_MONDAY: Final = 4
"""Days from 1970-01-01, a Thursday, to a Monday."""

LONGEST_CLOSURE: Final = 14
"""Days in which every calendar here opens again; the longest ever was a week (September 2001)."""


class SessionCalendar(Protocol):
    """When a market trades. Times are ns UTC; sessions do not overlap.

    The number of a session is the days from 1970-01-01 to its trading date: it grows, and names the day.
    """

    name: str

    def session_of(self, ts: Nanos) -> Span | None:
        """The session that holds `ts`; None while the market is closed."""

    def week_of(self, ts: Nanos) -> Span | None:
        """From the first opening to the last close of the trading week whose session holds `ts`; None while closed."""

    def is_open(self, ts: Nanos) -> bool:
        """Whether a session holds `ts`."""

    def next_open(self, ts: Nanos) -> Nanos:
        """Beginning of the first session that begins after `ts`."""

    def session_number(self, ts: Nanos) -> int:
        """The number of the session that holds `ts`, and while the market is closed of the last one before."""


class Always:
    """Open all the time; days begin at 00:00 UTC and weeks on Monday. Crypto and synthetic indices."""

    name = "always"

    def session_of(self, ts: Nanos) -> Span:
        start = ts - ts % DAY
        return start, start + DAY

    def week_of(self, ts: Nanos) -> Span:
        start = ts - (ts - FIRST_MONDAY * DAY) % (7 * DAY)
        return start, start + 7 * DAY

    def is_open(self, ts: Nanos) -> bool:
        return True

    def next_open(self, ts: Nanos) -> Nanos:
        return ts - ts % DAY + DAY

    def session_number(self, ts: Nanos) -> int:
        return ts // DAY


class _NewYork(ABC):
    """A market whose sessions follow the clocks of New York, one session a trading date at most."""

    name: str

    def __init__(self) -> None:
        self._zone = ZoneInfo("America/New_York")

    @abstractmethod
    def _session_on(self, day: int) -> Span | None:
        """The session of the trading date `day` (proleptic ordinal)."""

    @abstractmethod
    def _date_of(self, local: datetime) -> int:
        """The trading date (ordinal) to which a moment belongs if it is in a session at all."""

    def _moment(self, day: int, hour: int, minute: int = 0) -> Nanos:
        at = date.fromordinal(day)
        return int(datetime(at.year, at.month, at.day, hour, minute, tzinfo=self._zone).timestamp()) * SECOND

    def _date(self, ts: Nanos) -> int:
        return self._date_of(datetime.fromtimestamp(ts // SECOND, self._zone))

    def session_of(self, ts: Nanos) -> Span | None:
        span = self._session_on(self._date(ts))
        return span if span is not None and span[0] <= ts < span[1] else None

    def week_of(self, ts: Nanos) -> Span | None:
        if self.session_of(ts) is None:
            return None
        day = self._date(ts)
        monday = day - date.fromordinal(day).weekday()
        spans = [span for at in range(monday, monday + 7) if (span := self._session_on(at)) is not None]
        return spans[0][0], spans[-1][1]

    def is_open(self, ts: Nanos) -> bool:
        return self.session_of(ts) is not None

    def next_open(self, ts: Nanos) -> Nanos:
        day = self._date(ts)
        for ahead in range(LONGEST_CLOSURE):
            span = self._session_on(day + ahead)
            if span is not None and span[0] > ts:
                return span[0]
        raise ValueError(f"{self.name}: no session within {LONGEST_CLOSURE} days after {ts}")

    def session_number(self, ts: Nanos) -> int:
        day = self._date(ts)
        while (span := self._session_on(day)) is None or span[0] > ts:
            day -= 1
        return day - EPOCH


class Forex(_NewYork):
    """Sunday 17:00 to Friday 17:00 in New York; days roll at 17:00 and bear the date on which they end.

    Bank holidays are not left out: the market trades thinly through them.
    """

    name = "forex"

    def _date_of(self, local: datetime) -> int:
        return local.toordinal() + (local.hour >= 17)

    @lru_cache(maxsize=4096)  # noqa: B019  # one calendar of each kind lives as long as the process
    def _session_on(self, day: int) -> Span | None:
        if date.fromordinal(day).weekday() >= 5:
            return None
        return self._moment(day - 1, 17), self._moment(day, 17)


class UsStocks(_NewYork):
    """09:30 to 16:00 in New York on the trading days of the New York Stock Exchange, half-days until 13:00."""

    name = "us_stocks"

    def _date_of(self, local: datetime) -> int:
        return local.toordinal()

    @lru_cache(maxsize=4096)  # noqa: B019  # one calendar of each kind lives as long as the process
    def _session_on(self, day: int) -> Span | None:
        close = us_stocks_close(date.fromordinal(day))
        return None if close is None else (self._moment(day, 9, 30), self._moment(day, close))


CALENDARS: Final = {calendar.name: calendar for calendar in (Always, Forex, UsStocks)}
"""Name in the configuration to calendar."""


@cache
def calendar_named(name: str) -> SessionCalendar:
    """The calendar of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in CALENDARS:
        raise ValueError(f"{name!r} is no calendar; there are: {', '.join(CALENDARS)}")
    return CALENDARS[name]()


def usual_calendar(venue: str, symbol: str) -> str:
    """The name of the calendar by which a symbol trades as far as venue and spelling tell."""
    if venue == "deriv" and symbol.startswith("frx"):
        return Forex.name
    return UsStocks.name if venue == "alpaca" and "/" not in symbol else Always.name


def bar_span(calendar: SessionCalendar, interval_s: int, ts: Nanos) -> Span | None:
    """The bar of that length that holds `ts`: a session (1d), a trading week (1w), else a slot of the UTC grid.

    None where a session or week is meant and the market is closed.
    """
    if interval_s == DAY_S:
        return calendar.session_of(ts)
    if interval_s == WEEK_S:
        return calendar.week_of(ts)
    start = ts - ts % (interval_s * SECOND)
    return start, start + interval_s * SECOND


def opens_between(calendar: SessionCalendar, start: Nanos, end: Nanos) -> bool:
    """Whether any moment of [start, end) lies in a session."""
    return start < end and (calendar.is_open(start) or calendar.next_open(start) < end)


def open_until(calendar: SessionCalendar, ts: Nanos, limit: Nanos) -> Nanos:
    """When the market that is open at `ts` closes, at most `limit`; `ts` itself when it is closed then."""
    while ts < limit and (span := calendar.session_of(ts)) is not None:
        ts = span[1]
    return min(ts, limit)


def sessions_between(calendar: SessionCalendar, start: Nanos, end: Nanos) -> list[Span]:
    """Every session that shares a moment with [start, end), oldest first."""
    found: list[Span] = []
    first = calendar.session_of(start)
    at = first[0] if first is not None else calendar.next_open(start)
    while at < end:
        span = calendar.session_of(at)
        if span is None:
            raise ValueError(f"{calendar.name}: a session begins at {at} and does not hold it")
        found.append(span)
        at = calendar.next_open(at)
    return found


def session_numbers(calendar: SessionCalendar, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """`session_number` of every moment of `times` (int64 ns, any order)."""
    import numpy as np

    if isinstance(calendar, Always) or not len(times):
        return np.asarray(times, np.int64) // DAY
    first = int(times.min())
    starts = [span[0] for span in sessions_between(calendar, first, int(times.max()) + 1)]
    numbers = [calendar.session_number(first), *(calendar.session_number(start) for start in starts)]
    return np.array(numbers, np.int64)[np.searchsorted(np.array(starts, np.int64), times, side="right")]


def open_mask(calendar: SessionCalendar, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`is_open` of every moment of `times` (int64 ns, any order)."""
    import numpy as np

    if isinstance(calendar, Always) or not len(times):
        return np.ones(len(times), np.bool_)
    spans = np.array(sessions_between(calendar, int(times.min()), int(times.max()) + 1), np.int64).reshape(-1, 2)
    at = np.searchsorted(spans[:, 0], times, side="right") - 1
    mask: NDArray[np.bool_] = (at >= 0) & (times < spans[:, 1][np.maximum(at, 0)]) if len(spans) else at >= 0
    return mask
