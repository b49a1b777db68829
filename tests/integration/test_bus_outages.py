"""NATS killed under load: nothing is lost, nothing comes twice, and what was acknowledged is there."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from prometheus_client import REGISTRY

from libs.common.bus import NatsBus, Received
from libs.core.types import Control, ControlKind, Ticks, Trade


def tick(number: int) -> Ticks:
    items = (Trade(number, 100.0, 1.0, 1, number),)
    return Ticks(id=f"t{number}", ts_event=number, venue="binance", symbol="BTCUSDT", items=items)


def halt(number: int) -> Control:
    return Control(id=f"h{number}", ts_event=number, kind=ControlKind.HALT, reason="test", actor="test")


async def test_a_killed_server_loses_nothing_and_doubles_nothing(nats_server, until) -> None:
    publisher = await NatsBus.connect(nats_server.url, "publisher")
    reader = await NatsBus.connect(nats_server.url, "reader")
    got: list[int] = []

    async def take(received: Received) -> None:
        got.append(received.event.ts_event)

    await reader.subscribe(["md.tick.>"], take, None)
    sent = 0
    for phase in range(3):
        for _ in range(300):
            await publisher.publish(tick(sent))
            sent += 1
            if sent % 20 == 0:
                await asyncio.sleep(0)
        if phase < 2:
            nats_server.kill()
            for _ in range(200):
                await publisher.publish(tick(sent))
                sent += 1
            nats_server.start()
            await until(lambda: publisher.connected and reader.connected, "both are back")
    await until(lambda: len(got) >= sent, f"all {sent}, now {len(got)}")
    assert got == list(range(sent))
    held = [item.event.ts_event async for item in reader.read(["md.tick.>"])]
    assert held == list(range(sent))
    await publisher.close()
    await reader.close()


async def test_a_durable_publish_waits_through_an_outage_and_then_holds(nats_server, until) -> None:
    bus = await NatsBus.connect(nats_server.url, "publisher")
    await bus.publish_durable(halt(1))
    nats_server.kill()
    await until(lambda: not bus.connected, "the loss is noticed")
    waiting = asyncio.create_task(bus.publish_durable(halt(2)))
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert not done
    nats_server.start()
    await asyncio.wait_for(waiting, 20)
    assert [item.event.id async for item in bus.read(["ctl.>"])] == ["h1", "h2"]
    await bus.close()


async def test_garbage_on_a_subject_is_put_aside_with_its_reason(nats_server, until) -> None:
    bus = await NatsBus.connect(nats_server.url, "reader")
    counted = REGISTRY.get_sample_value("conclave_bus_dead_letters_total") or 0
    got: list[Received] = []
    letters: list[Received] = []

    async def take(received: Received) -> None:
        got.append(received)

    async def take_letter(received: Received) -> None:
        letters.append(received)

    await bus.subscribe(["md.tick.>"], take, None)
    await bus.subscribe(["dlq.>"], take_letter, None)
    foreign = Client()
    await foreign.connect(nats_server.url)
    for payload in (b"", b"\xc1\xff garbage", b"{}", b"\x81\xa4type\xa8ticks.v1"):
        await foreign.publish("md.tick.binance.BTCUSDT", payload)
    await foreign.flush()
    await foreign.close()
    await bus.publish(tick(5))
    await until(lambda: got and len(letters) == 4, "four letters and the good one")
    assert [received.event.ts_event for received in got] == [5]
    assert all(letter.event.reason for letter in letters)
    assert REGISTRY.get_sample_value("conclave_bus_dead_letters_total") == counted + 4
    await bus.close()
