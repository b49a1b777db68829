"""Multiplier payoffs against the venue's own worked and recorded figures."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from libs.core.fills import multiplier
from libs.core.types import Side

STEP = D("0.01")


def test_recorded_contract_commission_stop_out_and_profit() -> None:
    """Stake 10, x100, entry 782.35: commission 0.36, stop out 774.81, profit 31.40 at 807.20."""
    fee = multiplier.commission(D(10), 100, D("0.00036"), "USD")
    assert fee == D("0.36")
    assert multiplier.stop_out(Side.BUY, D(10), 100, D("782.35"), fee, STEP) == D("774.81")
    gross = multiplier.gross(Side.BUY, D(10), 100, D("782.35"), D("807.20"), fee, "USD")
    assert gross - fee == D("31.40")


def test_a_short_contract_mirrors_a_long_one() -> None:
    fee = D("0.36")
    assert multiplier.stop_out(Side.SELL, D(10), 100, D("782.35"), fee, STEP) == D("789.89")
    assert multiplier.gross(Side.SELL, D(10), 100, D("1000"), D("990"), fee, "USD") == D("10.00")


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "1"), (Side.SELL, "5000")])
def test_the_loss_is_the_stake_and_no_more(side: Side, price: str) -> None:
    fee = D("0.36")
    assert multiplier.gross(side, D(10), 100, D(1000), D(price), fee, "USD") - fee == D(-10)


def test_at_the_stop_out_level_the_loss_is_the_stake_to_the_cent() -> None:
    fee = D("0.36")
    level = multiplier.stop_out(Side.BUY, D(10), 100, D("782.35"), fee, STEP)
    assert multiplier.gross(Side.BUY, D(10), 100, D("782.35"), level, fee, "USD") - fee == D("-10.00")


def test_accounts_kept_in_a_coin_settle_in_eight_digits() -> None:
    assert multiplier.commission(D("0.001"), 100, D("0.00036"), "BTC") == D("0.00003600")
    assert multiplier.cash_step("USD") == D("0.01")
