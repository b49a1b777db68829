"""Longer bars from closed shorter ones, as values; `columns.join` does the same for whole tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from libs.core.bars.forming import Forming, size_scale
from libs.core.bars.sessions import SessionCalendar, bar_span, opens_between
from libs.core.types import SECOND, Bar, BarFlag, Nanos

CUT: Final = 1 << 30
"""Marks the first bar while its beginning lies before the first of the shorter ones; no flag that travels."""


def join_bars(bars: Sequence[Bar], interval_s: int, calendar: SessionCalendar) -> list[Bar]:
    """Bars of `interval_s` from shorter ones of one symbol, oldest first.

    They carry HISTORY, and GAP where a part is missing while the market was open. The first and the last are left out
    where the shorter ones do not reach their beginning or end.
    """
    joined: list[Bar] = []
    forming: Forming | None = None
    reached: Nanos = 0
    for bar in bars:
        span = bar_span(calendar, interval_s, bar.open_time)
        if span is None:
            continue
        if forming is None or span[0] != forming.open_time:
            if forming is not None and not forming.flags & CUT and reached < forming.end:
                joined.append(forming.closed(BarFlag.HISTORY | BarFlag.GAP, 0))
            cut = forming is None and opens_between(calendar, span[0], bar.open_time)
            forming = Forming(bar.venue, bar.symbol, interval_s * SECOND, size_scale())
            forming.begin(*span)
            forming.flags, reached = CUT if cut else 0, span[0]
        if opens_between(calendar, reached, bar.open_time):
            forming.flags |= BarFlag.GAP
        forming.absorb(bar)
        reached = bar.ts_event
        if reached >= forming.end and not forming.flags & CUT:
            joined.append(forming.closed(BarFlag.HISTORY, 0))
    return joined
