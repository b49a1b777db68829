"""What the venue's own klines are for: a check of our bars where a symbol has prints, the bars where it has none."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

import msgspec

from libs.core.bars import bar_id
from libs.core.bars.sessions import SessionCalendar, opens_between
from libs.core.types import SECOND, Bar, BarFlag, Nanos

KEPT: Final = 64
"""Bars and klines of ours and of the venue that wait for their counterpart."""

TRADED_BEFORE_SWITCH: Final = 2
QUIET_BEFORE_SWITCH: Final = 20
"""So many closed klines with volume, or so many of any kind, without a single print: this symbol has no prints."""

EXCUSED: Final = BarFlag.GAP | BarFlag.HISTORY


class KlineDesk:
    """Klines of one symbol.

    Attributes:
        are_bars: the symbol has no prints, its klines are its bars.
    """

    def __init__(self, venue: str, symbol: str, calendar: SessionCalendar) -> None:
        self._venue, self._symbol, self._calendar = venue, symbol, calendar
        self._ours: OrderedDict[tuple[int, Nanos], Bar] = OrderedDict()
        self._theirs: OrderedDict[tuple[int, Nanos], Bar] = OrderedDict()
        self._waiting: list[Bar] = []
        self._newest: dict[int, Nanos] = {}
        self.are_bars = False

    @property
    def longest_s(self) -> int:
        """Longest interval whose klines are bars, seconds."""
        return max(self._newest, default=0)

    def newest(self) -> dict[int, Nanos]:
        """Interval in seconds to the opening time of the last kline that became a bar."""
        return dict(self._newest)

    def resume(self, newest: dict[int, Nanos]) -> None:
        """Klines were the bars before a restart: interval in seconds to the opening time of the last one published."""
        self._newest, self.are_bars = dict(newest), True

    def without_prints(self, kline: Bar) -> list[Bar]:
        """A closed kline of a symbol that has shown no print so far; the bars to publish."""
        if self.are_bars:
            return self._as_bars([kline])
        self._waiting.append(kline)
        traded = sum(1 for bar in self._waiting if bar.volume > 0)
        if traded < TRADED_BEFORE_SWITCH and len(self._waiting) < QUIET_BEFORE_SWITCH:
            return []
        self.are_bars = True
        waiting, self._waiting = self._waiting, []
        return self._as_bars(waiting)

    def prints_seen(self) -> bool:
        """The symbol has prints after all: from now on klines only check. True when they were the bars until now."""
        were, self.are_bars, self._waiting = self.are_bars, False, []
        return were

    def _as_bars(self, klines: list[Bar]) -> list[Bar]:
        bars = []
        for kline in sorted(klines, key=lambda bar: (bar.ts_event, bar.interval_s)):
            if kline.open_time > self._newest.get(kline.interval_s, -1):
                self._newest[kline.interval_s] = kline.open_time
                identity = bar_id(self._venue, self._symbol, kline.interval_s, kline.open_time)
                bars.append(msgspec.structs.replace(kline, id=identity, flags=kline.flags | BarFlag.VENUE))
        return bars

    def holes_before(self, kline: Bar) -> int:
        """How many klines may be missing between the newest that became a bar and `kline`; closed hours miss none."""
        newest = self._newest.get(kline.interval_s)
        if newest is None:
            return 0
        end = newest + kline.interval_s * SECOND
        if not opens_between(self._calendar, end, kline.open_time):
            return 0
        return max(1, (kline.open_time - end) // (kline.interval_s * SECOND))

    def check_ours(self, bar: Bar) -> str:
        """Compare a bar of ours with the venue's kline, when that is here; the mismatch in words, "" when none."""
        return self._check(bar, self._ours, self._theirs)

    def check_theirs(self, kline: Bar) -> str:
        """Compare the venue's kline with our bar, when that is here; the mismatch in words, "" when none."""
        return self._check(kline, self._theirs, self._ours)

    def _check(
        self, bar: Bar, here: OrderedDict[tuple[int, Nanos], Bar], there: OrderedDict[tuple[int, Nanos], Bar]
    ) -> str:
        key = (bar.interval_s, bar.open_time)
        other = there.pop(key, None)
        if other is None:
            here[key] = bar
            if len(here) > KEPT:
                here.popitem(last=False)
            return ""
        ours, theirs = (bar, other) if here is self._ours else (other, bar)
        return _difference(ours, theirs)


def _difference(ours: Bar, theirs: Bar) -> str:
    if ours.flags & EXCUSED:
        return ""
    for name in ("open", "high", "low", "close", "volume"):
        mine, yours = getattr(ours, name), getattr(theirs, name)
        if not math.isclose(mine, yours, rel_tol=1e-9, abs_tol=1e-12):
            return f"{ours.interval_s} s bar at {ours.open_time}: {name} {mine!r}, the venue's kline says {yours!r}"
    return ""
