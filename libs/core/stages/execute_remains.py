"""What is left of a position and nobody can sell: how much that is, and how it leaves the books."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from libs.core.portfolio.accounting import AccountBook
from libs.core.portfolio.holding import Holding
from libs.core.types import Action, Fill, stable_id
from libs.core.types.money import quantity_on_grid

if TYPE_CHECKING:
    from libs.core.stages.execute_desk import Desk

ZERO = Decimal(0)
REMAINS = "remains"
"""Names the fill that takes what cannot be sold out of a position."""


def sellable(desk: Desk, book: AccountBook, holding: Holding) -> Decimal:
    """How much of a position one order can close: what is on the venue's grid and not below its minimum."""
    instrument = desk.view(book.venue, holding.symbol).instrument
    if not holding.base_asset or instrument is None:
        return holding.quantity
    quantity = quantity_on_grid(instrument, holding.quantity)
    price = desk.mark_of(book, holding)
    if price is not None and quantity * price < instrument.min_notional:
        return ZERO
    return quantity


def write_off(desk: Desk, book: AccountBook, holding: Holding, quantity: Decimal, reason: str, cause: str) -> None:
    """Take `quantity` that cannot be sold out of a position, for nothing. At the venue nothing moves."""
    trade = f"{REMAINS}-{holding.revision}"
    intent = stable_id(holding.position_id, trade)
    fill = Fill(
        id=stable_id(intent, trade),
        cause=(cause,),
        ts_event=desk.now(book.venue),
        ts_init=desk.ts_init,
        intent_id=intent,
        trade_id=trade,
        mode=book.mode,
        venue=book.venue,
        account=book.account,
        symbol=holding.symbol,
        strategy=holding.strategy,
        side=holding.side.opposite,
        action=Action.EXIT,
        price=ZERO,
        quantity=quantity,
        currency=book.currency,
        realised=-holding.cost_part(quantity) + holding.fee_part(quantity),
        position_id=holding.position_id,
        reason=reason,
        exploring=holding.exploring,
        multiplier=holding.multiplier,
    )
    desk.out.append(fill)
    settle(desk, fill)


def settle(desk: Desk, fill: Fill) -> None:
    """What follows from a fill of `write_off`; the same again changes nothing."""
    book = desk.state.books[fill.account]
    holding = book.holdings.get(fill.position_id)
    if holding is not None and fill.trade_id == f"{REMAINS}-{holding.revision}":
        desk.show(book, book.apply(fill, None, None), fill)


def sweep(desk: Desk, book: AccountBook, holding: Holding, cause: str) -> None:
    """After an exit has ended: what it left and nobody can sell is no position any more."""
    if holding.quantity > 0 and not holding.exit_intent and not sellable(desk, book, holding):
        reason = f"{holding.quantity.normalize():f} {holding.base_asset} left, too little to be sold"
        write_off(desk, book, holding, holding.quantity, reason, cause)
