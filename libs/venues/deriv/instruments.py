"""Deriv's symbols as instruments: a multiplier only where contracts_for offers it in both directions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from libs.core.types import Instrument, InstrumentKind, Nanos, stable_id
from libs.venues.deriv.model import Listing, Offer

COMMISSION_AT_FULL_VOLATILITY: Final = Decimal("0.00036")
"""Commission as a fraction of stake x multiplier on a 100 % volatility index (recorded); assumed proportional to it.

The exact one stands in each proposal and is bound to an account, which market data does not have.
"""

MIN_STAKE: Final = Decimal(1)
MAX_STAKE: Final = Decimal(2000)
STAKE_STEP: Final = Decimal("0.01")
_VOLATILITY = re.compile(r"Volatility (\d+)")


def is_planted(listing: Listing) -> bool:
    """Whether the listing is the simulator's demonstration symbol, which says so in its name."""
    return "PLANTED" in listing.name


def commission_rate(listing: Listing) -> Decimal:
    """The default rate for the symbol's volatility; symbols without one in their name count as 100 %."""
    found = _VOLATILITY.search(listing.name)
    volatility = Decimal(found.group(1)) if found else Decimal(100)
    return COMMISSION_AT_FULL_VOLATILITY * volatility / 100


def instrument_of(listing: Listing, offer: Offer | None, currency: str, now: Nanos) -> Instrument:
    """The instrument behind a listing; `offer` None = contracts_for was not asked or refused."""
    multipliers = offer.multipliers if offer is not None else ()
    tradable = offer is not None and bool(multipliers) and {"MULTUP", "MULTDOWN"} <= offer.contract_types
    pip = listing.pip.normalize()
    exponent = pip.as_tuple().exponent
    return Instrument(
        id=stable_id("instrument", "deriv", listing.symbol, now),
        ts_event=now,
        venue="deriv",
        symbol=listing.symbol,
        canonical=listing.symbol,
        name=listing.name,
        kind=InstrumentKind.MULTIPLIER if tradable else InstrumentKind.QUOTE_ONLY,
        base=listing.symbol,
        quote=currency,
        decimals=max(0, -exponent) if isinstance(exponent, int) else 0,
        price_step=pip,
        qty_step=STAKE_STEP,
        min_qty=MIN_STAKE,
        max_qty=MAX_STAKE,
        multiplier=multipliers[0] if tradable else 0,
        multipliers=multipliers if tradable else (),
        commission_rate=commission_rate(listing) if tradable else Decimal(0),
        planted=is_planted(listing),
        synthetic=listing.market == "synthetic_index",
        is_open=listing.is_open and not listing.is_suspended,
    )
