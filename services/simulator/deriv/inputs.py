"""What every contract asked for has to satisfy: its amount, its stake, and no parameter that is not its own."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import pricing
from services.simulator.deriv.errors import contract_refused

MIN_STAKE: Final = {True: Decimal("1.00"), False: Decimal("0.35")}  # by: is it levered, or grows
MAX_STAKE: Final = Decimal("2000.00")
MAX_PAYOUT: Final = Decimal("50000.00")
# Parameters that only some contracts take.
_EXTRAS: Final = frozenset(
    {"barrier", "barrier2", "cancellation", "date_expiry", "duration", "duration_unit", "growth_rate", "limit_order"}
    | {"multiplier", "payout_per_point", "selected_tick", "trade_risk_profile", "barrier_range", "trading_period_start"}
)


def amount_of(parameters: Mapping[str, Any]) -> Decimal:
    """Return the amount asked for. Raises ApiError when it is missing, too large or has parts of a cent."""
    if "amount" not in parameters:
        raise contract_refused("Please enter a stake amount.", "MissingAmount")
    amount = Decimal(str(parameters["amount"]))
    if amount > MAX_PAYOUT:
        raise contract_refused(f"Maximum stake allowed is {MAX_STAKE}.", "StakeLimits")
    if amount != amount.quantize(pricing.CENT):
        raise contract_refused("Only 2 decimal places are allowed.", "IncorrectStakeDecimals")
    return amount.quantize(pricing.CENT)


def check_stake(stake: Decimal, least: Decimal, most: Decimal) -> None:
    """Raise ApiError unless the stake lies within the limits."""
    if stake < least:
        raise contract_refused(f"Please enter a stake amount that's at least {least}.", "StakeLimits")
    if stake > most:
        raise contract_refused(f"Maximum stake allowed is {most}.", "StakeLimits")


def check_extras(parameters: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Raise ApiError when a parameter is given that this contract does not take."""
    for name in sorted(_EXTRAS - allowed):
        if name in parameters:
            raise contract_refused(f"{name} is not a valid input for this contract.", "InvalidInput")
