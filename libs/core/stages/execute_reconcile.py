"""What comparing the ledger with a live venue does to an account: what is held besides, and what no longer is."""

from __future__ import annotations

from decimal import Decimal

from libs.core.portfolio.accounting import AccountBook
from libs.core.stages import execute_remains as remains
from libs.core.stages.execute_desk import Desk
from libs.core.types import Mode, Reconciliation, ReconciliationKind, restamped

ZERO = Decimal(0)
REMEMBERED = 1000
"""Comparisons and transfers kept so that one delivered again counts once."""


def take(desk: Desk, event: Reconciliation) -> None:
    """Put a comparison on record, once, and take its consequences."""
    book = desk.state.books.get(event.account)
    if book is None or book.venue != event.venue or book.mode is not Mode.LIVE or event.id in desk.state.reconciled:
        return
    told = restamped(event, desk.ts_init)
    desk.out.append(told)
    follow(desk, book, told)


def follow(desk: Desk, book: AccountBook, event: Reconciliation) -> None:
    """What follows from a comparison that is (or is about to be) in the ledger."""
    state = desk.state
    state.reconciled[event.id] = None
    while len(state.reconciled) > REMEMBERED:
        del state.reconciled[next(iter(state.reconciled))]
    if event.kind is ReconciliationKind.DIFFERENCE:
        state.differences[event.account] = event
    elif event.kind is ReconciliationKind.AGREED:
        state.differences.pop(event.account, None)
    elif event.kind is ReconciliationKind.TRANSFER:
        _transfer(desk, book, event)
    else:
        state.differences.pop(event.account, None)
        book.beside_since, book.strangers = event.ts_event, event.unknown
        _hold(desk, book, dict(event.assets), event)
        _give_up(desk, book, event)


def _transfer(desk: Desk, book: AccountBook, event: Reconciliation) -> None:
    """Before the first comparison, and up to its moment, that comparison sees it by itself."""
    if book.beside is not None and event.ts_event > book.beside_since:
        assets = book.beside.keys() | event.assets.keys()
        after = {name: book.beside.get(name, ZERO) + event.assets.get(name, ZERO) for name in sorted(assets)}
        _hold(desk, book, after, event)


def _hold(desk: Desk, book: AccountBook, beside: dict[str, Decimal], event: Reconciliation) -> None:
    if book.hold_beside(beside):
        desk.mark(book)
        desk.out.append(book.state(max(event.ts_event, desk.now(book.venue)), desk.ts_init, (event.id,)))


def _give_up(desk: Desk, book: AccountBook, event: Reconciliation) -> None:
    """Positions that the venue does not hold any more are none: they end for nothing, the newest first."""
    for holding in list(book.holdings.values()):
        if holding.venue_position_id and holding.venue_position_id in event.missing:
            reason = f"the venue no longer holds contract {holding.venue_position_id}"
            remains.write_off(desk, book, holding, holding.quantity, reason, event.id)
    for asset in sorted({holding.base_asset for holding in book.holdings.values()} - {""}):
        held = [holding for holding in book.holdings.values() if holding.base_asset == asset]
        short = sum((holding.quantity for holding in held), ZERO) - max(book.expected.get(asset, ZERO), ZERO)
        for holding in reversed(held):
            gone = min(short, holding.quantity)
            if gone > 0:
                reason = f"the venue holds {gone.normalize():f} {asset} less than the ledger"
                remains.write_off(desk, book, holding, gone, reason, event.id)
                short -= gone
