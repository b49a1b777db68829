"""The draw of cases: a few at each venue, the same for the same seed, every one in time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from acceptance_sample import DRAWN, FAULTY, drawn

VENUES = ("tests/a.py::TestA", "tests/b.py::TestB")
NAMES = [f"test_t1{n}_x" for n in range(9)] + [f"test_x0{n}_x" for n in range(7)] + ["test_t01_x", "test_m03_x"]


def items() -> list[Any]:
    return [SimpleNamespace(name=name, nodeid=f"{venue}::{name}") for venue in VENUES for name in NAMES]


def test_all_plain_cases_and_a_few_faulty_ones_run() -> None:
    runs, left_out = drawn(items(), 1)
    assert len(runs) + len(left_out) == len(items())
    for venue in VENUES:
        mine = [item.name for item in runs if item.nodeid.startswith(venue)]
        assert sum(bool(FAULTY.match(name)) for name in mine) == DRAWN
        assert {"test_t01_x", "test_m03_x"} <= set(mine)


def test_the_same_seed_draws_the_same() -> None:
    assert [i.nodeid for i in drawn(items(), 7)[0]] == [i.nodeid for i in drawn(items(), 7)[0]]


def test_every_case_is_drawn_before_long() -> None:
    seen = {item.nodeid for number in range(60) for item in drawn(items(), number)[0]}
    assert seen == {item.nodeid for item in items()}
