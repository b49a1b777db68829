"""The budget of a rate limit: never overspent, served by priority, wound back by what the venue says."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.venues.budget import SHARE, Budget, Priority
from libs.venues.errors import VenueUnavailable


class Clock:
    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@given(
    limit=st.integers(1, 40),
    window=st.floats(0.5, 60),
    wishes=st.lists(st.tuples(st.sampled_from(Priority), st.integers(1, 50), st.floats(0, 30)), max_size=60),
)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, window: float, wishes: list[tuple[Priority, int, float]]
) -> None:
    clock, spent = Clock(), list[tuple[float, int]]()
    budget = Budget("calls", limit, window, now=clock)
    for priority, cost, passed in wishes:
        clock.at += passed
        if budget.try_take(priority, cost):
            before = sum(amount for at, amount in spent if at > clock.at - window)
            assert before == 0 or before + cost <= limit * SHARE[priority]
            spent.append((clock.at, cost))
        assert budget.state().used == sum(amount for at, amount in spent if at > clock.at - window)


def test_data_leaves_room_for_entries_and_entries_for_exits() -> None:
    budget = Budget("calls", 100, 60.0, now=Clock())
    counts = {}
    for priority in (Priority.DATA, Priority.ENTRY, Priority.EXIT):
        counts[priority] = 0
        while budget.try_take(priority):
            counts[priority] += 1
    assert counts == {Priority.DATA: 70, Priority.ENTRY: 20, Priority.EXIT: 10}


async def test_an_exit_overtakes_everybody_who_waits() -> None:
    budget = Budget("calls", 4, 0.15)
    for _ in range(4):
        assert budget.try_take(Priority.EXIT)
    served: list[str] = []

    async def wish(name: str, priority: Priority) -> None:
        await budget.take(priority)
        served.append(name)

    tasks = [
        asyncio.create_task(wish(name, priority))
        for name, priority in [("data", Priority.DATA), ("entry", Priority.ENTRY), ("exit", Priority.EXIT)]
    ]
    await asyncio.gather(*tasks)
    assert served == ["exit", "entry", "data"]


async def test_a_window_under_load_is_never_overspent() -> None:
    rng, window, limit = random.Random(7), 0.08, 10
    budget = Budget("calls", limit, window)
    now, spent = asyncio.get_running_loop().time, list[float]()

    async def client() -> None:
        for _ in range(6):
            await budget.take(rng.choice(list(Priority)))
            spent.append(now())

    await asyncio.gather(*(client() for _ in range(5)))
    assert len(spent) == 30
    # A turn is stamped a moment after it was given.
    assert all(later - earlier > window * 0.9 for earlier, later in zip(spent, spent[limit:], strict=False))


async def test_who_loses_patience_has_spent_nothing_and_is_told_which_limit() -> None:
    budget = Budget("binance orders", 1, 60.0)
    assert budget.try_take(Priority.EXIT)
    with pytest.raises(VenueUnavailable, match="binance orders limit of 1 in 60 s is used up"):
        await budget.take(Priority.EXIT, patience_s=0.02)
    assert budget.state().used == 1
    assert budget.state().waiting == 0


async def test_a_cancelled_waiter_does_not_hold_up_the_next() -> None:
    budget = Budget("calls", 1, 0.1)
    assert budget.try_take(Priority.EXIT)
    first = asyncio.create_task(budget.take(Priority.EXIT))
    second = asyncio.create_task(budget.take(Priority.EXIT))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 2.0)
    assert first.cancelled()


def test_what_others_spent_counts_and_what_the_venue_returns_does_not() -> None:
    budget = Budget("orders", 10, 10.0, now=Clock())
    assert budget.try_take(Priority.EXIT, 2)
    budget.observe(8)
    assert not budget.try_take(Priority.EXIT, 3)
    budget.observe(3)  # an older count must not free what was spent since
    assert budget.state().used == 8
    budget.give_back(1)
    assert budget.try_take(Priority.EXIT, 3)


async def test_silence_that_the_venue_asked_for_is_kept() -> None:
    budget = Budget("weight", 100, 60.0)
    budget.block(0.15)
    assert 0 < budget.state().blocked_s <= 0.15
    began = asyncio.get_running_loop().time()
    await budget.take(Priority.EXIT)
    assert asyncio.get_running_loop().time() - began >= 0.14


def test_a_limit_the_venue_changes_holds_at_once() -> None:
    budget = Budget("weight", 10, 60.0, now=Clock())
    assert budget.try_take(Priority.EXIT, 10)
    budget.resize(20)
    assert budget.try_take(Priority.EXIT, 10)
    assert not budget.try_take(Priority.EXIT)


@pytest.mark.parametrize(("limit", "window"), [(0, 1.0), (5, 0.0)])
def test_a_budget_of_nothing_is_refused(limit: int, window: float) -> None:
    with pytest.raises(ValueError, match="positive limit and window"):
        Budget("nothing", limit, window)
