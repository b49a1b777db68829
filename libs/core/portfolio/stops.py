"""Protective levels of an entry: the worst price to accept, the stop and the target, on the instrument's grid."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from libs.core.portfolio.limits import Limits
from libs.core.types import Instrument, Side
from libs.core.types.money import price_against, to_step

BPS = Decimal(10_000)


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one entry, quote currency. reference: the last price, from which the others are measured."""

    reference: Decimal
    worst: Decimal
    stop: Decimal
    target: Decimal

    @property
    def reward(self) -> Decimal:
        """Move from the reference to the target, fraction of the reference."""
        return abs(self.target - self.reference) / self.reference


def stop_distance(price: Decimal, atr: Decimal | None, stop_fraction: Decimal, atr_stop: Decimal) -> Decimal:
    """The nearer of the fixed stop (fraction of the price) and the ATR stop (multiple of the ATR), quote currency.

    Without an ATR the fixed stop counts alone.
    """
    fixed = stop_fraction * price
    return fixed if atr is None else min(fixed, atr_stop * atr)


def worst_price(instrument: Instrument, price: Decimal, side: Side, max_slippage_bps: Decimal) -> Decimal:
    """`price` moved against the trader by the permitted slippage, on the grid, never past the permitted distance.

    Rounded towards `price`, so that the grid never widens what is permitted; where one step is already more than the
    permitted distance, the price itself on the grid, rounded against the trader.
    """
    moved = price * (1 + side.sign * max_slippage_bps / BPS)
    gridded = to_step(moved, instrument.price_step, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
    at_market = price_against(instrument, price, side)
    return max(gridded, at_market) if side is Side.BUY else min(gridded, at_market)


def entry_levels(
    instrument: Instrument, price: Decimal, atr: Decimal | None, side: Side, limits: Limits
) -> Levels | None:
    """Levels of an entry at about `price`; None when the grid or the numbers leave no stop between zero and the price.

    Stop and target are rounded away from the entry: a stop is at least its distance away, a target pays at least its
    ratio. The loss is counted from the rounded stop, so rounding never hides risk.
    """
    distance = stop_distance(price, atr, limits.stop_fraction, limits.atr_stop)
    if distance <= 0:
        return None
    away = (ROUND_FLOOR, ROUND_CEILING) if side is Side.BUY else (ROUND_CEILING, ROUND_FLOOR)
    worst = worst_price(instrument, price, side, limits.max_slippage_bps)
    stop = to_step(price - side.sign * distance, instrument.price_step, away[0])
    target = to_step(price + side.sign * distance * limits.reward_to_risk, instrument.price_step, away[1])
    beyond = worst - stop if side is Side.BUY else stop - worst
    if worst <= 0 or stop <= 0 or target <= 0 or beyond <= 0:
        return None
    return Levels(reference=price, worst=worst, stop=stop, target=target)
