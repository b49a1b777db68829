"""A small Alpaca: crypto assets and a share with a tiny book, orders, activities, three streams, limits and faults.

It follows what is written down of the venue (names, states, codes) and keeps everything in memory.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from services.simulator.faults.base import CallFaultKind
from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import Plan
from services.simulator.record import Record

VENUE = "alpaca"
KEY, SECRET = "PKTESTKEY00000000001", "stubsecretstubsecretstubsecretstubsecret"
TICK_S = 0.5
PER_MINUTE = 200
LEVELS = 12
NS = 10**9

Handler = Callable[[web.Request], Any]


def told(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // NS, UTC):%Y-%m-%dT%H:%M:%S}.{ns % NS:09d}Z"


def heard(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * NS + int(fraction.ljust(9, "0") or 0)


class Market:
    """One symbol: a walk on the grid, levels around it, and the prints that it made."""

    def __init__(self, symbol: str, kind: str, start: str, steps: tuple[str, str, str]) -> None:
        self.symbol, self.kind = symbol, kind
        self.id = str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol))
        self.rng = random.Random(symbol)
        self.mid = Decimal(start)
        self.price_step, self.qty_step, self.least = map(Decimal, steps)
        self.prints: list[dict[str, Any]] = []
        self.first_print = self.rng.randrange(10**6)
        self.step()

    def step(self) -> None:
        self.mid = max(self.price_step * 100, self.mid + self.rng.randint(-3, 3) * self.price_step)
        sizes = [[self.least * self.rng.randint(200, 900) for _ in range(LEVELS)] for _ in range(2)]
        self.bids = [[self.mid - n * self.price_step, size] for n, size in enumerate(sizes[0], 1)]
        self.asks = [[self.mid + n * self.price_step, size] for n, size in enumerate(sizes[1], 1)]

    def asset(self) -> dict[str, Any]:
        crypto = {
            "min_order_size": str(self.least),
            "min_trade_increment": str(self.qty_step),
            "price_increment": str(self.price_step),
        }
        return {
            "id": self.id,
            "class": self.kind,
            "exchange": "CRYPTO" if self.kind == "crypto" else "NASDAQ",
            "symbol": self.symbol,
            "name": f"{self.symbol} of the stub",
            "status": "active",
            "tradable": True,
            "fractionable": True,
            **(crypto if self.kind == "crypto" else {}),
        }

    def bar(self, open_s: int, interval_s: int) -> dict[str, Any]:
        """A bar of the past that is the same whenever it is asked for."""
        rng = random.Random(f"{self.symbol}/{open_s}/{interval_s}")
        prices = sorted(float(100 + rng.randint(0, 900)) for _ in range(4))
        bar = {"t": told(open_s * NS), "l": prices[0], "o": prices[1], "c": prices[2], "h": prices[3]}
        return {**bar, "v": rng.randint(1, 9) / 2, "n": rng.randint(1, 50), "vw": prices[1]}


class Private:
    """One client's stream: frames leave through the faults."""

    def __init__(self, stub: AlpacaStub, socket: web.WebSocketResponse, channel: str, *, binary: bool) -> None:
        self._socket, self._binary = socket, binary
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.line = stub.faults.line(VENUE, channel, self._queue.put_nowait, lambda: self._queue.put_nowait(None))
        self.symbols: set[str] = set()

    def tell(self, message: Any) -> None:
        self.line(json.dumps(message).encode())

    async def write(self) -> None:
        while (frame := await self._queue.get()) is not None:
            with suppress(ConnectionError):
                await (self._socket.send_bytes(frame) if self._binary else self._socket.send_str(frame.decode()))
        transport = self._socket._req.transport if self._socket._req is not None else None
        if transport is not None:
            transport.abort()


