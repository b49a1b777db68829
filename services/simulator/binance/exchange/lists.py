"""Order lists: what one leg's fate means for the others, and their placement and end as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.simulator.binance.exchange.orders import NONE, Order, OrderList

if TYPE_CHECKING:
    from services.simulator.binance.exchange.core import Core
    from services.simulator.binance.exchange.step import Step


def list_of(core: Core, order: Order) -> OrderList | None:
    """The list an order belongs to."""
    return None if order.list_id == NONE else core.state.lists[order.list_id]


def open_partner(core: Core, order: Order) -> Order | None:
    """The other leg of an OCO, while both are placed and open."""
    order_list = list_of(core, order)
    if order_list is None or order.id not in order_list.pair:
        return None
    other = next(leg for leg in order_list.pair if leg != order.id)
    partner = core.state.order(order.symbol, other)
    return partner if partner is not None and partner.open and partner.status != "PENDING_NEW" else None


def activated(core: Core, step: Step, order: Order) -> None:
    """A leg begins to trade or is triggered: the other leg of an OCO expires."""
    partner = open_partner(core, order)
    if partner is not None:
        core.end(step, partner, "EXPIRED", "OCO_TRIGGER", follow=False)


def after_fill(core: Core, step: Step, order: Order, received: int, fee: int) -> None:
    """A leg has traded: keep what an OPO has bought, let a filled working leg start the pending ones.

    The commission on what an OPO has bought is taken from other money of the account where there is enough.
    """
    order_list = list_of(core, order)
    if order_list is None:
        return
    if order_list.kind != "oco" and order.id == order_list.legs[0]:
        if order_list.kind.startswith("opo"):
            base, _ = core.assets(order.symbol)
            account = core.state.accounts[order.account]
            reserve = received if account.free(base) >= received else received - fee
            account.lock(base, reserve)
            order_list.reserve += reserve
            step.money(order.account, base)
            step.touch_list(order_list)
        if not order.open:
            step.ready.append(order_list)
    finish(core, step, order_list)


def after_end(core: Core, step: Step, order: Order) -> None:
    """A leg has ended without being filled: the legs that wait for it or beside it expire too."""
    order_list = list_of(core, order)
    if order_list is None:
        return
    working = order_list.kind != "oco" and order.id == order_list.legs[0]
    others = order_list.legs[1:] if working else order_list.pair
    for leg in core.legs(order_list):
        if leg.open and leg.id in others:
            core.end(step, leg, "EXPIRED", "OTO_PHASE_ONE_EXPIRED" if working else "OCO_TRIGGER", follow=False)
    finish(core, step, order_list)


def cancel(core: Core, step: Step, order_list: OrderList, client_id: str) -> list[Order]:
    """Cancel all open legs; returns those it has canceled."""
    canceled = [leg for leg in core.legs(order_list) if leg.open]
    for leg in canceled:
        core.end(step, leg, "CANCELED", client_id=client_id, follow=False)
    finish(core, step, order_list)
    return canceled


def finish(core: Core, step: Step, order_list: OrderList) -> None:
    """End the list with its last leg, once."""
    if order_list.done or any(leg.open for leg in core.legs(order_list)):
        return
    order_list.done = True
    release(core, step, order_list)
    step.touch_list(order_list)
    step.tell_list(order_list, "ALL_DONE")


def release(core: Core, step: Step, order_list: OrderList) -> int:
    """Unlock what an OPO has kept; returns how much that was."""
    reserve, order_list.reserve = order_list.reserve, 0
    if reserve:
        base, _ = core.assets(order_list.symbol)
        core.state.accounts[order_list.account].lock(base, -reserve)
        step.money(order_list.account, base)
        step.touch_list(order_list)
    return reserve


def register(core: Core, step: Step, order_list: OrderList, orders: Sequence[Order]) -> None:
    """Give a new list and its legs their ids and tell of it."""
    order_list.id = core.state.next_list_id()
    for order in orders:
        order.list_id = order_list.id
        core.register(step, order)
        order_list.legs.append(order.id)
    core.state.keep_list(order_list)
    step.touch_list(order_list)
    step.tell_list(order_list, "EXEC_STARTED")
