"""What contracts cost and are worth: digital options and multipliers, money in exact cents."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from math import erf, exp, log, pi, sqrt
from statistics import NormalDist
from typing import Final

from services.simulator.deriv.laws import YEAR_SECS
from services.simulator.deriv.symbols import Symbol

# Flat probability mark-up of the venue. Constant: with p = N(d2) it reproduces the recorded at-the-money payouts
# from 5 ticks (19.53 for a stake of 10) to 6 hours (19.73).
MARKUP: Final = 0.012
# Commission per unit of notional at 100 % volatility.
COMMISSION_RATE: Final = Decimal("0.00036")
CENT: Final = Decimal("0.01")
# What deal cancellation costs beyond the at-the-money option it is: the two recorded fees need 0.5 % to 1.3 %.
CANCELLATION_MARKUP: Final = 1.009
# Chance that an accumulator survives one tick, by growth rate: 0.985 at 1 % and 0.967 at 3 %, as the recorded bands of
# R_100 and 1HZ100V give to nine digits; linear between and beyond them.
SURVIVAL_AT_NO_GROWTH: Final = 0.994
SURVIVAL_PER_GROWTH: Final = 0.9


def cents(amount: Decimal | float) -> Decimal:
    """Round an amount of money half up to cents."""
    return Decimal(str(amount)).quantize(CENT, ROUND_HALF_UP)


def _distance(spot: float, barrier: float, sigma: float, drift: float, seconds: float) -> tuple[float, float]:
    """Return d2 of Black-Scholes and the standard deviation of the log price over `seconds`."""
    years = max(seconds, 1e-6) / YEAR_SECS
    spread = sigma * sqrt(years)
    return (log(spot / barrier) + drift * years) / spread - spread / 2, spread


def digital_probability(
    up: bool, spot: float, barrier: float, sigma: float, seconds: float, drift: float = 0.0
) -> float:
    """Return the risk-neutral probability that spot ends above (up) or below the barrier.

    Black-Scholes N(d2) with zero rate; `sigma` and `drift` annual, `seconds` to expiry in 365-day years.
    """
    d2, _ = _distance(spot, barrier, sigma, drift, seconds)
    above = 0.5 * (1 + erf(d2 / sqrt(2)))
    return above if up else 1 - above


def rise_fall_probability(
    up: bool, wins_ties: bool, spot: float, barrier: float, symbol: Symbol, seconds: float
) -> float:
    """Return the probability a rise/fall contract is priced with.

    As recorded, strict contracts are priced as if quotes were not rounded. Those that win ties pay for half a pip more,
    else a symbol with coarse quotes would be worth more than its price.
    """
    chance = digital_probability(up, spot, barrier, symbol.sigma, seconds, symbol.drift)
    if wins_ties:
        d2, spread = _distance(spot, barrier, symbol.sigma, symbol.drift, seconds)
        chance += exp(-d2 * d2 / 2) / sqrt(2 * pi) / spread * float(symbol.pip) / barrier / 2
    return min(chance, 1.0)


def digit_wins(contract_type: str, digit: int | None, last: int) -> bool:
    """Whether a last digit wins a digit contract."""
    return last in winning_digits(contract_type, digit)


def winning_digits(contract_type: str, digit: int | None) -> frozenset[int]:
    """Return the last digits a digit contract wins with."""
    rules: dict[str, Callable[[int, int], bool]] = {
        "DIGITMATCH": lambda last, digit: last == digit,
        "DIGITDIFF": lambda last, digit: last != digit,
        "DIGITOVER": lambda last, digit: last > digit,
        "DIGITUNDER": lambda last, digit: last < digit,
        "DIGITEVEN": lambda last, _: last % 2 == 0,
        "DIGITODD": lambda last, _: last % 2 == 1,
    }
    rule = rules[contract_type]
    return frozenset(last for last in range(10) if rule(last, -1 if digit is None else digit))


def digit_probability(contract_type: str, digit: int | None) -> float:
    """Return the chance of a digit contract when all last digits are equally likely."""
    return len(winning_digits(contract_type, digit)) / 10


def digital_ask(payout: Decimal, probability: float, app_markup: float = 0.0) -> Decimal:
    """Return the price of one payout: payout x (p + mark-up + the application's own, a fraction of the payout)."""
    return cents(float(payout) * (probability + MARKUP + app_markup))


def digital_payout(stake: Decimal, probability: float, app_markup: float = 0.0) -> Decimal:
    """Return what a stake pays when it wins: stake / (p + mark-up + the application's own)."""
    return cents(float(stake) / (probability + MARKUP + app_markup))


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


def cancellation_fee(stake: Decimal, multiplier: int, sigma: float, seconds: int) -> Decimal:
    """Return the price of deal cancellation: an at-the-money put on the notional (Bachelier, sigma sqrt(T / 2 pi))."""
    notional = float(stake * multiplier)
    return cents(notional * sigma * sqrt(seconds / YEAR_SECS / (2 * pi)) * CANCELLATION_MARKUP)


def accumulator_band(growth_rate: Decimal, sigma: float, period_secs: int) -> Decimal:
    """Return the fraction either side of the last spot within which an accumulator survives a tick."""
    survival = SURVIVAL_AT_NO_GROWTH - SURVIVAL_PER_GROWTH * float(growth_rate)
    width = NormalDist().inv_cdf((1 + survival) / 2) * sigma * sqrt(period_secs / YEAR_SECS)
    return Decimal(f"{width:.12f}")


def accumulator_ticks(growth_rate: Decimal) -> int:
    """Return how many ticks an accumulator lasts at most: 230 at 1 %, in inverse proportion above."""
    return int(Decimal("2.3") / growth_rate)
