"""Placement of order lists: which legs may stand where, and the second phase of OTO and OPO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.simulator.binance.exchange import entry, lists
from services.simulator.binance.exchange.api import ApiError, NewList
from services.simulator.binance.exchange.composition import compose, new_client_id
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import ALGO, NONE, Order, OrderList
from services.simulator.binance.exchange.step import Step

LEGS: Final = {
    "oco": ("above", "below"),
    "oto": ("working", "pending"),
    "opo": ("working", "pending"),
    "otoco": ("working", "pending_above", "pending_below"),
    "opoco": ("working", "pending_above", "pending_below"),
}
_STOPS: Final = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})
_PROFITS: Final = frozenset({"TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
# What stands on the wrong side of the other leg of an OCO.
_MISPLACED: Final = {
    ("BUY", "stop"): (-1196, "A stop loss order in a buy OCO must be above."),
    ("SELL", "stop"): (-1197, "A stop loss order in a sell OCO must be below."),
    ("BUY", "limit"): (-1165, "A limit order in a buy OCO must be below."),
    ("SELL", "limit"): (-1166, "A limit order in a sell OCO must be above."),
    ("BUY", "profit"): (-1198, "A take profit order in a buy OCO must be below."),
    ("SELL", "profit"): (-1199, "A take profit order in a sell OCO must be above."),
}


def compose_legs(account: int, new: NewList, stp: str) -> list[Order]:
    """Build the legs in the list's order. Raises ApiError for legs that may not stand where they do."""
    opo = new.kind.startswith("opo")
    orders = []
    for name in LEGS[new.kind]:
        leg = new.legs[name]
        sized = not opo or name == "working"
        orders.append(compose(account, leg, stp=new.self_trade_prevention_mode or stp, sized=sized))
    if new.kind != "oco":
        _working(orders[0], orders[1:], opo)
    if new.kind.endswith("oco"):
        _pair(*orders[-2:])
    return orders


def _working(working: Order, pending: Sequence[Order], opo: bool) -> None:
    if working.type not in ("LIMIT", "LIMIT_MAKER"):
        raise ApiError(-1116, "Invalid orderType.")
    if opo and not working.buy:
        raise ApiError(-1222, "Working order in an OPO list must be a bid.")
    if opo and any(order.buy for order in pending):
        raise ApiError(-1223, "Pending orders in an OPO list must be asks.")
    if opo and any(order.qty for order in pending):
        raise ApiError(-1225, "Pending orders should not include the 'quantity' tag.")
    if any(order.quote_qty for order in pending):
        raise ApiError(-1106, "Parameter 'quoteOrderQty' sent when not required.")


def _pair(above: Order, below: Order) -> None:
    for order in (above, below):
        if order.type not in ALGO and order.type != "LIMIT_MAKER":
            raise ApiError(-1158, "Order type not supported in OCO.")
    if above.type == below.type == "LIMIT_MAKER":
        raise ApiError(-1168, "At least one OCO order must be contingent.")
    stop, other = (above, below) if above.buy else (below, above)
    if other.type in _STOPS:
        raise ApiError(*_MISPLACED[above.side, "stop"])
    if stop.type == "LIMIT_MAKER":
        raise ApiError(*_MISPLACED[above.side, "limit"])
    if stop.type in _PROFITS:
        raise ApiError(*_MISPLACED[above.side, "profit"])


def check_prices(core: Core, pair: Sequence[Order]) -> None:
    """Raises ApiError unless the last price lies between the legs of an OCO."""
    above, below = (_level(order) for order in pair)
    market = core.market(pair[0].symbol)
    market.follow()
    last = market.prices.last
    crossed = above and below and above <= below
    if crossed or (last and ((above and above <= last) or (below and below >= last))):
        raise ApiError(-2010, "The relationship of the prices for the orders is not correct.")


def _level(order: Order) -> int:
    return order.price if order.type in ("LIMIT_MAKER", "TAKE_PROFIT_LIMIT") else order.stop


def start(core: Core, step: Step, new: NewList, orders: list[Order]) -> OrderList:
    """Take in a checked list: the OCO's both legs or the working leg begin, what is pending waits."""
    order_list = OrderList(
        id=NONE,
        account=orders[0].account,
        symbol=new.symbol,
        kind=new.kind,
        client_id=new.list_client_order_id or new_client_id(),
        legs=[],
        ms=step.now,
    )
    first = orders if new.kind == "oco" else orders[:1]
    if new.kind == "oco":
        check_prices(core, first)
    entry.admit(core, first)
    for order in orders[len(first) :]:
        order.status = "PENDING_NEW"
    lists.register(core, step, order_list, orders)
    for order in orders[len(first) :]:
        step.report(order, "NEW")
    begin(core, step, first)
    return order_list


def begin(core: Core, step: Step, orders: Sequence[Order]) -> None:
    """Put admitted legs to work, the contingent ones first, so that they are there when the others trade."""
    for order in sorted(orders, key=lambda each: each.type not in ALGO):
        if order.open:
            entry.begin(core, step, order)


def start_pending(core: Core, step: Step, order_list: OrderList) -> None:
    """Put the pending legs of a filled working order to work; what the engine refuses expires."""
    pending = [leg for leg in core.legs(order_list) if leg.status == "PENDING_NEW"]
    if not pending:
        return
    if order_list.kind.startswith("opo"):
        rules = core.rules[order_list.symbol]
        reserve = lists.release(core, step, order_list)
        for order in pending:
            order.qty = reserve // rules.step * rules.step
            step.touch(order)
    try:
        for order in pending:
            entry.check_filters(core, order)
            if not order.qty:
                raise ApiError(-1013, "Filter failure: LOT_SIZE")
        if len(pending) > 1:
            check_prices(core, pending)
        entry.admit(core, pending)
    except ApiError:
        for order in pending:
            core.end(step, order, "EXPIRED", "REJECTED", follow=False)
        lists.finish(core, step, order_list)
        return
    begin(core, step, pending)
