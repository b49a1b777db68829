"""Stop conditions: stops, take profits and trailing stops against trade prices."""

from __future__ import annotations

from services.simulator.binance.exchange.orders import NONE, Order
from services.simulator.binance.exchange.step import Step

_BIPS = 10_000


def is_above(order: Order) -> bool:
    """Whether the stop price lies above the market: a buying stop or a selling take profit."""
    return order.type.startswith("STOP_LOSS") == order.buy


def reached(order: Order, price: int) -> bool:
    """Whether a price meets the stop condition."""
    return price >= order.stop if is_above(order) else price <= order.stop


def begin(order: Order, last: int, now: int) -> None:
    """Start a trailing stop without a stop price: it tracks from its placement."""
    if order.trailing and not order.stop:
        order.tracking, order.extreme = now, last


def due(step: Step, order: Order, price: int) -> bool:
    """Show a waiting order one trade price; returns whether that sets it off."""
    if not order.trailing:
        return reached(order, price)
    if order.tracking == NONE:
        if reached(order, price):
            order.tracking, order.extreme = step.now, price
            step.touch(order)
        return False
    if not order.extreme or (price < order.extreme if order.buy else price > order.extreme):
        order.extreme = price
        step.touch(order)
        return False
    if order.buy:
        return price * _BIPS >= order.extreme * (_BIPS + order.trailing)
    return price * _BIPS <= order.extreme * (_BIPS - order.trailing)
