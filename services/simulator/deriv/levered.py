"""Terms of multipliers and accumulators, or the venue's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import pricing
from services.simulator.deriv.accounts import CURRENCY
from services.simulator.deriv.errors import ApiError, contract_refused
from services.simulator.deriv.inputs import MAX_STAKE, MIN_STAKE, check_extras, check_stake
from services.simulator.deriv.market import Tick
from services.simulator.deriv.multipliers import MIN_LIMIT, STOP_LOSS, TAKE_PROFIT, check_amount, most_allowed
from services.simulator.deriv.symbols import Offer, Symbol
from services.simulator.deriv.terms import Terms, end_of_day, multiplier_expiry

MAX_ACCUMULATED: Final = Decimal("10000.00")
CANCELLATIONS: Final = ("5m", "10m", "15m", "30m", "60m")
GROWTH_RATES: Final = tuple(Decimal(n) / 100 for n in range(1, 6))


def multiplier(parameters: Mapping[str, Any], symbol: Symbol, stake: Decimal, spot: Tick, now: int) -> Terms:
    """Return the terms of a multiplier that would start at second `now`. Raises ApiError."""
    check_extras(parameters, frozenset({"cancellation", "limit_order", "multiplier"}))
    _check_basis(parameters)
    times = parameters.get("multiplier")
    if times not in symbol.multipliers:
        accepted = ",".join(map(str, symbol.multipliers))
        raise contract_refused(f"Multiplier is not in acceptable range. Accepts {accepted}.", "MultiplierOutOfRange")
    check_stake(stake, MIN_STAKE[True], MAX_STAKE)
    seconds = _cancellation(parameters, symbol)
    fee = pricing.cancellation_fee(stake, int(times), symbol.sigma, seconds)
    limits = _limits(parameters, stake, {name: most_allowed(name, stake) for name in (TAKE_PROFIT, STOP_LOSS)})
    return Terms(
        contract_type=parameters["contract_type"],
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=multiplier_expiry(now),
        buy_price=stake + fee,
        stake=stake,
        multiplier=int(times),
        commission=pricing.multiplier_commission(stake, int(times), symbol.sigma),
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


def accumulator(parameters: Mapping[str, Any], symbol: Symbol, stake: Decimal, spot: Tick, now: int) -> Terms:
    """Return the terms of an accumulator that would start at second `now`. Raises ApiError."""
    check_extras(parameters, frozenset({"growth_rate", "limit_order"}))
    _check_basis(parameters)
    rate = Decimal(str(parameters.get("growth_rate", 0)))
    if rate not in GROWTH_RATES:
        accepted = ",".join(f"{rate:.2f}" for rate in GROWTH_RATES)
        raise contract_refused(f"Growth rate is not in acceptable range. Accepts {accepted}.", "GrowthRateOutOfRange")
    check_stake(stake, MIN_STAKE[True], MAX_STAKE)
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
