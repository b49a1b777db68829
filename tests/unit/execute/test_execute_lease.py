"""One executor per account: who may take the lease, who must wait, and what a holder does when it lost it."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.chassis import FatalError
from services.execute.lease import Holder, Lease


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(MemoryBroker())


def made(bus: MemoryBus, clock: Clock) -> Lease:
    return Lease(bus, "deriv-paper", ttl_s=3.0, monotonic=clock)


async def stranger(bus: MemoryBus, beat: int = 0, host: str = "elsewhere", pid: int = 7) -> None:
    """Another executor's hand on the lease."""
    holder = Holder(host, pid, "other", beat)
    await bus.kv_put("leases", "account-deriv-paper", msgspec.json.encode(holder))


async def test_a_free_lease_is_taken_and_a_second_executor_waits(bus: MemoryBus, clock: Clock) -> None:
    first, second = made(bus, clock), made(bus, clock)
    assert await first.try_take()
    assert not await second.try_take()
    assert second.holder is not None
    assert second.holder.pid == os.getpid()


async def test_a_holder_that_beats_keeps_it_and_a_silent_one_loses_it(bus: MemoryBus, clock: Clock) -> None:
    waiting = made(bus, clock)
    for beat in range(3):
        await stranger(bus, beat)
        assert not await waiting.try_take()
        clock.now += 2.9
    assert not await waiting.try_take()
    clock.now += 0.2
    assert await waiting.try_take()


async def test_a_dead_process_of_this_machine_is_succeeded_at_once(bus: MemoryBus, clock: Clock) -> None:
    await stranger(bus, host=socket.gethostname(), pid=2**22 - 3)
    assert await made(bus, clock).try_take()


async def test_an_earlier_life_of_this_process_number_is_succeeded_at_once(bus: MemoryBus, clock: Clock) -> None:
    await stranger(bus, host=socket.gethostname(), pid=os.getpid())
    assert await made(bus, clock).try_take()


async def test_what_was_given_back_is_free(bus: MemoryBus, clock: Clock) -> None:
    first = made(bus, clock)
    await first.try_take()
    await first.give_back()
    assert await made(bus, clock).try_take()


async def test_a_holder_that_was_succeeded_stops(bus: MemoryBus, clock: Clock) -> None:
    first = made(bus, clock)
    await first.try_take()
    await first.beat()
    await stranger(bus)
    with pytest.raises(FatalError, match="taken over by another executor"):
        await first.beat()


async def test_an_update_whose_answer_was_lost_is_no_succession(bus: MemoryBus, clock: Clock) -> None:
    first = made(bus, clock)
    await first.try_take()
    entry = await bus.kv_entry("leases", "account-deriv-paper")
    assert entry is not None
    await bus.kv_put("leases", "account-deriv-paper", entry[0])
    await first.beat()
    await first.beat()
    assert not await made(bus, clock).try_take()


async def test_a_server_that_lost_the_bucket_gets_the_lease_anew(bus: MemoryBus, clock: Clock) -> None:
    first = made(bus, clock)
    await first.try_take()
    bus.broker.buckets.clear()
    await first.beat()
    assert not await made(bus, clock).try_take()


async def test_a_bus_that_does_not_answer_is_waited_for(
    bus: MemoryBus, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(bus, clock)
    await first.try_take()

    async def away(*_: object) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(bus, "kv_update", away)
        await first.beat()
    await first.beat()
    assert not await made(bus, clock).try_take()
