"""Faults at the seam: every kind of ruined call over both doors, lost events, silence, and a clock that jumps."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from services.simulator.faults.base import CallFaultKind

MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001", "newClientOrderId": "mine"}
REST, SOCKET = "POST /api/v3/order", "order.place"


async def was_placed(call: Any) -> bool:
    status, _ = await call("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert status in (200, 400)
    return bool(status == 200)


REFUSALS = [
    (CallFaultKind.REJECT, 400, -2010, False),
    (CallFaultKind.RATE_LIMIT, 429, -1003, False),
    (CallFaultKind.EXPIRED, 401, -2015, False),
    (CallFaultKind.MAINTENANCE, 503, -1016, False),
    (CallFaultKind.INTERNAL, 503, -1007, True),
]


@pytest.mark.parametrize(("kind", "status", "code", "executed"), REFUSALS)
async def test_a_refused_call_over_rest(
    start: Any, trader: Any, faults: Any, kind: CallFaultKind, status: int, code: int, executed: bool
) -> None:
    call = trader(await start())
    faults.plan(REST, kind)
    answered, body = await call("POST", "order", **MARKET)
    assert (answered, body["code"]) == (status, code)
    assert ("Retry-After" in call.headers) == (kind is CallFaultKind.RATE_LIMIT)
    assert await was_placed(call) == executed
    if not executed:
        assert (await call("POST", "order", **MARKET))[0] == 200


@pytest.mark.parametrize(("kind", "status", "code", "executed"), REFUSALS)
async def test_a_refused_call_over_the_websocket_api(
    start: Any, api: Any, trader: Any, faults: Any, kind: CallFaultKind, status: int, code: int, executed: bool
) -> None:
    simulator = await start()
    socket = await api(simulator)
    faults.plan(SOCKET, kind)
    if kind is CallFaultKind.MAINTENANCE:
        await socket.send(SOCKET, socket.signed(**MARKET))
        message = await socket.ws.receive(timeout=5)  # the answer may be lost with the connection
        while message.type is aiohttp.WSMsgType.TEXT:
            message = await socket.ws.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    else:
        answer = await socket.ask(SOCKET, socket.signed(**MARKET))
        assert (answer["status"], answer["error"]["code"]) == (status, code)
        assert ("retryAfter" in answer["error"].get("data", {})) == (kind is CallFaultKind.RATE_LIMIT)
    assert await was_placed(trader(simulator)) == executed


@pytest.mark.parametrize(("kind", "executed"), [(CallFaultKind.TIMEOUT, True), (CallFaultKind.LOST, False)])
async def test_a_call_that_is_never_answered(
    start: Any, api: Any, trader: Any, faults: Any, kind: CallFaultKind, executed: bool
) -> None:
    simulator = await start()
    call, socket = trader(simulator), await api(simulator)
    faults.plan(SOCKET, kind)
    number = await socket.send(SOCKET, socket.signed(**MARKET))
    assert (await socket.ask("ping"))["status"] == 200  # answered after it, so the call itself has been dealt with
    assert number not in socket.answers
    assert await was_placed(call) == executed
    faults.plan(REST, kind)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await call("POST", "order", **{**MARKET, "newClientOrderId": "over-rest"})
    status, _ = await call("GET", "order", symbol="BTCUSDT", origClientOrderId="over-rest")
    assert (status == 200) == executed


async def test_a_call_that_is_answered_late(start: Any, api: Any, trader: Any, faults: Any) -> None:
    simulator = await start()
    call, socket = trader(simulator), await api(simulator)
    faults.plan(SOCKET, CallFaultKind.LATE, delay_s=0.3)
    began = time.monotonic()
    number = await socket.send(SOCKET, socket.signed(**MARKET))
    assert (await socket.ask("ping"))["status"] == 200
    assert number not in socket.answers
    assert await was_placed(call)
    while number not in socket.answers:
        await socket.read()
    assert time.monotonic() - began >= 0.3
    faults.plan(REST, CallFaultKind.LATE, delay_s=0.3)
    began = time.monotonic()
    assert (await call("POST", "order", **MARKET))[0] == 200
    assert time.monotonic() - began >= 0.3


async def test_a_connection_that_is_cut_in_the_answer(start: Any, api: Any, trader: Any, faults: Any) -> None:
    simulator = await start()
    call, socket = trader(simulator), await api(simulator)
    faults.plan(SOCKET, CallFaultKind.CLOSE)
    await socket.send(SOCKET, socket.signed(**MARKET))
    message = await socket.ws.receive(timeout=5)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    assert await was_placed(call)
    faults.plan(REST, CallFaultKind.CLOSE)
    with pytest.raises(aiohttp.ClientError):
        await call("POST", "order", **{**MARKET, "newClientOrderId": "over-rest"})
    assert (await call("GET", "order", symbol="BTCUSDT", origClientOrderId="over-rest"))[0] == 200


async def test_an_expired_session_is_told_unasked_and_ends(start: Any, api: Any, faults: Any) -> None:
    socket = await api(await start())
    await socket.ask("session.logon", socket.signed(pair=True))
    await socket.ask("userDataStream.subscribe")
    faults.plan("account.status", CallFaultKind.EXPIRED)
    answer = await socket.ask("account.status", timestamp=int(time.time() * 1_000))
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)
    told, ended = socket.events
    assert (told["id"], told["status"]) == (None, 401)
    assert ended["event"]["e"] == "eventStreamTerminated"
    assert (await socket.ask("session.status"))["result"]["apiKey"] is None
    assert (await socket.ask("account.status", socket.signed(pair=True)))["status"] == 200


async def test_maintenance_cuts_every_stream(start: Any, http: aiohttp.ClientSession, faults: Any) -> None:
    simulator = await start()
    async with http.ws_connect(simulator.ws_url + "/ws/btcusdt@bookTicker") as ws:
        assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT
        faults.plan("GET /api/v3/time", CallFaultKind.MAINTENANCE)
        async with http.get(simulator.rest_url + "/api/v3/time") as answer:
            assert answer.status == 503
        while (message := await ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            continue
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    faults.plan("GET /ws", CallFaultKind.MAINTENANCE)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(simulator.ws_url + "/ws")
    assert caught.value.status == 503


async def test_events_lost_in_the_venue_leave_a_hole_in_the_numbers(
    start: Any, http: aiohttp.ClientSession, faults: Any
) -> None:
    simulator = await start()
    stream = "btcusdt@depth@100ms"
    async with http.ws_connect(f"{simulator.ws_url}/ws/{stream}") as ws:
        first = json.loads((await ws.receive(timeout=5)).data)
        faults.lost.add(stream)
        async with http.ws_connect(f"{simulator.ws_url}/ws/btcusdt@depth5@100ms") as other:
            for _ in range(3):  # the partial book has no numbers to lose and shows that time passes
                assert (await other.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT
        faults.lost.clear()
        after = json.loads((await ws.receive(timeout=5)).data)
        while after["U"] == first["u"] + 1:
            first, after = after, json.loads((await ws.receive(timeout=5)).data)
        assert after["U"] > first["u"] + 1


async def test_a_stale_book_says_nothing_while_trades_go_on(
    start: Any, http: aiohttp.ClientSession, faults: Any
) -> None:
    simulator = await start()
    faults.quiet.add("book")
    async with http.ws_connect(f"{simulator.ws_url}/stream?streams=btcusdt@trade/btcusdt@depth@100ms") as ws:
        streams = [json.loads((await ws.receive(timeout=10)).data)["stream"] for _ in range(5)]
    assert set(streams) == {"btcusdt@trade"}


async def test_after_a_partial_fill_there_may_be_silence(start: Any, api: Any, trader: Any, faults: Any) -> None:
    simulator = await start()
    socket, call = await api(simulator), trader(simulator)
    simulator.exchange.deposit(354_937_868, "USDT", Decimal(10_000_000))
    await socket.ask("userDataStream.subscribe.signature", socket.signed())
    faults.quiet.add("fills")
    order = {**MARKET, "quantity": "5"}
    number = await socket.send(SOCKET, socket.signed(**order))
    assert (await socket.ask("ping"))["status"] == 200
    fills = [report for report in socket.reports() if report["x"] == "TRADE"]
    assert [report["X"] for report in fills] == ["PARTIALLY_FILLED"]
    assert number not in socket.answers
    _, row = await call("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert float(row["executedQty"]) > float(fills[0]["z"])


async def test_frames_pass_through_the_line(start: Any, http: aiohttp.ClientSession, faults: Any) -> None:
    seen: list[tuple[str, bytes]] = []

    def line(venue: str, channel: str, send: Any, cut: Any) -> Any:
        def pass_on(frame: bytes) -> None:
            seen.append((channel, frame))
            send(frame.replace(b'"s":"BTCUSDT"', b'"s":"SPOILT"'))

        return pass_on

    faults.line = line
    simulator = await start()
    async with http.ws_connect(simulator.ws_url + "/ws/btcusdt@bookTicker") as ws:
        assert json.loads((await ws.receive(timeout=5)).data)["s"] == "SPOILT"
    async with http.ws_connect(simulator.ws_api_url) as ws:
        await ws.send_json({"id": 1, "method": "ping"})
        assert json.loads((await ws.receive(timeout=5)).data)["id"] == 1
    assert {channel for channel, _ in seen} == {"data", "trade"}
