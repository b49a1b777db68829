"""Sizes and protective levels: the formulas with numbers that can be checked by hand."""

from decimal import Decimal as D

import msgspec
import pytest

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.limits import Limits
from libs.core.portfolio.sizing import Budget, drawdown_scale, loss_at_stop, size_entry, units_at_risk
from libs.core.portfolio.stops import Levels, entry_levels, stop_distance, worst_price
from libs.core.types import Instrument, InstrumentKind, Side

SPOT = Instrument(
    id="i",
    ts_event=0,
    venue="binance",
    symbol="BTCUSDT",
    canonical="BTC/USDT",
    name="Bitcoin",
    kind=InstrumentKind.SPOT,
    base="BTC",
    quote="USDT",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.00001"),
    min_qty=D("0.00001"),
    max_qty=D(100),
    min_notional=D(5),
)
MULTIPLIER = msgspec.structs.replace(
    SPOT,
    venue="deriv",
    symbol="R_100",
    kind=InstrumentKind.MULTIPLIER,
    quote="USD",
    price_step=D("0.01"),
    qty_step=D("0.01"),
    min_qty=D(1),
    max_qty=D(2000),
    min_notional=D(0),
    multiplier=40,
    commission_rate=D("0.00036"),
)
PLENTY = Budget(risk_per_trade=D(10**9), position=D(10**9), exposure=D(10**9), open_risk=D(10**9), cash=D(10**9))


def budget(**caps: D) -> Budget:
    return msgspec.structs.replace(PLENTY, **caps)


@pytest.mark.parametrize(
    ("fallen", "scale"),
    [("0", "1"), ("0.10", "1"), ("0.125", "0.5"), ("0.14", "0.2"), ("0.15", "0"), ("0.5", "0")],
)
def test_sizes_fall_in_a_straight_line_from_ten_to_fifteen_percent(fallen: str, scale: str) -> None:
    assert drawdown_scale(D(fallen), D("0.10"), D("0.15")) == D(scale)


def test_atr_units_are_the_risked_money_over_the_stop_distance() -> None:
    # 2 % of 10,000 at 2 x ATR 50: 200 / 100 = 2 units.
    assert units_at_risk(D("0.02") * 10_000, D(2) * 50) == 2


@pytest.mark.parametrize(
    ("atr", "distance"),
    [(D(50), D(100)), (D(500), D(200)), (None, D(200))],
    ids=["atr is nearer", "fixed is nearer", "no atr"],
)
def test_the_nearer_stop_counts(atr: D | None, distance: D) -> None:
    assert stop_distance(D(10_000), atr, D("0.02"), D(2)) == distance


def test_levels_of_a_buy_lie_on_the_grid_and_round_away_from_the_entry() -> None:
    levels = entry_levels(SPOT, D("100.00"), D("0.333"), Side.BUY, Limits())
    assert levels == Levels(reference=D("100.00"), worst=D("100.20"), stop=D("99.33"), target=D("101.34"))


def test_levels_of_a_sell_mirror_those_of_a_buy() -> None:
    levels = entry_levels(MULTIPLIER, D("100.00"), D("0.333"), Side.SELL, Limits())
    assert levels == Levels(reference=D("100.00"), worst=D("99.80"), stop=D("100.67"), target=D("98.66"))


def test_the_worst_price_never_leaves_the_permitted_slippage_where_the_grid_allows() -> None:
    coarse = msgspec.structs.replace(SPOT, price_step=D("0.15"))
    assert worst_price(coarse, D("99.90"), Side.BUY, D(20)) == D("100.05")
    assert worst_price(coarse, D("99.90"), Side.SELL, D(20)) == D("99.75")


def test_a_coarse_grid_still_lets_a_buyer_meet_the_market() -> None:
    coarse = msgspec.structs.replace(SPOT, price_step=D(1))
    assert worst_price(coarse, D("99.90"), Side.BUY, D(20)) == D(100)


@pytest.mark.parametrize("atr", [D(0), D(-1)])
def test_without_a_stop_below_the_price_there_are_no_levels(atr: D) -> None:
    assert entry_levels(SPOT, D(100), atr, Side.BUY, Limits()) is None


def test_a_sell_whose_target_would_be_below_zero_has_no_levels() -> None:
    limits = msgspec.structs.replace(Limits(), reward_to_risk=D(60))
    assert entry_levels(MULTIPLIER, D(100), None, Side.SELL, limits) is None


LEVELS = Levels(reference=D(100), worst=D(100), stop=D(98), target=D(104))


@pytest.mark.parametrize(
    ("cap", "quantity"),
    [
        (budget(risk_per_trade=D(200)), D(100)),  # 200 / 2 a unit
        (budget(open_risk=D(10)), D(5)),
        (budget(position=D(1000)), D(10)),
        (budget(exposure=D(250)), D("2.5")),
        (budget(cash=D("100.10")), D(1)),  # 100 and 0.1 % fee
        (PLENTY, D(100)),  # the instrument's largest order
        (budget(position=D("4.99")), D(0)),  # below the venue's least notional of 5
        (budget(exposure=D(0)), D(0)),
        (budget(open_risk=D(-5)), D(0)),
    ],
    ids=["risk", "open risk", "position", "exposure", "cash", "max order", "min notional", "full", "over"],
)
def test_the_tightest_limit_sets_the_size_of_a_spot_entry(cap: Budget, quantity: D) -> None:
    assert size_entry(SPOT, LEVELS, cap, D("0.001")).quantity == quantity


def test_a_multiplier_is_sized_by_stake_and_its_exposure_is_the_levered_stake() -> None:
    size = size_entry(MULTIPLIER, LEVELS, budget(position=D(1000)), D("0.00036"))
    assert (size.quantity, size.notional) == (D(25), D(1000))
    assert size.risk == D(20)  # 2 % of 1000
    assert size.cash == D("25.36")  # the stake and its commission


def test_a_multiplier_never_loses_more_than_its_stake() -> None:
    assert loss_at_stop(MULTIPLIER, D(10), D(100), D(90)) == 10  # 40 x 10 % would be 40
    wide = Levels(reference=D(100), worst=D(100), stop=D(50), target=D(200))
    assert size_entry(MULTIPLIER, wide, budget(risk_per_trade=D(30)), D(0)).quantity == 30


def test_a_stake_below_the_least_is_no_size() -> None:
    assert size_entry(MULTIPLIER, LEVELS, budget(position=D("39.9")), D(0)).quantity == 0


def test_quantities_stay_on_the_grid() -> None:
    size = size_entry(SPOT, LEVELS, budget(position=D("1000.0019")), D(0))
    assert size.quantity == D("10.00001")


def test_a_round_trip_pays_a_fee_twice_and_a_commission_once() -> None:
    costs = Costs(fee_bps={"binance": D(10)}, spread_bps=D(1), slippage_bps=D("0.5"))
    assert costs.round_trip(SPOT, None) == D("0.0022")
    assert costs.round_trip(SPOT, D("0.0004")) == D("0.0025")
    assert costs.round_trip(MULTIPLIER, None) == D("0.00036") + D("0.0002")
