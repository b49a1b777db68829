"""What becomes of contingent orders when a trade price sets them off."""

from __future__ import annotations

from services.simulator.binance.candles import Print
from services.simulator.binance.exchange import entry, lists, matching, stops
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import AT_MARKET, Order
from services.simulator.binance.exchange.step import Step


def see(core: Core, step: Step, symbol: str, trade: Print) -> None:
    """Show all waiting orders of a symbol a trade, in the order of their ids."""
    for order in list(core.waiting[symbol].values()):
        if order.open and order.waits and trade.ms >= order.since and stops.due(step, order, trade.price):
            fire(core, step, order)


def fire(core: Core, step: Step, order: Order) -> None:
    """Put a triggered order to work as a market or limit order; what the engine then refuses expires."""
    lists.activated(core, step, order)
    core.waiting[order.symbol].pop(order.id, None)
    order.updated = step.now
    if order.type in AT_MARKET:
        order.cover = 0 if order.buy else order.cover
        core.hold(step, order)
    try:
        entry.settle_price(core, order)
        at_market = order.type in AT_MARKET and order.buy
        core.afford(order, matching.outlook(core, order).cost if at_market else order.need - order.held)
    except ApiError:
        core.end(step, order, "EXPIRED", "REJECTED")
        return
    order.working = step.now
    core.hold(step, order)
    step.report(order, "NEW")
    matching.work(core, step, order)
