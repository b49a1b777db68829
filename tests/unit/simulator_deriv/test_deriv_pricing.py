"""Prices of the simulated Deriv reproduce recorded figures of the real one."""

from __future__ import annotations

from decimal import Decimal
from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.deriv import pricing
from services.simulator.deriv.laws import YEAR_SECS
from services.simulator.deriv.symbols import SYMBOLS

ENTRY = Decimal("782.35")


def test_recorded_multiplier_is_reproduced() -> None:
    stake = Decimal(10)
    commission = pricing.multiplier_commission(stake, 100, sigma=1.0)
    assert commission == Decimal("0.36")
    stop_out = pricing.multiplier_level(True, stake, 100, commission, ENTRY, -stake, Decimal("0.01"))
    assert stop_out == Decimal("774.81")
    profit = pricing.multiplier_profit(True, stake, 100, commission, ENTRY, Decimal("807.20"))
    assert profit == Decimal("31.40")
    assert pricing.multiplier_bid(stake, profit) == Decimal("41.40")


@pytest.mark.parametrize(
    ("seconds", "payout"),
    [(5, "19.53"), (20, "19.54"), (900, "19.57"), (3600, "19.61"), (6 * 3600, "19.73")],
)
def test_recorded_payouts_at_the_money_are_reproduced(seconds: int, payout: str) -> None:
    chance = pricing.digital_probability(True, 100.0, 100.0, 1.0, seconds)
    assert pricing.digital_payout(Decimal(10), chance) == Decimal(payout)


def test_recorded_bid_of_a_running_contract_is_reproduced() -> None:
    chance = pricing.digital_probability(True, 2162.899, 2163.143, 0.25, 22)
    assert chance == pytest.approx(0.2945, abs=5e-5)
    assert pricing.digital_bid(Decimal("1.95"), chance) == Decimal("0.55")


@pytest.mark.parametrize(("stake", "multiplier", "fee"), [("9.00", 10, "0.39"), ("10.00", 30, "1.29")])
def test_recorded_fees_of_deal_cancellation_are_reproduced(stake: str, multiplier: int, fee: str) -> None:
    assert pricing.cancellation_fee(Decimal(stake), multiplier, 1.0, 3600) == Decimal(fee)


@pytest.mark.parametrize(
    ("symbol", "rate", "band"),
    [
        ("1HZ100V", "0.01", "0.000433139675"),
        ("R_100", "0.01", "0.000612552024"),
        ("1HZ100V", "0.03", "0.000379665263"),
    ],
)
def test_recorded_bands_of_accumulators_are_reproduced(symbol: str, rate: str, band: str) -> None:
    listed = SYMBOLS[symbol]
    found = pricing.accumulator_band(Decimal(rate), listed.sigma, listed.period_secs)
    assert float(found) == pytest.approx(float(band), rel=1e-7)


def test_no_accumulator_is_worth_more_than_its_stake() -> None:
    for rate in range(1, 6):
        survival = pricing.SURVIVAL_AT_NO_GROWTH - pricing.SURVIVAL_PER_GROWTH * rate / 100
        assert 0.99 < survival * (1 + rate / 100) < 1
    assert [pricing.accumulator_ticks(Decimal(rate) / 100) for rate in range(1, 6)] == [230, 115, 76, 57, 46]


@pytest.mark.parametrize(
    ("kind", "digit", "payout"),
    [
        ("DIGITEVEN", None, 1.953),
        ("DIGITODD", None, 1.953),
        ("DIGITMATCH", 3, 8.93),
        ("DIGITDIFF", 3, 1.0965),
        ("DIGITOVER", 0, 1.0965),
        ("DIGITOVER", 1, 1.2315),
        ("DIGITUNDER", 8, 1.2315),
        ("DIGITOVER", 2, 1.404),
        ("DIGITUNDER", 5, 1.953),
        ("DIGITOVER", 5, 2.427),
        ("DIGITUNDER", 4, 2.427),
        ("DIGITOVER", 7, 4.717),
        ("DIGITUNDER", 1, 8.93),
    ],
)
def test_digits_pay_by_the_flat_mark_up(kind: str, digit: int | None, payout: float) -> None:
    chance = pricing.digit_probability(kind, digit)
    assert float(pricing.digital_payout(Decimal(1000), chance)) / 1000 == pytest.approx(payout, abs=0.002)


