"""From the parameters of a proposal or a buy to the terms of a contract at this moment, or the venue's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import pricing
from services.simulator.deriv.accounts import CURRENCY
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.errors import ApiError, contract_refused
from services.simulator.deriv.market import Market, Tick
from services.simulator.deriv.symbols import SYMBOLS, Symbol
from services.simulator.deriv.terms import (
    DAY_SECS,
    DIGITALS,
    MULTIPLIERS,
    Terms,
    duration_secs,
    multiplier_expiry,
)

MIN_STAKE: Final = {True: Decimal("1.00"), False: Decimal("0.35")}  # by: is it a multiplier
MAX_STAKE: Final = Decimal("2000.00")
MAX_PAYOUT: Final = Decimal("50000.00")
MIN_LIMIT: Final = Decimal("0.10")
MAX_TICKS: Final = 10
MIN_SECS: Final = 15


def quote(parameters: Mapping[str, Any], market: Market, now: int) -> Terms:
    """Price a contract that would start at second `now`. Raises ApiError with the venue's code and text."""
    symbol = SYMBOLS.get(parameters["symbol"])
    if symbol is None:
        raise ApiError("OfferingsInvalidSymbol", f"Symbol {parameters['symbol']} is invalid.")
    if parameters["currency"] != CURRENCY:
        raise contract_refused(f"The provided currency {parameters['currency']} is invalid.", "InvalidCurrency")
    if "date_start" in parameters:
        raise contract_refused("Forward starting is not offered for this contract.", "ForwardStartingNotOffered")
    amount = _amount(parameters)
    if parameters["contract_type"] in MULTIPLIERS:
        return _multiplier(parameters, symbol, amount, now)
    if parameters["contract_type"] in DIGITALS:
        return _digital(parameters, symbol, amount, market.feeds[symbol.name].last(), now)
    raise ApiError("OfferingsValidationError", "Trading is not offered for this asset.")


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


def _multiplier(parameters: Mapping[str, Any], symbol: Symbol, stake: Decimal, now: int) -> Terms:
    if parameters.get("basis", "stake") != "stake":
        raise contract_refused("Basis must be stake for this contract.", "InvalidBasis")
    for name in ("duration", "duration_unit", "date_expiry", "barrier", "barrier2"):
        if name in parameters:
            raise contract_refused(f"{name} is not a valid input for this contract.", "InvalidInput")
    if "cancellation" in parameters:
        raise contract_refused("Deal cancellation is not offered for this contract.", "DealCancellationNotOffered")
    multiplier = parameters.get("multiplier")
    if multiplier not in symbol.multipliers:
        accepted = ",".join(map(str, symbol.multipliers))
        raise contract_refused(f"Multiplier is not in acceptable range. Accepts {accepted}.", "MultiplierOutOfRange")
    _check_stake(stake, MIN_STAKE[True], MAX_STAKE)
    limits = _limits(parameters.get("limit_order", {}), stake)
    return Terms(
        contract_type=parameters["contract_type"],
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=multiplier_expiry(now),
        buy_price=stake,
        stake=stake,
        multiplier=int(multiplier),
        commission=pricing.multiplier_commission(stake, int(multiplier), symbol.sigma),
        take_profit=limits.get("take_profit"),
        stop_loss=limits.get("stop_loss"),
    )


def _limits(limit_order: Mapping[str, Any], stake: Decimal) -> dict[str, Decimal]:
    most = {"take_profit": stake * 100, "stop_loss": stake}
    limits = {}
    for name, value in limit_order.items():
        words = name.replace("_", " ")
        amount = Decimal(str(value))
        if amount < MIN_LIMIT:
            message = f"Please enter a {words} amount that's higher than {MIN_LIMIT}."
            raise contract_refused(message, "LimitOrderAmountTooLow")
        if amount > most[name]:
            message = f"Please enter a {words} amount that's equal to or lower than {most[name]}."
            raise contract_refused(message, "LimitOrderAmountTooHigh")
        limits[name] = amount.quantize(pricing.CENT)
    return limits


