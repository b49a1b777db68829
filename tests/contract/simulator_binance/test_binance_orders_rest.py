"""Trading over REST: every call answers, refusals have the venue's words, and what is free costs no weight."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
AMOUNT = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"


def mandatory(name: str) -> str:
    return f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."


@pytest.mark.parametrize(
    ("method", "path", "params", "code", "text"),
    [
        ("POST", "order", {**MARKET, "symbol": "NOSUCH"}, -1121, "Invalid symbol."),
        ("POST", "order", {**MARKET, "side": "LONG"}, -1117, "Invalid side."),
        ("POST", "order", {**MARKET, "type": "STOP"}, -1116, "Invalid orderType."),
        ("POST", "order", {**LIMIT, "price": "90000", "timeInForce": "DAY"}, -1115, "Invalid timeInForce."),
        ("POST", "order", {"symbol": "BTCUSDT", "type": "MARKET"}, -1102, mandatory("side")),
        ("POST", "order", LIMIT, -1102, mandatory("price")),
        ("POST", "order", {**MARKET, "price": "1"}, -1106, "Parameter 'price' sent when not required."),
        (
            "POST",
            "order",
            {**MARKET, "quantity": "1e-05"},
            -1100,
            f"Illegal characters found in parameter 'quantity'; legal range is '{AMOUNT}'.",
        ),
        ("POST", "order", {**MARKET, "quantity": ""}, -1105, "Parameter 'quantity' was empty."),
        (
            "POST",
            "order",
            {**MARKET, "quantity": "0.0010000001"},
            -1111,
            "Parameter 'quantity' has too much precision.",
        ),
        (
            "POST",
            "order",
            {**MARKET, "newClientOrderId": "a.b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        (
            "POST",
            "order",
            {**MARKET, "leverage": 3},
            -1104,
            "Not all sent parameters were read; read '6' parameter(s) but was sent '7'.",
        ),
        ("POST", "order", {**MARKET, "recvWindow": 60_001}, -1131, "recvWindow must be less than 60000."),
        ("POST", "order", {**MARKET, "quantity": "0.0000001"}, -1013, "Filter failure: LOT_SIZE"),
        (
            "POST",
            "order",
            {**MARKET, "quantity": "1"},
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        ("DELETE", "order", {"symbol": "BTCUSDT", "orderId": 5}, -2011, "Unknown order sent."),
        ("DELETE", "openOrders", {"symbol": "BTCUSDT"}, -2011, "Unknown order sent."),
        ("GET", "order", {"symbol": "BTCUSDT", "orderId": 5}, -2013, "Order does not exist."),
        (
            "GET",
            "order",
            {"symbol": "BTCUSDT"},
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        ),
        (
            "GET",
            "myTrades",
            {"symbol": "BTCUSDT", "startTime": 1, "endTime": 86_400_002},
            -1127,
            "More than 24 hours between startTime and endTime.",
        ),
        (
            "GET",
            "allOrders",
            {"symbol": "BTCUSDT", "orderId": 1, "startTime": 1},
            -1128,
            "Combination of optional parameters invalid.",
        ),
        (
            "DELETE",
            "order",
            {"symbol": "BTCUSDT", "orderId": 1, "cancelRestrictions": "ONLY_OLD"},
            -1145,
            "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.",
        ),
    ],
)
async def test_a_refusal_has_the_code_and_the_text_of_the_venue(
    start: Any, trader: Any, method: str, path: str, params: dict[str, Any], code: int, text: str
) -> None:
    assert await trader(await start())(method, path, **params) == (400, {"code": code, "msg": text})


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("ping?a=1", -1101, "Too many parameters; expected '0' and received '1'."),
        ("depth?symbol=BTCUSDT&symbol=ETHUSDT", -1101, "Duplicate values for a parameter detected."),
        (
            "depth?symbol=BTCUSDT&foo=1",
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
        ),
        ("depth?symbol=BTCUSDT&limit=99999999999999999999", -1108, "Parameter 'limit' overflowed."),
        ('ticker/price?symbols=["BTCUSDT","BTCUSDT"]', -1151, "Symbol is present multiple times in the list."),
        ("ticker/24hr?symbol=BTCUSDT&type=TINY", -1139, "Invalid ticker type."),
        ("ticker?symbol=BTCUSDT&windowSize=8d", -1130, "Data sent for parameter 'windowSize' is not valid."),
        ("ticker?windowSize=1d", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"),
        ("klines?symbol=BTCUSDT&interval=1d&timeZone=15", -1130, "Data sent for parameter 'timeZone' is not valid."),
        (
            "depth?symbol=BTCUSDT&symbolStatus=HALT",
            -1220,
            "The symbol's status does not match the requested symbolStatus.",
        ),
    ],
)
async def test_public_parameters_are_checked_too(
    start: Any, http: aiohttp.ClientSession, query: str, code: int, text: str
) -> None:
    async with http.get(f"{(await start()).rest_url}/api/v3/{query}") as answer:
        assert (answer.status, await answer.json()) == (400, {"code": code, "msg": text})


async def test_an_order_lives_through_all_its_calls(start: Any, trader: Any) -> None:
    call = trader(await start())
    status, placed = await call("POST", "order", **LIMIT, price="50000", newClientOrderId="mine")
    assert (status, placed["status"], placed["fills"]) == (200, "NEW", [])
    assert (await call("GET", "order", symbol="BTCUSDT", origClientOrderId="mine"))[1]["orderId"] == placed["orderId"]
    assert [row["orderId"] for row in (await call("GET", "openOrders"))[1]] == [placed["orderId"]]
    status, replaced = await call(
        "POST",
        "order/cancelReplace",
        **LIMIT,
        price="51000",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="mine",
    )
    assert (status, replaced["cancelResult"], replaced["newOrderResult"]) == (200, "SUCCESS", "SUCCESS")
    number = replaced["newOrderResponse"]["orderId"]
    status, amended = await call("PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=number, newQty="0.0005")
    assert (status, amended["amendedOrder"]["qty"]) == (200, "0.00050000")
    status, gone = await call("DELETE", "order", symbol="BTCUSDT", orderId=number)
    assert (status, gone["status"]) == (200, "CANCELED")
    status, bought = await call("POST", "order", **MARKET)
    assert (status, bought["status"]) == (200, "FILLED")
    assert float(bought["fills"][0]["qty"]) == 0.001
    status, trades = await call("GET", "myTrades", symbol="BTCUSDT", orderId=bought["orderId"])
    assert [row["id"] for row in trades] == [row["tradeId"] for row in bought["fills"]]
    status, history = await call("GET", "allOrders", symbol="BTCUSDT")
    assert [row["status"] for row in history] == ["CANCELED", "CANCELED", "FILLED"]


async def test_the_other_account_calls_answer(start: Any, trader: Any) -> None:
    call = trader(await start())
    for method, path, params in (
        ("POST", "order/test", MARKET),
        ("POST", "order/test", {**MARKET, "computeCommissionRates": "true"}),
        ("GET", "account/commission", {"symbol": "BTCUSDT"}),
        ("GET", "myFilters", {"symbol": "BTCUSDT"}),
        ("GET", "rateLimit/order", {}),
        ("GET", "openOrderList", {}),
        ("GET", "allOrderList", {}),
        ("GET", "myAllocations", {"symbol": "BTCUSDT"}),
        ("GET", "myPreventedMatches", {"symbol": "BTCUSDT", "orderId": 1}),
    ):
        assert (await call(method, path, **params))[0] == 200, path


async def test_order_lists_are_placed_asked_for_and_cancelled(start: Any, trader: Any) -> None:
    call = trader(await start())
    sell = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.001"}
    status, new = await call(
        "POST",
        "orderList/oco",
        **sell,
        aboveType="LIMIT_MAKER",
        abovePrice="120000",
        belowType="STOP_LOSS",
        belowStopPrice="70000",
        listClientOrderId="pair",
    )
    assert (status, new["contingencyType"], len(new["orderReports"])) == (200, "OCO", 2)
    assert (await call("GET", "orderList", origClientOrderId="pair"))[1]["orderListId"] == new["orderListId"]
    assert len((await call("GET", "openOrderList"))[1]) == 1
    status, gone = await call("DELETE", "orderList", symbol="BTCUSDT", orderListId=new["orderListId"])
    assert (status, gone["listOrderStatus"]) == (200, "ALL_DONE")
    status, old = await call("POST", "order/oco", **sell, price="120000", stopPrice="70000")
    assert (status, {row["type"] for row in old["orderReports"]}) == (200, {"LIMIT_MAKER", "STOP_LOSS"})
    working = {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC", "workingPrice": "50000"}
    for kind, pending in (
        ("oto", {"pendingType": "LIMIT_MAKER", "pendingPrice": "120000", "pendingQuantity": "0.001"}),
        ("opo", {"pendingType": "LIMIT_MAKER", "pendingPrice": "120000"}),
        (
            "otoco",
            {
                "pendingQuantity": "0.001",
                "pendingAboveType": "LIMIT_MAKER",
                "pendingAbovePrice": "120000",
                "pendingBelowType": "STOP_LOSS",
                "pendingBelowStopPrice": "40000",
            },
        ),
    ):
        status, new = await call(
            "POST",
            f"orderList/{kind}",
            symbol="BTCUSDT",
            **working,
            workingQuantity="0.001",
            pendingSide="SELL",
            **pending,
        )
        assert (status, new.get("contingencyType")) == (200, "OTO"), new
    status, cancelled = await call("DELETE", "openOrders", symbol="BTCUSDT")
    assert (status, len(cancelled)) == (200, 4)


async def test_a_half_failed_replacement_answers_409_with_both_halves(start: Any, trader: Any) -> None:
    call = trader(await start())
    _, placed = await call("POST", "order", **LIMIT, price="50000")
    status, body = await call(
        "POST",
        "order/cancelReplace",
        **{**LIMIT, "quantity": "1"},
        price="60000",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrderId=placed["orderId"],
    )
    assert (status, body["code"]) == (409, -2021)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")


async def test_successful_orders_are_free_and_failures_are_not(start: Any, trader: Any) -> None:
    call = trader(await start())

    def weight() -> int:
        return int(call.headers["X-MBX-USED-WEIGHT-1M"])

    await call("GET", "order", symbol="BTCUSDT", orderId=1)
    before = weight()
    await call("POST", "order", **LIMIT, price="50000")
    assert call.headers["X-MBX-ORDER-COUNT-10S"] == call.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    assert weight() in (before, 0)
    await call("DELETE", "openOrders", symbol="BTCUSDT")
    assert weight() in (before, 0)
    await call("DELETE", "openOrders", symbol="BTCUSDT")
    assert weight() in (before + 1, 1)


async def test_times_come_in_microseconds_when_asked_for(start: Any, trader: Any) -> None:
    client = trader(await start())
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    _, placed = await client.raw("POST", "order", client.signed({**LIMIT, "price": "50000"}), **unit)
    assert placed["transactTime"] > 10**15
    assert placed["workingTime"] > 10**15
    _, rows = await client.raw("GET", "klines", "symbol=BTCUSDT&interval=1m&limit=1", **unit)
    assert rows[0][0] > 10**15
    assert rows[0][6] == rows[0][0] + 59_999_000
    status, body = await client.raw("GET", "time", "", **{"X-MBX-TIME-UNIT": "FORTNIGHT"})
    assert (status, body["code"]) == (400, -1194)


async def test_a_halted_market_takes_no_orders(start: Any, trader: Any) -> None:
    simulator = await start()
    call = trader(simulator)
    async with call.http.post(f"{simulator.rest_url}/sim/status?symbol=BTCUSDT&status=HALT") as answer:
        assert answer.status == 200
    assert await call("POST", "order", **MARKET) == (400, {"code": -2010, "msg": "Market is closed."})
    _, info = await call.raw("GET", "exchangeInfo", "symbolStatus=HALT")
    assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT"]
    _, prices = await call.raw("GET", "ticker/price", "symbolStatus=TRADING")
    assert [row["symbol"] for row in prices] == ["ETHUSDT", "PLANTEDUSDT"]


async def test_days_may_begin_at_another_midnight(start: Any, trader: Any) -> None:
    client = trader(await start())
    _, utc = await client.raw("GET", "klines", "symbol=BTCUSDT&interval=1h&limit=1000")
    _, east = await client.raw("GET", "klines", "symbol=BTCUSDT&interval=1d&limit=3&timeZone=8")
    for row in east:
        assert row[0] % 86_400_000 == 16 * 3_600_000
        assert row[6] == row[0] + 86_400_000 - 1
    hours = [row for row in utc if east[1][0] <= row[0] < east[2][0]]
    assert len(hours) == 24
    assert (east[1][1], east[1][4]) == (hours[0][1], hours[-1][4])
    assert east[1][8] == sum(row[8] for row in hours)
    _, month = await client.raw("GET", "klines", "symbol=BTCUSDT&interval=1M&limit=2&timeZone=8")
    assert month[0][6] + 1 == month[1][0]