def test_mark_up_of_an_application_is_paid_on_top() -> None:
    plain, marked = pricing.digital_ask(Decimal(100), 0.5), pricing.digital_ask(Decimal(100), 0.5, 0.03)
    assert marked - plain == Decimal("3.00")
    assert pricing.digital_payout(Decimal(10), 0.9, 0.03) == Decimal("10.62"), "the reported 6.19 % of DIFF"


@pytest.mark.parametrize("name", ["R_100", "R_10", "1HZ75V"])
def test_contracts_that_win_ties_cost_more_where_ties_are_likelier(name: str) -> None:
    symbol = SYMBOLS[name]
    spot = symbol.start_price
    strict = pricing.rise_fall_probability(True, False, spot, spot, symbol, symbol.period_secs)
    equal = pricing.rise_fall_probability(True, True, spot, spot, symbol, symbol.period_secs)
    sd = symbol.sigma * (symbol.period_secs / YEAR_SECS) ** 0.5
    ties = float(symbol.pip) / spot / sd / (2 * pi) ** 0.5
    assert equal - strict == pytest.approx(ties / 2, rel=0.01)


@given(
    spot=st.floats(50, 5000),
    away=st.floats(-0.01, 0.01),
    sigma=st.floats(0.05, 1.5),
    seconds=st.floats(1, 86_400),
)
def test_both_sides_of_a_digital_cover_all_outcomes(spot: float, away: float, sigma: float, seconds: float) -> None:
    barrier = spot * (1 + away)
    up = pricing.digital_probability(True, spot, barrier, sigma, seconds)
    down = pricing.digital_probability(False, spot, barrier, sigma, seconds)
    assert 0 <= up <= 1
    assert up + down == pytest.approx(1)


@given(
    stake=st.decimals(1, 2000, places=2),
    multiplier=st.sampled_from([40, 100, 400, 1000]),
    entry=st.decimals(100, 9000, places=2),
    move=st.decimals("-0.02", "0.02", places=4),
    up=st.booleans(),
)
def test_multiplier_never_loses_more_than_its_stake_and_mirrors_its_opposite(
    stake: Decimal, multiplier: int, entry: Decimal, move: Decimal, up: bool
) -> None:
    commission = pricing.multiplier_commission(stake, multiplier, 1.0)
    spot = entry * (1 + move)
    profit = pricing.multiplier_profit(up, stake, multiplier, commission, entry, spot)
    opposite = pricing.multiplier_profit(not up, stake, multiplier, commission, entry, spot)
    assert pricing.multiplier_bid(stake, profit) >= 0
    assert abs(profit + opposite + 2 * commission) <= Decimal("0.01")


@given(
    stake=st.decimals(1, 2000, places=2),
    multiplier=st.sampled_from([40, 100, 400]),
    entry=st.decimals(100, 9000, places=2),
    fraction=st.decimals("-1", "3", places=2),
    up=st.booleans(),
)
def test_limit_level_is_where_the_profit_is_its_amount(
    stake: Decimal, multiplier: int, entry: Decimal, fraction: Decimal, up: bool
) -> None:
    amount = (stake * fraction).quantize(Decimal("0.01"))
    commission = pricing.multiplier_commission(stake, multiplier, 1.0)
    pip = Decimal("0.01")
    level = pricing.multiplier_level(up, stake, multiplier, commission, entry, amount, pip)
    profit = pricing.multiplier_profit(up, stake, multiplier, commission, entry, level)
    one_pip = stake * multiplier * pip / entry
    assert abs(profit - amount) <= one_pip / 2 + Decimal("0.01")
