"""The four costs of the paper venue, each its own model, so that a difference to live lies at one part's door."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from libs.core.types import MILLISECOND, Instrument, Nanos, Side
from libs.core.types.money import NOTIONAL_STEP, price_against, to_step

BASIS_POINTS = Decimal(10_000)


class PaperCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the paper venue.

    Attributes:
        latency_ms: acceptance to execution, data time.
        slippage_bps: of the touch, against the trader.
        spread_bps: full spread assumed where the venue gives no quote, of the middle price.
        fee_bps: taker fee per side, by venue; a multiplier's commission comes from its instrument.
    """

    latency_ms: float = 150.0
    slippage_bps: Decimal = Decimal("0.5")
    spread_bps: Decimal = Decimal(1)
    fee_bps: dict[str, Decimal] = {}


class Touch(msgspec.Struct, frozen=True):
    """What one side could deal at: the middle, and the price on the far side of the spread (quote currency)."""

    mid: Decimal
    price: Decimal


class Dealt(msgspec.Struct, frozen=True):
    """How a price came about (quote currency): `mid`, then the spread to `touch`, then slippage to `price`."""

    mid: Decimal
    touch: Decimal
    price: Decimal


def quoted_touch(bid: Decimal, ask: Decimal, side: Side) -> Touch:
    """The touch of a real quote: a buy deals at the ask, a sell at the bid."""
    return Touch((bid + ask) / 2, ask if side is Side.BUY else bid)


def assumed_touch(price: Decimal, spread_bps: Decimal, side: Side) -> Touch:
    """The touch where the venue gives prices without quotes: half of `spread_bps` around `price`."""
    return Touch(price, price + side.sign * price * spread_bps / BASIS_POINTS / 2)


def slip(touch: Touch, slippage_bps: Decimal, instrument: Instrument, side: Side) -> Dealt:
    """Slippage on top of the touch, rounded against the trader onto the instrument's grid."""
    worse = touch.price + side.sign * touch.price * slippage_bps / BASIS_POINTS
    return Dealt(touch.mid, touch.price, price_against(instrument, worse, side))


def taker_fee(costs: PaperCosts, venue: str, notional: Decimal) -> Decimal:
    """Fee of one side of a spot trade, in quote currency, on the venue's eight-digit grid."""
    return to_step(notional * costs.fee_bps.get(venue, Decimal(0)) / BASIS_POINTS, NOTIONAL_STEP, ROUND_HALF_UP)


def executable_from(accepted: Nanos, latency_ms: float) -> Nanos:
    """Earliest stamp of a price at which an order accepted at `accepted` may fill.

    Always after the acceptance: what was already known then can fill nothing, however often it is delivered again.
    """
    return accepted + max(round(latency_ms * MILLISECOND), 1)


def beyond(price: Decimal, worst_price: Decimal, side: Side) -> bool:
    """Whether `price` is worse than the order accepts; a worst price of 0 accepts every price."""
    if worst_price == 0:
        return False
    return price > worst_price if side is Side.BUY else price < worst_price
