"""Columns of history: pieces put together in any order are one table, each row once, the later word for it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.history import FIELDS, IDENTITY, Columns, Kind, between, joined, made, of_rows, rows_in, time_of

TIMES = st.integers(1_500_000_000, 1_500_000_040).map(lambda s: s * 1_000_000_000)
FEW = settings(max_examples=40)
PRICES = st.floats(0.01, 1e6, allow_nan=False)


def rows_of(columns: Columns) -> list[tuple[float, ...]]:
    return list(zip(*(values.tolist() for values in columns.values()), strict=True))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Kind, list[Columns]]:
    kind = draw(st.sampled_from(list(Kind)))
    row = st.tuples(*(TIMES if dtype == "i8" else PRICES for dtype in FIELDS[kind].values()))
    return kind, [of_rows(kind, rows) for rows in draw(st.lists(st.lists(row, max_size=8), max_size=4))]


@FEW
@given(tables())
def test_joined_rows_are_in_order_and_each_once(drawn: tuple[Kind, list[Columns]]) -> None:
    kind, pieces = drawn
    whole = joined(kind, pieces)
    keys = list(zip(*(whole[name].tolist() for name in IDENTITY[kind]), strict=True))
    assert keys == sorted(set(keys))
    every = {
        tuple(row[list(FIELDS[kind]).index(name)] for name in IDENTITY[kind]) for p in pieces for row in rows_of(p)
    }
    assert set(keys) == every


@FEW
@given(tables())
def test_joining_again_changes_nothing_and_pieces_may_be_joined_first(drawn: tuple[Kind, list[Columns]]) -> None:
    kind, pieces = drawn
    whole = rows_of(joined(kind, pieces))
    assert rows_of(joined(kind, [joined(kind, pieces)])) == whole
    for cut in range(len(pieces) + 1):
        assert rows_of(joined(kind, [joined(kind, pieces[:cut]), joined(kind, pieces[cut:])])) == whole


@FEW
@given(tables())
def test_of_two_rows_that_are_the_same_one_the_later_piece_has_the_word(drawn: tuple[Kind, list[Columns]]) -> None:
    kind, pieces = drawn
    names = list(FIELDS[kind])
    said = {
        tuple(row[names.index(name)] for name in IDENTITY[kind]): row
        for row in itertools.chain.from_iterable(map(rows_of, pieces))
    }
    assert sorted(rows_of(joined(kind, pieces))) == sorted(said.values())


@FEW
@given(tables(), TIMES, TIMES)
def test_between_is_half_open(drawn: tuple[Kind, list[Columns]], start: int, end: int) -> None:
    kind, pieces = drawn
    whole = joined(kind, pieces)
    inside = between(kind, whole, start, end)
    key = list(FIELDS[kind]).index(time_of(kind))
    assert rows_of(inside) == [row for row in rows_of(whole) if start <= row[key] < end]


def test_what_a_source_does_not_tell_is_zero() -> None:
    bars = made(Kind.BARS, {"open_time": [1], "open": [2], "high": [3], "low": [1], "close": [2]})
    assert bars["volume"].tolist() == [0.0]
    assert bars["trades"].dtype == np.int64
    assert rows_in(bars) == 1


@pytest.mark.parametrize("columns", [{"open": [1.0]}, {"open_time": [1, 2], "open": [1.0]}])
def test_columns_that_do_not_fit_together_are_refused(columns: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError):
        made(Kind.BARS, columns)
