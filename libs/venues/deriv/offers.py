"""What Deriv offers on a symbol, verified with the venue: contract types, multipliers, commission, stakes, stop-out."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.venues.base import Offering
from libs.venues.deriv.instruments import STAKE_STEP
from libs.venues.deriv.model import Ask, Listing, Offer, Proposal

STAKE: Final = Decimal(100)
"""Stake of the question for a price: large enough that a commission in cents tells its rate."""


def question(listing: Listing, offer: Offer, currency: str) -> Ask | None:
    """The proposal that tells the rest; None where no multiplier is offered both ways."""
    if not offer.multipliers:
        return None
    return Ask(
        contract_type="MULTUP",
        symbol=listing.symbol,
        stake=STAKE,
        currency=currency,
        multiplier=offer.multipliers[0],
    )


def offering_of(listing: Listing, offer: Offer | None, proposal: Proposal | None, note: str) -> Offering:
    """What was found; `offer` and `proposal` None = the venue gave none, and `note` says why."""
    multipliers = offer.multipliers if offer is not None else ()
    stop_out = None
    if proposal is not None and proposal.stop_out is not None:
        stop_out = abs(1 - proposal.stop_out / proposal.spot)
    return Offering(
        symbol=listing.symbol,
        name=listing.name,
        group=listing.submarket,
        is_open=listing.is_open and not listing.is_suspended,
        verified=offer is not None,
        products=tuple(sorted(offer.contract_types)) if offer is not None else (),
        price=proposal.spot if proposal is not None else None,
        price_step=listing.pip,
        multipliers=multipliers,
        fee_rate=proposal.commission / (STAKE * multipliers[0]) if proposal is not None else None,
        min_size=proposal.stake.min if proposal is not None else None,
        max_size=proposal.stake.max if proposal is not None else None,
        size_step=STAKE_STEP,
        stop_out=stop_out,
        note=note,
    )
