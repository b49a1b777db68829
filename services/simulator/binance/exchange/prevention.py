"""Self-trade prevention: what happens instead of a trade between two orders of one owner."""

from __future__ import annotations

from services.simulator.binance.decimals import ONE
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import NONE, Order, Prevented
from services.simulator.binance.exchange.step import Step


def applies(core: Core, taker: Order, maker: Order) -> bool:
    """Whether the taker's mode forbids the trade."""
    if taker.stp == "NONE":
        return False
    accounts = core.state.accounts
    return accounts[taker.account].owns_with(accounts[maker.account])


def mode_of(taker: Order, maker: Order) -> str:
    """The mode in force: the taker's, except that TRANSFER needs both sides."""
    return "DECREMENT" if taker.stp == "TRANSFER" != maker.stp else taker.stp


def prevent(core: Core, step: Step, taker: Order, maker: Order, price: int) -> None:
    """Expire or reduce the orders as the mode says, tell both owners and keep the prevented match."""
    mode = mode_of(taker, maker)
    taker_qty, maker_qty = NONE, NONE
    if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
        taker_qty = taker.left
    if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
        maker_qty = maker.left
    if mode in ("DECREMENT", "TRANSFER"):
        taker_qty = maker_qty = min(taker.left, maker.left)
    row = Prevented(
        id=step.next_prevented(taker.symbol),
        symbol=taker.symbol,
        taker_account=taker.account,
        maker_account=maker.account,
        taker=taker.id,
        maker=maker.id,
        group=core.state.accounts[taker.account].terms.trade_group,
        mode=mode,
        price=price,
        taker_qty=taker_qty,
        maker_qty=maker_qty,
        ms=step.now,
    )
    step.line.prevented.append(row)
    core.state.prevented[taker.symbol].append(row)
    if mode == "TRANSFER" and taker.account != maker.account:
        _reduce(core, step, maker, maker_qty, row, follow=False)
        _reduce(core, step, taker, taker_qty, row, follow=False)
        _transfer(core, step, taker, maker, taker_qty, price)
        for order in (maker, taker):
            _conclude(core, step, order, row)
        return
    for order, qty in ((maker, maker_qty), (taker, taker_qty)):
        if qty != NONE:
            _reduce(core, step, order, qty, row)


def _reduce(core: Core, step: Step, order: Order, qty: int, row: Prevented, *, follow: bool = True) -> None:
    order.prevented += qty
    order.prevented_match = row.id
    order.updated = step.now
    if order.seq and order.open and order.left:
        order.visible = min(order.visible, order.left)
    core.hold(step, order)
    if follow:
        _conclude(core, step, order, row)


def _conclude(core: Core, step: Step, order: Order, row: Prevented) -> None:
    if order.left:
        step.report(order, "TRADE_PREVENTION", prevented=row)
    else:
        core.end(step, order, "EXPIRED_IN_MATCH", kind="TRADE_PREVENTION", prevented=row)


def _transfer(core: Core, step: Step, taker: Order, maker: Order, qty: int, price: int) -> None:
    """Move what the prevented trade would have moved between the accounts, without commission."""
    base, quote = core.assets(taker.symbol)
    cost = qty * price // ONE
    buyer, seller = (taker, maker) if taker.buy else (maker, taker)
    for order, asset, change in (
        (buyer, quote, -cost),
        (seller, base, -qty),
        (buyer, base, qty),
        (seller, quote, cost),
    ):
        core.state.accounts[order.account].add(asset, change)
        step.money(order.account, asset)
        step.transfer(order.account, asset, change, "self-trade prevention")
