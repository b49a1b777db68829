"""Data clocks: live they run on with the machine, in a replay only what arrives moves them; they never fall."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import DataClocks
from libs.core.types import FeedState, TimePassed, VenueClock


def clock(ts: int, *, live: bool, state: FeedState = FeedState.OPEN) -> VenueClock:
    return VenueClock(id=f"c{ts}", ts_event=ts, venue="binance", ts_machine=0, extrapolate=live, state=state)


class Machine:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_a_live_clock_runs_on_between_messages() -> None:
    machine = Machine()
    clocks = DataClocks(machine)
    assert clocks.now("binance") == 0
    clocks.observe(clock(1_000, live=True))
    machine.ns = 500
    assert clocks.now("binance") == 1_500
    assert clocks.now("deriv") == 0


def test_a_replayed_clock_moves_only_with_what_arrives() -> None:
    machine = Machine()
    clocks = DataClocks(machine)
    clocks.observe(clock(1_000, live=False))
    machine.ns = 10**12
    assert clocks.now("binance") == 1_000
    clocks.observe(TimePassed(id="e", ts_event=2_000, venue="binance"))
    assert clocks.now("binance") == 2_000
    clocks.observe(clock(1_500, live=False, state=FeedState.ENDED))
    assert clocks.now("binance") == 2_000
    assert clocks.state("binance") is FeedState.ENDED


@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans(), st.integers(0, 10**4))))
def test_data_time_never_falls(steps: list[tuple[int, bool, int]]) -> None:
    machine = Machine()
    clocks = DataClocks(machine)
    before = 0
    for stamp, live, passed in steps:
        machine.ns += passed
        clocks.observe(clock(stamp, live=live))
        now = clocks.now("binance")
        assert now >= before
        before = now
