"""One behaviour for both buses: the in-memory twin may stand in for NATS only because it passes these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from libs.common.bus import Bus, BusError, MemoryBroker, MemoryBus, NatsBus, Received, get_large, put_large
from libs.common.bus.large import MARK, PART_BYTES
from libs.core.types import Control, ControlKind, Event, HistoryRequest, Ticks, Trade

Connect = Callable[[], Awaitable[Bus]]


def tick(number: int, symbol: str = "BTCUSDT") -> Ticks:
    items = (Trade(number, 100.0, 1.0, 1, number),)
    return Ticks(id=f"{symbol}-{number}", ts_event=number, venue="binance", symbol=symbol, items=items)


def halt(number: int) -> Control:
    return Control(id=f"halt-{number}", ts_event=number, kind=ControlKind.HALT, reason="test", actor="test")


@pytest.fixture(params=["memory", "nats"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    opened: list[Bus] = []
    if request.param == "memory":
        broker = MemoryBroker()

        async def make() -> Bus:
            opened.append(MemoryBus(broker))
            return opened[-1]
    else:
        server = request.getfixturevalue("nats_server")

        async def make() -> Bus:
            opened.append(await NatsBus.connect(server.url, f"test{len(opened)}"))
            return opened[-1]

    yield make
    for bus in opened:
        await bus.close()


class Collector:
    def __init__(self) -> None:
        self.items: list[Received] = []

    async def take(self, received: Received) -> None:
        self.items.append(received)

    @property
    def ids(self) -> list[str]:
        return [item.event.id for item in self.items]


async def test_messages_arrive_in_order_with_the_publishers_numbers(connect: Connect, until) -> None:
    bus, got = await connect(), Collector()
    await bus.subscribe(["md.tick.>"], got.take, None)
    for number in range(200):
        await bus.publish(tick(number), trace="00-aa-bb-01" if number == 0 else "")
    await until(lambda: len(got.items) == 200, "200 messages")
    assert [item.event.ts_event for item in got.items] == list(range(200))
    assert [item.seq for item in got.items] == list(range(1, 201))
    assert {item.epoch for item in got.items} == {bus.epoch}
    assert got.items[0].trace == "00-aa-bb-01"
    assert got.items[0].event == tick(0)


async def test_each_subject_has_its_own_numbers(connect: Connect, until) -> None:
    bus, got = await connect(), Collector()
    await bus.subscribe(["md.tick.>"], got.take, None)
    for number, symbol in enumerate(("A", "B", "A", "A")):
        await bus.publish(tick(number, symbol))
    await until(lambda: [i.seq for i in got.items if i.subject == "md.tick.binance.A"] == [1, 2, 3], "A numbered 1 2 3")
    assert [i.seq for i in got.items if i.subject == "md.tick.binance.B"] == [1]


async def test_a_late_subscriber_reads_everything_or_only_what_is_new(connect: Connect, until) -> None:
    bus = await connect()
    for number in range(5):
        await bus.publish_durable(halt(number))
    everything, fresh = Collector(), Collector()
    await bus.subscribe(["ctl.>"], everything.take, 0)
    await bus.subscribe(["ctl.>"], fresh.take, None)
    await until(lambda: len(everything.items) == 5, "the past")
    await bus.publish_durable(halt(5))
    await until(lambda: len(everything.items) == 6 and len(fresh.items) == 1, "the new one")
    assert fresh.ids == ["halt-5"]


async def test_the_same_fact_published_twice_is_captured_once(connect: Connect) -> None:
    bus = await connect()
    await bus.publish_durable(halt(1))
    await bus.publish_durable(halt(1))
    await bus.publish_durable(halt(2))
    assert [item.event.id async for item in bus.read(["ctl.>"])] == ["halt-1", "halt-2"]


async def test_last_gives_the_newest_of_a_subject(connect: Connect) -> None:
    bus = await connect()
    assert await bus.last("ctl.halt") is None
    for number in range(3):
        await bus.publish_durable(halt(number))
    last = await bus.last("ctl.halt")
    assert last is not None
    assert (last.event.id, last.epoch, last.seq) == ("halt-2", bus.epoch, 3)


async def test_a_handler_that_raises_sends_its_message_to_the_dead_letters_and_goes_on(connect: Connect, until) -> None:
    bus, good = await connect(), Collector()

    async def handler(received: Received) -> None:
        if received.event.ts_event == 1:
            raise ValueError("poison")
        await good.take(received)

    await bus.subscribe(["md.tick.>"], handler, None)
    for number in range(3):
        await bus.publish(tick(number))
    await until(lambda: len(good.items) == 2, "the other two")
    letters = Collector()
    await bus.subscribe(["dlq.>"], letters.take, 0)
    await until(lambda: letters.items, "a dead letter")
    assert letters.items[0].event.reason == "ValueError: poison"
    assert letters.items[0].subject == "dlq.md.tick.binance.BTCUSDT"


async def test_request_and_reply_carry_events_and_errors(connect: Connect) -> None:
    server, client = await connect(), await connect()

    async def answer(request: Event) -> list[Event]:
        assert isinstance(request, HistoryRequest)
        if request.count > 10:
            raise ValueError("too many bars asked for")
        return [tick(number) for number in range(request.count)]

    await server.serve("req.history.binance", answer)

    def ask(count: int) -> HistoryRequest:
        return HistoryRequest(id="r", ts_event=0, venue="binance", symbol="X", interval_s=1, count=count)

    assert await client.request("req.history.binance", ask(3), 5) == [tick(0), tick(1), tick(2)]
    with pytest.raises(BusError, match="too many bars"):
        await client.request("req.history.binance", ask(11), 5)
    with pytest.raises(BusError, match="nobody serves"):
        await client.request("req.history.nowhere", ask(1), 5)


async def test_keys_are_kept_and_compared_before_they_are_swapped(connect: Connect) -> None:
    bus = await connect()
    assert await bus.kv_get("leases", "account") is None
    assert await bus.kv_keys("leases") == []
    revision = await bus.kv_update("leases", "account", b"first", 0)
    assert revision is not None
    assert await bus.kv_update("leases", "account", b"thief", 0) is None
    assert await bus.kv_update("leases", "account", b"second", revision) is not None
    assert await bus.kv_get("leases", "account") == b"second"
    await bus.kv_put("kill", "R_100", b"halt")
    assert await bus.kv_keys("kill") == ["R_100"]


def blob(size: int, salt: int = 0) -> bytes:
    return (salt.to_bytes(1) + bytes(range(251))) * (size // 252 + 1)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 7 * PART_BYTES // 2])
async def test_a_value_of_any_size_comes_back_as_it_was(connect: Connect, size: int) -> None:
    bus = await connect()
    assert await get_large(bus, "snapshots", "stage") is None
    for salt in range(3):
        value = blob(size, salt)[:size]
        await put_large(bus, "snapshots", "stage", value)
        assert await get_large(bus, "snapshots", "stage") == value


async def test_a_large_value_may_become_small_and_large_again(connect: Connect) -> None:
    bus = await connect()
    for value in (blob(3 * PART_BYTES), b"small", blob(2 * PART_BYTES, 1), MARK + b"looks like a head", b""):
        await put_large(bus, "snapshots", "stage", value)
        assert await get_large(bus, "snapshots", "stage") == value


class Killed(Exception):
    """Where a writer ends."""


async def test_a_writer_that_is_killed_anywhere_leaves_the_old_value(connect: Connect) -> None:
    bus = await connect()
    old, new = blob(3 * PART_BYTES), blob(4 * PART_BYTES, 1)

    class Dying:
        """A bus whose process ends before its `left`-th write from now."""

        def __init__(self, left: int) -> None:
            self.left = left

        kv_get = staticmethod(bus.kv_get)

        async def kv_put(self, bucket: str, key: str, data: bytes) -> int:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return await bus.kv_put(bucket, key, data)

    await put_large(bus, "snapshots", "stage", old)
    writes = 0
    while True:
        try:
            await put_large(Dying(writes), "snapshots", "stage", new)  # type: ignore[arg-type]
        except Killed:
            assert await get_large(bus, "snapshots", "stage") == old
            writes += 1
        else:
            break
    assert writes == -(-len(new) // PART_BYTES) + 1
    assert await get_large(bus, "snapshots", "stage") == new


async def test_a_large_value_with_a_spoiled_or_missing_part_is_none(connect: Connect) -> None:
    bus = await connect()
    await put_large(bus, "snapshots", "stage", blob(3 * PART_BYTES))
    head, part = await bus.kv_get("snapshots", "stage"), await bus.kv_get("snapshots", "stage.a.1")
    assert head is not None
    assert part is not None
    await bus.kv_put("snapshots", "stage.a.1", part[:-1])
    assert await get_large(bus, "snapshots", "stage") is None
    await bus.kv_put("snapshots", "other", head)
    assert await get_large(bus, "snapshots", "other") is None
    await bus.kv_put("snapshots", "stage", MARK + b"torn")
    assert await get_large(bus, "snapshots", "stage") is None
    await put_large(bus, "snapshots", "stage", blob(2 * PART_BYTES))
    assert await get_large(bus, "snapshots", "stage") == blob(2 * PART_BYTES)


async def test_a_new_run_of_a_publisher_is_a_new_epoch_and_goes_on(connect: Connect, until) -> None:
    first, got = await connect(), Collector()
    await first.subscribe(["md.tick.>"], got.take, None)
    await first.publish(tick(1))
    await until(lambda: len(got.items) == 1, "the first")
    second = await connect()
    assert second.epoch > first.epoch
    await second.publish(tick(2))
    await until(lambda: len(got.items) == 2, "the second")
    assert [(i.epoch, i.seq) for i in got.items] == [(first.epoch, 1), (second.epoch, 1)]
