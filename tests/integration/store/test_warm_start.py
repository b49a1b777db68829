"""Warming from the venue, lengthened by the store where both join without a hole."""

from __future__ import annotations

import pytest

from libs.common.bus import MemoryBroker, MemoryBus, Received
from libs.common.store import Batch, Store
from libs.core.types import SECOND, Bar, Event, HistoryRequest, subject_of
from services.features.warmup import history


def bar(number: int, close: float = 1.0) -> Bar:
    return Bar(
        id=f"b{number}",
        ts_event=(number + 1) * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        open_time=number * SECOND,
        open=close,
        high=close,
        low=close,
        close=close,
    )


async def venue_with(numbers: range) -> MemoryBus:
    bus = MemoryBus(MemoryBroker())

    async def answer(request: Event) -> list[Event]:
        assert isinstance(request, HistoryRequest)
        return [bar(n) for n in numbers][-request.count :]

    await bus.serve("req.history.deriv", answer)
    return bus


async def keep(store: Store, numbers: list[int]) -> None:
    batch = Batch()
    for n in numbers:
        batch.add(Received(subject_of(bar(n)), bar(n, close=2.0), 1, n + 1, n, "", 0, n))
    await store.write(batch)


@pytest.mark.parametrize(
    ("in_store", "at_venue", "expected"),
    [
        ([], range(50, 60), range(50, 60)),
        (list(range(60)), range(50, 60), range(40, 60)),
        (list(range(45, 60)), range(50, 60), range(45, 60)),
        ([*range(40), *range(42, 60)], range(50, 60), range(42, 60)),
        (list(range(49)), range(50, 60), range(50, 60)),
        (list(range(30, 60)), range(0), range(40, 60)),
        (list(range(60)), range(30, 60), range(40, 60)),
    ],
    ids=["nothing", "more than enough", "some", "a hole within", "a hole between", "venue empty", "venue has all"],
)
async def test_stored_bars_lengthen_what_the_venue_has(
    store: Store, in_store: list[int], at_venue: range, expected: range
) -> None:
    if in_store:
        await keep(store, in_store)
    warmup = await history(await venue_with(at_venue), store, "deriv", "R_100", 1, 20)
    assert [b.open_time // SECOND for b in warmup.bars] == list(expected)
    assert [b.close for b in warmup.bars if b.open_time // SECOND in at_venue] == [1.0] * len(
        [n for n in expected if n in at_venue]
    )
    assert warmup.ts_event == 60 * SECOND


async def test_without_a_store_the_venue_alone_counts(store: Store) -> None:
    bus = await venue_with(range(50, 60))
    assert len((await history(bus, None, "deriv", "R_100", 1, 20)).bars) == 10
    await store.close()
    assert len((await history(bus, store, "deriv", "R_100", 1, 20)).bars) == 10
