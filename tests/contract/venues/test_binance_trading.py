"""Orders at Binance against a fake account: what is sent, what never twice, and what an unanswered order became."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.core.types import (
    MILLISECOND,
    SECOND,
    Action,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    ReportKind,
    Side,
    VenueReport,
)
from libs.venues.base import Holds, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.binance import api, limits, rulebook, session, user_stream
from libs.venues.binance.market import BinanceMarketData
from libs.venues.binance.trading import BinanceTrading
from libs.venues.budget import Priority
from libs.venues.credentials import Credentials

KEY, SECRET, SYMBOL = "the-key", "the-secret", "BTCUSDT"
NEVER = object()
CUT = object()
D = Decimal


class FakeAccount:
    """REST and the WebSocket API of one account whose market fills what `fills` says, at once."""

    def __init__(self) -> None:
        self.private: Ed25519PrivateKey | None = None
        self.now_offset_ms = 0
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.overrides: dict[str, list[Any]] = {}
        self.fills: list[tuple[str, str]] | None = None
        self.orders: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.sockets: dict[web.WebSocketResponse, bool] = {}
        self.mute_events = False
        self.refuse_key = False
        self.executions = 0
        self.limits: list[dict[str, Any]] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._socket)
        app.router.add_route("*", "/api/v3/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        self.cut()
        await self._runner.cleanup()

    def cut(self) -> None:
        for ws in list(self.sockets):
            if ws._req is not None and ws._req.transport is not None:
                ws._req.transport.abort()

    def now(self) -> int:
        return time.time_ns() // MILLISECOND + self.now_offset_ms

    def count(self, method: str, way: str = "") -> int:
        return sum(name == method and way in ("", via) for via, name, _ in self.calls)

    def subscribers(self) -> int:
        return sum(self.sockets.values())

    # --- the ways in -------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.sockets[ws] = False
        logged_on = False
        try:
            with suppress(ConnectionError):
                async for message in ws:
                    if message.type is not WSMsgType.TEXT:
                        continue
                    asked = json.loads(message.data)
                    method, params = asked["method"], asked.get("params", {})
                    if "signature" in params:
                        unsigned = {k: v for k, v in params.items() if k != "signature"}
                        text = "&".join(f"{k}={unsigned[k]}" for k in sorted(unsigned))
                        good = self._is_good(text, params["signature"]) and params["apiKey"] == KEY
                    else:
                        good = logged_on or method == "time"
                    answer = self._answer("ws", method, params) if good else refusal(-1022, "Signature is not valid.")
                    if method == "session.logon" and "error" not in answer:
                        logged_on = True
                    if answer is CUT:
                        self.cut()
                    elif answer is not NEVER:
                        if method.startswith("userDataStream.subscribe") and answer["status"] == 200:
                            self.sockets[ws] = True
                        await ws.send_str(json.dumps({"id": asked["id"], "rateLimits": self.limits} | answer))
        finally:
            self.sockets.pop(ws, None)
        return ws

    async def _rest(self, request: web.Request) -> web.Response:
        path, params = request.match_info["path"], dict(request.query)
        method = {
            "POST order": "order.place",
            "GET order": "order.status",
            "DELETE order": "order.cancel",
            "GET account": "account.status",
        }.get(f"{request.method} {path}", path)
        if path in ("order", "account", "myTrades", "allOrders"):
            text, _, signature = request.query_string.rpartition("&signature=")
            if (
                not self._is_good(text, params.pop("signature"))
                or request.headers["X-MBX-APIKEY"] != KEY
                or not signature
            ):
                return web.json_response({"code": -1022, "msg": "Signature is not valid."}, status=400)
        answer = self._answer("rest", method, params)
        if answer is NEVER or answer is CUT:
            assert request.transport is not None
            if answer is NEVER:
                await asyncio.sleep(session.ANSWER_S * 2)
            request.transport.abort()
            return web.Response()
        body = answer["result"] if answer["status"] == 200 else answer["error"]
        return web.json_response(body, status=answer["status"])

    def _is_good(self, text: str, signature: str) -> bool:
        if self.private is not None:
            self.private.public_key().verify(base64.b64decode(signature), text.encode())
            return True
        return signature == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

    def _answer(self, way: str, method: str, params: dict[str, Any]) -> Any:
        self.calls.append((way, method, params))
        if self.overrides.get(method):
            override = self.overrides[method].pop(0)
            return override(params) if callable(override) else override
        if "timestamp" in params:
            age = self.now() - int(params["timestamp"])
            if not -1000 < age <= int(params["recvWindow"]):
                return refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
        known: dict[str, Callable[[dict[str, Any]], Any]] = {
            "time": lambda _: {"serverTime": self.now()},
            "exchangeInfo": lambda _: self._info(),
            "avgPrice": lambda _: {"mins": 5, "price": "100.00000000", "closeTime": self.now()},
            "session.logon": self._enter,
            "userDataStream.subscribe": self._enter,
            "userDataStream.subscribe.signature": self._enter,
            "order.place": self.place,
            "order.status": self._status,
            "order.cancel": lambda _: refusal(-2011, "Unknown order sent."),
            "myTrades": lambda p: [row for row in self.trades if row["orderId"] == int(p["orderId"])],
            "allOrders": lambda _: list(self.orders.values()),
            "account.status": lambda _: self._balances(),
        }
        answer = known[method](params)
        return answer if isinstance(answer, dict) and "error" in answer else {"status": 200, "result": answer}

    # --- the account -------------------------------------------------------------------------------------------

    def _enter(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.refuse_key:
            return refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return {"subscriptionId": 0}

    def _info(self) -> dict[str, Any]:
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00", "stepSize": "0.00001000"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "50.00", "stepSize": "0.00000000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ]
        row = {"symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters}
        limits = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100}]
        return {"serverTime": self.now(), "rateLimits": limits, "symbols": [row | {"isSpotTradingAllowed": True}]}

    def _balances(self) -> dict[str, Any]:
        rows = [("USDT", "9000.50000000", "10.00000000"), ("BTC", "0.00100000", "0.00"), ("ETH", "0.00", "0.00")]
        return {"balances": [{"asset": asset, "free": free, "locked": locked} for asset, free, locked in rows]}

    def place(self, params: dict[str, Any]) -> dict[str, Any]:
        """Execute at once; events go out before the answer does."""
        number, now = len(self.orders) + 71, self.now()
        quantity = D(params["quantity"])
        fills = [("100.00000000", str(quantity))] if self.fills is None else self.fills
        executed = sum((D(qty) for _, qty in fills), D(0))
        status = "FILLED" if executed == quantity else "EXPIRED"
        row = {
            "symbol": params["symbol"],
            "orderId": number,
            "clientOrderId": params["newClientOrderId"],
            "origQty": str(quantity),
            "executedQty": str(executed),
            "status": status,
            "time": now,
            "updateTime": now,
        }
        if status == "EXPIRED":
            row["expiryReason"] = "UNFILLED_IOC_QUANTITY_EXPIRED"
        self.orders[params["newClientOrderId"]] = row
        self._tell(row, "NEW", "NEW", "0", now)
        answered, done = [], D(0)
        for price, qty in fills:
            trade_id, fee = len(self.trades) + 9001, str(D(qty) * D("0.001"))
            money = {"price": price, "qty": qty, "commission": fee, "commissionAsset": "BTC"}
            answered.append(money | {"tradeId": trade_id})
            self.trades.append(money | {"symbol": SYMBOL, "id": trade_id, "orderId": number, "time": now})
            done += D(qty)
            after = status if done == executed and status == "FILLED" else "PARTIALLY_FILLED"
            self._tell(row, "TRADE", after, str(done), now, {"l": qty, "L": price, "n": fee, "N": "BTC", "t": trade_id})
        if status == "EXPIRED":
            self._tell(row, "EXPIRED", "EXPIRED", str(done), now, {"eR": "UNFILLED_IOC_QUANTITY_EXPIRED"})
        return {k: v for k, v in row.items() if not k.endswith("ime")} | {"transactTime": now, "fills": answered}

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.orders.get(params["origClientOrderId"])
        return found if found is not None else refusal(-2013, "Order does not exist.")

    def _tell(
        self, row: dict[str, Any], kind: str, status: str, done: str, now: int, more: dict[str, Any] | None = None
    ) -> None:
        self.executions += 1
        order = {"s": row["symbol"], "c": row["clientOrderId"], "C": "", "i": row["orderId"]}
        nothing = {"l": "0.0", "L": "0.0", "n": "0", "N": None, "t": -1}
        event = {"e": "executionReport", "E": now, "x": kind, "X": status, "r": "NONE", "z": done, "T": now}
        event |= {**order, **nothing, "I": self.executions}
        if not self.mute_events:
            self.push(event | (more or {}))

    def push(self, event: dict[str, Any]) -> None:
        """Send an event to every subscribed connection."""
        text = json.dumps({"subscriptionId": 0, "event": event})
        for ws, subscribed in self.sockets.items():
            if subscribed:
                asyncio.get_running_loop().create_task(ws.send_str(text))

    async def say(self, text: str) -> None:
        """Send raw text to every connection."""
        for ws in list(self.sockets):
            await ws.send_str(text)


def refusal(code: int, text: str, status: int = 400, **data: Any) -> dict[str, Any]:
    return {"status": status, "error": {"code": code, "msg": text} | ({"data": data} if data else {})}


class Ears:
    """A PrivateSink that remembers."""

    def __init__(self) -> None:
        self.reports: list[VenueReport] = []
        self.transfers: list[tuple[str, Decimal, int, str]] = []
        self.gaps: list[str] = []

    async def report(self, report: VenueReport) -> None:
        self.reports.append(report)

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        self.transfers.append((asset, amount, ts_event, identity))

    async def resumed(self, detail: str) -> None:
        assert "\n" not in detail
        self.gaps.append(detail)

    def kinds(self) -> list[ReportKind]:
        return [report.kind for report in self.reports]


INSTRUMENT = Instrument(
    id="i",
    ts_event=1,
    venue="binance",
    symbol=SYMBOL,
    canonical="BTC/USDT",
    name="BTC/USDT",
    kind=InstrumentKind.SPOT,
    base="BTC",
    quote="USDT",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.00001"),
    min_qty=D("0.00001"),
    max_qty=D(9000),
)


def order(
    intent: str = "a" * 32, quantity: str = "0.5", action: Action = Action.ENTER, worst: str = "101", ago_s: float = 0
) -> Order:
    return Order(
        id="o",
        ts_event=time.time_ns() - int(ago_s * SECOND),
        intent_id=intent,
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="binance",
        account="acc",
        symbol=SYMBOL,
        strategy="s",
        side=Side.BUY if action is Action.ENTER else Side.SELL,
        action=action,
        quantity=D(quantity),
        worst_price=D(worst),
        position_id="p",
        reason="entry",
    )


EXIT = order("e" * 32, action=Action.EXIT)


@pytest.fixture
async def venue(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeAccount]:
    for module in (session, api):
        monkeypatch.setattr(module, "ANSWER_S", 0.3)
    fake = FakeAccount()
    await fake.start()
    yield fake
    await fake.stop()


def adapter(venue: FakeAccount, credentials: Credentials | None = None) -> BinanceTrading:
    at = f"127.0.0.1:{venue.port}"
    urls = {"rest": f"http://{at}", "ws_api": f"ws://{at}/ws-api/v3"}
    return BinanceTrading(urls, credentials or Credentials(key=KEY, secret=SECRET), currency="USDT")


@pytest.fixture
async def trading(venue: FakeAccount) -> AsyncIterator[BinanceTrading]:
    made = adapter(venue)
    yield made
    await made.aclose()


@asynccontextmanager
async def listening(trading: BinanceTrading, venue: FakeAccount, eventually: Any) -> AsyncIterator[Ears]:
    ears = Ears()
    task = asyncio.create_task(trading.listen(ears))
    try:
        await eventually(lambda: venue.subscribers() and ears.gaps, "subscribed")
        yield ears
        assert not task.done(), "listening ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# --- what is sent and what comes back ------------------------------------------------------------------------------


async def test_an_entry_is_a_limit_order_that_does_not_rest(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.fills = [("99.50000000", "0.2"), ("100.00000000", "0.3")]
    acknowledged, first, second = await trading.submit(order(worst="101.009"), INSTRUMENT)
    (sent,) = [params for via, method, params in venue.calls if method == "order.place"]
    assert {k: sent[k] for k in ("symbol", "side", "type", "timeInForce", "quantity", "price", "newOrderRespType")} == {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "0.5",
        "price": "101",
        "newOrderRespType": "FULL",
    }
    assert (sent["newClientOrderId"], sent["recvWindow"]) == ("a" * 32, 3000)
    assert acknowledged.kind is ReportKind.ACKNOWLEDGED
    assert [r.kind for r in (first, second)] == [ReportKind.FILLED] * 2
    assert [(r.price, r.quantity, r.fee, r.fee_asset, r.trade_id) for r in (first, second)] == [
        (D("99.5"), D("0.2"), D("0.0002"), "BTC", "9001"),
        (D(100), D("0.3"), D("0.0003"), "BTC", "9002"),
    ]
    assert {r.venue_order_id for r in (acknowledged, first, second)} == {"71"}
    assert abs(first.ts_event - time.time_ns()) < 5 * SECOND


async def test_an_exit_is_a_market_order(trading: BinanceTrading, venue: FakeAccount) -> None:
    reports = await trading.close(EXIT, "71", INSTRUMENT)
    (sent,) = [params for via, method, params in venue.calls if method == "order.place"]
    assert (sent["side"], sent["type"], sent["quantity"]) == ("SELL", "MARKET", "0.5")
    assert "price" not in sent
    assert "timeInForce" not in sent
    assert [r.kind for r in reports] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED]


@pytest.mark.parametrize("filled", ["0.2", None])
async def test_a_part_that_does_not_fill_is_cancelled(
    trading: BinanceTrading, venue: FakeAccount, filled: str | None
) -> None:
    venue.fills = [("100", filled)] if filled else []
    reports = await trading.submit(order(), INSTRUMENT)
    assert reports[-1].kind is ReportKind.CANCELLED
    assert reports[-1].detail == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert [r.quantity for r in reports if r.kind is ReportKind.FILLED] == ([D("0.2")] if filled else [])


async def test_what_is_no_step_is_not_sent_and_told_as_cancelled(trading: BinanceTrading, venue: FakeAccount) -> None:
    uneven = order("e" * 32, "0.123456789", Action.EXIT)
    reports = await trading.close(uneven, "71", INSTRUMENT)
    assert venue.calls[-1][2]["quantity"] == "0.12345"
    assert [r.kind for r in reports] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED, ReportKind.CANCELLED]
    assert await trading.resolve(uneven) == reports


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (order(quantity="0.000001"), "filter LOT_SIZE"),
        (order(quantity="0.00001"), "filter NOTIONAL"),
        (order(worst="0.001"), "filter PRICE_FILTER"),
    ],
)
async def test_what_no_filter_lets_through_is_refused_here(
    trading: BinanceTrading, venue: FakeAccount, wrong: Order, text: str
) -> None:
    with pytest.raises(VenueRefused, match=text):
        await trading.submit(wrong, INSTRUMENT)
    assert venue.count("order.place") == 0


async def test_spot_opens_nothing_by_selling(trading: BinanceTrading, venue: FakeAccount) -> None:
    short = order(action=Action.EXIT)
    with pytest.raises(VenueRefused, match="cannot be opened by selling"):
        await trading.submit(short, INSTRUMENT)
    assert venue.calls == []


async def test_a_refusal_keeps_the_venue_s_code(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.overrides["order.place"] = [refusal(-2010, "Account has insufficient balance for requested action.")]
    with pytest.raises(VenueRefused, match="insufficient balance") as caught:
        await trading.submit(order(), INSTRUMENT)
    assert caught.value.code == "-2010"
    assert venue.count("order.place") == 1


async def test_balances_are_free_and_locked_together(trading: BinanceTrading, venue: FakeAccount) -> None:
    assert await trading.balance() == (D("9010.5"), "USDT")
    assert await trading.balances() == {"USDT": D("9010.5"), "BTC": D("0.001")}
    assert await trading.open_positions() == []
    assert await trading.watch("71") == []
    assert trading.holds is Holds.ASSETS


async def test_an_unknown_symbol_is_refused(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.overrides["exchangeInfo"] = [refusal(-1121, "Invalid symbol.")]
    with pytest.raises(VenueRefused, match="Invalid symbol"):
        await trading.submit(order(), INSTRUMENT)


async def test_filters_are_asked_for_once_and_again_when_the_venue_disagrees_or_they_are_old(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(trading.submit(order(f"{number:032x}"), INSTRUMENT) for number in range(5)))
    assert venue.count("exchangeInfo") == 1
    venue.overrides["order.place"] = [refusal(-1013, "Filter failure: LOT_SIZE")]
    with pytest.raises(VenueRefused, match="LOT_SIZE"):
        await trading.submit(order("a" * 32), INSTRUMENT)
    await trading.submit(order("b" * 32), INSTRUMENT)
    assert venue.count("exchangeInfo") == 2
    monkeypatch.setattr(rulebook, "FRESH_S", -1.0)
    venue.overrides["exchangeInfo"] = [refusal(-1000, "Unknown.", 500)]
    await trading.submit(order("c" * 32), INSTRUMENT)  # the old ones stand
    await eventually(lambda: venue.count("exchangeInfo") == 3, "asked again")
    assert len(await trading.submit(order("d" * 32), INSTRUMENT)) == 2


# --- the session ---------------------------------------------------------------------------------------------------


async def test_an_ed25519_key_logs_on_once_and_signs_no_order(venue: FakeAccount, eventually: Any) -> None:
    venue.private = Ed25519PrivateKey.generate()
    pem = venue.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    trading = adapter(venue, Credentials(key=KEY, private_key=pem))
    async with listening(trading, venue, eventually):
        await trading.submit(order(), INSTRUMENT)
    await trading.aclose()
    assert venue.count("session.logon") == venue.count("userDataStream.subscribe") == 1
    (sent,) = [params for via, method, params in venue.calls if method == "order.place"]
    assert not {"signature", "apiKey"} & set(sent)


async def test_a_clock_that_is_wrong_is_set_right(venue: FakeAccount) -> None:
    venue.now_offset_ms = -90_000
    trading = adapter(venue)
    assert len(await trading.submit(order("a" * 32), INSTRUMENT)) == 2
    venue.now_offset_ms = 4_000
    assert len(await trading.submit(order("b" * 32), INSTRUMENT)) == 2
    await trading.aclose()
    assert venue.count("order.place") == 3
    assert len(venue.orders) == 2


@pytest.mark.parametrize("call", ["order", "question"])
async def test_rest_stands_in_while_the_socket_is_down(trading: BinanceTrading, venue: FakeAccount, call: str) -> None:
    venue.overrides["time"] = [CUT]  # what every connection begins with
    if call == "order":
        assert [r.kind for r in await trading.submit(order(), INSTRUMENT)] == [
            ReportKind.ACKNOWLEDGED,
            ReportKind.FILLED,
        ]
        assert (venue.count("order.place", "rest"), venue.count("order.place", "ws")) == (1, 0)
    else:
        assert await trading.balance() == (D("9010.5"), "USDT")
        assert venue.count("account.status", "rest") == 1


async def test_a_refused_key_ends_listening_and_hides_the_secret(venue: FakeAccount, caplog: Any) -> None:
    venue.refuse_key = True
    trading = adapter(venue)
    with pytest.raises(VenueRefused) as caught:
        async with asyncio.timeout(15):
            await trading.listen(Ears())
    await trading.aclose()
    assert caught.value.code == "-2015"
    shown = f"{caught.value!r} {caplog.text} {trading!r}"
    assert SECRET not in shown
    assert KEY not in shown


# --- unknown outcomes ----------------------------------------------------------------------------------------------


def executed_but(answer: Any, venue: FakeAccount) -> Callable[[dict[str, Any]], Any]:
    def override(params: dict[str, Any]) -> Any:
        venue.place(params)
        return answer

    return override


DOUBTS = [
    NEVER,
    CUT,
    refusal(-1007, "Timeout waiting for response from backend server.", 503),
    refusal(-1006, "An unexpected response was received from the message bus."),
    refusal(-1000, "An unknown error occurred.", 500),
    {"status": 502},
    {"status": 200, "result": {"surprise": 1}},
    {"status": 200, "result": None},
]


@pytest.mark.parametrize("answer", DOUBTS, ids=["never", "cut", "1007", "1006", "1000", "502", "odd", "null"])
async def test_without_proof_an_order_is_unresolved_and_found_again(
    trading: BinanceTrading, venue: FakeAccount, answer: Any
) -> None:
    venue.fills = [("99", "0.1"), ("100", "0.2")]
    venue.overrides["order.place"] = [executed_but(answer, venue)]
    with pytest.raises(VenueUnresolved):
        await trading.submit(order(), INSTRUMENT)
    found = await trading.resolve(order())
    assert found is not None
    assert [r.kind for r in found] == [
        ReportKind.ACKNOWLEDGED,
        ReportKind.FILLED,
        ReportKind.FILLED,
        ReportKind.CANCELLED,
    ]
    assert venue.count("order.place") == 1
    assert len(venue.orders) == 1


async def test_rest_leaves_the_same_doubts(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.overrides["time"] = [CUT]
    venue.overrides["order.place"] = [executed_but(NEVER, venue)]
    with pytest.raises(VenueUnresolved):
        await trading.submit(order(), INSTRUMENT)
    assert venue.count("order.place") == 1
    assert await trading.resolve(order()) is not None


async def test_an_order_that_is_there_already_is_looked_up(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.overrides["order.place"] = [executed_but(refusal(-2010, "Duplicate order sent."), venue)]
    with pytest.raises(VenueUnresolved):
        await trading.submit(order(), INSTRUMENT)
    assert [r.kind for r in await trading.resolve(order()) or []] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED]


async def test_answer_stream_and_lookup_tell_the_same_facts(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    venue.fills = [("99", "0.1"), ("100", "0.2")]
    async with listening(trading, venue, eventually) as ears:
        answered = await trading.submit(order(), INSTRUMENT)
        await eventually(lambda: len(ears.reports) == 4, "the stream's reports")
    assert ears.reports == answered
    assert await trading.resolve(order()) == answered


@pytest.mark.parametrize(("ago_s", "proven"), [(0.0, False), (27.0, False), (29.0, True), (3600.0, True)])
async def test_unknown_to_the_venue_counts_when_it_can_no_longer_come_to_be(
    trading: BinanceTrading, venue: FakeAccount, ago_s: float, proven: bool
) -> None:
    assert await trading.resolve(order(ago_s=ago_s)) == ([] if proven else None)


async def test_a_lost_order_is_proven_lost_from_its_own_stamp(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.overrides["order.place"] = [NEVER]
    lost = order()
    with pytest.raises(VenueUnresolved):
        await trading.submit(lost, INSTRUMENT)
    assert await trading.resolve(lost) is None
    venue.now_offset_ms = 14_000
    assert await trading.resolve(lost) == []


async def test_a_venue_that_denies_an_order_which_it_lists_proves_nothing(
    trading: BinanceTrading, venue: FakeAccount
) -> None:
    old = order(ago_s=3600)
    await trading.submit(old, INSTRUMENT)
    venue.now_offset_ms = 20_000
    venue.overrides["order.status"] = [refusal(-2013, "Order does not exist.")]
    assert await trading.resolve(old) is None
    assert await trading.resolve(old)


async def test_trades_that_lag_behind_leave_it_unknown(trading: BinanceTrading, venue: FakeAccount) -> None:
    await trading.submit(order(), INSTRUMENT)
    venue.overrides["myTrades"] = [{"status": 200, "result": []}]
    assert await trading.resolve(order()) is None
    assert await trading.resolve(order())


async def test_what_still_works_is_told_as_taken_and_not_ended(trading: BinanceTrading, venue: FakeAccount) -> None:
    await trading.submit(order(), INSTRUMENT)
    venue.orders["a" * 32]["status"] = "PARTIALLY_FILLED"
    found = await trading.resolve(order())
    assert [report.kind for report in found or []] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED]
    venue.overrides["order.place"] = [
        lambda p: {"status": 200, "result": venue.place(p) | {"status": "NEW", "executedQty": "0", "fills": []}}
    ]
    reports = await trading.submit(order("b" * 32), INSTRUMENT)
    assert [r.kind for r in reports] == [ReportKind.ACKNOWLEDGED, ReportKind.UNRESOLVED]


async def test_an_order_that_ended_has_nothing_to_cancel(trading: BinanceTrading, venue: FakeAccount) -> None:
    await trading.submit(order(), INSTRUMENT)
    assert await trading.cancel(order()) == []
    venue.overrides["order.cancel"] = [{"status": 200, "result": {}}]
    assert [r.kind for r in await trading.cancel(order())] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED]


# --- limits --------------------------------------------------------------------------------------------------------


async def test_a_rate_limit_silences_the_adapter_for_as_long_as_the_venue_says(
    trading: BinanceTrading, venue: FakeAccount
) -> None:
    now = venue.now()
    banned = refusal(-1003, "Way too much request weight used.", 418, retryAfter=now + 60_000, serverTime=now)
    venue.overrides["order.place"] = [banned]
    with pytest.raises(VenueUnavailable, match="no call for 60 s"):
        await trading.submit(order(), INSTRUMENT)
    said = len(venue.calls)
    with pytest.raises(VenueUnavailable):
        await trading.close(EXIT, "71", INSTRUMENT)
    assert await trading.resolve(order()) is None
    assert len(venue.calls) == said


async def test_what_the_venue_counted_is_seen(trading: BinanceTrading, venue: FakeAccount) -> None:
    venue.limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 321},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000, "count": 17},
    ]
    await trading.submit(order(), INSTRUMENT)
    states = {budget.name: budget.state() for budget in trading.budgets()}
    assert states["binance request weight per min"].used == 321
    assert (states["binance orders per day"].used, states["binance orders per day"].limit) == (17, 200_000)
    assert states["binance orders per 10 s"].limit == 100


async def test_market_data_spends_from_its_budgets_and_stops_at_the_venue_s_word(
    venue: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.PATIENCE_S, Priority.DATA, 1.0)
    at = f"127.0.0.1:{venue.port}"
    market = BinanceMarketData(f"http://{at}", f"ws://{at}")
    await market.instruments([SYMBOL])
    used = {budget.name: budget.state().used for budget in market.budgets()}
    assert used == {"binance request weight per min": 20, "binance raw requests per 5 min": 1, "binance connections": 0}
    venue.overrides["time"] = [refusal(-1003, "Too much request weight used.", 429)]
    for _ in range(2):
        with pytest.raises(VenueUnavailable, match="rate limit"):
            await market.server_time()
    await market.aclose()
    assert venue.count("time") == 1


# --- the private stream --------------------------------------------------------------------------------------------


async def test_a_cut_is_mended_and_told(trading: BinanceTrading, venue: FakeAccount, eventually: Any) -> None:
    async with listening(trading, venue, eventually) as ears:
        venue.cut()
        await eventually(lambda: len(ears.gaps) == 2, "resumed")
        await trading.submit(order(), INSTRUMENT)
        await eventually(lambda: len(ears.reports) == 2, "reports on the new connection")
    assert "subscribed again" in ears.gaps[1]


async def test_a_shutdown_is_followed_without_a_gap(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    async with listening(trading, venue, eventually) as ears:
        (old,) = venue.sockets
        await venue.say('{"event":{"e":"serverShutdown","E":1}}')
        await eventually(lambda: venue.subscribers() == 2, "both subscribed")
        await trading.submit(order(), INSTRUMENT)  # told on both, heard once
        await eventually(lambda: old not in venue.sockets, "the old one let go")
        await trading.submit(order("b" * 32), INSTRUMENT)
        await eventually(lambda: len(ears.reports) == 4, "reports of both orders")
    assert [r.intent_id[0] for r in ears.reports] == ["a", "a", "b", "b"]
    assert len(ears.gaps) == 1


async def test_a_connection_is_renewed_before_the_venue_ends_it(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_stream, "RENEW_S", 0.3)
    async with listening(trading, venue, eventually) as ears:
        (old,) = venue.sockets
        await eventually(lambda: old not in venue.sockets, "the old one let go")
        assert venue.subscribers()
    assert len(ears.gaps) == 1


async def test_a_terminated_stream_is_begun_again(trading: BinanceTrading, venue: FakeAccount, eventually: Any) -> None:
    async with listening(trading, venue, eventually) as ears:
        venue.push({"e": "eventStreamTerminated", "E": 1})
        await eventually(lambda: len(ears.gaps) == 2, "resumed")
        assert venue.subscribers() >= 1


async def test_money_that_moves_without_an_order_is_told_once(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    moved = {"e": "balanceUpdate", "E": 1_700_000_000_000, "a": "BTC", "d": "-0.00100000", "T": 1_700_000_000_000}
    async with listening(trading, venue, eventually) as ears:
        venue.push(moved)
        venue.push(moved)
        venue.push(moved | {"d": "5.00000000", "a": "USDT"})
        await eventually(lambda: len(ears.transfers) == 2, "both transfers")
    assert [(asset, amount) for asset, amount, _, _ in ears.transfers] == [("BTC", D("-0.001")), ("USDT", D(5))]
    assert ears.transfers[0][2] == 1_700_000_000_000 * MILLISECOND
    assert len({identity for *_, identity in ears.transfers}) == 2


async def test_fills_that_the_stream_swallowed_are_looked_up_before_the_end_is_told(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    venue.fills = [("99", "0.1"), ("100", "0.2")]
    async with listening(trading, venue, eventually) as ears:
        venue.mute_events = True
        answered = await trading.submit(order(), INSTRUMENT)
        venue.mute_events = False
        row = venue.orders["a" * 32]
        venue._tell(row, "EXPIRED", "EXPIRED", "0.3", venue.now(), {"eR": "UNFILLED_IOC_QUANTITY_EXPIRED"})
        await eventually(lambda: ReportKind.CANCELLED in ears.kinds(), "the end")
    assert [r.id for r in ears.reports] == [r.id for r in answered[1:]]


async def test_fills_that_cannot_be_looked_up_hold_the_end_back(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    async with listening(trading, venue, eventually) as ears:
        venue.mute_events = True
        await trading.submit(order(), INSTRUMENT)
        venue.mute_events = False
        venue.overrides["myTrades"] = [refusal(-1000, "Unknown.", 500)] * 2
        venue._tell(venue.orders["a" * 32], "CANCELED", "CANCELED", "0.5", venue.now())
        await eventually(lambda: len(ears.gaps) == 2, "the call to reconcile")
    assert ears.reports == []


async def test_a_cancelled_order_is_known_by_its_own_id(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any
) -> None:
    async with listening(trading, venue, eventually) as ears:
        row = {"symbol": SYMBOL, "clientOrderId": "the-cancel", "orderId": 5}
        venue._tell(row, "CANCELED", "CANCELED", "0", venue.now(), {"C": "a" * 32})
        await eventually(lambda: ears.reports, "the end")
    assert (ears.reports[0].intent_id, ears.reports[0].kind) == ("a" * 32, ReportKind.CANCELLED)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"event":',
        '{"event":{"e":5}}',
        '{"event":{"e":"executionReport","i":"x"}}',
        "[" * 50_000,
        '{"id":"\\ud800"}',
    ],
)
async def test_what_cannot_be_read_is_a_gap_and_no_more(
    trading: BinanceTrading, venue: FakeAccount, eventually: Any, text: str
) -> None:
    async with listening(trading, venue, eventually) as ears:
        await venue.say(text)
        await eventually(lambda: len(ears.gaps) == 2, "a word about it")
        assert len(await trading.submit(order(), INSTRUMENT)) == 2
        await eventually(lambda: len(ears.reports) == 2, "the next events")
