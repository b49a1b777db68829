"""The engine's own look at an order before it takes it in: price, trigger, liquidity and money."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from services.simulator.binance.decimals import ONE
from services.simulator.binance.exchange import matching, stops
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.filters import failure
from services.simulator.binance.exchange.orders import ALGO, Order
from services.simulator.binance.exchange.step import Step

_BIPS = 10_000


def check_filters(core: Core, order: Order) -> None:
    """Raises ApiError when the symbol's filters refuse the order."""
    core.rules[order.symbol].check(order, core.market(order.symbol).compared)


def settle_price(core: Core, order: Order) -> None:
    """Find the price of a pegged order that goes on the book now. Raises ApiError when the book has none."""
    if not order.peg:
        return
    market = core.market(order.symbol)
    market.refresh()
    own = order.peg == "PRIMARY_PEG"
    bids = order.buy if own else not order.buy
    ours = {each.limit for each in core.resting[order.symbol].side(bids)}
    prices = sorted({*islice(market.prices_of(bids), order.peg_levels + 1), *ours}, reverse=bids)
    if len(prices) <= order.peg_levels:
        raise ApiError(-2010, "Order book liquidity is too low for this pegged order.")
    best = prices[order.peg_levels]
    if order.price:  # a price given beside the peg is the worst one wanted
        best = min(best, order.price) if order.buy else max(best, order.price)
    order.pegged = order.cover = best
    check_filters(core, order)


def admit(core: Core, orders: Sequence[Order]) -> None:
    """Check orders that go to work together (one, or the two legs of an OCO). Raises ApiError (-2010)."""
    market = core.market(orders[0].symbol)
    market.follow()
    market.refresh()
    for order in orders:
        if order.type in ALGO:
            _contingent(order, market.prices.last)
        else:
            settle_price(core, order)
            order.cover = order.limit
        if order.type == "LIMIT_MAKER" and matching.crosses(core, order):
            raise ApiError(-2010, "Order would immediately match and take.")
        if order.quote_qty and not order.qty:
            _size(core, order)
    order = orders[0]
    if order.type == "MARKET" and order.buy:
        core.afford(order, order.quote_qty or matching.outlook(core, order).cost)
        return
    core.afford(order, max(each.left * each.cover // ONE if each.buy else each.left for each in orders))


def _contingent(order: Order, last: int) -> None:
    if order.stop and last and stops.reached(order, last):
        raise ApiError(-2010, "Order would trigger immediately.")
    order.cover = order.price or order.stop or last * (_BIPS + order.trailing) // _BIPS


def _size(core: Core, order: Order) -> None:
    """Turn quoteOrderQty into a quantity. Raises ApiError when the book has less than the smallest quantity."""
    rules = core.rules[order.symbol]
    if next(matching.ladder(core, order.symbol, order.buy, 0), None) is None:
        raise ApiError(-2010, "Order book liquidity is less than symbol minimum quantity.")
    order.qty = matching.spendable(core, order, order.quote_qty, rules.step)
    if order.qty == 0:
        raise failure("LOT_SIZE")
    available = matching.outlook(core, order).qty
    for name, smallest in (("LOT_SIZE", rules.smallest), ("MARKET_LOT_SIZE", rules.smallest_at_market)):
        if available < min(smallest, order.qty):
            raise ApiError(-2010, f"Order book liquidity is less than {name} filter minimum quantity.")
    rules.check_quantity(order)


def begin(core: Core, step: Step, order: Order) -> None:
    """Put an admitted and registered order to work."""
    order.status, order.updated, order.since = "NEW", step.now, step.feed_ms
    if order.type in ALGO:
        stops.begin(order, core.market(order.symbol).prices.last, step.now)
        core.waiting[order.symbol][order.id] = order
    else:
        order.working = step.now
    core.hold(step, order)
    step.report(order, "NEW")
    if order.type not in ALGO:
        matching.work(core, step, order)
