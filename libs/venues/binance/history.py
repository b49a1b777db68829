"""Binance's past: klines by page, put together where a length has none of its own, and trades by id."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Nanos, Trade
from libs.venues import checked
from libs.venues.base import VenueRefused
from libs.venues.binance import codec
from libs.venues.binance.rest import BinanceRest

PAGE: Final = 1000
"""Most rows of one answer."""


async def bars(rest: BinanceRest, symbol: str, interval_s: int, count: int, end: Nanos) -> list[Bar]:
    """The newest `count` closed bars that end at or before `end`, oldest first.

    Raises VenueUnavailable, VenueRefused.
    """
    if count <= 0:
        return []
    base_s = max(s for s in codec.INTERVALS if interval_s % s == 0)
    end_ms = end // SECOND // interval_s * interval_s * 1000
    start_ms = end_ms - count * interval_s * 1000
    found: dict[int, Bar] = {}
    while start_ms < end_ms:
        rows = await rest.klines(symbol, codec.INTERVALS[base_s], start_ms, end_ms - 1, PAGE)
        for row in rows:
            if start_ms <= row.open_time < end_ms:
                found[row.open_time] = _bar(symbol, base_s, row)
        if len(rows) < PAGE:
            break
        start_ms = max(start_ms, rows[-1].open_time) + base_s * 1000
    closed = [found[open_ms] for open_ms in sorted(found)]
    return (closed if base_s == interval_s else joined(closed, interval_s))[-count:]


def _bar(symbol: str, interval_s: int, row: codec.KlineRow) -> Bar:
    try:
        return checked.bar_of(
            codec.VENUE,
            symbol,
            interval_s,
            row.open_time * MILLISECOND,
            (row.open, row.high, row.low, row.close),
            volume=row.volume,
            buy_volume=row.buy_volume,
            trades=row.trades,
        )
    except checked.Absurd as err:
        raise VenueRefused(f"Binance's klines of {symbol} are unusable: {err}") from err


def joined(short: Iterable[Bar], interval_s: int) -> list[Bar]:
    """Bars of `interval_s` from consecutive shorter ones (oldest first); GAP where some are missing."""
    groups: dict[int, list[Bar]] = {}
    for bar in short:
        groups.setdefault(bar.open_time - bar.open_time % (interval_s * SECOND), []).append(bar)
    result: list[Bar] = []
    for open_time, parts in groups.items():
        missing = len(parts) * parts[0].interval_s < interval_s
        result.append(
            checked.bar_of(
                codec.VENUE,
                parts[0].symbol,
                interval_s,
                open_time,
                (parts[0].open, max(p.high for p in parts), min(p.low for p in parts), parts[-1].close),
                volume=math.fsum(p.volume for p in parts),
                buy_volume=math.fsum(p.buy_volume for p in parts),
                trades=sum(p.trades for p in parts),
                flags=BarFlag.HISTORY | (BarFlag.GAP if missing else BarFlag.NONE),
            )
        )
    return result


async def trades(rest: BinanceRest, symbol: str, after_seq: int, until: Nanos) -> list[Trade]:
    """Prints after id `after_seq` up to `until` (0 = the newest), oldest first; with id 0 the newest page.

    Raises VenueUnavailable, VenueRefused.
    """
    if after_seq <= 0:
        return _until(_trades(symbol, await rest.newest_trades(symbol, PAGE)), until)
    found: list[Trade] = []
    next_id = after_seq + 1
    while True:
        page = _trades(symbol, [row for row in await rest.trades_from(symbol, next_id, PAGE) if row.id >= next_id])
        found += page
        if len(page) < PAGE or (until and page[-1].ts_event > until):
            return _until(found, until)
        next_id = page[-1].seq + 1


def _until(found: list[Trade], until: Nanos) -> list[Trade]:
    return [trade for trade in found if trade.ts_event <= until] if until else found


def _trades(symbol: str, rows: list[codec.PastTrade]) -> list[Trade]:
    try:
        return [codec.trade_of(row.time, row.price, row.qty, row.isBuyerMaker, row.id) for row in rows]
    except checked.Absurd as err:
        raise VenueRefused(f"Binance's past trades of {symbol} are unusable: {err}") from err
