"""Binance's public REST calls: answers decoded, refusals and rate limits told apart from weather."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Final, TypeVar

import aiohttp
import msgspec

from libs.core.types import MILLISECOND, Nanos
from libs.venues.base import VenueRefused, VenueUnavailable
from libs.venues.binance import codec
from libs.venues.binance.exchange_info import ExchangeInfo, decode_exchange_info

TIMEOUT_S: Final = 10.0
"""The matching engine's own timeout."""

SNAPSHOT_LEVELS: Final = 1000
"""Levels a side of a depth snapshot: weight 50 instead of 250, and far deeper than any level that is published."""

WEIGHT_CEILING: Final = 4800
"""Used request weight a minute at which calls wait for the next minute; the limit in force is 6000."""

T = TypeVar("T")
Query = Mapping[str, str | int]


class BinanceRest:
    """One HTTP session, opened at the first call."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._blocked_until = 0.0
        self._used_weight = 0
        self._weight_minute = 0

    async def server_time(self) -> Nanos:
        """The venue's clock, ns UTC in whole milliseconds."""
        return (await self._get("time", {}, codec.server_time)).serverTime * MILLISECOND

    async def exchange_info(self, symbols: tuple[str, ...]) -> ExchangeInfo:
        """Symbols with their filters; all when none are named."""
        params = {"symbols": msgspec.json.encode(symbols).decode()} if symbols else {}
        return decode_exchange_info(await self._fetch("exchangeInfo", params))

    async def depth(self, symbol: str) -> codec.Snapshot:
        """A book snapshot with checked levels."""
        snapshot = await self._get("depth", {"symbol": symbol, "limit": SNAPSHOT_LEVELS}, codec.snapshot)
        try:
            codec.check_levels(snapshot.bids)
            codec.check_levels(snapshot.asks)
        except codec.Absurd as err:
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

    async def newest_trades(self, symbol: str, limit: int) -> list[codec.PastTrade]:
        """The newest trades, oldest first."""
        return await self._get("trades", {"symbol": symbol, "limit": limit}, codec.past_trades)

    async def _get(self, call: str, params: Query, decoder: msgspec.json.Decoder[T]) -> T:
        body = await self._fetch(call, params)
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as err:
            raise VenueUnavailable(f"Binance's answer to {call} cannot be read: {err}") from err

    async def _fetch(self, call: str, params: Query) -> bytes:
        """The body of a successful answer.

        Raises:
            VenueRefused: the venue's no, with its code. VenueUnavailable: network, rate limit or trouble on its side.
        """
        loop = asyncio.get_running_loop()
        await self._stay_below_limit(loop.time())
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.get(f"{self._base}/api/v3/{call}", params=dict(params)) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise VenueUnavailable(f"no answer from Binance at {self._base} to {call}: {err or 'timeout'}") from err
        weight = answer.headers.get("X-MBX-USED-WEIGHT-1M", "")
        self._used_weight = int(weight) if weight.isdigit() else 0
        self._weight_minute = int(loop.time() // 60)
        if answer.status == 200:
            return body
        if answer.status in (418, 429):
            after = answer.headers.get("Retry-After", "")
            wait_s = float(after) if after.isdigit() else 60.0
            self._blocked_until = loop.time() + wait_s
            raise VenueUnavailable(f"Binance's rate limit is reached; no call for {wait_s:g} s")
        if 400 <= answer.status < 500 and answer.status != 403:
            raise _refusal(call, params, body)
        raise VenueUnavailable(f"Binance answered {call} with HTTP {answer.status}")

    async def _stay_below_limit(self, now: float) -> None:
        if now < self._blocked_until:
            raise VenueUnavailable(
                f"Binance's rate limit is reached; no call for {math.ceil(self._blocked_until - now)} s"
            )
        if self._used_weight >= WEIGHT_CEILING and int(now // 60) == self._weight_minute:
            await asyncio.sleep(60.0 - now % 60.0)

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _refusal(call: str, params: Query, body: bytes) -> VenueRefused:
    try:
        refusal = codec.refusal.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return VenueRefused(f"Binance refused {call} without a reason")
    subject = params.get("symbol", params.get("symbols", ""))
    return VenueRefused(f"Binance refused {call} {subject}: {refusal.msg} ({refusal.code})", str(refusal.code))
