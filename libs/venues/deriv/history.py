"""Deriv's past: ticks and candles by page, and bars built from ticks where candles are too coarse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from libs.core.bars import bar_id
from libs.core.types import SECOND, Bar, BarFlag, Trade
from libs.venues.deriv.client import DerivClient

VENUE: Final = "deriv"
PAGE: Final = 5000
"""Most points of one ticks_history answer."""

MAX_PAGES: Final = 60
"""Pages for one question: 300,000 ticks, three and a half days of a one-second index."""

GRANULARITIES: Final = frozenset({60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400})
LEAD_S: Final = 30
"""How far before the first bar ticks are asked for, so that a first bar without a tick knows the previous close."""

Point = tuple[int, float]
"""Epoch second and price."""


def is_price(value: float) -> bool:
    """Whether `value` can be a price: finite and above zero."""
    return 0.0 < value < math.inf


async def tick_points(
    client: DerivClient, symbol: str, start: int, end: int, most: int = PAGE * MAX_PAGES
) -> list[Point]:
    """The newest `most` ticks with start <= epoch <= end, oldest first; only what the venue has.

    Raises VenueUnavailable, VenueRefused.
    """
    pages: list[list[Point]] = []
    have = 0
    while have < most and end >= start:
        answer = await client.call(client.codec.tick_page(symbol, start, end, min(PAGE, most - have)))
        # Asked for times before its retention, the venue silently answers with its latest ticks.
        page = [point for point in answer if start <= point[0] <= end and is_price(point[1])]
        if not page:
            break
        pages.append(page)
        have += len(page)
        end = page[0][0] - 1
    return [point for page in reversed(pages) for point in page]


def trades_of(points: Sequence[Point]) -> list[Trade]:
    """Ticks as prints without size."""
    return [Trade(epoch * SECOND, price, 0.0, 0, epoch) for epoch, price in points]


def bar_of(
    symbol: str,
    interval_s: int,
    open_s: int,
    prices: Sequence[float],
    *,
    ticks: int = 0,
    last_seq: int = 0,
    empty: bool = False,
) -> Bar:
    """A closed bar from its prices in order (at least one); a candle does not tell its number of `ticks`."""
    flags = BarFlag.HISTORY | (BarFlag.EMPTY if empty else BarFlag.NONE)
    return Bar(
        id=bar_id(VENUE, symbol, interval_s, open_s * SECOND),
        ts_event=(open_s + interval_s) * SECOND,
        venue=VENUE,
        symbol=symbol,
        interval_s=interval_s,
        open_time=open_s * SECOND,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
        trades=ticks,
        flags=int(flags),
        last_seq=last_seq,
    )


def bars_from_points(symbol: str, interval_s: int, points: Sequence[Point], first_open_s: int, end_s: int) -> list[Bar]:
    """Bars of [first_open_s, end_s) from ticks (ascending), flat and EMPTY where one had none.

    They begin with the first bar whose opening price is certain: one that a tick precedes, or that begins with one.
    """
    by_open: dict[int, list[Point]] = {}
    close: float | None = None
    for epoch, price in points:
        if epoch < first_open_s:
            close = price
        elif epoch < end_s:
            by_open.setdefault(epoch - epoch % interval_s, []).append((epoch, price))
    bars: list[Bar] = []
    for open_s in range(first_open_s, end_s, interval_s):
        inside = by_open.get(open_s)
        if inside is not None and (close is not None or inside[0][0] == open_s):
            prices = [price for _, price in inside]
            close = prices[-1]
            bars.append(bar_of(symbol, interval_s, open_s, prices, ticks=len(prices), last_seq=inside[-1][0]))
        elif inside is not None:
            close = inside[-1][1]
        elif close is not None:
            bars.append(bar_of(symbol, interval_s, open_s, [close], empty=True))
    return bars


async def tick_bars(client: DerivClient, symbol: str, interval_s: int, count: int, end_s: int) -> list[Bar]:
    """Bars that the venue has no candles for, from its ticks; `end_s` is a multiple of the interval."""
    first = end_s - count * interval_s
    points = await tick_points(client, symbol, first - LEAD_S, end_s - 1)
    return bars_from_points(symbol, interval_s, points, first, end_s)[-count:]


async def candle_bars(client: DerivClient, symbol: str, interval_s: int, count: int, end_s: int) -> list[Bar]:
    """The venue's own candles that closed by `end_s`; holes (a closed market) stay holes."""
    first = end_s - count * interval_s
    bars: dict[int, Bar] = {}
    until = end_s - 1
    while until >= first:
        answer = await client.call(client.codec.candle_page(symbol, interval_s, first, until, PAGE))
        page = [c for c in answer if first <= c.epoch <= until and c.epoch % interval_s == 0]
        for candle in page:
            prices = [candle.open, candle.high, candle.low, candle.close]
            if all(map(is_price, prices)):
                bars[candle.epoch] = bar_of(symbol, interval_s, candle.epoch, prices)
        if len(answer) < PAGE or not page:
            break
        until = page[0].epoch - 1
    return [bars[epoch] for epoch in sorted(bars)][-count:]
