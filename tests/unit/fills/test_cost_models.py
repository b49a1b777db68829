"""Each cost of the paper venue on its own, and the protective triggers."""

from __future__ import annotations

from decimal import Decimal as D

import execute_world as world
import pytest

from libs.core.fills.models import (
    PaperCosts,
    assumed_touch,
    beyond,
    executable_from,
    quoted_touch,
    slip,
    taker_fee,
)
from libs.core.fills.triggers import Trigger, on_bar, on_price
from libs.core.types import MILLISECOND, Side


def test_a_buy_deals_at_the_ask_and_a_sell_at_the_bid() -> None:
    assert quoted_touch(D(99), D(101), Side.BUY).price == D(101)
    assert quoted_touch(D(99), D(101), Side.SELL).price == D(99)
    assert quoted_touch(D(99), D(101), Side.SELL).mid == D(100)


def test_an_assumed_spread_lies_half_on_each_side() -> None:
    assert assumed_touch(D(10_000), D(1), Side.BUY).price == D("10000.5")
    assert assumed_touch(D(10_000), D(1), Side.SELL).price == D("9999.5")


def test_slippage_is_against_the_trader_and_rounded_against_the_trader() -> None:
    touch = assumed_touch(D("1000.00"), D(0), Side.BUY)
    assert slip(touch, D("0.52"), world.V100, Side.BUY).price == D("1000.06")
    assert slip(touch, D("0.52"), world.V100, Side.SELL).price == D("999.94")


def test_the_fee_is_a_share_of_the_notional_of_that_venue() -> None:
    costs = PaperCosts(fee_bps={"binance": D(10)})
    assert taker_fee(costs, "binance", D("1234.5678901")) == D("1.23456789")
    assert taker_fee(costs, "deriv", D(1000)) == 0


def test_latency_runs_from_acceptance_and_never_reaches_back() -> None:
    assert executable_from(100, 150.0) == 100 + 150 * MILLISECOND
    assert executable_from(100, 0.0) == 101


def test_worst_price_bounds_both_sides_and_zero_bounds_nothing() -> None:
    assert beyond(D(101), D(100), Side.BUY)
    assert not beyond(D(100), D(100), Side.BUY)
    assert beyond(D(99), D(100), Side.SELL)
    assert not beyond(D(99), D(0), Side.SELL)
    assert not beyond(D(999), D(0), Side.BUY)


@pytest.mark.parametrize(
    ("side", "price", "quote_side", "fired"),
    [
        (Side.BUY, 95.0, True, "stop"),
        (Side.BUY, 100.0, True, None),
        (Side.BUY, 105.0, True, "target"),
        (Side.BUY, 105.0, False, None),
        (Side.BUY, 95.0, False, "stop"),
        (Side.SELL, 94.0, True, "target"),
        (Side.SELL, 106.0, True, "stop"),
    ],
)
def test_levels_on_ticks(side: Side, price: float, quote_side: bool, fired: str | None) -> None:
    levels = (D(95), D(105)) if side is Side.BUY else (D(105), D(95))
    trigger = on_price(side, price, stop=levels[0], target=levels[1], quote_side=quote_side)
    assert (trigger.kind if trigger else None) == fired


@pytest.mark.parametrize(
    ("bar", "held", "fired"),
    [
        ((100, 104, 96), True, None),
        ((100, 106, 94), True, Trigger("stop", D(95))),  # both inside: the adverse one
        ((100, 106, 96), True, Trigger("target", D(105))),
        ((93, 106, 92), True, Trigger("stop", D(93))),  # gap: at the open
        ((107, 108, 90), True, Trigger("target", D(107))),
        ((93, 96, 92), False, Trigger("stop", D(95))),  # opened at this very open: no gap to fall through
    ],
)
def test_levels_inside_a_bar_of_a_long_position(bar: tuple[int, int, int], held: bool, fired: Trigger | None) -> None:
    open_, high, low = (D(price) for price in bar)
    assert on_bar(Side.BUY, open_, high, low, stop=D(95), target=D(105), held_at_open=held) == fired


def test_levels_inside_a_bar_of_a_short_position() -> None:
    fired = on_bar(Side.SELL, D(100), D(106), D(94), stop=D(105), target=D(95), held_at_open=True)
    assert fired == Trigger("stop", D(105))
