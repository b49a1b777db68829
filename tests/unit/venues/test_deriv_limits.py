"""Deriv's budgets: both windows are kept, a refusal silences its bucket, exits go before data."""

from __future__ import annotations

import asyncio

import pytest

from libs.venues.budget import Priority
from libs.venues.deriv import limits
from libs.venues.deriv.limits import Bucket, Limits, Quota
from libs.venues.errors import VenueUnavailable


def made(minutely: int = 10, hourly: int = 100, burst: int = 0) -> Limits:
    return Limits({Bucket.GENERAL: Quota(minutely, hourly), Bucket.OUTCOME: Quota(5, 50)}, burst)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE_S", dict.fromkeys(Priority, 0.05))


async def spend(kept: Limits, priority: Priority, most: int = 1000) -> int:
    for count in range(most):
        try:
            await kept.take(Bucket.GENERAL, priority)
        except VenueUnavailable:
            return count
    return most


async def test_data_leaves_room_for_entries_and_those_for_exits() -> None:
    kept = made()
    assert await spend(kept, Priority.DATA) == 7
    assert await spend(kept, Priority.ENTRY) == 2
    assert await spend(kept, Priority.EXIT) == 1


async def test_the_hour_is_kept_too() -> None:
    kept = made(minutely=100, hourly=10)
    assert await spend(kept, Priority.EXIT) == 10
    minute, hour = kept.budgets()[:2]
    assert (minute.state().used, hour.state().used) == (10, 10)


async def test_a_call_that_does_not_fit_spends_nothing() -> None:
    kept = made(minutely=5, hourly=100)
    assert await spend(kept, Priority.EXIT) == 5
    minute, hour = kept.budgets()[:2]
    assert (minute.state().used, hour.state().used) == (5, 5)


async def test_a_refusal_silences_its_bucket_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = made()
    kept.refused(Bucket.GENERAL)
    with pytest.raises(VenueUnavailable):
        await kept.take(Bucket.GENERAL, Priority.EXIT)
    await kept.take(Bucket.OUTCOME, Priority.DATA)


async def test_a_burst_over_all_buckets_is_bounded() -> None:
    kept = made(minutely=1000, hourly=10_000, burst=20)
    first = await spend(kept, Priority.EXIT, 20)
    assert first == 20
    with pytest.raises(VenueUnavailable, match="a second"):
        await kept.take(Bucket.OUTCOME, Priority.EXIT)


@pytest.mark.parametrize("told", [Quota(0, 5), Quota(-1, 5), Quota(5, 0), Quota(10**9, 10**9)])
async def test_absurd_limits_are_left_out(told: Quota) -> None:
    kept = made()
    kept.resize({Bucket.GENERAL: told, Bucket.TRADING: Quota(1, 1)})
    assert [budget.limit for budget in kept.budgets()[:2]] == [10, 100]


async def test_a_waiting_exit_overtakes_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE_S", dict.fromkeys(Priority, 5.0))
    monkeypatch.setattr(limits, "MINUTE_S", 0.2)
    kept = made(minutely=2)
    await kept.take(Bucket.GENERAL, Priority.EXIT)
    await kept.take(Bucket.GENERAL, Priority.EXIT)
    order: list[str] = []

    async def one(name: str, priority: Priority) -> None:
        await kept.take(Bucket.GENERAL, priority)
        order.append(name)

    await asyncio.gather(one("data", Priority.DATA), one("exit", Priority.EXIT))
    assert order == ["exit", "data"]
