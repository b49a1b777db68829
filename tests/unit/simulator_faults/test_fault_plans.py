"""What a plan may say, and the one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.simulator.faults.plan import FaultKind, PlanError, load_plan, plan_of


def test_a_plan_file_gives_its_rules_in_order(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(
        """
        seed: 17
        rules:
          - {fault: drop, venue: deriv, match: data, probability: 0.1, count: 3}
          - {fault: timeout, match: [buy, order.place], nth: [1, 4]}
          - {fault: clock_jump, at_s: 5, offset_s: -20}
        """
    )
    plan = load_plan(file)
    assert plan.seed == 17
    assert [rule.fault for rule in plan.rules] == [FaultKind.DROP, FaultKind.TIMEOUT, FaultKind.CLOCK_JUMP]
    assert plan.rules[1].concerns("binance", "order.place")
    assert not plan.rules[0].concerns("binance", "data")


def test_an_empty_file_is_a_plan_without_faults(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("")
    assert load_plan(file).rules == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fault": "drown"}, "rule 1 fault"),
        ({"fault": "drop", "nth": 0}, "rule 1 nth"),
        ({"fault": "drop", "probability": 1.5}, "rule 1 probability: .*not 1.5"),
        ({"fault": "drop", "probability": 0.5, "nth": 2}, "probability or nth, not both"),
        ({"fault": "drop", "code": "PriceMoved"}, "code has no meaning for drop"),
        ({"fault": "buy", "contains": "x"}, "rule 1 fault"),
        ({"fault": "timeout", "contains": "x"}, "contains has no meaning for timeout"),
        ({"fault": "clock_jump", "nth": 1}, "no occasions"),
        ({"fault": "silent", "count": 1}, "count has no meaning"),
        ({"fault": "drop", "at_s": 1, "after_s": 1}, "at_s or after_s"),
        ({"fault": "late", "delay_s": float("inf")}, "rule 1 delay_s"),
        ([{"fault": "drop"}, {"fault": "drop", "colour": 1}], "rule 2 colour"),
        ({"rules": 3}, "not 3"),
        ({"seeds": 3}, "seeds"),
        ("drop", "drop"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(PlanError, match=said) as caught:
        plan_of(given, "plan.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("plan.yaml: ")


@pytest.mark.parametrize("text", [b"rules: [", b"\xff\xfe", b"a: b: c"])
def test_a_file_that_is_no_yaml_is_named(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "plan.yaml"
    file.write_bytes(text)
    with pytest.raises(PlanError, match=r"plan\.yaml: is not") as caught:
        load_plan(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        load_plan(tmp_path / "plan.yaml")
