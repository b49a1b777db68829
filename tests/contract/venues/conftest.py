"""Small fakes of both venues that speak their wire format, and a sink that remembers what it was told."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from libs.core.types import SECOND, Bar, FeedState, Quote, Trade
from libs.venues.base import Level

sys.path.insert(0, str(Path(__file__).parent))

DEADLINE_S = 8.0


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Poll until `condition` holds; fail with `what` after the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        await asyncio.sleep(0.01)


class RecordingSink:
    """A FeedSink that keeps everything."""

    def __init__(self) -> None:
        self.trades: list[tuple[str, Trade]] = []
        self.quotes: list[tuple[str, Quote]] = []
        self.books: list[tuple[str, tuple[Level, ...], tuple[Level, ...], int]] = []
        self.klines: list[Bar] = []
        self.clocks: list[tuple[int, int, bool, float, FeedState]] = []
        self.statuses: list[tuple[str, str, str]] = []
        self.rejects: list[tuple[str, bytes, str]] = []

    def trade(self, symbol: str, trade: Trade, recv_ns: int) -> None:
        assert recv_ns > 0
        self.trades.append((symbol, trade))

    def quote(self, symbol: str, quote: Quote, recv_ns: int) -> None:
        self.quotes.append((symbol, quote))

    def book(self, symbol: str, bids: Any, asks: Any, first_id: int, last_id: int, ts_event: int, *told: Any) -> None:
        self.books.append((symbol, tuple(bids), tuple(asks), last_id))

    def kline(self, bar: Bar, recv_ns: int) -> None:
        self.klines.append(bar)

    def clock(self, ts_event: int, recv_ns: int, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        self.clocks.append((ts_event, recv_ns, extrapolate, speed, state))

    def status(self, symbol: str, event: str, detail: str) -> None:
        self.statuses.append((symbol, event, detail))

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        assert isinstance(payload, bytes)
        self.rejects.append((symbol, payload, reason))

    def events(self) -> list[str]:
        return [event for _, event, _ in self.statuses]


class FakeVenue:
    """What both fakes share: one print a second with a known price, consecutive sequence numbers."""

    symbol = ""

    def __init__(self) -> None:
        self.newest = int(time.time()) - 20
        self.oldest = self.newest - 400
        self.port = 0

    @staticmethod
    def price(second: int) -> float:
        return round(100 + (second % 7) * 0.25, 2)

    @property
    def newest_ns(self) -> int:
        return self.newest * SECOND

    def seq(self, second: int) -> int:
        raise NotImplementedError

    def grow(self, seconds: int) -> None:
        """Prints that nobody is told about."""
        self.newest += seconds


class FakeDeriv(FakeVenue):
    """`/websockets/v3` with one open and one closed symbol; calls can be overridden in `answers`."""

    symbol = "R_100"

    def __init__(self) -> None:
        super().__init__()
        self.connections: dict[ServerConnection, dict[str, int]] = {}
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {}
        self.calls: list[dict[str, Any]] = []
        self.closed: set[str] = {"frxEURUSD"}
        self.paths: list[str] = []
        self.noise: list[str | bytes] = []
        self.copies = 1
        self._server: Any = None

    def seq(self, second: int) -> int:
        return second

    async def start(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def drop(self) -> None:
        for ws in list(self.connections):
            ws.transport.abort()
        await eventually(lambda: not self.connections, "all connections gone")

    def subscriptions(self) -> int:
        return sum(symbol == self.symbol for subscribed in self.connections.values() for symbol in subscribed)

    def tick(self, second: int) -> dict[str, Any]:
        price = self.price(second)
        return {
            "ask": round(price + 0.01, 2),
            "bid": round(price - 0.01, 2),
            "epoch": second,
            "id": "734cbe08-4c57-9419-4830-96fed4bb9257",
            "pip_size": 2,
            "quote": price,
            "symbol": self.symbol,
        }

    async def publish(self) -> None:
        self.newest += 1
        await self.push_tick(self.tick(self.newest))

    async def push_tick(self, tick: dict[str, Any]) -> None:
        for ws, subscribed in list(self.connections.items()):
            req_id = subscribed.get(self.symbol)
            if req_id is not None:
                await ws.send(json.dumps({"msg_type": "tick", "req_id": req_id, "echo_req": {}, "tick": tick}))

    async def send_raw(self, text: str) -> None:
        for ws, subscribed in list(self.connections.items()):
            if subscribed:
                await ws.send(text)

    async def publish_absurd(self, price: float) -> None:
        await self.push_tick(self.tick(self.newest) | {"quote": price})

    async def publish_crossed(self) -> None:
        self.newest += 1
        await self.push_tick(self.tick(self.newest) | {"bid": 200.0, "ask": 100.0})

    async def push_contract(self, contract: dict[str, Any]) -> None:
        message = {
            "msg_type": "proposal_open_contract",
            "proposal_open_contract": contract,
            "subscription": {"id": f"poc-{contract['contract_id']:032d}"},
        }
        for ws in list(self.connections):
            await ws.send(json.dumps(message))

    async def _serve(self, ws: ServerConnection) -> None:
        self.connections[ws] = {}
        self.paths.append(ws.request.path if ws.request is not None else "")
        try:
            async for text in ws:
                request = json.loads(text)
                self.calls.append(request)
                answer = self._answer(ws, request)
                for noise in self.noise:
                    await ws.send(noise)
                if answer is not None:
                    for _ in range(self.copies):
                        await ws.send(json.dumps({"echo_req": request, "req_id": request.get("req_id")} | answer))
        except ConnectionClosed:
            pass
        finally:
            self.connections.pop(ws, None)

    def _answer(self, ws: ServerConnection, request: dict[str, Any]) -> dict[str, Any] | None:
        name = next(iter(request))
        is_options = "/options/" in (ws.request.path if ws.request is not None else "")
        if is_options and "symbol" in request:
            return refusal(name, "InputValidationFailed", "Properties not allowed: symbol.")
        if is_options and name in ("authorize", "website_status"):
            return refusal(name, "UnrecognisedRequest", "Unrecognised request.")
        if name in self.answers:
            return self.answers[name](request)
        plain = getattr(self, f"_{name}", None)
        if name == "ticks":
            return self._ticks(ws, request)
        if name == "active_symbols" and is_options:
            return {"msg_type": name, name: [options_row(row) for row in self._active_symbols(request)[name]]}
        if plain is None:
            return refusal(name, "UnrecognisedRequest", "Unrecognised request.")
        answer: dict[str, Any] = plain(request)
        return answer

    def _ping(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"msg_type": "ping", "ping": "pong"}

    def _time(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"msg_type": "time", "time": int(time.time())}

    def _authorize(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["authorize"] != "good-token":
            return refusal("authorize", "InvalidToken", "The token is invalid.")
        return {"msg_type": "authorize", "authorize": {"balance": 10000, "currency": "USD", "loginid": "VRTC1"}}

    def _ticks(self, ws: ServerConnection, request: dict[str, Any]) -> dict[str, Any]:
        symbol = request["ticks"]
        if symbol in self.closed:
            return refusal("tick", "MarketIsClosed", "This market is presently closed.")
        if symbol != self.symbol:
            return refusal("tick", "InvalidSymbol", f"Symbol {symbol} is invalid.")
        self.connections[ws][symbol] = request["req_id"]
        return {"msg_type": "tick", "tick": self.tick(self.newest), "subscription": {"id": "t" * 32}}

    def _active_symbols(self, request: dict[str, Any]) -> dict[str, Any]:
        names = {self.symbol: "Volatility 100 Index", "frxEURUSD": "EUR/USD", "PLANT50": "Volatility 50 PLANTED Index"}
        rows = [
            {
                "symbol": symbol,
                "display_name": name,
                "market": "forex" if symbol.startswith("frx") else "synthetic_index",
                "submarket": "random_index",
                "pip": 0.00001 if symbol.startswith("frx") else 0.01,
                "exchange_is_open": 0 if symbol in self.closed else 1,
                "is_trading_suspended": 0,
            }
            for symbol, name in names.items()
        ]
        return {"msg_type": "active_symbols", "active_symbols": rows}

    def _contracts_for(self, request: dict[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = [{"contract_type": "CALL"}, {"contract_type": "PUT"}]
        if not request["contracts_for"].startswith("frx"):
            rows += [{"contract_type": kind, "multiplier_range": [100, 40, 200]} for kind in ("MULTUP", "MULTDOWN")]
        return {"msg_type": "contracts_for", "contracts_for": {"available": rows, "hit_count": len(rows)}}

    def _ticks_history(self, request: dict[str, Any]) -> dict[str, Any]:
        end = min(self.newest, int(request["end"]) if request["end"] != "latest" else self.newest)
        start = max(self.oldest, request.get("start", 1))
        if request.get("style") == "candles":
            width = request["granularity"]
            opens = [second for second in range(start - start % width, end + 1, width) if second >= start]
            candles = []
            for opened in opens[-request["count"] :]:
                prices = [self.price(s) for s in range(opened, min(opened + width, self.newest + 1))]
                candles.append(
                    {
                        "epoch": opened,
                        "open": prices[0],
                        "high": max(prices),
                        "low": min(prices),
                        "close": prices[-1],
                    }
                )
            return {"msg_type": "candles", "candles": candles, "pip_size": 2}
        times = list(range(start, end + 1))[-request["count"] :]
        history = {"times": times, "prices": [self.price(second) for second in times]}
        return {"msg_type": "history", "history": history, "pip_size": 2}


def options_row(row: dict[str, Any]) -> dict[str, Any]:
    """A listed symbol as the Options API words it."""
    kept = {name: row[name] for name in ("market", "submarket", "exchange_is_open", "is_trading_suspended")}
    named = {"underlying_symbol": row["symbol"], "underlying_symbol_name": row["display_name"]}
    return kept | named | {"pip_size": row["pip"], "subgroup": "none", "trade_count": 0}


class FakeDerivDoor:
    """The REST side of the Options API in front of a FakeDeriv: accounts, and passwords that work once."""

    def __init__(self, venue: FakeDeriv) -> None:
        self.venue = venue
        self.accounts = [self.account("DOT90000001", "demo")]
        self.passwords: list[str] = []
        self.refuse: dict[str, tuple[int, dict[str, Any]]] = {}
        self.seen: list[tuple[str, str]] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    @staticmethod
    def account(account_id: str, kind: str, status: str = "active") -> dict[str, Any]:
        return {
            "account_id": account_id,
            "account_type": kind,
            "balance": 10000,
            "currency": "USD",
            "group": "row",
            "status": status,
        }

    @property
    def urls(self) -> dict[str, str]:
        at = f"127.0.0.1:{self.port}/trading/v1/options"
        return {"rest": f"http://{at}", "ws": f"ws://127.0.0.1:{self.venue.port}/trading/v1/options/ws"}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/trading/v1/options/accounts", self._accounts)
        app.router.add_post("/trading/v1/options/accounts/{account}/otp", self._password)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _accounts(self, request: web.Request) -> web.Response:
        return self._answered(request, "accounts", {"data": self.accounts, "meta": {}})

    async def _password(self, request: web.Request) -> web.Response:
        self.passwords.append(f"secret-{len(self.passwords)}")
        kind = "real" if request.match_info["account"].startswith("ROT") else "demo"
        url = f"{self.urls['ws']}/{kind}?otp={self.passwords[-1]}"
        return self._answered(request, "otp", {"data": {"url": url}, "meta": {}})

    def _answered(self, request: web.Request, name: str, body: dict[str, Any]) -> web.Response:
        self.seen.append((request.method, request.path))
        if name in self.refuse:
            status, refused = self.refuse[name]
            return web.json_response(refused, status=status)
        if request.headers.get("Authorization") != "Bearer good-token" or "Deriv-App-ID" not in request.headers:
            error = {"status": 401, "code": "Unauthorized", "message": "Unauthorized"}
            return web.json_response({"errors": [error], "meta": {}}, status=401)
        return web.json_response(body)


def refusal(name: str, code: str, message: str) -> dict[str, Any]:
    """An error answer in Deriv's envelope."""
    return {"msg_type": name, "error": {"code": code, "message": message}}


