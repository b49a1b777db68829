"""What contracts cost and are worth: digital options and multipliers, money in exact cents."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from math import erf, log, sqrt
from typing import Final

from services.simulator.deriv.processes import YEAR_SECS

# Flat probability mark-up of the venue. Constant: with p = N(d2) it reproduces the recorded at-the-money payouts
# from 5 ticks (19.53 for a stake of 10) to 6 hours (19.73).
MARKUP: Final = 0.012
# Commission per unit of notional at 100 % volatility.
COMMISSION_RATE: Final = Decimal("0.00036")
CENT: Final = Decimal("0.01")


def cents(amount: Decimal | float) -> Decimal:
    """Round an amount of money half up to cents."""
    return Decimal(str(amount)).quantize(CENT, ROUND_HALF_UP)


def digital_probability(up: bool, spot: float, barrier: float, sigma: float, seconds: float) -> float:
    """Return the risk-neutral probability that spot ends above (up) or below the barrier.

    Black-Scholes N(d2) with zero rate and drift; `sigma` annual, `seconds` to expiry in 365-day years.
    """
    spread = sigma * sqrt(max(seconds, 1e-6) / YEAR_SECS)
    d2 = log(spot / barrier) / spread - spread / 2
    above = 0.5 * (1 + erf(d2 / sqrt(2)))
    return above if up else 1 - above


def digital_ask(payout: Decimal, probability: float) -> Decimal:
    """Return the price of one payout: payout x (p + mark-up)."""
    return cents(float(payout) * (probability + MARKUP))


def digital_payout(stake: Decimal, probability: float) -> Decimal:
    """Return what a stake pays when it wins: stake / (p + mark-up)."""
    return cents(float(stake) / (probability + MARKUP))


def digital_bid(payout: Decimal, probability: float) -> Decimal:
    """Return what the venue gives for the contract before expiry: payout x (p - mark-up), never below zero."""
    return cents(float(payout) * max(probability - MARKUP, 0.0))


def multiplier_commission(stake: Decimal, multiplier: int, sigma: float) -> Decimal:
    """Return the commission of a multiplier: 0.036 % of the notional at 100 % volatility, in proportion below."""
    return cents(stake * multiplier * COMMISSION_RATE * Decimal(str(sigma)))


def multiplier_profit(
    up: bool, stake: Decimal, multiplier: int, commission: Decimal, entry: Decimal, spot: Decimal
) -> Decimal:
    """Return the running profit: stake x multiplier x relative move in its direction, less commission, in cents."""
    move = (spot / entry - 1) * (1 if up else -1)
    return cents(stake * multiplier * move - commission)


def multiplier_bid(stake: Decimal, profit: Decimal) -> Decimal:
    """Return what closing pays: stake plus profit, never below zero."""
    return max(stake + profit, Decimal(0)).quantize(CENT)


def multiplier_level(
    up: bool, stake: Decimal, multiplier: int, commission: Decimal, entry: Decimal, amount: Decimal, pip: Decimal
) -> Decimal:
    """Return the spot at which the profit equals `amount` (minus the stake: the stop out), rounded to the pip."""
    move = (amount + commission) / (stake * multiplier) * (1 if up else -1)
    return (entry * (1 + move)).quantize(pip, ROUND_HALF_UP)
