"""What a live venue's reports do to orders, positions and the account."""

from __future__ import annotations

from decimal import Decimal

from libs.core.fills import multiplier as multipliers
from libs.core.portfolio.accounting import AccountBook, Holding
from libs.core.stages import execute_market as market
from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_state import Working
from libs.core.types import (
    MILLISECOND,
    Action,
    Fill,
    InstrumentKind,
    OrderState,
    ReportKind,
    VenueReport,
    stable_id,
)

ZERO = Decimal(0)


def take(desk: Desk, report: VenueReport) -> None:
    """Apply one report; what was applied before, or speaks of nothing of ours, changes nothing."""
    if report.kind is ReportKind.CLOSED:
        _closed(desk, report)
        return
    working = desk.state.working.get(report.intent_id)
    if working is None or working.order.state is OrderState.PLANNED:
        return
    state, cause = working.order.state, (report.id,)
    if report.kind is ReportKind.ACKNOWLEDGED:
        if state in (OrderState.SENT, OrderState.UNRESOLVED):
            desk.acknowledge(working, cause, venue_order_id=report.venue_order_id or working.order.venue_order_id)
    elif report.kind is ReportKind.UNRESOLVED:
        if state is not OrderState.UNRESOLVED:
            desk.revise(working, OrderState.UNRESOLVED, cause, reason=f"unresolved: {report.detail}")
    elif report.kind is ReportKind.REJECTED:
        desk.fail(working, OrderState.REJECTED, f"venue: {report.detail or 'refused'}", cause)
    elif working.order.action is Action.ENTER:
        _entered(desk, working, report)
    else:
        _exited(desk, working, report)


def _price(desk: Desk, working: Working, report: VenueReport) -> Decimal:
    """The reported price; else the newest one known, for a venue that tells only the money."""
    if report.price is not None:
        return report.price
    order = working.order
    view = desk.view(order.venue, order.symbol)
    if view.instrument is not None:
        known = market.mark(view, view.instrument, order.side.opposite, max(view.last_ts, view.quote_ts))
        if known is not None:
            return known
    return order.worst_price


def _fill(desk: Desk, working: Working, report: VenueReport, price: Decimal, realised: Decimal, leverage: int) -> Fill:
    order = working.order
    trade = report.trade_id or report.venue_order_id or report.id
    at = max(report.ts_event, order.ts_event)
    sent = working.accepted or order.ts_event
    entry = order.action is Action.ENTER
    return Fill(
        id=stable_id(order.intent_id, trade),
        cause=(order.id, report.id),
        ts_event=at,
        ts_init=desk.ts_init,
        intent_id=order.intent_id,
        trade_id=trade,
        mode=order.mode,
        venue=order.venue,
        account=order.account,
        symbol=order.symbol,
        strategy=order.strategy,
        side=order.side,
        action=order.action,
        price=price,
        quantity=report.quantity if entry and report.quantity is not None else order.quantity,
        currency=desk.state.books[order.account].currency,
        fee=report.fee,
        latency_ms=(at - sent) / MILLISECOND,
        realised=realised,
        position_id=order.position_id,
        reason=order.reason,
        exploring=order.exploring,
        multiplier=leverage,
    )


def _identify(desk: Desk, working: Working, report: VenueReport) -> None:
    """The venue's id for it must be in the ledger before the fill is: a rebuilt position is closed by that id."""
    if report.venue_order_id and working.order.venue_order_id != report.venue_order_id:
        desk.acknowledge(working, (report.id,), venue_order_id=report.venue_order_id)


def _entered(desk: Desk, working: Working, report: VenueReport) -> None:
    _identify(desk, working, report)
    instrument = desk.view(working.order.venue, working.order.symbol).instrument
    leveraged = instrument is not None and instrument.kind is InstrumentKind.MULTIPLIER
    leverage = instrument.multiplier if instrument is not None and leveraged else 0
    price = _price(desk, working, report)
    desk.book(working, _fill(desk, working, report, price, -report.fee, leverage))


def _exited(desk: Desk, working: Working, report: VenueReport) -> None:
    book, holding = desk.state.books[working.order.account], desk.holding(working.order)
    if holding is None:
        return
    price = _price(desk, working, report)
    desk.book(working, _closing_fill(desk, working, report, book, holding, price))


def _closing_fill(
    desk: Desk, working: Working, report: VenueReport, book: AccountBook, holding: Holding, price: Decimal
) -> Fill:
    """The venue's money is the truth; without it the formula is."""
    if report.proceeds is not None and holding.multiplier:
        realised = book.realised_by_proceeds(holding, report.proceeds)
    else:
        realised = book.realised_by_exit(holding, working.order.quantity, price, report.fee)
    return _fill(desk, working, report, price, realised, holding.multiplier)


def _closed(desk: Desk, report: VenueReport) -> None:
    """The venue closed a position by itself, or settled one that we asked it to close."""
    for book in desk.state.books.values():
        for holding in list(book.holdings.values()):
            ours = report.venue_order_id and holding.venue_position_id == report.venue_order_id
            if not ours and holding.position_id != report.intent_id:
                continue
            under_way = desk.state.working.get(holding.exit_intent)
            if under_way is None or under_way.order.state is OrderState.PLANNED:
                if under_way is not None:
                    desk.fail(under_way, OrderState.CANCELLED, "the venue closed the position first", (report.id,))
                reason = f"closed by the venue: {report.detail or 'stop-out or expiry'}"
                under_way = desk.exit_position(book, holding, "closed", reason, (report.id,))
            if under_way is not None:
                price = report.price if report.price is not None else _stopped_at(desk, holding)
                desk.book(under_way, _closing_fill(desk, under_way, report, book, holding, price))
            return


def _stopped_at(desk: Desk, holding: Holding) -> Decimal:
    view = desk.view(holding_venue(desk, holding), holding.symbol)
    if holding.multiplier and view.instrument is not None:
        return multipliers.stop_out(
            holding.side,
            holding.quantity,
            holding.multiplier,
            holding.entry_price,
            holding.fee_open,
            view.instrument.price_step,
        )
    return holding.entry_price


def holding_venue(desk: Desk, holding: Holding) -> str:
    """The venue of the account that holds it."""
    return next(book.venue for book in desk.state.books.values() if holding.position_id in book.holdings)
