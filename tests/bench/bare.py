"""The bare chain: five plain nats-py processes with nothing but the hops, the signature and the two synced publishes.

Run as `python -m tests.bench.bare ROLE`; addresses come from BARE_NATS, BARE_WS and, for the keys, BARE_KEY. Every hop
is captured by a stream and read through a plain ordered push consumer, as in the house.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import nats
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, PersistMode, StreamConfig
from nats.js.client import JetStreamContext
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

ROLES = ("ingest", "features", "predict", "risk", "execute")
DURABLE = "BARE_ORDERS"
STREAMS = {"BARE_MARKET": "bare.md.>", "BARE_DECISIONS": "bare.decision.>", DURABLE: "bare.order.>"}
PLANNED = "bare.order.planned"
SIGNATURE_BYTES = 64

Forward = Callable[[dict[str, Any]], Awaitable[None]]


async def make_streams(js: JetStreamContext) -> None:
    """Streams as durable as those of the house: only the orders are synced at each message."""
    for name, subjects in STREAMS.items():
        mode = None if name == DURABLE else PersistMode.ASYNC
        await js.add_stream(StreamConfig(name=name, subjects=[subjects], persist_mode=mode))


class _Frames(WSListener):
    def __init__(self, take: Callable[[bytes, int], None]) -> None:
        self._take = take

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._take(frame.get_payload_as_bytes(), time.time_ns())


class Queue:
    """Messages on their way to the bus, published in order by one task."""

    def __init__(self, nc: Client) -> None:
        self._nc, self._waiting, self._waker = nc, deque[tuple[str, bytes]](), asyncio.Event()

    def put(self, subject: str, payload: bytes) -> None:
        self._waiting.append((subject, payload))
        self._waker.set()

    async def run(self) -> None:
        while True:
            await self._waker.wait()
            self._waker.clear()
            while self._waiting:
                await self._nc.publish(*self._waiting.popleft())


async def ingest(nc: Client, js: JetStreamContext) -> None:
    """Frame, decode; a trade in a new second publishes the bar that it closes."""
    queue = Queue(nc)
    seconds: dict[str, int] = {}
    closes: dict[str, str] = {}
    decode, encode = msgspec.json.decode, msgspec.json.encode

    def take(payload: bytes, recv_ns: int) -> None:
        message = decode(payload)
        if not message["stream"].endswith("@trade"):
            return
        trade = message["data"]
        symbol, second = trade["s"], trade["T"] // 1000
        before = seconds.get(symbol, second)
        if second > before:
            bar = {"symbol": symbol, "second": before, "close": closes[symbol], "recv": recv_ns}
            queue.put(f"bare.md.bar.{symbol}", encode(bar))
        seconds[symbol], closes[symbol] = second, trade["p"]

    _connection = await ws_connect(lambda: _Frames(take), os.environ["BARE_WS"] + "/bare")
    await queue.run()


async def features(nc: Client, js: JetStreamContext) -> None:
    """Hand the bar on."""

    async def forward(bar: dict[str, Any]) -> None:
        await nc.publish(f"bare.md.feat.{bar['symbol']}", msgspec.json.encode(bar))

    await _follow(js, "bare.md.bar.>", "BARE_MARKET", forward)


async def predict(nc: Client, js: JetStreamContext) -> None:
    """A signal where the square wave gives the house's strategy one: after a low bar, and after the one behind it."""

    async def forward(bar: dict[str, Any]) -> None:
        if (bar["second"] + int(bar["symbol"][1:3])) % 3 < 2:
            await nc.publish(f"bare.decision.{bar['symbol']}", msgspec.json.encode(bar))

    await _follow(js, "bare.md.feat.>", "BARE_MARKET", forward)


async def risk(nc: Client, js: JetStreamContext) -> None:
    """Sign and publish with an acknowledgement."""
    key = _key()

    async def forward(signal: dict[str, Any]) -> None:
        payload = msgspec.json.encode(signal)
        await js.publish("bare.order.permit", key.sign(payload) + payload)

    await _follow(js, "bare.decision.>", "BARE_DECISIONS", forward)


async def execute(nc: Client, js: JetStreamContext) -> None:
    """Check the signature, publish with an acknowledgement."""
    public = _key().public_key()

    async def on_permit(msg: Msg) -> None:
        signature, payload = msg.data[:SIGNATURE_BYTES], msg.data[SIGNATURE_BYTES:]
        public.verify(signature, payload)
        await js.publish(PLANNED, msgspec.json.encode(msgspec.json.decode(payload)))

    await _subscribe(js, "bare.order.permit", DURABLE, on_permit)


async def _follow(js: JetStreamContext, subject: str, stream: str, forward: Forward) -> None:
    async def on_message(msg: Msg) -> None:
        await forward(msgspec.json.decode(msg.data))

    await _subscribe(js, subject, stream, on_message)


async def _subscribe(
    js: JetStreamContext, subject: str, stream: str, on_message: Callable[[Msg], Awaitable[None]]
) -> None:
    config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
    await js.subscribe(subject, stream=stream, cb=on_message, ordered_consumer=True, config=config)


def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(os.environ["BARE_KEY"]))


async def throughput(nc: Client, js: JetStreamContext) -> None:
    """Receive, decode, publish: every frame goes to the bus as it came, on the subject of its stream."""
    queue = Queue(nc)
    decode = msgspec.json.decode

    def take(payload: bytes, recv_ns: int) -> None:
        queue.put(f"raw.{decode(payload)['data']['s']}", payload)

    _connection = await ws_connect(lambda: _Frames(take), os.environ["BARE_WS"] + "/bare")
    await queue.run()


async def main(role: str) -> None:
    """Run one role until the process is ended."""
    nc = await nats.connect(os.environ["BARE_NATS"])
    await globals()[role](nc, nc.jetstream(timeout=10))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