class AlpacaStub:
    """Everything on one port. `executed` counts orders that traded, `overruns` requests above the limit."""

    def __init__(self, folder: Path) -> None:
        self.record = Record(folder / "record.jsonl")
        self.faults = PlannedFaults(Plan(), self.record)
        self.markets = {
            market.symbol: market
            for market in (
                Market("BTC/USD", "crypto", "64000", ("0.05", "0.000000001", "0.00001")),
                Market("ETH/USD", "crypto", "3100", ("0.01", "0.000000001", "0.0001")),
                Market("AAPL", "us_equity", "190", ("0.01", "1", "1")),
            )
        }
        self.is_open = True
        self.cash = Decimal("10000")
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.activities: list[dict[str, Any]] = []
        self.executed, self.executions, self.overruns = 0, 0, 0
        self._asked: list[float] = []
        self._data: set[Private] = set()
        self._trade: set[Private] = set()
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        app = web.Application()
        get, post, delete = web.get, web.post, web.delete
        app.add_routes(
            [
                get("/v2/account", self._call("GET /v2/account", self._account)),
                get("/v2/positions", self._call("GET /v2/positions", self._positions)),
                get("/v2/clock", self._call("GET /v2/clock", self._clock)),
                get("/v2/assets", self._call("GET /v2/assets", self._assets)),
                get("/v2/assets/{name:.+}", self._call("GET /v2/assets", self._asset)),
                post("/v2/orders", self._call("POST /v2/orders", self._place)),
                get("/v2/orders:by_client_order_id", self._call("GET /v2/orders", self._order)),
                delete("/v2/orders/{id}", self._call("DELETE /v2/orders", self._cancel)),
                get("/v2/account/activities", self._call("GET /v2/account/activities", self._activities)),
                get("/v2/account/activities/{kind}", self._call("GET /v2/account/activities", self._activities)),
                get("/{where:v2/stocks|v1beta3/crypto/us}/bars", self._call("GET bars", self._bars)),
                get("/{where:v2/stocks|v1beta3/crypto/us}/trades", self._call("GET trades", self._trades)),
                get("/stream", self._trading_stream),
                get("/v2/iex", self._data_stream),
                get("/v1beta3/crypto/us", self._data_stream),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._tasks = [asyncio.create_task(self._run())]

    async def stop(self) -> None:
        self._over.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()
        self.record.close()

    @property
    def urls(self) -> dict[str, str]:
        http, ws = f"http://127.0.0.1:{self.port}", f"ws://127.0.0.1:{self.port}"
        return {"rest": http, "data": http, "stream": f"{ws}/stream", "stream_data": ws}

    # --- the market ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for market in self.markets.values():
                market.step()
                self._tell_market(market)

    def _tell_market(self, market: Market) -> None:
        now = time.time_ns()
        number = market.first_print + len(market.prints) + 1
        price, size = market.asks[0][0], market.least * market.rng.randint(1, 99)
        printed = {"t": told(now), "p": float(price), "s": float(size), "i": number, "tks": "B"}
        market.prints.append(printed)
        self.record.write(VENUE, "trade", market.symbol, number, now, price=str(price), qty=str(size))
        bid, ask = market.bids[0], market.asks[0]
        quote = {"bp": float(bid[0]), "bs": float(bid[1]), "ap": float(ask[0]), "as": float(ask[1]), "t": told(now)}
        for client in self._data:
            if market.symbol in client.symbols:
                client.tell([{"T": "q", "S": market.symbol, **quote}])
                client.tell([{"T": "t", "S": market.symbol, **printed}])

    # --- REST ----------------------------------------------------------------------------------------------------

    def _call(self, name: str, handler: Handler) -> Handler:
        async def served(request: web.Request) -> web.StreamResponse:
            fault = self.faults.call(VENUE, name)
            kind = fault.kind if fault else None
            if kind is CallFaultKind.LOST:
                return await self._silence()
            if kind is CallFaultKind.RATE_LIMIT:
                return self._refused(429, 42910000, "too many requests", reset=time.time() + 3)
            if kind is CallFaultKind.EXPIRED:
                return self._refused(401, 40110000, "request is not authorized")
            if kind is CallFaultKind.MAINTENANCE:
                return web.Response(status=503, text="maintenance")
            if kind is CallFaultKind.REJECT:
                return self._refused(403, 40310000, "insufficient balance")
            answer: web.Response = await self._checked(request, handler)
            if kind is CallFaultKind.TIMEOUT:
                return await self._silence()
            if kind is CallFaultKind.LATE and fault is not None:
                await asyncio.sleep(fault.delay_s)
            if kind is CallFaultKind.CLOSE and request.transport is not None:
                request.transport.abort()
            if kind is CallFaultKind.INTERNAL:
                return self._refused(500, 50010000, "internal server error occurred")
            return answer

        return served

    async def _silence(self) -> web.Response:
        with suppress(TimeoutError):
            async with asyncio.timeout(120):
                await self._over.wait()
        return web.Response(status=500)

    async def _checked(self, request: web.Request, handler: Handler) -> web.Response:
        now = time.monotonic()
        self._asked = [at for at in self._asked if at > now - 60]
        self._asked.append(now)
        if len(self._asked) > PER_MINUTE:
            self.overruns += 1
            return self._refused(429, 42910000, "too many requests", reset=time.time() + 60)
        keys = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        if keys != (KEY, SECRET):
            return self._refused(403 if keys[0] else 401, 40310000, "forbidden.")
        answer: web.Response = await handler(request)
        answer.headers["X-Ratelimit-Limit"] = str(PER_MINUTE)
        answer.headers["X-Ratelimit-Remaining"] = str(PER_MINUTE - len(self._asked))
        answer.headers["X-Ratelimit-Reset"] = str(int(time.time()) + 60)
        return answer

    def _refused(self, status: int, code: int, message: str, reset: float | None = None) -> web.Response:
        headers = {} if reset is None else {"X-Ratelimit-Reset": str(int(reset))}
        return web.json_response({"code": code, "message": message}, status=status, headers=headers)

    async def _account(self, request: web.Request) -> web.Response:
        return web.json_response({"id": "a", "status": "ACTIVE", "currency": "USD", "cash": str(self.cash)})

    async def _positions(self, request: web.Request) -> web.Response:
        rows = [
            {"asset_id": self.markets[name].id, "symbol": name.replace("/", ""), "qty": str(held), "side": "long"}
            for name, held in self.positions.items()
            if held
        ]
        return web.json_response(rows)

    async def _clock(self, request: web.Request) -> web.Response:
        return web.json_response({"timestamp": told(time.time_ns()), "is_open": self.is_open})

    async def _assets(self, request: web.Request) -> web.Response:
        return web.json_response([market.asset() for market in self.markets.values()])

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for market in self.markets.values():
            if name in (market.symbol, market.id):
                return web.json_response(market.asset())
        return self._refused(404, 40410000, f"asset not found for {name}")

    # --- orders --------------------------------------------------------------------------------------------------

    async def _place(self, request: web.Request) -> web.Response:
        body = await request.json()
        market, quantity = self.markets.get(body["symbol"]), Decimal(body["qty"])
        if market is None:
            return self._refused(422, 42210000, "asset not found")
        if any(order["client_order_id"] == body["client_order_id"] for order in self.orders.values()):
            return self._refused(422, 40010001, "client_order_id must be unique")
        if body["time_in_force"] not in (("gtc", "ioc") if market.kind == "crypto" else ("day", "ioc")):
            return self._refused(422, 42210000, f"invalid time in force for {market.kind}")
        if quantity < market.least or quantity % market.qty_step:
            return self._refused(403, 40310000, f"minimal order size is {market.least}")
        limit = Decimal(body["limit_price"]) if body["type"] == "limit" else None
        if limit is not None and limit % market.price_step:
            return self._refused(422, 42210000, "invalid limit price increment")
        buys = body["side"] == "buy"
        if buys and quantity * min(limit or market.mid, market.asks[-1][0]) > self.cash:
            return self._refused(403, 40310000, "insufficient balance for USD")
        if not buys and quantity > self.positions.get(market.symbol, Decimal(0)):
            return self._refused(403, 40310000, f"insufficient balance for {market.symbol}")
        order = self._trade_now(market, body, quantity, limit)
        first = {**order, "status": "pending_new", "filled_qty": "0", "filled_avg_price": None}
        return web.json_response(first)

    def _trade_now(self, market: Market, body: dict[str, Any], quantity: Decimal, limit: Decimal | None) -> Any:
        now, buys = time.time_ns(), body["side"] == "buy"
        order = {
            "id": str(uuid.uuid4()),
            "client_order_id": body["client_order_id"],
            "symbol": market.symbol,
            "asset_class": market.kind,
            "qty": str(quantity),
            "side": body["side"],
            "type": body["type"],
            "time_in_force": body["time_in_force"],
            "submitted_at": told(now),
            "updated_at": told(now),
            "status": "new",
        }
        self.orders[order["id"]] = order
        done = Decimal(0)
        for level in market.asks if buys else market.bids:
            beyond = limit is not None and (level[0] > limit if buys else level[0] < limit)
            part = min(level[1], quantity - done)
            if beyond or part <= 0:
                continue
            level[1] -= part
            done += part
            self._execute(order, market, level[0], part, done, buys=buys)
        order["filled_qty"] = str(done)
        order["status"] = "filled" if done == quantity else "canceled"
        self.executed += done > 0
        self._tell_trade(order, "fill" if done == quantity else "canceled")
        return order

    def _execute(
        self, order: dict[str, Any], market: Market, price: Decimal, part: Decimal, done: Decimal, *, buys: bool
    ) -> None:
        self.executions += 1
        self.cash += -price * part if buys else price * part
        held = self.positions.get(market.symbol, Decimal(0))
        self.positions[market.symbol] = held + (part if buys else -part)
        now = time.time_ns()
        self.activities.append(
            {
                "id": f"{now}::{uuid.uuid4()}",
                "activity_type": "FILL",
                "transaction_time": told(now),
                "type": "partial_fill",
                "price": str(price),
                "qty": str(part),
                "cum_qty": str(done),
                "side": order["side"],
                "symbol": order["symbol"],
                "order_id": order["id"],
            }
        )
        self._tell_trade(order, "partial_fill", price=str(price), qty=str(part))

    def _tell_trade(self, order: dict[str, Any], event: str, **more: str) -> None:
        if self.faults.silent(VENUE, "fills"):
            return
        data = {"event": event, "timestamp": told(time.time_ns()), "order": order, **more}
        for client in self._trade:
            client.tell({"stream": "trade_updates", "data": data})

    async def _order(self, request: web.Request) -> web.Response:
        for order in self.orders.values():
            if order["client_order_id"] == request.query["client_order_id"]:
                return web.json_response(order)
        return self._refused(404, 40410000, "order not found")

    async def _cancel(self, request: web.Request) -> web.Response:
        return self._refused(422, 42210000, "order is not cancelable")

    def deposit(self, amount: Decimal) -> None:
        self.cash += amount
        moved = {"id": f"{time.time_ns()}::{uuid.uuid4()}", "activity_type": "CSD", "net_amount": str(amount)}
        self.activities.append(moved)

    async def _activities(self, request: web.Request) -> web.Response:
        kinds = {request.match_info["kind"]} if "kind" in request.match_info else None
        kinds = kinds or set(request.query.get("activity_types", "").split(","))
        rows = [row for row in self.activities if row["activity_type"] in kinds]
        after = request.query.get("after")
        if after:
            rows = [row for row in rows if heard(row["transaction_time"]) > heard(after)]
        if request.query.get("direction") == "desc":
            rows.reverse()
        token = request.query.get("page_token")
        if token:
            rows = rows[[row["id"] for row in rows].index(token) + 1 :]
        return web.json_response(rows[: int(request.query.get("page_size", 100))])

    # --- history -------------------------------------------------------------------------------------------------

    async def _bars(self, request: web.Request) -> web.Response:
        query, symbol = request.query, request.query["symbols"]
        names = {"1Min": 60, "5Min": 300, "1Hour": 3600, "1Day": 86400}
        interval_s, market = names[query["timeframe"]], self.markets[symbol]
        first = int(query.get("page_token") or heard(query["end"]) // NS // interval_s * interval_s)
        begin, limit = heard(query["start"]) // NS, min(7, int(query["limit"]))
        opens = [at for at in range(first, first - limit * interval_s, -interval_s) if at >= begin]
        after = str(opens[-1] - interval_s) if len(opens) == limit else None
        rows = [market.bar(at, interval_s) for at in opens]
        return web.json_response({"bars": {symbol: rows}, "next_page_token": after})

    async def _trades(self, request: web.Request) -> web.Response:
        query, symbol = request.query, request.query["symbols"]
        begin, end = heard(query["start"]), heard(query["end"])
        rows = [row for row in self.markets[symbol].prints if begin <= heard(row["t"]) <= end]
        at = int(query.get("page_token") or 0)
        page = rows[at : at + 50]
        token = str(at + 50) if len(rows) > at + 50 else None
        return web.json_response({"trades": {symbol: page}, "next_page_token": token})

    # --- streams -------------------------------------------------------------------------------------------------

    async def _trading_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "trade", self._trade, self._on_trading)

    async def _data_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, "data", self._data, self._on_data)

    async def _stream(self, request: web.Request, channel: str, clients: set[Private], on: Any) -> web.StreamResponse:
        if self.faults.call(VENUE, f"connect {channel}") is not None:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = Private(self, socket, channel, binary=channel == "trade")
        writer = asyncio.create_task(client.write())
        self._tasks.append(writer)
        if channel == "data":
            client.tell([{"T": "success", "msg": "connected"}])
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    on(client, json.loads(message.data), clients)
        finally:
            clients.discard(client)
            writer.cancel()
        return socket

    def _on_trading(self, client: Private, asked: dict[str, Any], clients: set[Private]) -> None:
        if asked["action"] == "auth":
            good = (asked["key"], asked["secret"]) == (KEY, SECRET)
            status = "authorized" if good else "unauthorized"
            client.tell({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
        elif asked["action"] == "listen":
            client.tell({"stream": "listening", "data": {"streams": asked["data"]["streams"]}})
            clients.add(client)

    def _on_data(self, client: Private, asked: dict[str, Any], clients: set[Private]) -> None:
        if asked["action"] == "auth":
            good = (asked["key"], asked["secret"]) == (KEY, SECRET)
            failed = {"T": "error", "code": 402, "msg": "auth failed"}
            client.tell([{"T": "success", "msg": "authenticated"} if good else failed])
        elif asked["action"] == "subscribe":
            client.symbols |= set(asked["trades"])
            client.tell([{"T": "subscription", "trades": asked["trades"], "quotes": asked["quotes"], "bars": []}])
            clients.add(client)
