"""Running simulated Binance venues for the contract tests, and the recorded answers of the real one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yarl import URL

from services.simulator.binance import BinanceSimulator
from services.simulator.binance.connection import Habits
from services.simulator.binance.keys import Ed25519Key
from services.simulator.binance.limits import Limits
from services.simulator.faults.base import CallFault, CallFaultKind, NoFaults
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

SAMPLES = Path(__file__).parents[3].parent / "shared" / "protocols" / "binance-samples"
ANCHOR_EPOCH = 1_795_185_000

Start = Callable[..., Awaitable[BinanceSimulator]]


KEY, SECRET, PAIR = "key-of-the-test", "its-secret", "key-with-a-pair"


class ScriptedFaults(NoFaults):
    """Lets the next call of a name suffer what was planned for it, and is silent where it was told to be."""

    def __init__(self) -> None:
        self.planned: dict[str, CallFault] = {}
        self.quiet: set[str] = set()
        self.lost: set[str] = set()
        self.offset_ns = 0

    def plan(self, name: str, kind: CallFaultKind, **details: Any) -> None:
        self.planned[name] = CallFault(kind, **details)

    def call(self, venue: str, name: str) -> CallFault | None:
        return self.planned.pop(name, None)

    def clock_offset_ns(self, venue: str) -> int:
        return self.offset_ns

    def silent(self, venue: str, what: str) -> bool:
        return what in self.quiet

    def skips(self, venue: str, stream: str) -> bool:
        return stream in self.lost


class Trader:
    """Signs and sends calls over REST as the documentation says, with HMAC."""

    def __init__(self, http: aiohttp.ClientSession, simulator: BinanceSimulator) -> None:
        self.http = http
        self.simulator = simulator
        self.headers: Mapping[str, str] = {}

    def signed(self, params: Mapping[str, Any], key: str = SECRET) -> str:
        query = urlencode({"timestamp": int(time.time() * 1_000), **params})
        return f"{query}&signature={hmac.new(key.encode(), query.encode(), hashlib.sha256).hexdigest()}"

    async def raw(self, method: str, path: str, query: str, body: str = "", **headers: str) -> tuple[int, Any]:
        url = f"{self.simulator.rest_url}/api/v3/{path}" + (f"?{query}" if query else "")
        sent = {"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded", **headers}
        async with self.http.request(method, URL(url, encoded=True), data=body or None, headers=sent) as answer:
            self.headers = answer.headers
            return answer.status, json.loads(await answer.text())

    async def __call__(self, method: str, path: str, **params: Any) -> tuple[int, Any]:
        return await self.raw(method, path, self.signed(params))


class ApiSocket:
    """One connection of the WebSocket API; requests are signed with HMAC, or with the pair."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, pair: Ed25519PrivateKey) -> None:
        self.ws = ws
        self.pair = pair
        self.events: list[Any] = []
        self.answers: dict[Any, Any] = {}
        self._ids = 0

    async def send(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> int:
        self._ids += 1
        await self.ws.send_json({"id": self._ids, "method": method, "params": {**(params or {}), **more}})
        return self._ids

    async def ask(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Send and return the answer; events that come in between are kept."""
        number = await self.send(method, params, **more)
        while number not in self.answers:
            await self.read()
        return self.answers.pop(number)

    async def read(self) -> Any:
        """Take one message in: an answer to its place, anything else to the events."""
        message = await self.ws.receive(timeout=10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        body = json.loads(message.data)
        if body.get("id") is not None:
            self.answers[body["id"]] = body
        else:
            self.events.append(body)
        return body

    def signed(self, *, pair: bool = False, **params: Any) -> dict[str, Any]:
        whole = {"apiKey": PAIR if pair else KEY, "timestamp": int(time.time() * 1_000), **params}
        payload = "&".join(f"{name}={value}" for name, value in sorted(whole.items())).encode()
        if pair:
            signature = base64.b64encode(self.pair.sign(payload)).decode()
        else:
            signature = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
        return {**whole, "signature": signature}

    def reports(self) -> list[Any]:
        """The execution reports received so far."""
        events = (each["event"] for each in self.events if "event" in each)
        return [event for event in events if event["e"] == "executionReport"]


@pytest.fixture
def faults() -> ScriptedFaults:
    return ScriptedFaults()


@pytest.fixture
def pair() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
async def start(faults: ScriptedFaults, pair: Ed25519PrivateKey) -> AsyncIterator[Start]:
    """Start a simulator with the given options; it is stopped with the test."""
    running: list[BinanceSimulator] = []

    async def begin(
        record: Record | None = None,
        queue_bytes: int = 16 << 20,
        habits: Habits | None = None,
        limits: Limits | None = None,
        **options: Any,
    ) -> BinanceSimulator:
        simulator = BinanceSimulator(
            SimulatorOptions(key=KEY, secret=SECRET, **options),
            record or Record(None),
            anchor_epoch=ANCHOR_EPOCH,
            queue_bytes=queue_bytes,
            faults=faults,
            habits=habits or Habits(),
            limits=limits,
        )
        simulator.add_key(PAIR, Ed25519Key(pair.public_key()))
        await simulator.start()
        running.append(simulator)
        return simulator

    yield begin
    for simulator in running:
        await simulator.stop()


@pytest.fixture
def trader(http: aiohttp.ClientSession) -> Callable[[BinanceSimulator], Trader]:
    return lambda simulator: Trader(http, simulator)


@pytest.fixture
async def api(
    http: aiohttp.ClientSession, pair: Ed25519PrivateKey
) -> AsyncIterator[Callable[..., Awaitable[ApiSocket]]]:
    """Connect to the WebSocket API; closed with the test."""
    sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(simulator: BinanceSimulator, query: str = "") -> ApiSocket:
        sockets.append(await http.ws_connect(simulator.ws_api_url + query))
        return ApiSocket(sockets[-1], pair)

    yield connect
    for socket in sockets:
        await socket.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """Read one recorded answer of the real venue."""

    def read(name: str) -> Any:
        path = SAMPLES / name
        if not path.exists():
            pytest.skip("the recorded Binance messages are not beside this checkout")
        return json.loads(path.read_text()) if path.suffix == ".json" else path.read_text()

    return read
