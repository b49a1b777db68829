"""Longer bars from closed shorter ones, as values; `columns.join` does the same for whole tables."""

from __future__ import annotations

from collections.abc import Sequence

from libs.core.bars.forming import Forming, size_scale
from libs.core.bars.sessions import SessionCalendar, bar_span, opens_between
from libs.core.types import SECOND, Bar, BarFlag, Nanos


def join_bars(bars: Sequence[Bar], interval_s: int, calendar: SessionCalendar) -> list[Bar]:
    """Bars of `interval_s` from shorter ones of one symbol, oldest first.

    They carry HISTORY, and GAP where a part is missing while the market was open. The first and the last are left out
    where the shorter ones do not reach their beginning or end.
    """
    joined: list[Bar] = []
    forming = Forming("", "", interval_s * SECOND, size_scale())
    reached: Nanos | None = None
    for bar in bars:
        span = bar_span(calendar, interval_s, bar.open_time)
        if span is None:
            continue
        if span[0] != forming.open_time or reached is None:
            if reached is not None and forming.parts:
                joined.append(forming.closed(BarFlag.HISTORY | BarFlag.GAP, 0))
            forming = Forming(bar.venue, bar.symbol, interval_s * SECOND, size_scale())
            forming.begin(*span)
            if reached is None and opens_between(calendar, span[0], bar.open_time):
                continue
            reached = span[0]
        if opens_between(calendar, reached, bar.open_time):
            forming.flags |= BarFlag.GAP
        forming.absorb(bar)
        reached = bar.ts_event
        if reached >= forming.end:
            joined.append(forming.closed(BarFlag.HISTORY, 0))
            forming.begin(forming.open_time, forming.end)
    return joined
