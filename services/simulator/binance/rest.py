"""The REST routes under /api/v3: parameters, answers, errors and weights as the venue gives them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from services.simulator.binance import wire
from services.simulator.binance.candles import Print
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange_info import exchange_info
from services.simulator.binance.feed import Feed
from services.simulator.binance.intervals import INTERVALS

WEIGHT_A_MINUTE: Final = 6_000
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))
_MAX_ROWS: Final = 1_000
_MAX_DEPTH: Final = 5_000


def _answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals as `{"code","msg"}`."""
    try:
        return await handler(request)
    except ApiError as refusal:
        body = wire.encode({"code": refusal.code, "msg": str(refusal)})
        return _answer(body, refusal.status, refusal.headers)


class Rest:
    """Market data over HTTP from one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._minute = 0
        self._used = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get("/api/v3/ping", self.ping),
            web.get("/api/v3/time", self.time),
            web.get("/api/v3/exchangeInfo", self.exchange_info),
            web.get("/api/v3/depth", self.depth),
            web.get("/api/v3/trades", self.trades),
            web.get("/api/v3/historicalTrades", self.historical_trades),
            web.get("/api/v3/aggTrades", self.agg_trades),
            web.get("/api/v3/klines", self.klines),
            web.get("/api/v3/uiKlines", self.klines),
        ]

    async def ping(self, request: web.Request) -> web.Response:
        """Answer that the venue is there."""
        return self._respond(1, {})

    async def time(self, request: web.Request) -> web.Response:
        """Answer the venue's clock."""
        return self._respond(1, {"serverTime": self._feed.now_ms()})

    async def exchange_info(self, request: web.Request) -> web.Response:
        """Answer what is listed: everything, or `symbol`, or `symbols`."""
        query = request.query
        if "symbol" in query and "symbols" in query:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        listed = self._feed.symbols
        wanted: Sequence[str] = list(listed)
        if "symbol" in query:
            wanted = [query["symbol"]]
        elif "symbols" in query:
            try:
                wanted = msgspec.json.decode(query["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise ApiError(
                    -1100,
                    "Illegal characters found in parameter 'symbols'; legal range is "
                    '\'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.',
                ) from None
        if any(symbol not in listed for symbol in wanted):
            raise ApiError(-1121, "Invalid symbol.")
        return self._respond(20, exchange_info(self._feed.now_ms(), (listed[symbol] for symbol in wanted)))

    async def depth(self, request: web.Request) -> web.Response:
        """Answer the book at the position of the streams."""
        symbol = self._symbol(request)
        limit = min(self._limit(request, 100, None), _MAX_DEPTH)
        weight = next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)
        headers = self._spend(weight)
        book = self._feed.depth(symbol)
        return _answer(wire.depth_snapshot(book.last_id, *book.top(limit)), headers=headers)

    async def trades(self, request: web.Request) -> web.Response:
        """Answer the newest trades."""
        rows = self._feed.trades(self._symbol(request), None, self._limit(request, 500))
        return self._respond(25, [wire.trade_row(row) for row in rows])

    async def historical_trades(self, request: web.Request) -> web.Response:
        """Answer trades from `fromId` on, or the newest."""
        symbol = self._symbol(request)
        rows = self._feed.trades(symbol, self._number(request, "fromId"), self._limit(request, 500))
        return self._respond(25, [wire.trade_row(row) for row in rows])

    async def agg_trades(self, request: web.Request) -> web.Response:
        """Answer aggregate trades from `fromId` on, or of a span of time, or the newest."""
        symbol, limit = self._symbol(request), self._limit(request, 500)
        from_id, start, end = (self._number(request, name) for name in ("fromId", "startTime", "endTime"))
        if from_id is not None and (start is not None or end is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        return self._respond(4, [wire.agg_trade_row(row) for row in self._span(symbol, from_id, start, end, limit)])

    async def klines(self, request: web.Request) -> web.Response:
        """Answer bars, the running one included."""
        symbol = self._symbol(request)
        interval = request.query.get("interval")
        if not interval:
            raise ApiError(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
        if interval not in INTERVALS:
            raise ApiError(-1120, "Invalid interval.")
        limit = self._limit(request, 500)
        headers = self._spend(2)
        start, end = self._number(request, "startTime"), self._number(request, "endTime")
        candles = await self._feed.klines(symbol, interval, start, end, limit)
        return _answer(wire.encode([candle.row(interval) for candle in candles]), headers=headers)

    def _span(
        self, symbol: str, from_id: int | None, start: int | None, end: int | None, limit: int
    ) -> Sequence[Print]:
        if start is not None:
            from_id = self._feed.first_trade_at(symbol, start)
        elif end is not None:
            from_id = max(1, self._feed.first_trade_at(symbol, end + 1) - limit)
        rows = self._feed.trades(symbol, from_id, limit)
        return rows if end is None else [row for row in rows if row.ms <= end]

    def _respond(self, weight: int, body: object) -> web.Response:
        return _answer(wire.encode(body), headers=self._spend(weight))

    def _spend(self, weight: int) -> dict[str, str]:
        """Count the weight of a request in the running minute. Raises ApiError past the limit."""
        seconds = time.time()
        if (minute := int(seconds // 60)) != self._minute:
            self._minute, self._used = minute, 0
        self._used += weight
        if self._used > WEIGHT_A_MINUTE:
            text = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
            raise ApiError(-1003, text, 429, {"Retry-After": str(60 - int(seconds % 60))})
        return {"X-MBX-USED-WEIGHT": str(self._used), "X-MBX-USED-WEIGHT-1M": str(self._used)}

    def _symbol(self, request: web.Request) -> str:
        symbol = request.query.get("symbol")
        if not symbol:
            raise ApiError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self._feed.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _number(self, request: web.Request, name: str) -> int | None:
        text = request.query.get(name)
        if text is None:
            return None
        if text == "":
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        if not _DIGITS.fullmatch(text):
            raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        number = int(text)
        # Times may come in microseconds; no millisecond stamp of this millennium has that many digits.
        return number // 1_000 if name.endswith("Time") and number >= 10**15 else number

    def _limit(self, request: web.Request, default: int, most: int | None = _MAX_ROWS) -> int:
        limit = self._number(request, "limit")
        if limit is None:
            return default
        if limit < 1:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return limit if most is None else min(limit, most)
