"""Binance's public REST calls: what each costs, and its answer decoded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from libs.core.types import MILLISECOND, Nanos
from libs.venues import checked
from libs.venues.base import VenueUnavailable
from libs.venues.binance import codec
from libs.venues.binance.exchange_info import ExchangeInfo, decode_exchange_info
from libs.venues.binance.http import Http
from libs.venues.binance.limits import Limits
from libs.venues.budget import Priority

SNAPSHOT_LEVELS: Final = 1000
"""Levels a side of a depth snapshot: weight 50 instead of 250, and far deeper than any level that is published."""

WEIGHTS: Final = {
    "time": 1,
    "exchangeInfo": 20,
    "depth": 50,
    "klines": 2,
    "trades": 25,
    "aggTrades": 4,
    "historicalTrades": 25,
    "avgPrice": 2,
    "ticker/price": 4,
}

T = TypeVar("T")
Query = Mapping[str, str | int]


class BinanceRest:
    """Calls that need no key. Raises VenueRefused, VenueUnavailable."""

    def __init__(self, base_url: str, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.http = Http(base_url, self.limits)

    async def server_time(self, priority: Priority = Priority.DATA) -> Nanos:
        """The venue's clock, ns UTC in whole milliseconds."""
        answer = await self._get("time", {}, codec.server_time, priority)
        try:
            checked.check_time(answer.serverTime)
        except checked.Absurd as err:
            raise VenueUnavailable(f"Binance's clock cannot be read: {err}") from err
        return answer.serverTime * MILLISECOND

    async def exchange_info(self, symbols: tuple[str, ...], priority: Priority = Priority.DATA) -> ExchangeInfo:
        """Symbols with their filters, all when none are named; the rate limits in force are learned on the way."""
        params = {"symbols": msgspec.json.encode(symbols).decode()} if symbols else {}
        info = decode_exchange_info(await self._fetch("exchangeInfo", params, priority))
        self.limits.learn(info.rateLimits)
        return info

    async def average_price(self, symbol: str, priority: Priority = Priority.DATA) -> Decimal:
        """Average price of the last minutes, quote currency."""
        answer = await self._get("avgPrice", {"symbol": symbol}, codec.average_price, priority)
        try:
            return checked.amount(answer.price)
        except checked.Absurd as err:
            raise VenueUnavailable(f"Binance's average price of {symbol} is unusable: {err}") from err

    async def prices(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Newest price by symbol, quote currency; of all symbols when none are named."""
        params = {"symbols": msgspec.json.encode(symbols).decode()} if symbols else {}
        rows = await self._get("ticker/price", params, codec.symbol_prices)
        try:
            return {row.symbol: checked.amount(row.price) for row in rows}
        except checked.Absurd as err:
            raise VenueUnavailable(f"Binance's prices cannot be read: {err}") from err

    async def depth(self, symbol: str) -> codec.Snapshot:
        """A book snapshot with checked levels."""
        snapshot = await self._get("depth", {"symbol": symbol, "limit": SNAPSHOT_LEVELS}, codec.snapshot)
        try:
            codec.check_levels(snapshot.bids)
            codec.check_levels(snapshot.asks)
        except checked.Absurd as err:
            raise VenueUnavailable(f"Binance's book snapshot of {symbol} is unusable: {err}") from err
        return snapshot

    async def klines(self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int) -> list[codec.KlineRow]:
        """Kline rows that open in [start_ms, end_ms], oldest first; the newest may still be running."""
        params: Query = {
            "symbol": symbol,
            "interval": interval,
            "startTime": start_ms,
            "endTime": end_ms,
            "limit": limit,
        }
        return await self._get("klines", params, codec.kline_rows)

    async def trades_from(self, symbol: str, first_id: int, limit: int) -> list[codec.PastTrade]:
        """Trades with ids from `first_id`, oldest first."""
        params: Query = {"symbol": symbol, "fromId": first_id, "limit": limit}
        return await self._get("historicalTrades", params, codec.past_trades)

    async def aggregates_at(self, symbol: str, start_ms: int, limit: int) -> list[codec.PastAggregate]:
        """Trades of one order at one price put together, from time `start_ms`, oldest first."""
        params: Query = {"symbol": symbol, "startTime": start_ms, "limit": limit}
        return await self._get("aggTrades", params, codec.past_aggregates)

    async def aggregates_from(self, symbol: str, first_id: int, limit: int) -> list[codec.PastAggregate]:
        """The same with ids from `first_id`."""
        params: Query = {"symbol": symbol, "fromId": first_id, "limit": limit}
        return await self._get("aggTrades", params, codec.past_aggregates)

    async def newest_trades(self, symbol: str, limit: int) -> list[codec.PastTrade]:
        """The newest trades, oldest first."""
        return await self._get("trades", {"symbol": symbol, "limit": limit}, codec.past_trades)

    async def _get(
        self, call: str, params: Query, decoder: msgspec.json.Decoder[T], priority: Priority = Priority.DATA
    ) -> T:
        body = await self._fetch(call, params, priority)
        try:
            return decoder.decode(body)
        except codec.UNREADABLE as err:
            raise VenueUnavailable(f"Binance's answer to {call} cannot be read: {err}") from err

    async def _fetch(self, call: str, params: Query, priority: Priority) -> bytes:
        await self.limits.take(priority, WEIGHTS[call])
        return await self.http.get(call, params)

    async def aclose(self) -> None:
        """Close the session."""
        await self.http.aclose()
