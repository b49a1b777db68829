"""From the parameters of a proposal or a buy to the terms of a contract at this moment, or the venue's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import pricing
from services.simulator.deriv.accounts import CURRENCY
from services.simulator.deriv.errors import ApiError, contract_refused
from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.inputs import MAX_PAYOUT, MIN_STAKE, amount_of, check_extras, check_stake
from services.simulator.deriv.lengths import check_open, length_of
from services.simulator.deriv.levered import accumulator, multiplier
from services.simulator.deriv.market import Market, Tick
from services.simulator.deriv.symbols import SYMBOLS, Offer, Symbol
from services.simulator.deriv.terms import ACCUMULATORS, DIGITALS, DIGITS, MULTIPLIERS, Terms

MAX_APP_MARKUP: Final = 3.0
_LENGTH: Final = frozenset({"date_expiry", "duration", "duration_unit"})
_DIGIT_RANGES: Final = {
    "DIGITMATCH": (0, 9),
    "DIGITDIFF": (0, 9),
    "DIGITOVER": (0, 8),
    "DIGITUNDER": (1, 9),
}


def quote(parameters: Mapping[str, Any], market: Market, now: int) -> Terms:
    """Price a contract that would start at second `now`. Raises ApiError with the venue's code and text."""
    symbol = SYMBOLS.get(parameters["symbol"])
    if symbol is None:
        raise ApiError("OfferingsInvalidSymbol", f"Symbol {parameters['symbol']} is invalid.")
    if parameters["currency"] != CURRENCY:
        raise contract_refused(f"The provided currency {parameters['currency']} is invalid.", "InvalidCurrency")
    if "date_start" in parameters:
        raise contract_refused("Forward starting is not offered for this contract.", "ForwardStartingNotOffered")
    if symbol.suspended:
        raise contract_refused("Trading is suspended for this market.", "TradingSuspended")
    offer, price = _OFFERS.get(parameters["contract_type"], (None, None))
    if offer is None or price is None or offer not in symbol.offers:
        raise ApiError("OfferingsValidationError", "Trading is not offered for this asset.")
    check_open(symbol, now)
    amount = amount_of(parameters)
    return price(parameters, symbol, amount, market.feeds[symbol.name].last(), now)


# --- rise/fall, higher/lower and digits --------------------------------------------------------------------------


def _rise_fall(parameters: Mapping[str, Any], symbol: Symbol, amount: Decimal, spot: Tick, now: int) -> Terms:
    check_extras(parameters, _LENGTH | {"barrier"})
    ticks, expiry = length_of(parameters, symbol, now)
    barrier = parameters.get("barrier", "S0P")
    if barrier != "S0P" and (ticks or Offer.HIGHER_LOWER not in symbol.offers):
        raise contract_refused("Barrier is not an acceptable input for this contract.", "InvalidBarrier")
    kind = parameters["contract_type"]
    daily = ticks is None and expiry - now > DAY_SECS
    if barrier[0] not in "S+-" and symbol.place.market == "forex" and not daily:
        raise contract_refused("Barrier must be relative for contracts of less than 24 hours.", "InvalidBarrier")
    level = barrier_level(barrier, spot, symbol)
    seconds = ticks * symbol.period_secs if ticks else expiry - now
    up, wins_ties = kind in ("CALL", "CALLE"), kind in ("CALLE", "PUTE")
    chance = pricing.rise_fall_probability(up, wins_ties, spot.quote, level, symbol, seconds)
    stake, payout = _stake_and_payout(parameters, amount, chance)
    return Terms(
        contract_type=kind,
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=expiry,
        buy_price=stake,
        payout=payout,
        ticks=ticks,
        barrier=barrier,
        daily=daily,
        fixed_expiry="date_expiry" in parameters,
    )


def _digit(parameters: Mapping[str, Any], symbol: Symbol, amount: Decimal, spot: Tick, now: int) -> Terms:
    check_extras(parameters, _LENGTH | {"barrier"})
    kind = parameters["contract_type"]
    digit = _bet(parameters, kind)
    ticks, _ = length_of(parameters, symbol, now)
    if ticks is None:
        raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
    stake, payout = _stake_and_payout(parameters, amount, pricing.digit_probability(kind, digit))
    return Terms(
        contract_type=kind,
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=now + ticks * symbol.period_secs,
        buy_price=stake,
        payout=payout,
        ticks=ticks,
        digit=digit,
    )


def _bet(parameters: Mapping[str, Any], kind: str) -> int | None:
    barrier = parameters.get("barrier")
    if kind not in _DIGIT_RANGES:
        if barrier is not None:
            raise contract_refused("Barrier is not an acceptable input for this contract.", "InvalidBarrier")
        return None
    low, high = _DIGIT_RANGES[kind]
    if barrier is None or not barrier.isdecimal() or not low <= int(barrier) <= high:
        raise contract_refused(f"Digit must be in the range of {low} to {high}.", "InvalidBarrier")
    return int(barrier)


def _stake_and_payout(parameters: Mapping[str, Any], amount: Decimal, chance: float) -> tuple[Decimal, Decimal]:
    percentage = parameters.get("app_markup_percentage", 0.0)
    if not 0 <= percentage <= MAX_APP_MARKUP:
        message = f"App markup percentage must be between 0 and {MAX_APP_MARKUP:g}."
        raise contract_refused(message, "InvalidAppMarkup")
    if parameters.get("basis", "payout") == "payout":
        payout, stake = amount, pricing.digital_ask(amount, chance, percentage / 100)
    else:
        payout, stake = pricing.digital_payout(amount, chance, percentage / 100), amount
    check_stake(stake, MIN_STAKE[False], MAX_PAYOUT)
    if payout > MAX_PAYOUT:
        raise contract_refused(
            f"Minimum stake of {MIN_STAKE[False]} and maximum payout of {MAX_PAYOUT}.", "PayoutLimits"
        )
    if stake >= payout:
        raise contract_refused("This contract offers no return.", "NoReturn")
    return stake, payout


def barrier_level(barrier: str, spot: Tick, symbol: Symbol) -> float:
    """Return the level a barrier stands for at `spot`. Raises ApiError when it is off the grid or out of range."""
    if barrier == "S0P":
        return spot.quote
    if Decimal(barrier) % symbol.pip:
        raise contract_refused(f"Barrier can only be up to {symbol.pip_size} decimal places.", "InvalidBarrier")
    level = float(barrier) + (spot.quote if barrier[0] in "+-" else 0.0)
    if not 0.5 * spot.quote < level < 2 * spot.quote:
        raise contract_refused("Barrier is out of acceptable range.", "InvalidBarrier")
    return level


_OFFERS: Final = {
    **dict.fromkeys(DIGITALS, (Offer.RISE_FALL, _rise_fall)),
    **dict.fromkeys(DIGITS, (Offer.DIGITS, _digit)),
    **dict.fromkeys(MULTIPLIERS, (Offer.MULTIPLIERS, multiplier)),
    **dict.fromkeys(ACCUMULATORS, (Offer.ACCUMULATORS, accumulator)),
}
