"""One hop over the bus, from publisher to handler through a stream: our bus against plain nats-py."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy, PersistMode, StreamConfig

from libs.common.bus import NatsBus, Received
from libs.core.types import Bar, encode, stable_id
from tests.bench.harness import REPEATS, Line, compared, interleaved, percentile
from tests.bench.sandbox import Sandbox

HOPS: Final = 500
GAP_S: Final = 0.001
WAIT_S: Final = 5.0


def bar(number: int) -> Bar:
    """A bar of its own id."""
    return Bar(
        id=stable_id("hop", number, time.time_ns()),
        ts_event=number,
        venue="binance",
        symbol="HOP",
        interval_s=1,
        open_time=number,
        open=100.0,
        high=100.2,
        low=99.9,
        close=100.1,
        volume=3.5,
    )


class Ours:
    """`NatsBus` to `NatsBus`."""

    def __init__(self, publisher: NatsBus) -> None:
        self._publisher = publisher
        self._arrived: asyncio.Queue[int] = asyncio.Queue()

    async def on_bar(self, received: Received) -> None:
        """A hop ends."""
        self._arrived.put_nowait(time.perf_counter_ns())

    async def median_us(self) -> float:
        """Median hop in microseconds."""
        taken = []
        for number in range(HOPS):
            begun = time.perf_counter_ns()
            await self._publisher.publish(bar(number))
            taken.append(await asyncio.wait_for(self._arrived.get(), WAIT_S) - begun)
            await asyncio.sleep(GAP_S)
        return percentile(taken, 0.5) / 1000


class Plain:
    """nats-py to nats-py: publish, and an ordered push consumer."""

    def __init__(self, publisher: Client) -> None:
        self._publisher = publisher
        self._arrived: asyncio.Queue[int] = asyncio.Queue()

    async def on_message(self, msg: Msg) -> None:
        """A hop ends."""
        self._arrived.put_nowait(time.perf_counter_ns())

    async def median_us(self) -> float:
        """Median hop in microseconds."""
        taken = []
        for number in range(HOPS):
            message = bar(number)
            begun = time.perf_counter_ns()
            await self._publisher.publish("bare.hop", encode(message))
            taken.append(await asyncio.wait_for(self._arrived.get(), WAIT_S) - begun)
            await asyncio.sleep(GAP_S)
        return percentile(taken, 0.5) / 1000


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `bus_hop`."""
    async with Sandbox("bus") as box:
        url = await box.nats()
        publisher, subscriber = await NatsBus.connect(url, "publisher"), await NatsBus.connect(url, "subscriber")
        first, second = await nats.connect(url), await nats.connect(url)
        try:
            ours, plain = Ours(publisher), Plain(first)
            await subscriber.subscribe(["md.bar.1s.>"], ours.on_bar, None)
            js = second.jetstream()
            await js.add_stream(StreamConfig(name="BARE", subjects=["bare.>"], persist_mode=PersistMode.ASYNC))
            config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
            await js.subscribe("bare.hop", stream="BARE", cb=plain.on_message, ordered_consumer=True, config=config)
            await interleaved(ours.median_us, plain.median_us, 1)
            pairs = await interleaved(ours.median_us, plain.median_us, repeats)
        finally:
            for client in (first, second):
                await client.close()
            for bus in (publisher, subscriber):
                await bus.close()
    what = f"a bar from publish to handler through a stream, median of {HOPS} a repeat; reference: nats-py"
    return [compared("bus_hop", pairs, unit="us", what=what)]
