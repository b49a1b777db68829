"""Binance Spot: klines, every trade, and trades put together by order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from libs.core.history import Kind, Page, between, of_rows
from libs.core.types import MILLISECOND, Nanos
from libs.venues import checked
from libs.venues.binance import codec
from libs.venues.binance.history import PAGE
from libs.venues.binance.rest import BinanceRest
from libs.venues.budget import Budget
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask, Facts, check

FACTS: Final = Facts(
    name="binance",
    about="Binance Spot",
    example="BTCUSDT",
    intervals=(*codec.INTERVALS.values(), "trades", "aggtrades"),
    limit=6000,
    window_s=60.0,
    delay_s=1.0,
)
"""The limit is of request weight."""

SECONDS: Final = {name: seconds for seconds, name in codec.INTERVALS.items()}


class BinanceSource:
    """Implements `Source` over the venue's own REST client. `urls`: "rest"."""

    facts = FACTS

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._rest = BinanceRest(urls["rest"])

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        if ask.interval == "trades":
            each = self._trades(ask, after)
        elif ask.interval == "aggtrades":
            each = self._aggregates(ask, after)
        else:
            each = self._klines(ask, after)
        async for page in each:
            yield page

    async def _klines(self, ask: Ask, after: str) -> AsyncIterator[Page]:
        interval_s = SECONDS[ask.interval]
        step_ms = interval_s * 1000
        start_ms = int(after) if after else -(-ask.start // MILLISECOND)
        last_ms = ask.end // MILLISECOND - step_ms  # the newest that is closed by the end
        while start_ms <= last_ms:
            rows = await self._rest.klines(ask.symbol, ask.interval, start_ms, last_ms, PAGE)
            inside = [row for row in rows if start_ms <= row.open_time <= last_ms]
            bars = [_checked(ask.symbol, interval_s, row) for row in inside]
            start_ms = inside[-1].open_time + step_ms if inside else last_ms + 1
            if bars:
                yield Page(of_rows(Kind.BARS, bars), str(start_ms))
            if len(rows) < PAGE:
                return

    async def _trades(self, ask: Ask, after: str) -> AsyncIterator[Page]:
        next_id = int(after or 0)
        if not after:
            first = await self._rest.aggregates_at(ask.symbol, -(-ask.start // MILLISECOND), 1)
            if not first:
                return
            next_id = first[0].f
        while True:
            rows = [row for row in await self._rest.trades_from(ask.symbol, next_id, PAGE) if row.id >= next_id]
            trades = [_trade(ask.symbol, row.time, row.price, row.qty, row.isBuyerMaker, row.id) for row in rows]
            if not trades:
                return
            next_id = rows[-1].id + 1
            yield _page(ask, trades, next_id)
            if trades[-1][0] >= ask.end or len(rows) < PAGE:
                return

    async def _aggregates(self, ask: Ask, after: str) -> AsyncIterator[Page]:
        next_id = int(after or 0)
        while True:
            if next_id:
                rows = await self._rest.aggregates_from(ask.symbol, next_id, PAGE)
            else:
                rows = await self._rest.aggregates_at(ask.symbol, -(-ask.start // MILLISECOND), PAGE)
            rows = [row for row in rows if row.a >= next_id]
            if not rows:
                return
            next_id = rows[-1].a + 1
            trades = [_trade(ask.symbol, row.T, row.p, row.q, row.m, row.a) for row in rows]
            yield _page(ask, trades, next_id)
            if trades[-1][0] >= ask.end or len(rows) < PAGE:
                return

    async def now(self) -> Nanos:
        return await self._rest.server_time()

    def budgets(self) -> tuple[Budget, ...]:
        return self._rest.limits.budgets()

    async def aclose(self) -> None:
        await self._rest.aclose()


def _checked(symbol: str, interval_s: int, row: codec.KlineRow) -> tuple[float, ...]:
    try:
        bar = checked.bar_of(
            FACTS.name,
            symbol,
            interval_s,
            row.open_time * MILLISECOND,
            (row.open, row.high, row.low, row.close),
            volume=row.volume,
            buy_volume=row.buy_volume,
            trades=row.trades,
        )
    except checked.Absurd as err:
        raise VenueUnavailable(f"Binance's klines of {symbol} are unusable: {err}") from err
    return (bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.trades)


Row = tuple[Nanos, float, float, int, int]


def _trade(symbol: str, ms: int, price: float, size: float, buyer_is_maker: bool, number: int) -> Row:
    try:
        trade = codec.trade_of(ms, price, size, buyer_is_maker, number)
    except checked.Absurd as err:
        raise VenueUnavailable(f"Binance's past trades of {symbol} are unusable: {err}") from err
    return (trade.ts_event, trade.price, trade.size, trade.side, trade.seq)


def _page(ask: Ask, trades: list[Row], next_id: int) -> Page:
    return Page(between(Kind.TRADES, of_rows(Kind.TRADES, trades), ask.start, ask.end), str(next_id))
