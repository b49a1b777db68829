"""Deriv multipliers: P&L = stake x multiplier x (+-)(S/S0 - 1) - commission; the loss is limited to the stake.

Formulas as Deriv publishes and prices them (MULTUP, MULTDOWN): the commission is taken once, at entry, out of the
stake; the venue stops the contract out where the loss reaches the stake.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from libs.core.fills.models import Dealt
from libs.core.types import Side
from libs.core.types.money import CENT, NOTIONAL_STEP, to_step

_EIGHT_DIGITS = frozenset({"BTC", "ETH", "LTC"})


def cash_step(currency: str) -> Decimal:
    """The grid of an account's cash: cents, eight digits for accounts kept in a coin."""
    return NOTIONAL_STEP if currency in _EIGHT_DIGITS else CENT


def commission(stake: Decimal, multiplier: int, rate: Decimal, currency: str) -> Decimal:
    """Commission of one contract: `rate` of stake x multiplier, never more than the stake."""
    return min(to_step(stake * multiplier * rate, cash_step(currency), ROUND_HALF_UP), stake)


def gross(
    side: Side,
    stake: Decimal,
    multiplier: int,
    entry: Decimal,
    price: Decimal,
    fee: Decimal,
    currency: str,
) -> Decimal:
    """P&L before commission at spot `price`, on the cash grid, never below what leaves the stake lost as a whole."""
    moved = side.sign * stake * multiplier * (price - entry) / entry
    return max(to_step(moved, cash_step(currency), ROUND_HALF_UP), fee - stake)


def stop_out(side: Side, stake: Decimal, multiplier: int, entry: Decimal, fee: Decimal, step: Decimal) -> Decimal:
    """Spot level at which the loss, commission included, is the stake; printed on the price grid `step`."""
    reach = 1 / Decimal(multiplier) - fee / (stake * multiplier)
    return to_step(entry * (1 - side.sign * reach), step, ROUND_HALF_UP)


def entry_costs(side: Side, stake: Decimal, multiplier: int, dealt: Dealt, currency: str) -> tuple[Decimal, Decimal]:
    """Spread and slippage of an entry: what the contract would be worth less at the middle, and at the touch."""
    at_mid = gross(side, stake, multiplier, dealt.price, dealt.mid, Decimal(0), currency)
    at_touch = gross(side, stake, multiplier, dealt.price, dealt.touch, Decimal(0), currency)
    return at_touch - at_mid, -at_touch


def exit_costs(
    side: Side,
    stake: Decimal,
    multiplier: int,
    entry: Decimal,
    dealt: Dealt,
    fee: Decimal,
    currency: str,
) -> tuple[Decimal, Decimal]:
    """Spread and slippage of closing a contract of direction `side` that was entered at `entry`."""
    at_mid, at_touch, at_price = (
        gross(side, stake, multiplier, entry, price, fee, currency) for price in (dealt.mid, dealt.touch, dealt.price)
    )
    return at_mid - at_touch, at_touch - at_price
