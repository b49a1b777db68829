"""How long a contract may last: ticks, a time of the day, days, and what market hours allow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.simulator.deriv.errors import ApiError, contract_refused
from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.laws import DailyReset
from services.simulator.deriv.symbols import Offer, Symbol
from services.simulator.deriv.terms import duration_secs, end_of_day

MAX_TICKS: Final = 10
MAX_DAYS: Final = 365


def check_open(symbol: Symbol, now: int) -> None:
    """Raise MarketIsClosed (ApiError) when the symbol does not trade in second `now`."""
    if not symbol.hours.is_open(now):
        opens, _ = symbol.hours.session_at(now)
        at = datetime.fromtimestamp(opens, UTC)
        raise ApiError(
            "MarketIsClosed", f"This market is presently closed. Market will open at {at:%Y-%m-%d %H:%M:%S}."
        )


def length_of(parameters: Mapping[str, Any], symbol: Symbol, now: int) -> tuple[int | None, int]:
    """Return the ticks a contract lasts, None when it lasts a time, and the second it ends. Raises ApiError."""
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
        expiry = now + (parameters["duration"] + 1) * symbol.period_secs
        _check_same_day(expiry, symbol, now)
        return parameters["duration"], expiry
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
    seconds, longest = expiry - now, end_of_day(now, MAX_DAYS) - now
    daily = seconds > DAY_SECS and expiry == end_of_day(expiry)
    if not symbol.min_secs <= seconds <= (longest if daily else DAY_SECS):
        raise ApiError("OfferingsValidationError", "Trading is not offered for this duration.")
    _check_same_day(expiry, symbol, now)
    if symbol.hours.on(expiry) is None:
        raise contract_refused("The contract must expire on a trading day.", "ContractExpiryNotAllowed")
    if not daily and expiry > symbol.hours.session_at(now)[1]:
        raise contract_refused("Contract must expire during trading hours.", "ContractExpiryNotAllowed")


def _check_same_day(expiry: int, symbol: Symbol, now: int) -> None:
    """Raise ApiError when a contract would outlive a day after which its symbol starts anew."""
    if isinstance(symbol.law, DailyReset) and expiry > end_of_day(now):
        raise contract_refused("Contract must expire on the same day.", "ContractExpiryNotAllowed")