def _digital(parameters: Mapping[str, Any], symbol: Symbol, amount: Decimal, spot: Tick, now: int) -> Terms:
    for name in ("multiplier", "limit_order", "cancellation", "growth_rate", "barrier2"):
        if name in parameters:
            raise contract_refused(f"{name} is not a valid input for this contract.", "InvalidInput")
    ticks, expiry = _duration(parameters, symbol, now)
    barrier = parameters.get("barrier", "S0P")
    if ticks and barrier != "S0P":
        raise contract_refused("Barrier is not an acceptable input for this contract.", "InvalidBarrier")
    up = parameters["contract_type"] == "CALL"
    level = _level(barrier, spot, symbol)
    seconds = ticks * symbol.period_secs if ticks else expiry - now
    chance = pricing.digital_probability(up, spot.quote, level, symbol.sigma, seconds)
    if parameters.get("basis", "payout") == "payout":
        payout, stake = amount, pricing.digital_ask(amount, chance)
    else:
        payout, stake = pricing.digital_payout(amount, chance), amount
    _check_stake(stake, MIN_STAKE[False], MAX_PAYOUT)
    if payout > MAX_PAYOUT:
        raise contract_refused(
            f"Minimum stake of {MIN_STAKE[False]} and maximum payout of {MAX_PAYOUT}.", "PayoutLimits"
        )
    if stake >= payout:
        raise contract_refused("This contract offers no return.", "NoReturn")
    return Terms(
        contract_type=parameters["contract_type"],
        symbol=symbol.name,
        currency=CURRENCY,
        date_start=now,
        date_expiry=expiry,
        buy_price=stake,
        payout=payout,
        ticks=ticks,
        barrier=barrier,
    )


def _duration(parameters: Mapping[str, Any], symbol: Symbol, now: int) -> tuple[int | None, int]:
    unit = parameters.get("duration_unit", "s")
    if "date_expiry" in parameters:
        seconds = parameters["date_expiry"] - now
    elif "duration" not in parameters:
        raise contract_refused("Please specify either duration or date_expiry.", "MissingDuration")
    elif unit == "t":
        if not 1 <= parameters["duration"] <= MAX_TICKS:
            raise contract_refused(f"Number of ticks must be between 1 and {MAX_TICKS}.", "TicksNumberLimits")
        # Entry plus N ticks: exact only once the last tick has come, as entry waits for the grid.
        return parameters["duration"], now + (parameters["duration"] + 1) * symbol.period_secs
    else:
        seconds = duration_secs(parameters["duration"], unit)
    if not MIN_SECS <= seconds <= DAY_SECS:
        raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
    return None, now + seconds


def _level(barrier: str, spot: Tick, symbol: Symbol) -> float:
    if barrier == "S0P":
        return spot.quote
    if Decimal(barrier) % symbol.pip:
        raise contract_refused(f"Barrier can only be up to {symbol.pip_size} decimal places.", "InvalidBarrier")
    level = float(barrier) + (spot.quote if barrier[0] in "+-" else 0.0)
    if not 0.5 * spot.quote < level < 2 * spot.quote:
        raise contract_refused("Barrier is out of acceptable range.", "InvalidBarrier")
    return level


def proposal(proposal_id: str, terms: Terms, spot: Tick) -> dict[str, Any]:
    """Return the value of a `proposal` answer."""
    symbol = terms.listed
    body: dict[str, Any] = {
        "id": proposal_id,
        "ask_price": float(terms.buy_price),
        "display_value": f"{terms.buy_price:.2f}",
        "payout": float(terms.payout),
        "spot": spot.quote,
        "spot_time": spot.epoch,
        "date_start": terms.date_start,
        "date_expiry": terms.date_expiry,
        "longcode": terms.longcode(),
        "validation_params": {
            "stake": {"min": f"{MIN_STAKE[terms.is_multiplier]}"},
            "payout": {"max": f"{MAX_PAYOUT}"},
        },
    }
    if terms.is_multiplier:
        body["commission"] = float(terms.commission)
        body["multiplier"] = terms.multiplier
        body["limit_order"] = limit_order(Contract(0, 0, terms), spot)
        body["contract_details"] = {"minimum_stake": str(MIN_STAKE[True]), "maximum_stake": str(MAX_STAKE)}
        body["validation_params"] = {
            "stake": {"min": str(MIN_STAKE[True]), "max": str(MAX_STAKE)},
            "take_profit": {"min": str(MIN_LIMIT), "max": f"{terms.stake * 100:.2f}"},
            "stop_loss": {"min": str(MIN_LIMIT), "max": f"{terms.stake:.2f}"},
        }
    else:
        level = _level(terms.barrier, spot, symbol)
        body["contract_details"] = {"barrier": symbol.text(level)}
    return body


def limit_order(contract: Contract, basis: Tick) -> dict[str, Any]:
    """Return the `limit_order` of a multiplier; `basis` stands in for an entry that has not come."""
    return {
        name: {
            "display_name": name.replace("_", " ").capitalize(),
            "display_order_amount": f"{amount:.2f}",
            "order_amount": float(amount),
            "order_date": contract.terms.date_start,
            "value": str(level),
        }
        for name, (amount, level) in contract.orders(basis).items()
    }
