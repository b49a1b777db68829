"""Amend keep priority: making an open order smaller where it stands."""

from __future__ import annotations

from services.simulator.binance.exchange import answers, entry, lists
from services.simulator.binance.exchange.api import Answer, ApiError
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import Amendment, Order
from services.simulator.binance.exchange.step import Step

_REFUSED = -2038


def amend(core: Core, step: Step, order: Order, qty: int, client_id: str) -> Answer:
    """Reduce an order to `qty` (1e-8); the other leg of an OCO, of equal quantity, goes with it. Raises ApiError."""
    order_list = lists.list_of(core, order)
    if order.status == "PENDING_NEW" and order_list is not None and order_list.kind.startswith("opo"):
        raise ApiError(_REFUSED, "Order amend (pending OPO order) is not supported.")
    if qty <= 0:
        raise ApiError(-1013, "Invalid quantity.")
    if qty == order.qty:
        raise ApiError(_REFUSED, "The requested action would change no state; rejecting.")
    if qty > order.qty:
        raise ApiError(_REFUSED, "Order amend (quantity increase) is not supported.")
    taken = core.state.by_client.get((order.account, order.symbol, client_id))
    if taken is not None and taken is not order and taken.open:
        raise ApiError(_REFUSED, "Duplicate order sent.")
    most = core.rules[order.symbol].limit("MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends")
    if most is not None and order.amended >= most:
        raise ApiError(_REFUSED, "Filter failure: MAX_NUM_ORDER_AMENDS")
    legs = [order]
    if order_list is not None and order.id in order_list.pair:
        legs += [leg for leg in core.legs(order_list) if leg.id in order_list.pair and leg is not order and leg.open]
    for leg in legs:
        _check(core, leg, qty)
    before = order.client_id
    execution = 0
    for leg in legs:
        execution = max(execution, _reduce(core, step, leg, qty, client_id if leg is order else leg.client_id))
    if order_list is not None and client_id != before:
        step.tell_list(order_list, "UPDATED")
    if not order.open:
        lists.after_end(core, step, order)
    shown = None
    if order_list is not None:
        shown = answers.order_list(order_list, core.legs(order_list))
    return answers.amended(order, before, execution, shown)


def _check(core: Core, order: Order, qty: int) -> None:
    """Let the filters see the smaller order as if it were new."""
    whole, order.qty = order.qty, qty
    try:
        entry.check_filters(core, order)
    finally:
        order.qty = whole


def _reduce(core: Core, step: Step, order: Order, qty: int, client_id: str) -> int:
    before_qty, before_id = order.qty, order.client_id
    order.qty = max(qty, order.executed + order.prevented)
    order.updated = step.now
    order.amended += 1
    order.visible = min(order.visible, order.left)
    if not order.left:  # no more than is executed already: the amendment ends the order
        return core.end(step, order, "EXPIRED", follow=False)
    core.hold(step, order)
    execution = step.report(order, "REPLACED", client_id=client_id if client_id != before_id else "")
    if client_id != before_id:
        core.state.rename(order, client_id)
    row = Amendment(
        account=order.account,
        symbol=order.symbol,
        order=order.id,
        execution=execution,
        before_id=before_id,
        after_id=client_id,
        before=before_qty,
        after=order.qty,
        ms=step.now,
    )
    step.line.amendments.append(row)
    core.state.amendments[order.symbol, order.id].append(row)
    return execution
