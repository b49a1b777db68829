"""REST: parameters, refusals with the venue's codes, paging through history, weights."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from services.simulator.binance.limits import WEIGHT_A_MINUTE

MINUTE = 60_000


async def get(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with http.get(url) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("klines?symbol=NOSUCH&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=btcusdt&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        (
            "klines?symbol=BTCUSDT",
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        ("depth", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        (
            "trades?symbol=BTCUSDT&limit=many",
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        ),
        (
            "klines?symbol=BTCUSDT&interval=1m&startTime=-5",
            -1100,
            "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'.",
        ),
        ("trades?symbol=BTCUSDT&limit=", -1105, "Parameter 'limit' was empty."),
        ("trades?symbol=BTCUSDT&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=5", -1128, "Combination of optional parameters invalid."),
        ("exchangeInfo?symbol=BTCUSDT&symbols=[]", -1128, "Combination of optional parameters invalid."),
        ('exchangeInfo?symbols=["NOSUCH"]', -1121, "Invalid symbol."),
    ],
)
async def test_a_refusal_has_the_code_and_the_text_of_the_venue(
    start: Any, http: aiohttp.ClientSession, path: str, code: int, text: str
) -> None:
    api = (await start()).rest_url + "/api/v3/"
    assert await get(http, api + path) == (400, {"code": code, "msg": text})


async def test_symbols_may_be_asked_for_as_a_list_encoded_or_not(start: Any, http: aiohttp.ClientSession) -> None:
    api = (await start()).rest_url + "/api/v3/exchangeInfo"
    for query in ('?symbols=["BTCUSDT","ETHUSDT"]', "?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D"):
        _, body = await get(http, api + query)
        assert [row["symbol"] for row in body["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    _, everything = await get(http, api)
    assert [row["symbol"] for row in everything["symbols"]] == ["BTCUSDT", "ETHUSDT", "PLANTEDUSDT"]


async def test_history_pages_forward_by_id_without_a_gap(start: Any, http: aiohttp.ClientSession) -> None:
    api = (await start()).rest_url + "/api/v3"
    _, newest = await get(http, f"{api}/trades?symbol=ETHUSDT&limit=1")
    first = newest[0]["id"] - 1_500
    ids: list[int] = []
    while True:
        url = f"{api}/historicalTrades?symbol=ETHUSDT&limit=1000&fromId={first + len(ids)}"
        _, page = await get(http, url)
        ids += [row["id"] for row in page]
        if len(page) < 1_000:
            break
    assert ids == list(range(first, first + len(ids)))
    assert ids[-1] >= newest[0]["id"]
    _, beyond = await get(http, f"{api}/historicalTrades?symbol=ETHUSDT&fromId={ids[-1] + 10**6}")
    assert beyond == []


async def test_aggregates_of_a_span_are_its_trades(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    api, end = simulator.rest_url + "/api/v3", simulator.feed.now_ms() - MINUTE
    _, rows = await get(http, f"{api}/aggTrades?symbol=BTCUSDT&startTime={end - 5_000}&endTime={end}&limit=1000")
    assert rows
    assert all(end - 5_000 <= row["T"] <= end for row in rows)
    _, bars = await get(http, f"{api}/historicalTrades?symbol=BTCUSDT&fromId={rows[0]['f'] - 1}&limit={len(rows) + 2}")
    assert [row["id"] for row in bars[1:-1]] == [row["a"] for row in rows]
    assert bars[0]["time"] < end - 5_000
    assert bars[-1]["time"] > end
    _, last = await get(http, f"{api}/aggTrades?symbol=BTCUSDT&endTime={end}&limit=3")
    assert last == rows[-3:]


async def test_klines_page_forward_to_the_running_bar(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    api, now = simulator.rest_url + "/api/v3", simulator.feed.now_ms()
    since, opens = now // MINUTE * MINUTE - 1_500 * MINUTE, []
    while True:
        url = f"{api}/klines?symbol=BTCUSDT&interval=1m&limit=1000&startTime={since}"
        _, page = await get(http, url)
        opens += [row[0] for row in page]
        if len(page) < 1_000:
            break
        since = page[-1][0] + MINUTE
    assert len(opens) >= 1_501
    assert opens == list(range(opens[0], opens[0] + len(opens) * MINUTE, MINUTE))
    assert opens[-1] <= simulator.feed.now_ms() < opens[-1] + MINUTE + 5_000


async def test_times_may_be_given_in_microseconds(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start()
    api, since = simulator.rest_url + "/api/v3", simulator.feed.now_ms() // MINUTE * MINUTE - 5 * MINUTE
    answers = [
        (await get(http, f"{api}/klines?symbol=BTCUSDT&interval=1m&limit=3&startTime={stamp}"))[1]
        for stamp in (since, since * 1_000)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0][0] == since


async def test_depth_honours_its_limit(start: Any, http: aiohttp.ClientSession) -> None:
    api = (await start()).rest_url + "/api/v3/depth?symbol=BTCUSDT"
    for query, levels in (("", 100), ("&limit=5", 5), ("&limit=99999", 200)):
        _, book = await get(http, api + query)
        bids, asks = [float(row[0]) for row in book["bids"]], [float(row[0]) for row in book["asks"]]
        assert len(bids) >= levels
        assert levels == 200 or len(bids) == levels
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]


async def test_weight_is_counted_and_its_limit_enforced(start: Any, http: aiohttp.ClientSession) -> None:
    api = (await start()).rest_url + "/api/v3"
    spent = 0
    for _ in range(WEIGHT_A_MINUTE // 250 + 2):  # a turn of the minute may grant a second allowance
        async with http.get(f"{api}/depth?symbol=BTCUSDT&limit=5000") as answer:
            if answer.status == 200:
                used = int(answer.headers["X-MBX-USED-WEIGHT-1M"])
                assert used in (spent + 250, 250)
                spent = used
                continue
            assert answer.status == 429
            assert 0 < int(answer.headers["Retry-After"]) <= 60
            assert json.loads(await answer.text())["code"] == -1003
            return
    assert spent < WEIGHT_A_MINUTE


async def test_state_tells_tools_what_is_played(start: Any, http: aiohttp.ClientSession) -> None:
    _, state = await get(http, (await start()).rest_url + "/sim/state")
    assert (state["mode"], state["ended"]) == ("model", False)
    assert state["symbols"] == ["BTCUSDT", "ETHUSDT", "PLANTEDUSDT"]
