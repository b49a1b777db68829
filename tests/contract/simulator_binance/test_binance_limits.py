"""Limits: clock-aligned windows, 429 with the time to wait, then a ban; connections and orders counted."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.limits import FIRST_BAN_S, Limits

MINUTE_START = 1_795_185_000.0 // 60 * 60


class HandTime:
    """Machine seconds set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def refused(limits: Limits, weight: int = 1) -> ApiError:
    with pytest.raises(ApiError) as caught:
        limits.spend("1.2.3.4", weight)
    return caught.value


def test_weight_is_counted_per_address_and_minute_of_the_clock() -> None:
    time = HandTime(MINUTE_START + 59)
    limits = Limits(time, weight=100)
    assert limits.spend("1.2.3.4", 90) == 90
    assert limits.spend("5.6.7.8", 90) == 90
    refusal = refused(limits, 20)
    assert (refusal.status, refusal.code, refusal.headers) == (429, -1003, {"Retry-After": "1"})
    assert refusal.data == {"serverTime": int(time.now * 1_000), "retryAfter": int((MINUTE_START + 60) * 1_000)}
    time.now = MINUTE_START + 60
    assert limits.spend("1.2.3.4", 20) == 20
    assert limits.give_back("1.2.3.4", 15) == 5
    assert limits.give_back("1.2.3.4", 15) == 0
    assert limits.highest == 90


def test_who_goes_on_is_banned_and_longer_each_time() -> None:
    time = HandTime(MINUTE_START)
    limits = Limits(time, weight=10, patience=3)
    limits.spend("1.2.3.4", 10)
    assert [refused(limits).status for _ in range(4)] == [429, 429, 429, 418]
    ban = refused(limits)
    assert (ban.status, ban.headers["Retry-After"]) == (418, str(FIRST_BAN_S))
    time.now += FIRST_BAN_S - 1
    assert refused(limits).status == 418
    time.now += 1
    limits.spend("1.2.3.4", 10)
    for _ in range(3):
        refused(limits)
    assert refused(limits).headers["Retry-After"] == str(2 * FIRST_BAN_S)
    assert limits.bans == 2


def test_raw_requests_are_counted_over_five_minutes() -> None:
    time = HandTime(MINUTE_START // 300 * 300)
    limits = Limits(time, raw=5)
    for _ in range(5):
        limits.spend("1.2.3.4", 0)
    time.now += 299
    assert (refused(limits, 0).status, refused(limits, 0).code) == (429, -1003)
    time.now += 1
    limits.spend("1.2.3.4", 0)


async def test_too_much_weight_is_429_on_both_doors(start: Any, api: Any, http: aiohttp.ClientSession) -> None:
    time = HandTime(MINUTE_START + 10)
    simulator = await start(limits=Limits(time, weight=52))
    socket = await api(simulator)
    url = f"{simulator.rest_url}/api/v3/trades?symbol=BTCUSDT&limit=1"
    for used in ("27", "52"):
        async with http.get(url) as answer:
            assert (answer.status, answer.headers["X-MBX-USED-WEIGHT-1M"]) == (200, used)
    async with http.get(url) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "50")
        assert (await answer.json())["code"] == -1003
    refusal = await socket.ask("ping")
    assert refusal["status"] == 429
    assert refusal["error"]["data"] == {
        "serverTime": int(time.now * 1_000),
        "retryAfter": int((MINUTE_START + 60) * 1_000),
    }
    time.now += 50
    assert (await socket.ask("ping"))["status"] == 200


async def test_connections_are_counted(start: Any, http: aiohttp.ClientSession) -> None:
    simulator = await start(limits=Limits(HandTime(MINUTE_START), connections=2))
    for _ in range(2):
        async with http.ws_connect(simulator.ws_url + "/ws"):
            pass
    for path in ("/ws", "/stream", "/ws-api/v3"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(simulator.ws_url + path)
        assert caught.value.status == 429


async def test_unfilled_orders_are_counted_and_refused(start: Any, api: Any) -> None:
    socket = await api(await start())
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.0002",
        "price": "50000",
    }
    answers = []
    while not answers or (answers[-1]["status"] == 200 and len(answers) < 250):
        answers.append(await socket.ask("order.place", socket.signed(**order)))
        assert "rateLimits" in answers[-1]
        if len(answers) % 50 == 0:  # no more than 200 may be open
            await socket.ask("openOrders.cancelAll", socket.signed(symbol="BTCUSDT"))
    last = answers[-1]
    assert (last["status"], last["error"]["code"]) == (429, -1015)
    counts = {row["interval"]: row["count"] for row in last["rateLimits"] if row["rateLimitType"] == "ORDERS"}
    assert counts["SECOND"] == 100
    assert counts["DAY"] == len(answers) - 1
