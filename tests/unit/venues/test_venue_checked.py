"""Numbers from strangers: money arrives to the last digit or not at all, whatever was sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import BarFlag
from libs.venues.checked import Absurd, bar_of, decimals, down_to, exact, positive, real, sequence, spelled, stamp

AMOUNTS = st.decimals(min_value=0, max_value=10**12, places=12, allow_nan=False, allow_infinity=False)
STEPS = st.sampled_from([Decimal(text) for text in ("1", "0.5", "0.01", "0.05", "1E-8", "0.000000001", "100")])
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["NaN", "-Infinity", "1e999999", "-1", "0x10", "1_000", "١٢"]),
)


@given(AMOUNTS)
def test_an_amount_passes_unchanged(amount: Decimal) -> None:
    assert exact(str(amount), "amount") == amount
    assert Decimal(spelled(amount)) == amount
    assert "E" not in spelled(amount)


@given(st.floats())
def test_money_never_comes_by_way_of_a_float(value: float) -> None:
    with pytest.raises(Absurd):
        exact(value, "price")


@given(ANYTHING)
def test_whatever_is_sent_becomes_an_amount_or_is_absurd(value: Any) -> None:
    for read in (exact, positive):
        try:
            number = read(value, "amount")
        except Absurd:
            continue
        assert number.is_finite()
        assert number >= 0
        assert -30 <= number.adjusted() <= 30


@given(ANYTHING)
def test_whatever_is_sent_becomes_market_data_or_is_absurd(value: Any) -> None:
    for read in (lambda v: real(v, "price"), stamp):
        try:
            assert 0 < read(value) < float("inf")
        except Absurd:
            continue
    assert 0 <= sequence(value) < 1 << 63


@given(AMOUNTS, STEPS)
def test_rounding_down_stays_on_the_grid_and_never_goes_up(amount: Decimal, step: Decimal) -> None:
    rounded = down_to(amount, step)
    assert rounded <= amount < rounded + step
    assert rounded % step == 0


@pytest.mark.parametrize(("step", "digits"), [("0.01", 2), ("0.010", 2), ("1E-8", 8), ("1", 0), ("100", 0)])
def test_digits_that_a_step_needs(step: str, digits: int) -> None:
    assert decimals(Decimal(step)) == digits


@pytest.mark.parametrize(
    ("open_s", "prices"), [(60, (5.0, 4.0, 3.0, 4.0)), (60, (1.0, 2.0, 1.5, 1.5)), (61, (1.0, 2.0, 1.0, 2.0))]
)
def test_a_bar_that_cannot_be_is_none(open_s: int, prices: tuple[float, float, float, float]) -> None:
    with pytest.raises(Absurd):
        bar_of("v", "S", 60, open_s * 10**9, prices, volume=1.0)


def test_a_bar_without_trades_says_so() -> None:
    bar = bar_of("v", "S", 60, 60 * 10**9, (1.0, 1.0, 1.0, 1.0), volume=0.0)
    assert bar.flags == BarFlag.HISTORY | BarFlag.EMPTY
    assert bar.ts_event == 120 * 10**9
