"""Every answer and payload has the keys, the order and the types of the recorded real ones."""

from __future__ import annotations

import json
from typing import Any

import aiohttp


def shape(value: Any) -> Any:
    """Keys in order with the shapes of their values; lists by their first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        return await answer.json()


async def collect(http: aiohttp.ClientSession, ws_url: str, streams: list[str]) -> dict[str, Any]:
    """Return the first payload of each stream."""
    found: dict[str, Any] = {}
    async with http.ws_connect(f"{ws_url}/stream?streams={'/'.join(streams)}") as socket:
        while len(found) < len(streams):
            message = await socket.receive(timeout=10)
            body = json.loads(message.data)
            assert list(body) == ["stream", "data"]
            found.setdefault(body["stream"], body["data"])
    return found


async def test_rest_rows_look_like_the_recorded_ones(start: Any, http: aiohttp.ClientSession, sample: Any) -> None:
    api = (await start()).rest_url + "/api/v3"
    query = "symbol=BTCUSDT&limit=20"
    for path, name in (
        (f"trades?{query}", "fixtures-nautilus/http/http_spot_market_trades.json"),
        (f"historicalTrades?{query}", "fixtures-nautilus/http/http_spot_market_trades.json"),
        (f"aggTrades?{query}", "fixtures-nautilus/http/http_spot_market_agg_trades.json"),
        (f"klines?{query}&interval=1m", "fixtures-nautilus/http/http_spot_market_klines.json"),
        (f"depth?{query}", "rest/depth-limit1000.NKNUSDT.2021-10-12.json"),
        ("ping", "fixtures-nautilus/http-rs/ping_response.json"),
    ):
        mine, real = await get(http, f"{api}/{path}"), sample(name)
        real = real.get("data", real) if isinstance(real, dict) and "lastUpdateId" not in real else real
        assert shape(mine) == shape(real), path
        if path.startswith("klines"):
            assert [type(cell) for cell in mine[0]] == [type(cell) for cell in real[0]]


async def test_exchange_info_has_the_current_fields_and_filters_in_order(
    start: Any, http: aiohttp.ClientSession, sample: Any
) -> None:
    mine = await get(http, (await start()).rest_url + "/api/v3/exchangeInfo?symbol=BTCUSDT")
    real = sample("rest/exchangeInfo.spot.TSLABUSDT.2026-09.trimmed.json")
    assert list(mine) == list(real)
    assert shape(mine["symbols"]) == shape(real["symbols"])
    filters, expected = mine["symbols"][0]["filters"], real["symbols"][0]["filters"]
    assert [shape(row) for row in filters] == [shape(row) for row in expected]
    assert [row["filterType"] for row in filters] == [row["filterType"] for row in expected]
    rates = sample("rest/exchangeInfo.us.BTCUSD.2026-09-04.json")["rateLimits"]
    assert mine["rateLimits"] == rates


async def test_stream_payloads_look_like_the_recorded_ones(
    start: Any, http: aiohttp.ClientSession, sample: Any
) -> None:
    lines = [
        json.loads(row.split(" ", 1)[1]) for row in sample("ws/combined.NKNUSDT+LRCBTC.2021-10-12.txt").splitlines()
    ]
    real: dict[str, Any] = {}
    for message in lines:
        kind = message["stream"].partition("@")[2]
        data = message["data"]
        if kind.startswith("depth") and not (data["b"] and data["a"]):
            continue
        real.setdefault(kind, data)
    trade = sample("fixtures-nautilus/ws/ws_spot_trade.json")["data"]
    real["trade"] = {key: value for key, value in trade.items() if key not in ("a", "b")}  # order ids, gone since
    real["depth5"] = sample("rest/depth-limit1000.NKNUSDT.2021-10-12.json")
    assert set(real) >= {"depth@100ms", "bookTicker", "aggTrade", "kline_1m", "trade"}
    simulator = await start()
    mine = await collect(http, simulator.ws_url, [f"btcusdt@{kind}" for kind in real])
    for kind, expected in real.items():
        assert shape(mine[f"btcusdt@{kind}"]) == shape(expected), kind


async def test_the_in_band_clock_tells_venue_time(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    found = await collect(http, simulator.ws_url, ["!simClock"])
    clock = found["!simClock"]
    assert list(clock) == ["e", "E", "speed", "extrapolate", "state"]
    assert (clock["e"], clock["speed"], clock["extrapolate"], clock["state"]) == ("simClock", 1.0, True, "open")
    assert 0 <= simulator.feed.now_ms() - clock["E"] < 5_000
