"""python-binance against the simulator: market data, orders of all types, WebSocket API, streams and user data."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

# The client's own: it imports names that are going out of use in websockets, wherever it connects to.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="websockets|binance")
warnings.filterwarnings("ignore", "websockets.* is deprecated", DeprecationWarning)

from binance import AsyncClient, BinanceSocketManager, DepthCacheManager  # noqa: E402
from binance.exceptions import BinanceAPIException  # noqa: E402

DEADLINE_SECS = 30.0
BTC = "BTCUSDT"
FAR_BELOW, FAR_ABOVE = "50000", "150000"
BUY = {"symbol": BTC, "side": "BUY", "quantity": "0.001"}
SELL = {"symbol": BTC, "side": "SELL", "quantity": "0.001"}
ORDERS: list[dict[str, Any]] = [
    {**BUY, "type": "MARKET"},
    {"symbol": BTC, "side": "BUY", "type": "MARKET", "quoteOrderQty": "100"},
    {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": FAR_BELOW},
    {**BUY, "type": "LIMIT", "timeInForce": "IOC", "price": FAR_BELOW},
    {**BUY, "type": "LIMIT_MAKER", "price": FAR_BELOW},
    {**SELL, "type": "STOP_LOSS", "stopPrice": FAR_BELOW},
    {**SELL, "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "stopPrice": FAR_BELOW, "price": "49000"},
    {**SELL, "type": "TAKE_PROFIT", "stopPrice": FAR_ABOVE},
    {**SELL, "type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTC", "stopPrice": FAR_ABOVE, "price": "149000"},
]
OCO = {
    **SELL,
    "aboveType": "LIMIT_MAKER",
    "abovePrice": FAR_ABOVE,
    "belowType": "STOP_LOSS",
    "belowStopPrice": FAR_BELOW,
}
WORKING = {"symbol": BTC, "workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC"}
WORKING |= {"workingPrice": FAR_BELOW, "workingQuantity": "0.001", "pendingSide": "SELL", "pendingQuantity": "0.001"}
PENDING = {"pendingType": "LIMIT_MAKER", "pendingPrice": FAR_ABOVE}
PAIR = {"pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": FAR_ABOVE, "pendingBelowType": "STOP_LOSS"}
PAIR |= {"pendingBelowStopPrice": "40000"}
SYMBOL = {"symbol": BTC}
MARKET: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("get_server_time", {}),
    ("get_exchange_info", {}),
    ("get_all_tickers", {}),
    ("get_orderbook_tickers", {}),
    ("get_order_book", SYMBOL),
    ("get_recent_trades", SYMBOL),
    ("get_historical_trades", SYMBOL),
    ("get_aggregate_trades", SYMBOL),
    ("get_klines", {**SYMBOL, "interval": "1m"}),
    ("get_ui_klines", {**SYMBOL, "interval": "1m"}),
    ("get_avg_price", SYMBOL),
    ("get_ticker", SYMBOL),
    ("get_ticker", {}),
    ("get_symbol_ticker", SYMBOL),
    ("get_symbol_ticker_window", SYMBOL),
    ("get_orderbook_ticker", SYMBOL),
    ("v3_get_ticker_trading_day", SYMBOL),
]
ACCOUNT: list[tuple[str, dict[str, Any]]] = [
    ("get_account", {}),
    ("get_open_orders", SYMBOL),
    ("get_all_orders", SYMBOL),
    ("get_my_trades", SYMBOL),
    ("get_current_order_count", {}),
    ("get_prevented_matches", {**SYMBOL, "orderId": 1}),
    ("get_allocations", SYMBOL),
    ("get_open_oco_orders", {}),
    ("v3_get_account_commission", SYMBOL),
    ("v3_get_all_order_list", {}),
    ("v3_get_open_order_list", {}),
    ("v3_get_rate_limit_order", {}),
]
SOCKET: list[tuple[str, dict[str, Any]]] = [
    ("ws_ping", {}),
    ("ws_get_time", {}),
    ("ws_get_exchange_info", SYMBOL),
    ("ws_get_order_book", SYMBOL),
    ("ws_get_recent_trades", SYMBOL),
    ("ws_get_historical_trades", SYMBOL),
    ("ws_get_aggregate_trades", SYMBOL),
    ("ws_get_klines", {**SYMBOL, "interval": "1m"}),
    ("ws_get_uiKlines", {**SYMBOL, "interval": "1m"}),
    ("ws_get_avg_price", SYMBOL),
    ("ws_get_ticker", SYMBOL),
    ("ws_get_trading_day_ticker", SYMBOL),
    ("ws_get_symbol_ticker_window", SYMBOL),
    ("ws_get_symbol_ticker", SYMBOL),
    ("ws_get_orderbook_ticker", SYMBOL),
    ("ws_get_account", {}),
    ("ws_get_account_rate_limits_orders", {}),
    ("ws_get_all_orders", SYMBOL),
    ("ws_get_my_trades", SYMBOL),
    ("ws_get_prevented_matches", {**SYMBOL, "orderId": 1}),
    ("ws_get_allocations", SYMBOL),
    ("ws_get_commission_rates", SYMBOL),
    ("ws_get_open_orders", SYMBOL),
    ("ws_get_oco_open_orders", {}),
]


class Complaints(logging.Handler):
    """Keeps every warning of the client."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "asyncio":  # in development mode it tells how long the client's own callbacks took
            self.lines.append(record.getMessage())


