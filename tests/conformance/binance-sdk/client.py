"""Binance's own Spot client against the simulator: every call that it has, every stream, and not one warning.

The client checks each answer against the types that it declares and logs a warning where one does not fit.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_spot.spot import Spot

# The client's own: it hands aiohttp a parameter in a form that is going out of use, wherever it connects to.
warnings.filterwarnings("ignore", "parameter 'timeout' of type 'float' is deprecated", DeprecationWarning)

DEADLINE_SECS = 30.0
DOCUMENTED = {"icebergQty", "stopPrice", "strategyId", "strategyType", "trailingDelta", "trailingTime", "expiryReason"}
DOCUMENTED |= {"selfTradePreventionMode", "pegPriceType", "pegOffsetType", "pegOffsetValue", "peggedPrice"}
DOCUMENTED |= {"id", "status", "result", "rateLimits"}  # the envelope, which some of its models do not take off
"""Fields of an order that come only where they apply, by the documentation; the client declares not all of them."""
BTC = "BTCUSDT"
FAR_BELOW, FAR_ABOVE = 50_000.0, 150_000.0


class Complaints(logging.Handler):
    """Keeps every warning of the client."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "asyncio":  # in development mode it tells how long the client's own callbacks took
            self.lines.append(record.getMessage())


def limit(price: float, **more: Any) -> dict[str, Any]:
    return {
        "symbol": BTC,
        "side": "BUY",
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": 0.001,
        "price": price,
    } | more


OCO = {"symbol": BTC, "side": "SELL", "quantity": 0.001, "above_type": "LIMIT_MAKER", "above_price": FAR_ABOVE}
OCO |= {"below_type": "STOP_LOSS", "below_stop_price": FAR_BELOW}
WORKING = {"symbol": BTC, "working_type": "LIMIT", "working_side": "BUY", "working_price": FAR_BELOW}
WORKING |= {"working_quantity": 0.001, "working_time_in_force": "GTC", "pending_side": "SELL"}
PENDING = {"pending_type": "LIMIT_MAKER", "pending_price": FAR_ABOVE}
PAIR = {"pending_above_type": "LIMIT_MAKER", "pending_above_price": FAR_ABOVE}
PAIR |= {"pending_below_type": "STOP_LOSS", "pending_below_stop_price": 40_000.0}
ORDERS: list[dict[str, Any]] = [
    {"symbol": BTC, "side": "BUY", "type": "MARKET", "quantity": 0.001},
    {"symbol": BTC, "side": "BUY", "type": "MARKET", "quote_order_qty": 100.0},
    limit(FAR_BELOW, time_in_force="IOC"),
    limit(FAR_BELOW, time_in_force="FOK"),
    limit(FAR_BELOW, iceberg_qty=0.0005, new_order_resp_type="ACK"),
    limit(FAR_BELOW, strategy_id=7, strategy_type=1_000_001, self_trade_prevention_mode="EXPIRE_BOTH"),
    {"symbol": BTC, "side": "BUY", "type": "LIMIT_MAKER", "quantity": 0.001, "price": FAR_BELOW},
    {
        "symbol": BTC,
        "side": "BUY",
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": 0.001,
        "peg_price_type": "PRIMARY_PEG",
        "peg_offset_type": "PRICE_LEVEL",
        "peg_offset_value": 2,
    },
    {"symbol": BTC, "side": "SELL", "type": "STOP_LOSS", "quantity": 0.001, "stop_price": FAR_BELOW},
    {"symbol": BTC, "side": "SELL", "type": "TAKE_PROFIT", "quantity": 0.001, "trailing_delta": 100},
    {
        "symbol": BTC,
        "side": "SELL",
        "type": "STOP_LOSS_LIMIT",
        "time_in_force": "GTC",
        "quantity": 0.001,
        "price": 49_000.0,
        "stop_price": FAR_BELOW,
    },
    {
        "symbol": BTC,
        "side": "SELL",
        "type": "TAKE_PROFIT_LIMIT",
        "time_in_force": "GTC",
        "quantity": 0.001,
        "price": 149_000.0,
        "stop_price": FAR_ABOVE,
    },
]
MARKET_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("exchange_info", {"symbol": BTC}),
    ("exchange_info", {"symbols": [BTC, "ETHUSDT"]}),
    ("execution_rules", {"symbol": BTC}),
    ("avg_price", {"symbol": BTC}),
    ("depth", {"symbol": BTC, "limit": 5}),
    ("klines", {"symbol": BTC, "interval": "1m", "limit": 5}),
    ("klines", {"symbol": BTC, "interval": "1d", "limit": 5, "time_zone": "8"}),
    ("ui_klines", {"symbol": BTC, "interval": "1h", "limit": 5}),
    ("reference_price", {"symbol": BTC}),
    ("reference_price_calculation", {"symbol": BTC}),
    ("ticker", {"symbol": BTC, "window_size": "1h"}),
    ("ticker", {"symbols": [BTC, "ETHUSDT"], "type": "MINI"}),
    ("ticker24hr", {"symbol": BTC}),
    ("ticker24hr", {"symbols": [BTC], "type": "MINI"}),
    ("ticker24hr", {}),
    ("ticker_price", {"symbol": BTC}),
    ("ticker_price", {}),
    ("ticker_trading_day", {"symbol": BTC}),
]
REST_MARKET: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("time", {}),
    *MARKET_CALLS,
    ("agg_trades", {"symbol": BTC, "limit": 5}),
    ("get_trades", {"symbol": BTC, "limit": 5}),
    ("historical_trades", {"symbol": BTC, "limit": 5}),
    ("historical_block_trades", {"symbol": BTC, "from_id": 1}),
    ("ticker_book_ticker", {"symbol": BTC}),
    ("ticker_book_ticker", {}),
]
SOCKET_MARKET: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("time", {}),
    *MARKET_CALLS,
    ("trades_aggregate", {"symbol": BTC, "limit": 5}),
    ("trades_recent", {"symbol": BTC, "limit": 5}),
    ("trades_historical", {"symbol": BTC, "limit": 5}),
    ("block_trades_historical", {"symbol": BTC, "from_id": 1}),
    ("ticker_book", {"symbol": BTC}),
]


