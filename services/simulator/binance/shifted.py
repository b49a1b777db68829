"""Klines whose days begin at another hour than midnight UTC; the times themselves stay UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.simulator.binance.candles import Candle, aggregate
from services.simulator.binance.feed import Feed
from services.simulator.binance.intervals import FIXED_MS, MONTH, end_of, nests, open_of

_BASES: Final = ("1h", "30m", "15m", "5m", "1m")


def moves(interval: str, offset_ms: int) -> bool:
    """Whether an offset from UTC (ms) moves the boundaries of `interval` at all."""
    return offset_ms != 0 and (interval == MONTH or offset_ms % FIXED_MS[interval] != 0)


def shifted_open(interval: str, ms: int, offset_ms: int) -> int:
    """The open time of the bar that holds `ms` where clocks show `offset_ms` more than UTC."""
    return open_of(interval, ms + offset_ms) - offset_ms


def shifted_end(interval: str, open_ms: int, offset_ms: int) -> int:
    """The end (exclusive) of the bar that opens at `open_ms`."""
    return end_of(interval, open_ms + offset_ms) - offset_ms


def base_of(interval: str, offset_ms: int) -> str:
    """The largest interval that is the same everywhere and of which shifted bars of `interval` can be made."""
    return next(name for name in _BASES if offset_ms % FIXED_MS[name] == 0 and nests(name, interval))


async def shifted_candles(
    feed: Feed, symbol: str, interval: str, offset_ms: int, start: int | None, end: int | None, limit: int
) -> Sequence[Candle]:
    """Return bars with open times in [start, end], oldest first, put together from smaller ones where need be."""
    if not moves(interval, offset_ms):
        return await feed.klines(symbol, interval, start, end, limit)
    base = base_of(interval, offset_ms)
    length = FIXED_MS.get(interval, 31 * FIXED_MS["1d"])
    needed = (limit + 1) * (length // FIXED_MS[base])
    if start is None:
        last = feed.now_ms() if end is None else min(end, feed.now_ms())
        first = shifted_open(interval, last, offset_ms) - limit * length
    else:
        first = shifted_open(interval, start, offset_ms)
        first = first if first == start else shifted_end(interval, first, offset_ms)
    bars = await feed.klines(symbol, base, shifted_open(interval, first, offset_ms), None, needed)
    candles = [bar for bar in aggregate(bars, interval, offset_ms) if bar.open_ms >= first]
    candles = candles if end is None else [bar for bar in candles if bar.open_ms <= end]
    return candles[-limit:] if start is None else candles[:limit]


async def shifted_klines(
    feed: Feed, symbol: str, interval: str, offset_ms: int, start: int | None, end: int | None, limit: int
) -> list[list[int | str]]:
    """The rows of REST klines."""
    candles = await shifted_candles(feed, symbol, interval, offset_ms, start, end, limit)
    return [candle.row(shifted_end(interval, candle.open_ms, offset_ms)) for candle in candles]
