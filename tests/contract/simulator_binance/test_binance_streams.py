"""Streams over a real socket: subscriptions, pings, limits, slow clients, books and the ends of replays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from services.simulator.binance.connection import Habits
from services.simulator.binance.hub import Hub
from services.simulator.record import Record

E0 = 1_723_161_255_000


async def receive(ws: aiohttp.ClientWebSocketResponse) -> Any:
    message = await ws.receive(timeout=10)
    assert message.type is WSMsgType.TEXT, message
    return json.loads(message.data)


async def answer(ws: aiohttp.ClientWebSocketResponse, request: Any) -> Any:
    """Send a control message and return its answer, passing over data that comes in between."""
    await ws.send_str(request if isinstance(request, str) else json.dumps(request))
    while True:
        body = await receive(ws)
        if "result" in body or "code" in body:
            return body


def write_session(path: Path, trades: int, padding: int = 0) -> Path:
    """Record `trades` trades, one a millisecond, each padded to be large where a test needs mass."""
    rows = []
    for number in range(1, trades + 1):
        data = {
            "e": "trade",
            "E": E0 + number,
            "s": "BTCUSDT",
            "t": number,
            "p": "60000.00000000",
            "q": "0.01000000",
            "T": E0 + number,
            "m": True,
            "M": True,
        }
        if padding:
            data["pad"] = "x" * padding
        body = json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":"))
        rows.append(f"{(E0 + number) * 1_000_000} {body}\n")
    path.write_text("".join(rows))
    return path


async def test_raw_and_combined_payloads_differ_only_in_the_wrapper(start: Any, http: aiohttp.ClientSession) -> None:
    url = (await start()).ws_url
    async with http.ws_connect(f"{url}/ws/btcusdt@bookTicker/ethusdt@bookTicker") as ws:
        seen = {(await receive(ws))["s"] for _ in range(20)}
        assert seen == {"BTCUSDT", "ETHUSDT"}
    async with http.ws_connect(f"{url}/stream?streams=btcusdt@bookTicker") as ws:
        body = await receive(ws)
        assert body["stream"] == "btcusdt@bookTicker"
        assert list(body["data"]) == ["u", "s", "b", "B", "a", "A"]
        assert await answer(ws, {"method": "SET_PROPERTY", "params": ["combined", False], "id": 1}) == {
            "result": None,
            "id": 1,
        }
        assert "u" in await receive(ws)


async def test_a_stream_begins_and_ends_with_its_subscription(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    async with http.ws_connect(f"{simulator.ws_url}/ws") as ws:
        assert await answer(ws, {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}) == {
            "result": None,
            "id": 1,
        }
        assert (await receive(ws))["s"] == "BTCUSDT"
        await answer(ws, {"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2})
        assert await answer(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": [], "id": 3}
        await answer(ws, {"method": "SUBSCRIBE", "params": ["ethusdt@bookTicker", "nosuch@trade"], "id": 4})
        assert {(await receive(ws))["s"] for _ in range(10)} == {"ETHUSDT"}


async def test_garbage_is_answered_and_the_streams_go_on(start: Any, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect((await start()).ws_url + "/ws/btcusdt@bookTicker") as ws:
        assert (await answer(ws, "{nonsense"))["code"] == 3
        assert (await answer(ws, "[1,2]"))["code"] == 2
        assert (await answer(ws, {"method": "FLY", "id": 7}))["id"] == 7
        await ws.send_bytes(b"\x00\xff\xfe")
        assert {(await receive(ws)).get("s") for _ in range(5)} <= {"BTCUSDT", None}


async def test_the_sixth_message_within_a_second_ends_the_connection(start: Any, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect((await start()).ws_url + "/ws") as ws:
        for number in range(5):
            assert (await answer(ws, {"method": "LIST_SUBSCRIPTIONS", "id": number}))["id"] == number
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 6})
        assert (await ws.receive(timeout=5)).type is WSMsgType.CLOSE
        assert ws.close_code == 1008


async def test_the_server_pings_and_answers_pings(http: aiohttp.ClientSession) -> None:
    hub = Hub(lambda _: None, habits=Habits(ping_s=0.05))

    async def serve(request: web.Request) -> web.StreamResponse:
        return await hub.serve(request, [], combined=False)

    app = web.Application()
    app.add_routes([web.get("/ws", serve)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/ws"
    async with http.ws_connect(url, autoping=False) as ws:
        ping = await ws.receive(timeout=5)
        assert ping.type is WSMsgType.PING
        assert ping.data.isdigit()
        await ws.pong(ping.data)
        await ws.ping(b"mine")
        while (message := await ws.receive(timeout=5)).type is not WSMsgType.PONG:
            assert message.type is WSMsgType.PING
        assert message.data == b"mine"
    await hub.close()
    await runner.cleanup()


@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", "ethusdt@depth"])
async def test_the_documented_book_procedure_works_over_the_wire(
    start: Any, http: aiohttp.ClientSession, stream: str
) -> None:
    simulator = await start()
    symbol = stream.partition("@")[0].upper()

    async def snapshot() -> Any:
        async with http.get(f"{simulator.rest_url}/api/v3/depth?symbol={symbol}&limit=5000") as response:
            return await response.json()

    async with http.ws_connect(f"{simulator.ws_url}/ws/{stream}") as ws:
        first = await receive(ws)
        book = await snapshot()
        while book["lastUpdateId"] < first["U"]:
            book = await snapshot()
        last_id = book["lastUpdateId"]
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        event, applied, matched = first, 0, 0
        while matched < 2:
            if event["u"] > last_id:
                assert event["U"] <= last_id + 1
                assert applied == 0 or event["U"] == last_id + 1
                for key, side in sides.items():
                    for price, qty in event[key]:
                        if float(qty) == 0:
                            side.pop(price, None)
                        else:
                            side[price] = qty
                last_id = event["u"]
                applied += 1
                server = await snapshot()
                if applied > 2 and server["lastUpdateId"] == last_id:
                    matched += 1
                    assert sides == {"b": dict(server["bids"]), "a": dict(server["asks"])}
            event = await receive(ws)


async def test_a_recording_waits_for_its_listeners_plays_and_ends(
    start: Any, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    record = Record(tmp_path / "record.jsonl")
    simulator = await start(record, data=write_session(tmp_path / "s.jsonl", 300), speed=1_000)
    async with http.ws_connect(f"{simulator.ws_url}/stream?streams=!simClock") as ws:
        clock = (await receive(ws))["data"]
        assert (clock["E"], clock["extrapolate"], clock["state"]) == (E0 + 1, False, "open")
        assert simulator.state()["played"] == 0
        await answer(ws, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
        ids, newest = [], E0 + 1
        while True:
            body = await receive(ws)
            if body["stream"] == "btcusdt@trade":
                ids.append(body["data"]["t"])
                newest = body["data"]["E"]
            else:
                assert body["data"]["E"] <= max(newest, E0 + 1)
                if body["data"]["state"] == "ended":
                    break
        assert ids == list(range(1, 301))
        assert body["data"]["E"] == E0 + 300
    async with http.get(f"{simulator.rest_url}/api/v3/time") as response:
        assert await response.json() == {"serverTime": E0 + 300}
    assert simulator.state()["ended"]
    assert simulator.failure() is None
    record.close()
    assert len((tmp_path / "record.jsonl").read_text().splitlines()) == 300


async def test_a_client_that_does_not_read_is_cut_and_others_get_everything(
    start: Any, http: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.simulator.binance.replay.Pacer.patience_seconds", 0.3)
    data = write_session(tmp_path / "s.jsonl", 3_000, padding=4_000)
    simulator = await start(data=data, speed=100_000, queue_bytes=1 << 20)
    deaf = socket.create_connection(("127.0.0.1", simulator.port))
    deaf.sendall(
        b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with http.ws_connect(f"{simulator.ws_url}/ws/btcusdt@trade") as ws:
        ids = [(await receive(ws))["t"] for _ in range(3_000)]
    assert ids == list(range(1, 3_001))
    deaf.settimeout(10)

    def drain() -> None:
        with contextlib.suppress(ConnectionError):
            while deaf.recv(1 << 16):
                continue

    await asyncio.to_thread(drain)  # ends with the connection, or fails with the timeout
    deaf.close()


async def test_stopping_says_goodbye_to_a_connected_client(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    async with http.ws_connect(f"{simulator.ws_url}/ws/btcusdt@bookTicker") as ws:
        await receive(ws)
        stopping = asyncio.create_task(simulator.stop())
        while (message := await ws.receive(timeout=5)).type is WSMsgType.TEXT:
            continue
        assert message.type is WSMsgType.CLOSE
        await stopping
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.ws_connect(f"{simulator.ws_url}/ws")