def fields(value: Any) -> Any:
    """A model, or a list of them, as plain data."""
    if isinstance(value, list):
        return [fields(each) for each in value]
    inner = getattr(value, "actual_instance", None)
    value = value if inner is None else inner
    plain = value.model_dump(by_alias=True) if hasattr(value, "model_dump") else value
    unknown = list(undeclared(plain))
    assert not unknown, f"{type(value).__name__} declares no {unknown}"
    return plain


def undeclared(value: Any) -> Iterator[str]:
    """Every field of an answer that the client does not know."""
    if isinstance(value, dict):
        yield from (value.get("additional_properties") or {}).keys() - DOCUMENTED
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from undeclared(each)


def rest(facts: dict[str, Any], passed: list[str]) -> None:
    """Every REST call, with the HMAC key, then an order signed with the Ed25519 key."""
    base = {"base_path": facts["binance_rest_url"], "timeout": 10_000, "retries": 0}
    client = Spot(
        config_rest_api=ConfigurationRestAPI(api_key=facts["key"], api_secret=facts["secret"], **base)
    ).rest_api

    def call(name: str, **arguments: Any) -> Any:
        answer = getattr(client, name)(**arguments)
        passed.append(f"rest {name}")
        return fields(answer.data())

    for name, arguments in REST_MARKET:
        call(name, **arguments)
    for arguments in ORDERS:
        placed = call("new_order", **arguments)
        asked = call("get_order", symbol=BTC, order_id=placed["orderId"])
        assert asked["clientOrderId"] == placed["clientOrderId"], placed
        call("order_test", compute_commission_rates=True, **arguments)
    assert len(call("get_open_orders", symbol=BTC)) in (7, 8)  # the pegged one may have been filled already
    resting = call("new_order", **limit(FAR_BELOW))
    call("order_amend_keep_priority", symbol=BTC, order_id=resting["orderId"], new_qty=0.0005)
    call("order_amendments", symbol=BTC, order_id=resting["orderId"])
    moved = call(
        "order_cancel_replace",
        **limit(FAR_BELOW + 1),
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_order_id=resting["orderId"],
    )
    call("delete_order", symbol=BTC, order_id=moved["newOrderResponse"]["orderId"])
    call("delete_open_orders", symbol=BTC)
    lists = [
        call("order_list_oco", **OCO),
        call("order_oco", symbol=BTC, side="SELL", quantity=0.001, price=FAR_ABOVE, stop_price=FAR_BELOW),
        call("order_list_oto", **WORKING, **PENDING, pending_quantity=0.001),
        call("order_list_otoco", **WORKING, **PAIR, pending_quantity=0.001),
        call("order_list_opo", **WORKING, **PENDING),
        call("order_list_opoco", **WORKING, **PAIR),
    ]
    assert len(call("open_order_list")) == len(lists)
    call("get_order_list", order_list_id=lists[0]["orderListId"])
    call("delete_order_list", symbol=BTC, order_list_id=lists[0]["orderListId"])
    call("delete_open_orders", symbol=BTC)
    for name, arguments in (
        ("get_account", {"omit_zero_balances": True}),
        ("account_commission", {"symbol": BTC}),
        ("all_order_list", {}),
        ("all_orders", {"symbol": BTC}),
        ("my_allocations", {"symbol": BTC}),
        ("my_filters", {"symbol": BTC}),
        ("my_prevented_matches", {"symbol": BTC, "order_id": 1}),
        ("my_trades", {"symbol": BTC}),
        ("open_order_list", {}),
        ("rate_limit_order", {}),
    ):
        call(name, **arguments)
    assert refused(client, symbol=BTC, side="BUY", type="MARKET", quantity=1.0) == -2010
    pair = Spot(
        config_rest_api=ConfigurationRestAPI(
            api_key=facts["ed25519_key"], private_key=facts["ed25519_secret"], time_unit="MICROSECOND", **base
        )
    ).rest_api
    account = fields(pair.get_account().data())
    assert account["updateTime"] > 10**15, account
    passed.append("rest signed with Ed25519, times in microseconds")


