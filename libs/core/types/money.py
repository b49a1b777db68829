"""Money and steps: exact decimals that stay on the instrument's grid."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from libs.core.types.base import Side
from libs.core.types.market import Instrument, InstrumentKind

CENT = Decimal("0.01")
NOTIONAL_STEP = Decimal("0.00000001")


def to_step(value: Decimal, step: Decimal, rounding: str = ROUND_DOWN) -> Decimal:
    """`value` on the grid of `step` (0 = no grid)."""
    if step == 0:
        return value
    return (value / step).quantize(Decimal(1), rounding=rounding) * step


def exact(value: float, decimals: int) -> Decimal:
    """A market-data float as the decimal that the venue printed (half-even to `decimals` digits)."""
    return Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def quantity_on_grid(instrument: Instrument, quantity: Decimal) -> Decimal:
    """Largest tradable quantity not above `quantity`; 0 when below the minimum."""
    q = min(to_step(quantity, instrument.qty_step), instrument.max_qty)
    return q if q >= instrument.min_qty else Decimal(0)


def price_against(instrument: Instrument, price: Decimal, side: Side) -> Decimal:
    """`price` on the grid, rounded against the trader: up for a buy, down for a sell."""
    return to_step(price, instrument.price_step, ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)


def smallest_trade(instrument: Instrument, worst_price: Decimal) -> Decimal:
    """The smallest quantity that the venue takes and takes back.

    Spot: 5 % room above the minimal notional for a price that moves, and one step for a fee taken from what was bought.
    """
    if instrument.kind is InstrumentKind.MULTIPLIER or worst_price <= 0:
        return instrument.min_qty
    wanted = instrument.min_notional * Decimal("1.05") / worst_price
    return max(instrument.min_qty, to_step(wanted, instrument.qty_step, ROUND_CEILING)) + instrument.qty_step


def notional(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """Exposure in quote currency: price x quantity (SPOT) or stake x multiplier (MULTIPLIER)."""
    if instrument.kind is InstrumentKind.MULTIPLIER:
        return quantity * instrument.multiplier
    return quantity * price
