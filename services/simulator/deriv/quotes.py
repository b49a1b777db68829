"""From the parameters of a proposal or a buy to the terms of a contract at this moment, or the venue's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import pricing
from services.simulator.deriv.accounts import CURRENCY
from services.simulator.deriv.errors import ApiError, contract_refused
from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.laws import DailyReset
from services.simulator.deriv.market import Market, Tick
from services.simulator.deriv.multipliers import MIN_LIMIT, STOP_LOSS, TAKE_PROFIT, check_amount, most_allowed
from services.simulator.deriv.symbols import SYMBOLS, Offer, Symbol
from services.simulator.deriv.terms import (
    ACCUMULATORS,
    DIGITALS,
    DIGITS,
    MULTIPLIERS,
    Terms,
    duration_secs,
    end_of_day,
    multiplier_expiry,
)

MIN_STAKE: Final = {True: Decimal("1.00"), False: Decimal("0.35")}  # by: is it levered, or grows
MAX_STAKE: Final = Decimal("2000.00")
MAX_PAYOUT: Final = Decimal("50000.00")
MAX_ACCUMULATED: Final = Decimal("10000.00")
MAX_TICKS: Final = 10
MAX_DAYS: Final = 365
MAX_APP_MARKUP: Final = 3.0
CANCELLATIONS: Final = ("5m", "10m", "15m", "30m", "60m")
GROWTH_RATES: Final = tuple(Decimal(n) / 100 for n in range(1, 6))
# Parameters that only some contracts take.
_EXTRAS: Final = frozenset(
    {"barrier", "barrier2", "cancellation", "date_expiry", "duration", "duration_unit", "growth_rate", "limit_order"}
    | {"multiplier", "payout_per_point", "selected_tick", "trade_risk_profile", "barrier_range", "trading_period_start"}
)
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
    amount = _amount(parameters)
    return price(parameters, symbol, amount, market.feeds[symbol.name].last(), now)


def check_open(symbol: Symbol, now: int) -> None:
    """Raise MarketIsClosed (ApiError) when the symbol does not trade in second `now`."""
    if not symbol.hours.is_open(now):
        opens, _ = symbol.hours.session_at(now)
        at = datetime.fromtimestamp(opens, UTC)
        raise ApiError(
            "MarketIsClosed", f"This market is presently closed. Market will open at {at:%Y-%m-%d %H:%M:%S}."
        )


def _amount(parameters: Mapping[str, Any]) -> Decimal:
    if "amount" not in parameters:
        raise contract_refused("Please enter a stake amount.", "MissingAmount")
    amount = Decimal(str(parameters["amount"]))
    if amount > MAX_PAYOUT:
        raise contract_refused(f"Maximum stake allowed is {MAX_STAKE}.", "StakeLimits")
    if amount != amount.quantize(pricing.CENT):
        raise contract_refused("Only 2 decimal places are allowed.", "IncorrectStakeDecimals")
    return amount.quantize(pricing.CENT)


def _check_stake(stake: Decimal, least: Decimal, most: Decimal) -> None:
    if stake < least:
        raise contract_refused(f"Please enter a stake amount that's at least {least}.", "StakeLimits")
    if stake > most:
        raise contract_refused(f"Maximum stake allowed is {most}.", "StakeLimits")


def _check_extras(parameters: Mapping[str, Any], allowed: frozenset[str]) -> None:
    for name in sorted(_EXTRAS - allowed):
        if name in parameters:
            raise contract_refused(f"{name} is not a valid input for this contract.", "InvalidInput")


# --- multipliers and accumulators --------------------------------------------------------------------------------


def _multiplier(parameters: Mapping[str, Any], symbol: Symbol, stake: Decimal, spot: Tick, now: int) -> Terms:
    _check_extras(parameters, frozenset({"cancellation", "limit_order", "multiplier"}))
    _check_basis(parameters)
    multiplier = parameters.get("multiplier")
    if multiplier not in symbol.multipliers:
        accepted = ",".join(map(str, symbol.multipliers))
        raise contract_refused(f"Multiplier is not in acceptable range. Accepts {accepted}.", "MultiplierOutOfRange")
    _check_stake(stake, MIN_STAKE[True], MAX_STAKE)
    seconds = _cancellation(parameters, symbol)
    fee = pricing.cancellation_fee(stake, int(multiplier), symbol.sigma, seconds)
    limits = _limits(parameters, stake, {name: most_allowed(name, stake) for name in (TAKE_PROFIT, STOP_LOSS)})
    return Terms(
        contract_type=parameters["contract_type"],
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=multiplier_expiry(now),
        buy_price=stake + fee,
        stake=stake,
        multiplier=int(multiplier),
        commission=pricing.multiplier_commission(stake, int(multiplier), symbol.sigma),
        take_profit=limits.get(TAKE_PROFIT),
        stop_loss=limits.get(STOP_LOSS),
        cancellation_secs=seconds,
        cancellation_price=fee,
    )


def _check_basis(parameters: Mapping[str, Any]) -> None:
    if parameters.get("basis", "stake") != "stake":
        raise contract_refused("Basis must be stake for this contract.", "InvalidBasis")


def _cancellation(parameters: Mapping[str, Any], symbol: Symbol) -> int:
    """Return the seconds of deal cancellation asked for, 0 when none is."""
    asked = parameters.get("cancellation")
    if asked is None:
        return 0
    if Offer.CANCELLATION not in symbol.offers:
        raise contract_refused("Deal cancellation is not offered for this asset.", "DealCancellationNotOffered")
    if asked not in CANCELLATIONS:
        message = f"Deal cancellation is not offered for this duration. Accepts {','.join(CANCELLATIONS)}."
        raise contract_refused(message, "DealCancellationNotOffered")
    for name, subcode in ((STOP_LOSS, "EitherStopLossOrCancel"), (TAKE_PROFIT, "EitherTakeProfitOrCancel")):
        if name in parameters.get("limit_order", {}):
            words = name.replace("_", " ")
            message = f"You may use either {words} or deal cancellation, but not both. Please select either one."
            raise contract_refused(message, subcode)
    return int(asked[:-1]) * 60


def _limits(parameters: Mapping[str, Any], stake: Decimal, most: Mapping[str, Decimal]) -> dict[str, Decimal]:
    limits = {}
    for name, value in parameters.get("limit_order", {}).items():
        if name not in most:
            raise contract_refused(f"{name} is not a valid input for this contract.", "InvalidInput")
        try:
            limits[name] = check_amount(name, Decimal(str(value)), MIN_LIMIT, most[name])
        except ApiError as error:
            raise contract_refused(error.message, error.code) from None
    return limits


def _accumulator(parameters: Mapping[str, Any], symbol: Symbol, stake: Decimal, spot: Tick, now: int) -> Terms:
    _check_extras(parameters, frozenset({"growth_rate", "limit_order"}))
    _check_basis(parameters)
    rate = Decimal(str(parameters.get("growth_rate", 0)))
    if rate not in GROWTH_RATES:
        accepted = ",".join(f"{rate:.2f}" for rate in GROWTH_RATES)
        raise contract_refused(f"Growth rate is not in acceptable range. Accepts {accepted}.", "GrowthRateOutOfRange")
    _check_stake(stake, MIN_STAKE[True], MAX_STAKE)
    limits = _limits(parameters, stake, {TAKE_PROFIT: MAX_ACCUMULATED - stake})
    return Terms(
        contract_type=parameters["contract_type"],
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=end_of_day(now, 1),
        buy_price=stake,
        stake=stake,
        ticks=pricing.accumulator_ticks(rate),
        growth_rate=rate,
        band=pricing.accumulator_band(rate, symbol.sigma, symbol.period_secs),
        max_payout=MAX_ACCUMULATED,
        take_profit=limits.get(TAKE_PROFIT),
    )


# --- rise/fall, higher/lower and digits --------------------------------------------------------------------------


def _rise_fall(parameters: Mapping[str, Any], symbol: Symbol, amount: Decimal, spot: Tick, now: int) -> Terms:
    _check_extras(parameters, _LENGTH | {"barrier"})
    ticks, expiry = _duration(parameters, symbol, now)
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
    _check_extras(parameters, _LENGTH | {"barrier"})
    kind = parameters["contract_type"]
    digit = _bet(parameters, kind)
    ticks, _ = _duration(parameters, symbol, now)
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
    _check_stake(stake, MIN_STAKE[False], MAX_PAYOUT)
    if payout > MAX_PAYOUT:
        raise contract_refused(
            f"Minimum stake of {MIN_STAKE[False]} and maximum payout of {MAX_PAYOUT}.", "PayoutLimits"
        )
    if stake >= payout:
        raise contract_refused("This contract offers no return.", "NoReturn")
    return stake, payout


def _duration(parameters: Mapping[str, Any], symbol: Symbol, now: int) -> tuple[int | None, int]:
    """Return the ticks a contract lasts, None when it lasts a time, and the second it ends."""
    unit = parameters.get("duration_unit", "s")
    if "date_expiry" in parameters:
        expiry = parameters["date_expiry"]
    elif "duration" not in parameters:
        raise contract_refused("Please specify either duration or date_expiry.", "MissingDuration")
    elif unit == "t":
        if Offer.RISE_FALL_TICKS not in symbol.offers:
            raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
        if not 1 <= parameters["duration"] <= MAX_TICKS:
            raise contract_refused(f"Number of ticks must be between 1 and {MAX_TICKS}.", "TicksNumberLimits")
        # Entry plus N ticks: exact only once the last tick has come, as entry waits for the grid.
        return parameters["duration"], now + (parameters["duration"] + 1) * symbol.period_secs
    elif unit == "d":
        if not 1 <= parameters["duration"] <= MAX_DAYS:
            raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
        expiry = end_of_day(now, parameters["duration"])
    else:
        expiry = now + duration_secs(parameters["duration"], unit)
    _check_expiry(expiry, symbol, now)
    return None, expiry


def _check_expiry(expiry: int, symbol: Symbol, now: int) -> None:
    """Raise ApiError unless a contract may end then: within a day, or with a later day on which the symbol trades."""
    daily = expiry - now > DAY_SECS and expiry == end_of_day(expiry)
    if (
        not symbol.min_secs <= expiry - now
        or (not daily and expiry - now > DAY_SECS)
        or expiry > end_of_day(now, MAX_DAYS)
    ):
        raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
    if isinstance(symbol.law, DailyReset) and expiry > end_of_day(now):
        raise contract_refused("Contract must expire on the same day.", "ContractExpiryNotAllowed")
    if symbol.hours.on(expiry) is None:
        raise contract_refused("The contract must expire on a trading day.", "ContractExpiryNotAllowed")
    if not daily and expiry > symbol.hours.session_at(now)[1]:
        raise contract_refused("Contract must expire during trading hours.", "ContractExpiryNotAllowed")


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
    **dict.fromkeys(MULTIPLIERS, (Offer.MULTIPLIERS, _multiplier)),
    **dict.fromkeys(ACCUMULATORS, (Offer.ACCUMULATORS, _accumulator)),
}