def refused(client: Any, **order: Any) -> int:
    """The code that an order is refused with, 0 when it is taken."""
    try:
        client.new_order(**order)
    except BadRequestError as refusal:
        return int(refusal.status_code)
    return 0


async def until(missing: Callable[[], Any]) -> None:
    """Wait until nothing is missing; the client has callbacks only."""
    end = time.monotonic() + DEADLINE_SECS
    while left := missing():
        assert time.monotonic() < end, f"did not come: {left}"
        await asyncio.sleep(0.01)


async def socket_api(facts: dict[str, Any], passed: list[str]) -> None:
    """Every method of the WebSocket API, by signature and in a session, with user data on the same connection."""
    signed = Spot(
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=facts["key"], api_secret=facts["secret"], stream_url=facts["binance_ws_api_url"]
        )
    ).websocket_api
    session = Spot(
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=facts["ed25519_key"],
            private_key=facts["ed25519_secret"],
            stream_url=facts["binance_ws_api_url"],
        )
    ).websocket_api
    await signed.create_connection()
    await session.create_connection()

    async def call(client: Any, name: str, **arguments: Any) -> Any:
        async with asyncio.timeout(DEADLINE_SECS):
            answer = await getattr(client, name)(**arguments)
        passed.append(f"ws-api {name}")
        response = getattr(answer, "response", answer)
        body = fields(response.data())
        return body.get("result", body) if isinstance(body, dict) else body

    events: list[Any] = []
    async with asyncio.timeout(DEADLINE_SECS):
        subscribed = await signed.user_data_stream_subscribe_signature()
    subscribed.stream.on("message", lambda event: events.append(fields(event)))
    passed.append("ws-api user_data_stream_subscribe_signature")
    for name, arguments in SOCKET_MARKET:
        await call(signed, name, **arguments)
    for arguments in ORDERS:
        placed = await call(signed, "order_place", **arguments)
        await call(signed, "order_status", symbol=BTC, order_id=placed["orderId"])
        await call(signed, "order_test", **arguments)
    await until(lambda: max(0, 12 - sum("x" in each for each in events)))
    await call(signed, "open_orders_status", symbol=BTC)
    resting = await call(signed, "order_place", **limit(FAR_BELOW))
    number = resting["orderId"]
    await call(signed, "order_amend_keep_priority", symbol=BTC, order_id=number, new_qty=0.0005)
    await call(signed, "order_amendments", symbol=BTC, order_id=number)
    moved = await call(
        signed,
        "order_cancel_replace",
        **limit(FAR_BELOW + 1),
        cancel_replace_mode="STOP_ON_FAILURE",
        cancel_order_id=number,
    )
    await call(signed, "order_cancel", symbol=BTC, order_id=moved["newOrderResponse"]["orderId"])
    await call(signed, "open_orders_cancel_all", symbol=BTC)
    first = await call(signed, "order_list_place_oco", **OCO)
    await call(signed, "order_list_place_oto", **WORKING, **PENDING, pending_quantity=0.001)
    await call(signed, "order_list_place_otoco", **WORKING, **PAIR, pending_quantity=0.001)
    await call(signed, "order_list_place_opo", **WORKING, **PENDING)
    await call(signed, "order_list_place_opoco", **WORKING, **PAIR)
    await call(signed, "order_list_status", order_list_id=first["orderListId"])
    await call(signed, "order_list_cancel", symbol=BTC, order_list_id=first["orderListId"])
    await call(signed, "open_order_lists_status")
    await call(signed, "open_orders_cancel_all", symbol=BTC)
    for name, arguments in (
        ("account_status", {"omit_zero_balances": True}),
        ("account_commission", {"symbol": BTC}),
        ("account_rate_limits_orders", {}),
        ("all_order_lists", {}),
        ("all_orders", {"symbol": BTC}),
        ("my_allocations", {"symbol": BTC}),
        ("my_filters", {"symbol": BTC}),
        ("my_prevented_matches", {"symbol": BTC, "order_id": 1}),
        ("my_trades", {"symbol": BTC}),
        ("session_subscriptions", {}),
    ):
        await call(signed, name, **arguments)
    await call(session, "session_logon")
    await call(session, "session_status")
    async with asyncio.timeout(DEADLINE_SECS):
        own = await session.user_data_stream_subscribe()
    heard: list[Any] = []
    own.stream.on("message", lambda event: heard.append(fields(event)))
    await call(session, "order_place", symbol=BTC, side="SELL", type="MARKET", quantity=0.001)
    await until(lambda: max(0, 3 - len(heard)))
    await call(session, "account_status")
    await call(session, "session_logout")
    await call(signed, "user_data_stream_unsubscribe")
    await signed.close_connection()
    await session.close_connection()


