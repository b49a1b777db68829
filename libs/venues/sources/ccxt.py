"""Any exchange that the ccxt library knows: its candles, and its prints as far back as it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from libs.core.history import Kind, Page, between, of_rows
from libs.core.types import MILLISECOND, Nanos
from libs.venues.budget import Budget
from libs.venues.ccxt.exchange import close, make_exchange
from libs.venues.ccxt.markets import market_of
from libs.venues.ccxt.outcome import question
from libs.venues.checked import Absurd, bar_of, price, sequence, size, stamp
from libs.venues.credentials import Credentials
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask, Facts, check
from libs.venues.sources.web import machine_now

CANDLES: Final = 500
PRINTS: Final = 1000
SIDES: Final = {"buy": 1, "sell": -1}

FACTS: Final = Facts(
    name="ccxt",
    about="exchanges: ccxt:kraken, ccxt:coinbase, ...",
    example="BTC/USD",
    intervals=(),
    limit=1,
    window_s=1.0,
    delay_s=1.0,
)
"""The limit is each exchange's own, as ccxt tells it."""


class CcxtSource:
    """Implements `Source` for one exchange. `urls` (rest) move its address; empty = its own.

    Raises ValueError for an exchange that ccxt does not know.
    """

    def __init__(self, exchange_id: str, urls: Mapping[str, str] | None = None) -> None:
        self._exchange = make_exchange(exchange_id, urls or {}, Credentials(), sandbox=False, exact=True)
        self._name = f"ccxt:{exchange_id}"
        frames = tuple(name for name in self._exchange.timeframes or {} if name[-1] in "smhd")
        state = self._exchange.budget.state()
        self.facts = Facts(
            name=self._name,
            about=str(self._exchange.name),
            example=FACTS.example,
            intervals=(*frames, "trades"),
            limit=state.limit,
            window_s=state.window_s,
            delay_s=FACTS.delay_s,
        )

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(self.facts, ask)
        async with question(self._exchange):
            await self._exchange.load_markets()
        pair = str(market_of(self._exchange, ask.symbol)["symbol"])
        length_ms, end_ms = ask.interval_s * 1000, ask.end // MILLISECOND
        closed_by = ask.end - length_ms * MILLISECOND + 1
        since_ms = int(after) if after else -(-ask.start // MILLISECOND)
        while since_ms < end_ms:
            rows = await (self._prints if ask.kind is Kind.TRADES else self._candles)(ask, pair, since_ms)
            if not rows:
                return
            columns = between(ask.kind, of_rows(ask.kind, rows), ask.start, closed_by)
            newest_ms = max(row[0] for row in rows) // MILLISECOND
            if newest_ms + length_ms > since_ms:
                # Prints of the newest millisecond may have been left out: it is asked for again, and rows that are the
                # same fall together.
                since_ms = newest_ms + length_ms
            else:
                # Nothing newer, or more prints in one millisecond than are given at once: of those that is all.
                since_ms = since_ms + 1 if len(rows) > 1 else end_ms
            yield Page(columns, str(since_ms))

    async def _candles(self, ask: Ask, pair: str, since_ms: int) -> list[tuple[Any, ...]]:
        async with question(self._exchange):
            rows = await self._exchange.fetch_ohlcv(pair, ask.interval, since_ms, CANDLES)
        try:
            return [self._bar(ask, row) for row in rows if row[0] >= since_ms]
        except (Absurd, TypeError, IndexError, KeyError) as err:
            raise VenueUnavailable(f"{self._name}: candles of {ask.symbol} cannot be read: {err}") from err

    def _bar(self, ask: Ask, row: Any) -> tuple[Any, ...]:
        prices = (price(row[1]), price(row[2]), price(row[3]), price(row[4]))
        bar = bar_of(self._name, ask.symbol, ask.interval_s, stamp(row[0]), prices, volume=size(row[5]))
        return (bar.open_time, *prices, bar.volume, 0.0, 0)

    async def _prints(self, ask: Ask, pair: str, since_ms: int) -> list[tuple[Any, ...]]:
        async with question(self._exchange):
            rows = await self._exchange.fetch_trades(pair, since_ms, PRINTS)
        try:
            return [
                (
                    stamp(row["timestamp"]),
                    price(row["price"]),
                    size(row["amount"]),
                    SIDES.get(row.get("side"), 0),
                    sequence(row.get("id")),
                )
                for row in rows
                if row["timestamp"] >= since_ms
            ]
        except (Absurd, TypeError, IndexError, KeyError) as err:
            raise VenueUnavailable(f"{self._name}: prints of {ask.symbol} cannot be read: {err}") from err

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._exchange.budget,)

    async def aclose(self) -> None:
        await close(self._exchange)
