"""Stop loss and take profit kept at the venue: our own levels in money, a little further out, so that ours act first.

They are for the case that this process dies: the contract is then closed by the venue, not only at its stop-out.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

import msgspec

from libs.core.fills.multiplier import cash_step
from libs.core.types import Order
from libs.core.types.money import to_step
from libs.venues.deriv.model import Ask, Bounds, Proposal

BEYOND: Final = Decimal("1.1")
"""How much further from the price than our level, as a factor of its distance."""

SLACK: Final = Decimal("0.0005")
"""And as a fraction of the price: the entry is the next tick, not the spot of the proposal."""


def protect(ask: Ask, proposal: Proposal, order: Order) -> tuple[Ask, str]:
    """`ask` with the order's levels as amounts of money, and a note on what could not be had ("" = all of it).

    A multiplier's profit at spot S is stake x multiplier x (+-)(S / S0 - 1) - commission; what lies outside of the
    venue's bounds is moved outwards, or left out where its own stop-out comes first.
    """
    notional = ask.stake * ask.multiplier
    step = cash_step(ask.currency)
    amounts: dict[str, Decimal] = {}
    notes: list[str] = []
    for name, level, sign, bounds in (
        ("stop_loss", order.stop_price, -order.side.sign, proposal.stop_loss),
        ("take_profit", order.target_price, order.side.sign, proposal.take_profit),
    ):
        if level is None:
            continue
        reach = sign * (level - proposal.spot) / proposal.spot
        if reach <= 0:
            notes.append(f"no {name} at the venue: {level} is already passed at {proposal.spot}")
            continue
        gross = notional * (reach * BEYOND + SLACK)
        paid = proposal.commission if name == "stop_loss" else -proposal.commission
        amount = to_step(gross + paid, step, ROUND_UP)
        most = bounds.max if bounds.max is not None else (ask.stake if name == "stop_loss" else None)
        if most is not None and amount > most:
            notes.append(f"no {name} at the venue: {amount} is more than it takes ({most})")
            continue
        amounts[name] = max(amount, _least(bounds, step))
    return msgspec.structs.replace(ask, **amounts), "; ".join(notes)


def _least(bounds: Bounds, step: Decimal) -> Decimal:
    return bounds.min if bounds.min is not None else step