STREAMS: list[tuple[str, dict[str, Any]]] = [
    ("trade", {"symbol": "btcusdt"}),
    ("agg_trade", {"symbol": "btcusdt"}),
    ("kline", {"symbol": "btcusdt", "interval": "1s"}),
    ("kline_offset", {"symbol": "btcusdt", "interval": "1d"}),
    ("mini_ticker", {"symbol": "btcusdt"}),
    ("all_mini_ticker", {}),
    ("ticker", {"symbol": "btcusdt"}),
    ("rolling_window_ticker", {"symbol": "btcusdt", "window_size": "1h"}),
    ("all_market_rolling_window_ticker", {"window_size": "4h"}),
    ("book_ticker", {"symbol": "btcusdt"}),
    ("partial_book_depth", {"symbol": "btcusdt", "levels": "5", "update_speed": "100ms"}),
    ("diff_book_depth", {"symbol": "btcusdt", "update_speed": "100ms"}),
    ("diff_book_depth", {"symbol": "ethusdt"}),
    ("avg_price", {"symbol": "btcusdt"}),
    ("reference_price", {"symbol": "btcusdt"}),
]


async def streams(facts: dict[str, Any], passed: list[str]) -> None:
    """Every market stream says something of the declared shape; two are ended again."""
    client = Spot(
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=facts["binance_ws_url"] + "/stream")
    ).websocket_streams
    await client.create_connection()
    heard: dict[int, list[Any]] = {}
    handles = []
    for number, (name, arguments) in enumerate(STREAMS):
        handle = await getattr(client, name)(**arguments)
        heard[number] = []
        handle.on("message", heard[number].append)
        handles.append(handle)
        await asyncio.sleep(0.3)  # five messages a second at most, pongs among them
    await until(lambda: [STREAMS[number] for number, messages in heard.items() if not messages])
    passed.extend(f"stream {name}" for name, _ in STREAMS)
    await client.list_subscribe()
    for handle in handles[:2]:
        await handle.unsubscribe()
    await client.close_connection()


async def sockets(facts: dict[str, Any], passed: list[str]) -> None:
    await socket_api(facts, passed)
    await streams(facts, passed)


def main() -> None:
    facts = json.loads(Path(sys.argv[1]).read_text())
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    passed: list[str] = []
    try:
        rest(facts, passed)
        asyncio.run(sockets(facts, passed))
    finally:
        sys.stderr.write("".join(f"{line}\n" for line in complaints.lines))
    assert not complaints.lines, f"{len(complaints.lines)} complaints"
    print(f"binance-sdk: {len(passed)} calls and streams passed, {len(set(passed))} kinds")


main()
