"""Streams of statistics: their shapes, their numbers against the bars, microseconds, and a shutdown announced."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from services.simulator.binance.connection import Habits

DAY_MS = 86_400_000


@asynccontextmanager
async def combined(http: aiohttp.ClientSession, url: str, *streams: str, more: str = "") -> AsyncIterator[Any]:
    async with http.ws_connect(f"{url}/stream?streams={'/'.join(streams)}{more}") as ws:

        async def read() -> tuple[str, Any]:
            message = await ws.receive(timeout=10)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            body = json.loads(message.data)
            return body["stream"], body["data"]

        yield read


async def until(read: Callable[[], Any], wanted: set[str]) -> dict[str, Any]:
    """Read until each wanted stream has said something."""
    found: dict[str, Any] = {}
    async with asyncio.timeout(15):
        while wanted - found.keys():
            stream, data = await read()
            found.setdefault(stream, data)
    return found


KEYS = {
    "btcusdt@ticker": "e E s p P w x c Q b B a A o h l v q O C F L n",
    "btcusdt@miniTicker": "e E s c o h l v q",
    "btcusdt@ticker_1h": "e E s p P w c o h l v q O C F L n",
    "btcusdt@ticker_4h": "e E s p P w c o h l v q O C F L n",
    "btcusdt@ticker_1d": "e E s p P w c o h l v q O C F L n",
    "btcusdt@avgPrice": "e E s i w T",
    "btcusdt@referencePrice": "e s r t",
}


async def test_statistics_streams_have_the_keys_of_the_venue(
    start: Any, http: aiohttp.ClientSession, sample: Any
) -> None:
    simulator = await start()
    streams = [*KEYS, "!miniTicker@arr", "!ticker_1h@arr"]
    async with combined(http, simulator.ws_url, *streams) as read:
        found = await until(read, set(streams))
    for stream, keys in KEYS.items():
        assert list(found[stream]) == keys.split(), stream
    assert found["btcusdt@ticker_4h"]["e"] == "4hTicker"
    assert {row["s"] for row in found["!miniTicker@arr"]} <= {"BTCUSDT", "ETHUSDT", "PLANTEDUSDT"}
    assert {row["e"] for row in found["!ticker_1h@arr"]} == {"1hTicker"}
    real = sample("fixtures-nautilus/ws/ws_spot_ticker_24hr.json")
    real = real.get("data", real)
    mine = found["btcusdt@ticker"]
    assert {key: type(value) for key, value in mine.items()} == {key: type(real[key]) for key in mine}


async def test_a_ticker_adds_up_to_the_bars_of_its_day(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    async with combined(http, simulator.ws_url, "ethusdt@ticker", "ethusdt@trade") as read:
        seen = 0
        while True:
            stream, data = await read()
            if stream == "ethusdt@ticker":
                seen += 1
                if seen == 2:
                    break
    bars = await simulator.feed.klines("ETHUSDT", "1m", data["E"] - DAY_MS, data["E"], 1_441)
    # the last bar may have grown since
    low, high = sum(bar.trades for bar in bars[:-1]), sum(bar.trades for bar in bars)
    assert low <= data["n"] <= high
    assert data["L"] - data["F"] + 1 == data["n"]
    assert int(float(data["o"]) * 100) == bars[0].open // 10**6
    assert data["O"] == data["E"] - DAY_MS
    assert data["C"] == data["E"]
    assert float(data["p"]) == round(float(data["c"]) - float(data["o"]), 8)
    async with http.get(f"{simulator.rest_url}/api/v3/ticker/24hr?symbol=ETHUSDT") as answer:
        row = await answer.json()
    assert (row["openPrice"], row["prevClosePrice"]) in (
        (data["o"], data["x"]),
        (row["openPrice"], row["prevClosePrice"]),
    )
    assert row["count"] >= data["n"] - 2_000


async def test_streams_tell_microseconds_when_asked(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    streams = ("btcusdt@trade", "btcusdt@kline_1s", "btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@ticker_1h")
    async with (
        combined(http, simulator.ws_url, *streams, more="&timeUnit=MICROSECOND") as fine,
        combined(http, simulator.ws_url, *streams) as coarse,
    ):
        micros, millis = await until(fine, set(streams)), await until(coarse, set(streams))
    for stream, path in (
        ("btcusdt@trade", ("E",)),
        ("btcusdt@trade", ("T",)),
        ("btcusdt@kline_1s", ("E",)),
        ("btcusdt@kline_1s", ("k", "t")),
        ("btcusdt@kline_1s", ("k", "T")),
        ("btcusdt@depth@100ms", ("E",)),
        ("btcusdt@ticker_1h", ("O",)),
    ):
        fine_value, coarse_value = micros[stream], millis[stream]
        for key in path:
            fine_value, coarse_value = fine_value[key], coarse_value[key]
        assert coarse_value < 10**13 < 10**15 < fine_value, (stream, path)
    assert micros["btcusdt@trade"]["t"] < 10**13
    assert list(micros["btcusdt@bookTicker"]) == list(millis["btcusdt@bookTicker"])
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{simulator.ws_url}/ws/btcusdt@trade?timeUnit=YEAR")
    assert caught.value.status == 400


async def test_klines_of_the_eastern_day(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    east, utc = "btcusdt@kline_1d@+08:00", "btcusdt@kline_1d"
    async with combined(http, simulator.ws_url, east, utc) as read:
        found = await until(read, {east, utc})
        while found[east]["E"] != found[utc]["E"]:
            stream, data = await read()
            found[stream] = data
    assert found[east]["k"]["t"] % DAY_MS == 16 * 3_600_000
    assert found[utc]["k"]["t"] % DAY_MS == 0
    assert found[east]["k"]["c"] == found[utc]["k"]["c"]
    async with http.get(
        f"{simulator.rest_url}/api/v3/klines",
        params={"symbol": "BTCUSDT", "interval": "1d", "timeZone": "8", "limit": 1},
    ) as answer:
        row = (await answer.json())[0]
    assert (row[0], row[1], row[6]) == (found[east]["k"]["t"], found[east]["k"]["o"], found[east]["k"]["T"])


async def test_a_shutdown_is_announced_on_every_connection(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    async with (
        http.ws_connect(simulator.ws_url + "/ws") as raw,
        http.ws_connect(simulator.ws_url + "/stream") as wrapped,
    ):
        async with http.post(simulator.rest_url + "/sim/shutdown?notice=0.2") as answer:
            assert answer.status == 200
        bare = json.loads((await raw.receive(timeout=5)).data)
        assert list(bare) == ["e", "E"]
        assert bare["e"] == "serverShutdown"
        told = json.loads((await wrapped.receive(timeout=5)).data)
        assert (told["stream"], told["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        async with http.ws_connect(simulator.ws_url + "/ws/btcusdt@bookTicker") as fresh:
            for old in (raw, wrapped):
                assert (await old.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
            assert (await fresh.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT
            assert not fresh.closed


async def test_a_connection_without_pongs_is_cut_and_unsolicited_ones_do_not_help(
    start: Any, http: aiohttp.ClientSession
) -> None:
    simulator = await start(habits=Habits(ping_s=0.25, pong_s=0.6))
    async with http.ws_connect(simulator.ws_url + "/ws", autoping=False) as ws:
        async with asyncio.timeout(10):  # a connection that such pongs prolong never ends
            while (message := await ws.receive()).type is aiohttp.WSMsgType.PING:
                await ws.pong(b"not yours")
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_the_last_of_its_hours_closes_a_connection(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start(habits=Habits(life_s=0.3, notice_s=0.1))
    async with http.ws_connect(simulator.ws_url + "/ws") as ws:
        assert json.loads((await ws.receive(timeout=5)).data)["e"] == "serverShutdown"
        assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
