"""Whatever a client sends over the WebSocket API gets one answer, and nothing breaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.binance import BinanceSimulator
from services.simulator.binance.calls.table import BY_METHOD, TABLE
from services.simulator.binance.limits import Limits
from services.simulator.binance.session_calls import SESSION_CALLS
from services.simulator.binance.ws_api import ApiClient
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions


class Kept:
    """A connection that keeps what it is given to send."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)


@pytest.fixture(scope="module")
def simulator() -> BinanceSimulator:
    options = SimulatorOptions(key="the-key", secret="s")
    return BinanceSimulator(options, Record(None), limits=Limits(weight=10**9, raw=10**9))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


NAMES = sorted({param.name for call in TABLE for param in call.params})
VALUES = st.one_of(
    st.sampled_from(
        [
            "BTCUSDT",
            "BUY",
            "SELL",
            "LIMIT",
            "MARKET",
            "LIMIT_MAKER",
            "STOP_LOSS",
            "TAKE_PROFIT_LIMIT",
            "GTC",
            "IOC",
            "FOK",
            "0.001",
            "100000",
            "1",
            "0",
            "-1",
            "99999999999999999999.99999999999999999999",
            "1e9",
            "",
            "true",
            "1m",
            "1M",
            "8",
            '["BTCUSDT"]',
            "STOP_ON_FAILURE",
            "PRIMARY_PEG",
            "DECREMENT",
        ]
    ),
    st.integers(-1, 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.lists(st.just("BTCUSDT"), max_size=2),
)
METHODS = st.sampled_from(sorted({*BY_METHOD, *SESSION_CALLS}))


def knowing(method: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Parameters that the method knows, most of them, and some that it does not."""
    call = BY_METHOD.get(method)
    own = [param.name for param in call.params] if call else []
    needed = {param.name: VALUES for param in call.params if param.mandatory} if call else {}
    known = st.fixed_dictionaries(needed, optional={name: VALUES for name in own if name not in needed})
    others = st.dictionaries(st.sampled_from([*NAMES, "apiKey", "signature", "recvWindow"]), VALUES, max_size=1)
    return st.tuples(st.just(method), st.one_of(known, st.builds(lambda a, b: {**a, **b}, known, others)))


async def answered(simulator: BinanceSimulator, frame: str | bytes) -> list[Any]:
    kept = Kept()
    client = ApiClient(simulator.venue, "1.2.3.4", kept, micros=False, show_limits=True)  # type: ignore[arg-type]
    client.key = "the-key"
    client.take(frame)
    async with asyncio.timeout(10):
        while not kept.frames:  # noqa: ASYNC110 - a connection is told, it does not tell
            await asyncio.sleep(0.001)
    await client.end()
    return [body for body in map(json.loads, kept.frames) if "subscriptionId" not in body]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METHODS.flatmap(knowing))
def test_every_request_gets_one_answer_or_refusal(
    simulator: BinanceSimulator, loop: asyncio.AbstractEventLoop, asked: tuple[str, dict[str, Any]]
) -> None:
    method, params = asked
    params.setdefault("timestamp", int(time.time() * 1_000))
    body = loop.run_until_complete(answered(simulator, json.dumps({"id": "x", "method": method, "params": params})))
    assert len(body) == 1
    assert body[0]["id"] == "x"
    assert ("result" in body[0]) == (body[0]["status"] == 200)
    assert ("error" in body[0]) == (body[0]["status"] != 200)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.binary() | st.dictionaries(st.sampled_from(["id", "method", "params"]), VALUES).map(json.dumps))
def test_garbage_gets_one_refusal(
    simulator: BinanceSimulator, loop: asyncio.AbstractEventLoop, frame: str | bytes
) -> None:
    body = loop.run_until_complete(answered(simulator, frame))
    assert len(body) == 1
    assert body[0]["status"] in (200, 400, 401)