class Caller:
    """Calls methods of the client by name and keeps the list of those that passed."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.passed: list[str] = []

    async def __call__(self, name: str, /, **arguments: Any) -> Any:
        async with asyncio.timeout(DEADLINE_SECS):
            answer = await getattr(self.client, name)(**arguments)
        self.passed.append(name)
        return answer


async def rest(call: Caller) -> None:
    """The whole life of orders over REST."""
    for name, arguments in MARKET:
        await call(name, **arguments)
    assert (await call.client.get_symbol_info(BTC))["quoteAsset"] == "USDT"
    bars = await call.client.get_historical_klines(BTC, "1h", "1 day ago UTC")
    assert len(bars) in (24, 25), len(bars)
    for order in ORDERS:
        placed = await call("create_order", **order)
        asked = await call("get_order", symbol=BTC, orderId=placed["orderId"])
        assert asked["clientOrderId"] == placed["clientOrderId"]
        await call("create_test_order", **order)
    for name, arguments in (
        ("order_limit_buy", {**SYMBOL, "quantity": "0.001", "price": FAR_BELOW}),
        ("order_limit_sell", {**SYMBOL, "quantity": "0.001", "price": FAR_ABOVE}),
        ("order_market_buy", {**SYMBOL, "quantity": "0.001"}),
        ("order_market_sell", {**SYMBOL, "quantity": "0.001"}),
    ):
        await call(name, **arguments)
    resting = await call("create_order", **ORDERS[2])
    moved = await call(
        "cancel_replace_order", **ORDERS[2], cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=resting["orderId"]
    )
    await call("cancel_order", symbol=BTC, orderId=moved["newOrderResponse"]["orderId"])
    await call("cancel_all_open_orders", symbol=BTC)
    pair = await call("create_oco_order", **OCO)
    await call("v3_get_order_list", orderListId=pair["orderListId"])
    await call("v3_delete_order_list", symbol=BTC, orderListId=pair["orderListId"])
    await call("v3_post_order_list_oto", **WORKING, **PENDING)
    await call("v3_post_order_list_otoco", **WORKING, **PAIR)
    await call("v3_delete_open_orders", symbol=BTC)
    for name, arguments in ACCOUNT:
        await call(name, **arguments)
    assert float((await call.client.get_asset_balance("USDT"))["free"]) > 0
    assert await refused(call.client, **{**BUY, "type": "MARKET", "quantity": "1"}) == (400, -2010)


async def refused(client: AsyncClient, **order: Any) -> tuple[int, int]:
    """Status and code that an order is refused with, zeros when it is taken."""
    try:
        await client.create_order(**order)
    except BinanceAPIException as refusal:
        return int(refusal.status_code), int(refusal.code)
    return 0, 0


async def socket_api(call: Caller) -> None:
    """The same over the WebSocket API."""
    for name, arguments in SOCKET:
        await call(name, **arguments)
    for order in ORDERS:
        placed = await call("ws_create_order", **order)
        await call("ws_get_order", symbol=BTC, orderId=placed["orderId"])
        await call("ws_create_test_order", **order)
    resting = await call("ws_order_limit_buy", **SYMBOL, quantity="0.001", price=FAR_BELOW)
    moved = await call(
        "ws_cancel_and_replace_order",
        **ORDERS[2],
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=resting["orderId"],
    )
    await call("ws_cancel_order", symbol=BTC, orderId=moved["newOrderResponse"]["orderId"])
    await call("ws_cancel_all_open_orders", symbol=BTC)
    pair = await call("ws_create_oco_order", **OCO)
    await call("ws_get_oco_order", orderListId=pair["orderListId"])
    await call("ws_cancel_oco_order", symbol=BTC, orderListId=pair["orderListId"])
    await call("ws_create_oto_order", **WORKING, **PENDING)
    await call("ws_create_otoco_order", **WORKING, **PAIR)
    await call("ws_cancel_all_open_orders", symbol=BTC)


async def streams(call: Caller) -> None:
    """A message from every kind of market stream; a book kept by the client; the account's own events."""
    manager = BinanceSocketManager(call.client)
    for name, arguments in (
        ("depth_socket", {**SYMBOL, "interval": 100}),
        ("depth_socket", {**SYMBOL, "depth": "10"}),
        ("kline_socket", SYMBOL),
        ("miniticker_socket", {}),
        ("trade_socket", SYMBOL),
        ("aggtrade_socket", SYMBOL),
        ("symbol_miniticker_socket", SYMBOL),
        ("symbol_ticker_socket", SYMBOL),
        ("symbol_book_ticker_socket", SYMBOL),
        ("multiplex_socket", {"streams": ["btcusdt@trade", "ethusdt@bookTicker"]}),
    ):
        async with getattr(manager, name)(**arguments) as socket:
            message = await asyncio.wait_for(socket.recv(), DEADLINE_SECS)
        first = message[0] if isinstance(message, list) else message
        assert first.get("e") != "error", (name, message)
        call.passed.append(name)
    async with DepthCacheManager(call.client, BTC) as kept, asyncio.timeout(DEADLINE_SECS):
        for _ in range(3):
            book = await kept.recv()
        assert book.get_bids()[0][0] < book.get_asks()[0][0]
    call.passed.append("depth cache")
    async with manager.user_socket() as socket, asyncio.timeout(DEADLINE_SECS):
        placed = await call("create_order", **ORDERS[0])
        events = [await socket.recv() for _ in range(3)]
    assert [event["e"] for event in events] == ["executionReport", "executionReport", "outboundAccountPosition"]
    assert {event["i"] for event in events[:2]} == {placed["orderId"]}
    call.passed.append("user_socket")


async def run(facts: dict[str, Any]) -> list[str]:
    AsyncClient.API_URL = facts["binance_rest_url"] + "/api"
    AsyncClient.WS_API_URL = facts["binance_ws_api_url"]
    BinanceSocketManager.STREAM_URL = facts["binance_ws_url"] + "/"
    client = await AsyncClient.create(facts["key"], facts["secret"])
    call = Caller(client)
    try:
        await rest(call)
        await socket_api(call)
        await streams(call)
    finally:
        await client.close_connection()
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(facts["ed25519_secret"])
        pem.flush()
        pair = await AsyncClient.create(facts["ed25519_key"], private_key=Path(pem.name))
        assert (await pair.get_account())["canTrade"]
        await pair.ws_get_account()
        await pair.close_connection()
    return [*call.passed, "signed with Ed25519 over both doors"]


def main() -> None:
    facts = json.loads(Path(sys.argv[1]).read_text())
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        passed = asyncio.run(run(facts))
    finally:
        sys.stderr.write("".join(f"{line}\n" for line in complaints.lines))
    assert not complaints.lines, f"{len(complaints.lines)} complaints"
    print(f"binance-python: {len(passed)} calls and streams passed, {len(set(passed))} kinds")


main()
