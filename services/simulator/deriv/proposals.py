"""How a priced contract looks as a `proposal`, and the orders on it wherever they are shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.simulator.deriv.accumulators import Accumulator
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.inputs import MAX_PAYOUT, MAX_STAKE, MIN_STAKE
from services.simulator.deriv.kinds import make_contract
from services.simulator.deriv.market import Tick
from services.simulator.deriv.multipliers import MIN_LIMIT, STOP_LOSS, TAKE_PROFIT, most_allowed
from services.simulator.deriv.quotes import barrier_level
from services.simulator.deriv.terms import Terms


def proposal(proposal_id: str, terms: Terms, spot: Tick) -> dict[str, Any]:
    """Return the value of a `proposal` answer."""
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
            "stake": {"min": f"{MIN_STAKE[False]}"},
            "payout": {"max": f"{MAX_PAYOUT}"},
        },
    }
    contract = make_contract(0, 0, terms)
    if terms.is_multiplier:
        body |= _multiplier(contract, spot)
    elif isinstance(contract, Accumulator):
        body |= _accumulator(contract, spot)
    elif terms.is_digit:
        body["contract_details"] = {} if terms.digit is None else {"barrier": str(terms.digit)}
    else:
        level = barrier_level(terms.barrier, spot, terms.listed)
        body["contract_details"] = {"barrier": terms.listed.text(level)}
    return body


def _multiplier(contract: Contract, spot: Tick) -> dict[str, Any]:
    terms = contract.terms
    body: dict[str, Any] = {
        "commission": float(terms.commission),
        "multiplier": terms.multiplier,
        "limit_order": limit_order(contract, spot),
        "contract_details": {"minimum_stake": str(MIN_STAKE[True]), "maximum_stake": str(MAX_STAKE)},
        "validation_params": _limits_of(
            terms, {name: most_allowed(name, terms.stake) for name in (TAKE_PROFIT, STOP_LOSS)}
        ),
    }
    if terms.cancellation_secs:
        body["cancellation"] = cancellation(terms)
    return body


def _accumulator(contract: Accumulator, spot: Tick) -> dict[str, Any]:
    terms = contract.terms
    low, high = contract.band_around(spot)
    body: dict[str, Any] = {
        "contract_details": {
            "barrier_spot_distance": barrier_distance(contract, spot),
            "high_barrier": str(high),
            "low_barrier": str(low),
            "maximum_payout": float(terms.max_payout),
            "maximum_stake": str(MAX_STAKE),
            "maximum_ticks": terms.ticks,
            "minimum_stake": str(MIN_STAKE[True]),
            "tick_size_barrier": float(terms.band),
            "tick_size_barrier_percentage": f"{terms.band * 100:.5f}%",
        },
        "validation_params": {
            **_limits_of(terms, {TAKE_PROFIT: terms.max_payout - terms.stake}),
            "max_payout": str(terms.max_payout),
            "max_ticks": terms.ticks,
        },
    }
    orders = limit_order(contract, spot)
    return {**body, "limit_order": orders} if orders else body


def _limits_of(terms: Terms, most: dict[str, Decimal]) -> dict[str, Any]:
    bounds = {name: {"min": str(MIN_LIMIT), "max": f"{amount:.2f}"} for name, amount in most.items()}
    return {"stake": {"min": str(MIN_STAKE[True]), "max": str(MAX_STAKE)}, **bounds}


def barrier_distance(contract: Accumulator, spot: Tick) -> str:
    """Return how far either barrier of an accumulator is from `spot`."""
    _, high = contract.band_around(spot)
    return str(high - contract.terms.listed.exact(spot.quote))


def cancellation(terms: Terms) -> dict[str, Any]:
    """Return the `cancellation` of a multiplier that has it: its price and its last second."""
    return {"ask_price": float(terms.cancellation_price), "date_expiry": terms.cancellation_until}


def limit_order(contract: Contract, basis: Tick) -> dict[str, Any]:
    """Return the `limit_order` of a contract; `basis` stands in for an entry that has not come."""
    return {
        name: {
            "display_name": display_name(name),
            "display_order_amount": f"{order.amount:.2f}",
            "order_amount": float(order.amount),
            "order_date": order.date,
            "value": None if order.level is None else str(order.level),
        }
        for name, order in contract.orders(basis).items()
    }


def display_name(order: str) -> str:
    """Return the words for a limit order: `Take profit`."""
    return order.replace("_", " ").capitalize()
