"""When a fault happens: by number, by draw, by the clock; the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.faults.base import CallFaultKind, Faults, NoFaults
from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import CALLS, plan_of
from services.simulator.record import Record


def kinds(faults: PlannedFaults, names: list[str]) -> list[str | None]:
    drawn = [faults.call("deriv", name) for name in names]
    return [fault and str(fault.kind) for fault in drawn]


def test_both_kinds_of_faults_answer_the_same_questions() -> None:
    planned: Faults = PlannedFaults(plan_of(None, "test"), Record(None))
    calm: Faults = NoFaults()
    for faults in (planned, calm):
        assert faults.call("deriv", "buy") is None
        assert faults.clock_offset_ns("deriv") == 0
        assert not faults.silent("deriv", "fills")
        assert not faults.skips("binance", "btcusdt@depth")


@given(seed=st.integers(0, 2**32), names=st.lists(st.sampled_from(["buy", "sell", "time"]), max_size=60))
def test_the_same_seed_and_calls_draw_the_same_faults(seed: int, names: list[str]) -> None:
    rules = [
        {"fault": "timeout", "match": "buy", "probability": 0.3},
        {"fault": "reject", "probability": 0.2, "count": 4},
    ]
    one, other = (PlannedFaults(plan_of({"seed": seed, "rules": rules}, "t"), Record(None)) for _ in range(2))
    assert kinds(one, names) == kinds(other, names)


@given(st.integers(0, 2**32))
def test_a_rule_draws_alike_whatever_stands_beside_it(seed: int) -> None:
    rule = {"fault": "timeout", "match": "buy", "probability": 0.3}
    beside = {"fault": "lost", "match": "sell", "probability": 0.5}
    alone = PlannedFaults(plan_of({"seed": seed, "rules": [rule]}, "t"), Record(None))
    both = PlannedFaults(plan_of({"seed": seed, "rules": [rule, beside]}, "t"), Record(None))
    mixed = ["buy", "sell"] * 20
    drawn = [fault for name, fault in zip(mixed, kinds(both, mixed), strict=True) if name == "buy"]
    assert drawn == kinds(alone, ["buy"] * 20)


def test_numbers_count_matching_calls_only(faults: Any) -> None:
    planned = faults({"fault": "lost", "match": "buy", "nth": [2, 3]})
    assert kinds(planned, ["buy", "sell", "buy", "time", "buy", "buy"]) == [None, None, "lost", None, "lost", None]


def test_no_more_than_count_happen(faults: Any) -> None:
    planned = faults({"fault": "lost", "count": 2})
    assert kinds(planned, ["buy"] * 4) == ["lost", "lost", None, None]


def test_the_first_rule_that_strikes_wins(faults: Any) -> None:
    planned = faults({"fault": "reject", "code": "PriceMoved", "nth": 2}, {"fault": "late", "delay_s": 3})
    first, second = planned.call("deriv", "buy"), planned.call("deriv", "buy")
    assert (first.kind, first.delay_s, first.code) == (CallFaultKind.LATE, 3.0, "")
    assert (second.kind, second.delay_s, second.code) == (CallFaultKind.REJECT, 0.0, "PriceMoved")


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_kind_of_call_fault_can_be_planned(faults: Any, name: str) -> None:
    fault = faults({"fault": name}).call("binance", "POST /api/v3/order")
    assert fault.kind is CALLS[name]  # type: ignore[index]


def test_the_plan_reaches_every_kind_of_call_fault() -> None:
    assert set(CALLS.values()) == set(CallFaultKind)


def test_a_rule_waits_for_its_time_and_ends_with_it(faults: Any, watch: Any) -> None:
    planned = faults({"fault": "lost", "after_s": 10, "lasts_s": 5})
    seen = []
    for now in (109.9, 110.0, 114.9, 115.0):
        watch.now = now
        seen.append(planned.call("deriv", "buy") is not None)
    assert seen == [False, True, True, False]


def test_a_moment_strikes_once_at_the_first_occasion_after_it(faults: Any, watch: Any) -> None:
    planned = faults({"fault": "lost", "at_s": 10})
    watch.now = 130.0
    assert kinds(planned, ["buy", "buy"]) == ["lost", None]


def test_what_was_drawn_goes_on_for_its_time(faults: Any, watch: Any) -> None:
    planned = faults({"fault": "maintenance", "nth": 2, "lasts_s": 4})
    assert kinds(planned, ["buy"] * 3) == [None, "maintenance", "maintenance"]
    assert planned.cuts("deriv", "trade")
    watch.now += 4.0
    assert kinds(planned, ["buy"]) == [None]
    assert not planned.cuts("deriv", "trade")


def test_the_clock_jumps_and_comes_back(faults: Any, watch: Any) -> None:
    planned = faults({"fault": "clock_jump", "venue": "binance", "after_s": 1, "lasts_s": 2, "offset_s": -2.5})
    offsets = []
    for now in (100.5, 101.0, 103.0):
        watch.now = now
        offsets.append(planned.clock_offset_ns("binance"))
    assert offsets == [0, -2_500_000_000, 0]
    watch.now = 101.5
    assert planned.clock_offset_ns("deriv") == 0
    assert planned.total == 1


def test_silence_about_fills_lasts_and_ends(faults: Any, watch: Any) -> None:
    planned = faults({"fault": "silent", "match": "fills", "nth": 2, "lasts_s": 3})
    assert [planned.silent("binance", "fills") for _ in range(3)] == [False, True, True]
    assert not planned.silent("binance", "book")
    watch.now += 3
    assert not planned.silent("binance", "fills")
    assert planned.total == 1


def test_a_stale_book_is_silence_about_the_book_alone(faults: Any) -> None:
    planned = faults({"fault": "stale_book"})
    assert planned.silent("binance", "book")
    assert not planned.silent("binance", "fills")


def test_holes_are_drawn_per_stream(faults: Any) -> None:
    planned = faults({"fault": "hole", "match": "btcusdt@depth*", "nth": 2})
    assert [planned.skips("binance", "btcusdt@depth@100ms") for _ in range(3)] == [False, True, False]
    assert not planned.skips("binance", "ethusdt@depth")


def test_every_strike_is_on_record_and_in_the_state(faults: Any, tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    planned = faults({"fault": "lost", "nth": [1, 3]}, record=record)
    kinds(planned, ["buy"] * 3)
    record.close()
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["symbol"], line["seq"], line["fault"]) for line in lines] == [
        ("fault", "buy", 1, "lost"),
        ("fault", "buy", 2, "lost"),
    ]
    state = planned.state()
    assert (state["total"], state["rules"][0]["seen"], state["rules"][0]["injected"]) == (2, 3, 2)
    assert state["rules"][0]["nth"] == [1, 3]


def test_healing_ends_every_rule(faults: Any) -> None:
    planned = faults({"fault": "lost"}, {"fault": "stale_book"}, {"fault": "hole"}, {"fault": "clock_jump"})
    planned.heal()
    assert planned.call("deriv", "buy") is None
    assert not planned.silent("deriv", "book")
    assert not planned.skips("deriv", "x")
    assert planned.clock_offset_ns("deriv") == 0
    assert planned.state()["rules"] == []
