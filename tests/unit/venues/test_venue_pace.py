"""Back-off grows, stays bounded and differs between clients; a pace never lets more through than its limit."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.venues.pace import Backoff, Pace, is_loopback, together


@given(seed=st.integers(), failures=st.integers(1, 60))
def test_a_delay_lies_in_the_upper_half_of_its_doubling_ceiling(seed: int, failures: int) -> None:
    backoff = Backoff(random.Random(seed), first_s=0.5, cap_s=15.0)
    for k in range(failures):
        ceiling = min(15.0, 0.5 * 2**k)
        assert ceiling / 2 <= backoff.next_s() <= ceiling


def test_two_clients_do_not_wait_equally_long() -> None:
    assert Backoff(random.Random(1)).next_s() != Backoff(random.Random(2)).next_s()


def test_after_a_reset_the_delay_is_short_again() -> None:
    backoff = Backoff(random.Random(1), first_s=0.5)
    for _ in range(10):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() <= 0.5


async def test_no_window_sees_more_turns_than_the_limit() -> None:
    pace = Pace(3, 0.1)
    loop = asyncio.get_running_loop()
    taken: list[float] = []

    async def one() -> None:
        await pace.turn()
        taken.append(loop.time())

    await asyncio.gather(*(one() for _ in range(10)))
    assert all(later - earlier >= 0.099 for earlier, later in zip(taken, taken[3:], strict=False))


async def test_a_pace_below_its_limit_does_not_wait() -> None:
    pace = Pace(100, 60.0)
    async with asyncio.timeout(1.0):
        for _ in range(100):
            await pace.turn()


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ws://127.0.0.1:80/x", True),
        ("ws://localhost/x", True),
        ("ws://[::1]:80/x", True),
        ("wss://ws.derivws.com/websockets/v3", False),
    ],
)
def test_loopback_is_recognised(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


async def test_jobs_that_belong_together_end_with_the_first_and_none_dies_unseen() -> None:
    ended: list[str] = []

    async def lasting(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def failing() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await together(lasting("feed"), failing(), lasting("clock"))
    assert ended == ["feed", "clock"]

    whole = asyncio.create_task(together(lasting("again")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert ended == ["feed", "clock", "again"]
