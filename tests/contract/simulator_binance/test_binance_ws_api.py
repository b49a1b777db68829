"""The WebSocket API: answers with their limits, sessions, user data, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from services.simulator.binance.connection import Habits
from services.simulator.binance.limits import Limits

MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "50000",
}


def now_ms() -> int:
    return int(time.time() * 1_000)


async def test_an_answer_has_id_status_result_and_limits(start: Any, api: Any) -> None:
    simulator = await start(limits=Limits(lambda: 1_795_185_000.0))
    socket = await api(simulator)
    answer = await socket.ask("ping")
    assert list(answer) == ["id", "status", "result", "rateLimits"]
    assert (answer["status"], answer["result"]) == (200, {})
    assert answer["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000, "count": 3}
    ]
    assert "rateLimits" not in await socket.ask("ping", returnRateLimits=False)
    quiet = await api(simulator, "?returnRateLimits=false")
    assert "rateLimits" not in await quiet.ask("ping")
    assert "rateLimits" in await quiet.ask("ping", returnRateLimits=True)


async def test_every_market_method_answers_what_rest_answers(start: Any, api: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    socket = await api(simulator)
    for method, path, params in (
        ("exchangeInfo", "exchangeInfo", {"symbols": ["BTCUSDT", "ETHUSDT"]}),
        ("trades.aggregate", "aggTrades", {"symbol": "BTCUSDT", "fromId": 5, "limit": 3}),
        ("trades.historical", "historicalTrades", {"symbol": "BTCUSDT", "fromId": 5, "limit": 3}),
        ("blockTrades.historical", "historicalBlockTrades", {"symbol": "BTCUSDT", "fromId": 1}),
        ("klines", "klines", {"symbol": "BTCUSDT", "interval": "1h", "endTime": now_ms() - 7_200_000, "limit": 2}),
        ("executionRules", "executionRules", {"symbol": "BTCUSDT"}),
        ("referencePrice.calculation", "referencePrice/calculation", {"symbol": "BTCUSDT"}),
    ):
        answer = await socket.ask(method, params)
        query = {name: json.dumps(value) if isinstance(value, list) else value for name, value in params.items()}
        async with http.get(f"{simulator.rest_url}/api/v3/{path}", params=query) as rest:
            expected = await rest.json()
        if method == "exchangeInfo":
            expected["serverTime"] = answer["result"]["serverTime"]
        assert (answer["status"], answer["result"]) == (200, expected), method
    for method in ("depth", "trades.recent", "avgPrice", "ticker.24hr", "ticker.tradingDay", "ticker", "ticker.price"):
        assert (await socket.ask(method, symbol="BTCUSDT"))["status"] == 200, method
    for method in ("ticker.book", "referencePrice"):
        assert (await socket.ask(method, symbol="BTCUSDT"))["result"]["symbol"] == "BTCUSDT", method
    assert (await socket.ask("uiKlines", symbol="BTCUSDT", interval="1m", limit=1))["status"] == 200
    assert abs((await socket.ask("time"))["result"]["serverTime"] - now_ms()) < 2_000


@pytest.mark.parametrize(
    ("frame", "code", "request_id"),
    [
        ("{nonsense", -1135, None),
        ("[]", -1135, None),
        ('{"id":1}', -1102, None),
        ('{"id":1,"method":"fly"}', -1020, 1),
        ('{"id":"a b","method":"ping"}', -1100, None),
        ('{"id":1.5,"method":"ping"}', -1100, None),
        ('{"id":"x","method":"ping","params":{"a":1}}', -1101, "x"),
        ('{"id":null,"method":"depth","params":{"symbol":"NOSUCH"}}', -1121, None),
        ('{"id":2,"method":"order.place","params":{"symbol":"BTCUSDT"}}', -1102, 2),
        ('{"id":2,"method":"userDataStream.subscribe"}', -1002, 2),
    ],
)
async def test_a_wrong_request_is_answered_and_the_socket_stays(
    start: Any, api: Any, frame: str, code: int, request_id: Any
) -> None:
    socket = await api(await start())
    await socket.ws.send_str(frame)
    answer = json.loads((await socket.ws.receive(timeout=5)).data)
    assert (answer["id"], answer["error"]["code"]) == (request_id, code)
    assert answer["status"] in (400, 401)
    assert (await socket.ask("ping"))["status"] == 200


async def test_the_signature_covers_the_sorted_raw_parameters(start: Any, api: Any) -> None:
    socket = await api(await start())
    answer = await socket.ask(
        "account.status", socket.signed(omitZeroBalances=True).copy() | {"omitZeroBalances": True}
    )
    assert (answer["status"], answer["error"]["code"]) == (400, -1022)  # signed as Python writes it: True, not true
    good = socket.signed(omitZeroBalances="true")
    assert (await socket.ask("account.status", {**good, "omitZeroBalances": True}))["status"] == 200
    assert (await socket.ask("account.status", dict(reversed(good.items()))))["status"] == 200
    late = await socket.ask("account.status", socket.signed(timestamp=now_ms() - 6_000))
    assert late["error"]["code"] == -1021
    unknown = {**socket.signed(), "apiKey": "nobody"}
    assert (await socket.ask("account.status", unknown))["status"] == 401


async def test_a_session_needs_no_further_signatures(start: Any, api: Any) -> None:
    socket = await api(await start())
    refused = await socket.ask("session.logon", socket.signed())
    assert refused["error"]["code"] == -4056
    on = (await socket.ask("session.logon", socket.signed(pair=True)))["result"]
    assert list(on) == [
        "apiKey",
        "authorizedSince",
        "connectedSince",
        "returnRateLimits",
        "serverTime",
        "userDataStream",
    ]
    assert (on["apiKey"], on["userDataStream"]) == ("key-with-a-pair", False)
    placed = await socket.ask("order.place", MARKET, timestamp=now_ms())
    assert placed["result"]["status"] == "FILLED"
    assert [row["rateLimitType"] for row in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    assert (await socket.ask("order.place", MARKET))["error"]["code"] == -1102  # the timestamp stays
    off = (await socket.ask("session.logout"))["result"]
    assert (off["apiKey"], off["authorizedSince"]) == (None, None)
    assert (await socket.ask("order.place", MARKET, timestamp=now_ms()))["error"]["code"] == -1102
    assert (await socket.ask("session.status"))["result"]["apiKey"] is None


async def test_user_data_arrives_beside_the_answers(start: Any, api: Any) -> None:
    simulator = await start()
    socket, other = await api(simulator), await api(simulator)
    assert (await socket.ask("userDataStream.subscribe.signature", socket.signed()))["result"] == {"subscriptionId": 0}
    again = await socket.ask("userDataStream.subscribe.signature", socket.signed())
    assert again["error"]["code"] == -2035
    placed = (await other.ask("order.place", other.signed(**MARKET)))["result"]
    while len(socket.events) < 3:
        await socket.read()
    assert {each["subscriptionId"] for each in socket.events} == {0}
    assert [report["x"] for report in socket.reports()] == ["NEW", "TRADE"]
    assert {report["i"] for report in socket.reports()} == {placed["orderId"]}
    assert socket.events[2]["event"]["e"] == "outboundAccountPosition"
    assert (await socket.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    assert (await socket.ask("userDataStream.unsubscribe", subscriptionId=7))["error"]["code"] == -2036
    assert (await socket.ask("userDataStream.unsubscribe"))["result"] == {}
    assert socket.events[-1]["event"]["e"] == "eventStreamTerminated"
    await other.ask("order.place", other.signed(**MARKET))
    assert (await socket.ask("userDataStream.subscribe.signature", socket.signed()))["result"] == {"subscriptionId": 1}
    assert len(socket.events) == 4  # nothing came in between, and nothing is told afterwards


async def test_user_data_of_a_session_ends_with_it(start: Any, api: Any) -> None:
    simulator = await start()
    socket = await api(simulator)
    await socket.ask("session.logon", socket.signed(pair=True))
    assert (await socket.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
    assert (await socket.ask("session.status"))["result"]["userDataStream"] is True
    await socket.ask("session.logout")
    assert socket.events[-1]["event"]["e"] == "eventStreamTerminated"
    await socket.ask("session.logon", socket.signed(pair=True))
    await socket.ask("userDataStream.subscribe.signature", socket.signed())
    await socket.ask("session.logout")
    assert (await socket.ask("session.subscriptions"))["result"] == [{"subscriptionId": 1}]  # signed for itself


async def test_a_revoked_key_ends_its_sessions_unasked(start: Any, api: Any) -> None:
    simulator = await start()
    socket = await api(simulator)
    await socket.ask("session.logon", socket.signed(pair=True))
    await socket.ask("userDataStream.subscribe")
    simulator.revoke("key-with-a-pair")
    told, ended = await socket.read(), await socket.read()
    assert (told["id"], told["status"], told["error"]["code"]) == (None, 401, -2015)
    assert ended["event"]["e"] == "eventStreamTerminated"
    assert (await socket.ask("account.status", timestamp=now_ms()))["error"]["code"] == -1102


async def test_a_revoked_key_ends_the_user_data_that_it_signed_for(start: Any, api: Any) -> None:
    simulator = await start()
    socket = await api(simulator)
    await socket.ask("userDataStream.subscribe.signature", socket.signed())
    simulator.revoke("key-with-a-pair")
    simulator.revoke("key-of-the-test")
    assert (await socket.read())["event"]["e"] == "eventStreamTerminated"
    assert (await socket.ask("account.status", socket.signed()))["error"]["code"] == -2015
    assert (await socket.ask("session.subscriptions"))["result"] == []


async def test_transfers_are_told(start: Any, api: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    socket = await api(simulator)
    await socket.ask("userDataStream.subscribe.signature", socket.signed())
    async with http.post(f"{simulator.rest_url}/sim/transfer?asset=USDT&amount=-250.5") as answer:
        assert answer.status == 200
    update = (await socket.read())["event"]
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "USDT", "-250.50000000")
    account = await socket.ask("account.status", socket.signed(omitZeroBalances="true"))
    assert {row["asset"]: row["free"] for row in account["result"]["balances"]}["USDT"] == "9749.50000000"


async def test_times_come_in_microseconds_when_the_url_asks(start: Any, api: Any) -> None:
    socket = await api(await start(), "?timeUnit=microsecond")
    assert (await socket.ask("time"))["result"]["serverTime"] > 10**15
    await socket.ask("userDataStream.subscribe.signature", socket.signed())
    await socket.ask("order.place", socket.signed(**MARKET))
    report = socket.reports()[-1]
    assert min(report["E"], report["T"], report["O"], report["W"]) > 10**15
    assert report["t"] < 10**15


async def test_the_end_of_a_connection_is_announced(start: Any, api: Any) -> None:
    simulator = await start(habits=Habits(life_s=0.2, notice_s=0.1))
    socket = await api(simulator)
    notice = await socket.read()
    assert list(notice["event"]) == ["e", "E"]
    assert notice["event"]["e"] == "serverShutdown"
    assert (await socket.ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_requests_are_not_limited_to_five_a_second_but_frames_of_control_are(start: Any, api: Any) -> None:
    socket = await api(await start())
    for _ in range(20):
        assert (await socket.ask("ping"))["status"] == 200
    for _ in range(6):
        await socket.ws.ping()
    message = await socket.ws.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert socket.ws.close_code == 1008


async def test_all_orders_of_all_types_pass(start: Any, api: Any) -> None:
    socket = await api(await start())
    base = {"symbol": "BTCUSDT", "quantity": "0.001"}
    for order in (
        {**base, "side": "BUY", "type": "LIMIT_MAKER", "price": "50000"},
        {**base, "side": "SELL", "type": "STOP_LOSS", "stopPrice": "50000"},
        {
            **base,
            "side": "SELL",
            "type": "STOP_LOSS_LIMIT",
            "stopPrice": "50000",
            "price": "49000",
            "timeInForce": "GTC",
        },
        {**base, "side": "SELL", "type": "TAKE_PROFIT", "stopPrice": "150000"},
        {
            **base,
            "side": "SELL",
            "type": "TAKE_PROFIT_LIMIT",
            "stopPrice": "150000",
            "price": "149000",
            "timeInForce": "GTC",
        },
        {**base, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000", "icebergQty": "0.0005"},
    ):
        answer = await socket.ask("order.place", socket.signed(**order))
        assert answer["status"] == 200, (order, answer)
    opened = await socket.ask("openOrders.status", socket.signed())
    assert len(opened["result"]) == 6
    assert len((await socket.ask("openOrders.cancelAll", socket.signed(symbol="BTCUSDT")))["result"]) == 6


async def test_many_requests_at_once_each_get_their_answer(start: Any, api: Any) -> None:
    socket = await api(await start())
    numbers = [await socket.send("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}) for _ in range(10)]
    numbers += [await socket.send("time") for _ in range(10)]
    async with asyncio.timeout(10):
        while len(socket.answers) < len(numbers):
            await socket.read()
    assert set(socket.answers) == set(numbers)
    assert all(answer["status"] == 200 for answer in socket.answers.values())