class FakeBinance(FakeVenue):
    """`/api/v3` and `/stream` with one symbol that prints once a second."""

    symbol = "BTCUSDT"
    FIRST_ID = 5_000

    def __init__(self) -> None:
        super().__init__()
        self.connections: dict[web.WebSocketResponse, list[str]] = {}
        self.control: list[dict[str, Any]] = []
        self.depth_calls = 0
        self.snapshots: list[dict[str, Any]] = []
        self.refuse_subscribe = False
        self.prints_before_answering = False
        self._runner: web.AppRunner | None = None

    def seq(self, second: int) -> int:
        return self.FIRST_ID + second - self.oldest

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v3/{call}", self._rest)
        app.router.add_get("/stream", self._stream)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def stop(self) -> None:
        assert self._runner is not None
        await self.drop()
        await self._runner.cleanup()

    async def drop(self) -> None:
        for ws in list(self.connections):
            transport = ws._req.transport if ws._req is not None else None
            if transport is not None:
                transport.abort()
        await eventually(lambda: not self.connections, "all connections gone")

    def subscriptions(self) -> int:
        return sum(name == "btcusdt@trade" for names in self.connections.values() for name in names)

    async def publish(self) -> None:
        self.newest += 1
        price = self.price(self.newest)
        await self.push("btcusdt@bookTicker", self.ticker(price - 0.01, price + 0.01))
        await self.push("btcusdt@trade", self.print_at(self.newest))

    def print_at(self, second: int) -> dict[str, Any]:
        return {
            "e": "trade",
            "E": second * 1000 + 1,
            "s": self.symbol,
            "t": self.seq(second),
            "p": f"{self.price(second):.8f}",
            "q": "0.50000000",
            "T": second * 1000,
            "m": True,
            "M": True,
        }

    def ticker(self, bid: float, ask: float) -> dict[str, Any]:
        update = self.seq(self.newest)
        return {"u": update, "s": self.symbol, "b": f"{bid:.8f}", "B": "1.0", "a": f"{ask:.8f}", "A": "2.0"}

    async def push(self, stream: str, data: dict[str, Any]) -> None:
        for ws, names in list(self.connections.items()):
            if stream in names:
                await ws.send_str(json.dumps({"stream": stream, "data": data}))

    async def send_raw(self, text: str) -> None:
        for ws, names in list(self.connections.items()):
            if names:
                await ws.send_str(text)

    async def publish_absurd(self, price: float) -> None:
        await self.push("btcusdt@trade", self.print_at(self.newest) | {"p": str(price)})

    async def publish_crossed(self) -> None:
        self.newest += 1
        await self.push("btcusdt@bookTicker", self.ticker(200.0, 100.0))
        await self.push("btcusdt@trade", self.print_at(self.newest))

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.connections[ws] = []
        try:
            with suppress(ConnectionError):
                async for message in ws:
                    if message.type is WSMsgType.TEXT:
                        answer = self._controlled(ws, json.loads(message.data))
                        if self.prints_before_answering:
                            await self.publish()
                        await ws.send_str(json.dumps(answer))
        finally:
            self.connections.pop(ws, None)
        return ws

    def _controlled(self, ws: web.WebSocketResponse, asked: dict[str, Any]) -> dict[str, Any]:
        self.control.append(asked)
        if self.refuse_subscribe:
            return {"code": 2, "msg": "Invalid request", "id": asked["id"]}
        if asked["method"] == "SUBSCRIBE":
            self.connections[ws] += asked["params"]
        return {"result": None, "id": asked["id"]}

    async def _rest(self, request: web.Request) -> web.Response:
        query = request.query
        call = request.match_info["call"]
        wanted = json.loads(query["symbols"]) if "symbols" in query else [query.get("symbol", self.symbol)]
        if any(symbol != self.symbol for symbol in wanted):
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        match call:
            case "time":
                return web.json_response({"serverTime": int(time.time() * 1000)})
            case "depth":
                self.depth_calls += 1
                at = min(self.depth_calls, len(self.snapshots)) - 1
                return web.json_response(self.snapshots[at]) if self.snapshots else web.Response(status=503)
            case "klines":
                return web.json_response(self._klines(query))
            case "trades":
                seconds = range(max(self.oldest, self.newest - 999), self.newest + 1)
                return web.json_response([self._past(second) for second in seconds])
            case "historicalTrades":
                first = self.oldest + int(query["fromId"]) - self.FIRST_ID
                last = min(self.newest, first + int(query["limit"]) - 1)
                return web.json_response([self._past(s) for s in range(max(first, self.oldest), last + 1)])
            case "exchangeInfo":
                return web.json_response(self._info())
        return web.Response(status=404)

    def _past(self, second: int) -> dict[str, Any]:
        price = f"{self.price(second):.8f}"
        return {
            "id": self.seq(second),
            "price": price,
            "qty": "0.5",
            "quoteQty": "50",
            "time": second * 1000,
            "isBuyerMaker": True,
            "isBestMatch": True,
        }

    def _klines(self, query: Any) -> list[list[Any]]:
        width = {"1s": 1, "1m": 60}[query["interval"]]
        start = max(self.oldest, int(query["startTime"]) // 1000)
        end = min(self.newest, int(query["endTime"]) // 1000)
        rows: list[list[Any]] = []
        for opened in range(-(-start // width) * width, end + 1, width)[: int(query["limit"])]:
            prices = [self.price(s) for s in range(opened, min(opened + width, self.newest + 1))]
            ohlc = [f"{p:.8f}" for p in (prices[0], max(prices), min(prices), prices[-1])]
            volume = f"{0.5 * len(prices):.8f}"
            close_ms = (opened + width) * 1000 - 1
            rows.append([opened * 1000, *ohlc, volume, close_ms, "1", len(prices), "0.00000000", "0", "0"])
        return rows

    def _info(self) -> dict[str, Any]:
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ]
        row = {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "isSpotTradingAllowed": True,
            "filters": filters,
        }
        return {"timezone": "UTC", "serverTime": int(time.time() * 1000), "rateLimits": [], "symbols": [row]}


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually


@pytest.fixture
async def fake_deriv() -> AsyncIterator[FakeDeriv]:
    venue = FakeDeriv()
    await venue.start()
    yield venue
    await venue.stop()


@pytest.fixture
async def deriv_door(fake_deriv: FakeDeriv) -> AsyncIterator[FakeDerivDoor]:
    door = FakeDerivDoor(fake_deriv)
    await door.start()
    yield door
    await door.stop()


@pytest.fixture
async def fake_binance() -> AsyncIterator[FakeBinance]:
    venue = FakeBinance()
    await venue.start()
    yield venue
    await venue.stop()
