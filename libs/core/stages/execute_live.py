"""What a live venue's reports do to orders, positions and the account."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.portfolio.accounting import AccountBook
from libs.core.portfolio.holding import Holding
from libs.core.stages import execute_market as market
from libs.core.stages import execute_remains as remains
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
    """Apply one report; what was applied before, or speaks of nothing of ours, changes nothing.

    Reports come in any order: an execution may be told before its order was acknowledged and after it ended.
    """
    if report.kind is ReportKind.CLOSED:
        _closed(desk, report)
        return
    working = desk.state.working.get(report.intent_id) or desk.state.ended.get(report.intent_id)
    if working is None:
        return
    if working.order.state is OrderState.PLANNED and report.kind not in (ReportKind.ACKNOWLEDGED, ReportKind.FILLED):
        return
    if report.kind is ReportKind.FILLED:
        _filled(desk, working, report)
    elif not working.order.state.is_final:
        _told(desk, working, report)


def _filled(desk: Desk, working: Working, report: VenueReport) -> None:
    """An execution; before the instrument is known nobody can say what it moved, and the venue will be asked again."""
    order = working.order
    if order.state is OrderState.FILLED or _trade_of(report) in working.trades:
        return
    if desk.view(order.venue, order.symbol).instrument is not None:
        (_entered if order.action is Action.ENTER else _exited)(desk, working, report)


def _told(desk: Desk, working: Working, report: VenueReport) -> None:
    """What a venue says of an order besides its executions."""
    state, cause, filled = working.order.state, (report.id,), working.dealt[0]
    if report.kind is ReportKind.ACKNOWLEDGED:
        if state in (OrderState.PLANNED, OrderState.SENT, OrderState.UNRESOLVED):
            known = report.venue_order_id or working.order.venue_order_id
            if filled:
                desk.revise(working, OrderState.PARTLY_FILLED, cause, venue_order_id=known)
            else:
                desk.acknowledge(working, cause, venue_order_id=known)
    elif report.kind is ReportKind.UNRESOLVED:
        if state is not OrderState.UNRESOLVED:
            desk.revise(working, OrderState.UNRESOLVED, cause, reason=f"unresolved: {report.detail}")
    else:
        ended = report.kind is ReportKind.REJECTED and not filled
        words = report.detail or ("refused" if ended else "cancelled")
        desk.fail(working, OrderState.REJECTED if ended else OrderState.CANCELLED, f"venue: {words}", cause)
        _sweep(desk, working, report)


def _sweep(desk: Desk, working: Working, report: VenueReport) -> None:
    holding = desk.holding(working.order)
    if (
        working.order.action is Action.EXIT
        and working.order.state.is_final
        and working.dealt[0]
        and holding is not None
    ):
        remains.sweep(desk, desk.state.books[working.order.account], holding, report.id)


def _trade_of(report: VenueReport) -> str:
    return report.trade_id or report.venue_order_id or report.id


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


def _fill(
    desk: Desk,
    working: Working,
    report: VenueReport,
    price: Decimal,
    realised: Decimal,
    leverage: int,
    *,
    quantity: Decimal,
    fee: Decimal,
) -> Fill:
    order = working.order
    currency = desk.state.books[order.account].currency
    trade = _trade_of(report)
    at = max(report.ts_event, order.ts_event)
    sent = working.accepted or order.ts_event
    in_asset = report.fee_asset not in ("", currency)
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
        quantity=quantity,
        currency=currency,
        fee=fee,
        latency_ms=(at - sent) / MILLISECOND,
        realised=realised,
        position_id=order.position_id,
        reason=order.reason,
        exploring=order.exploring,
        multiplier=leverage,
        base_asset=_base_asset(desk, working),
        fee_asset=report.fee_asset if in_asset else "",
        fee_quantity=report.fee if in_asset else ZERO,
    )


def _base_asset(desk: Desk, working: Working) -> str:
    """What an order of assets deals in; "" for a contract."""
    instrument = desk.view(working.order.venue, working.order.symbol).instrument
    return instrument.base if instrument is not None and instrument.kind is InstrumentKind.SPOT else ""


def _identify(desk: Desk, working: Working, report: VenueReport) -> None:
    """The venue's id for it must be in the ledger before the fill is: a rebuilt position is closed by that id."""
    known, state = working.order.venue_order_id, working.order.state
    if not report.venue_order_id or known == report.venue_order_id or state.is_final:
        return
    if working.dealt[0] or (state is OrderState.UNRESOLVED and _base_asset(desk, working)):
        desk.revise(working, state, (report.id,), venue_order_id=report.venue_order_id)
    else:
        desk.acknowledge(working, (report.id,), venue_order_id=report.venue_order_id)


def _fee(desk: Desk, working: Working, report: VenueReport, price: Decimal) -> Decimal:
    """The fee in account currency: as told, or the worth of what was taken in kind; 0 when a third asset paid it."""
    if report.fee_asset in ("", desk.state.books[working.order.account].currency):
        return report.fee
    return report.fee * price if report.fee_asset == _base_asset(desk, working) else ZERO


def _entered(desk: Desk, working: Working, report: VenueReport) -> None:
    order = working.order
    quantity = order.quantity - working.dealt[0] if report.quantity is None else report.quantity
    if quantity <= 0:
        return
    _identify(desk, working, report)
    instrument = desk.view(order.venue, order.symbol).instrument
    leveraged = instrument is not None and instrument.kind is InstrumentKind.MULTIPLIER
    leverage = instrument.multiplier if instrument is not None and leveraged else 0
    price = _price(desk, working, report)
    fee = _fee(desk, working, report, price)
    desk.book(working, _fill(desk, working, report, price, -fee, leverage, quantity=quantity, fee=fee))


def _exited(desk: Desk, working: Working, report: VenueReport) -> None:
    book, holding = desk.state.books[working.order.account], desk.holding(working.order)
    if _base_asset(desk, working):
        _sold(desk, working, report)
    elif holding is not None:
        price = _price(desk, working, report)
        desk.book(working, _closing_fill(desk, working, report, book, holding, price))


def _sold(desk: Desk, working: Working, report: VenueReport) -> None:
    quantity = working.order.quantity - working.dealt[0] if report.quantity is None else report.quantity
    if quantity <= 0:
        return
    _identify(desk, working, report)
    price = _price(desk, working, report)
    fee = _fee(desk, working, report, price)
    fill = _fill(desk, working, report, price, ZERO, 0, quantity=quantity, fee=fee)
    realised = desk.state.books[working.order.account].realised_by_sale(fill)
    desk.book(working, msgspec.structs.replace(fill, realised=realised))
    _sweep(desk, working, report)


def _closing_fill(
    desk: Desk, working: Working, report: VenueReport, book: AccountBook, holding: Holding, price: Decimal
) -> Fill:
    """The venue's money is the truth; without it the formula is."""
    quantity = working.order.quantity
    if report.proceeds is not None and holding.multiplier:
        realised = book.realised_by_proceeds(holding, report.proceeds)
    else:
        realised = book.realised_by_exit(holding, quantity, price, report.fee)
    return _fill(desk, working, report, price, realised, holding.multiplier, quantity=quantity, fee=report.fee)


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
                price = report.price if report.price is not None else _stopped_at(desk, book, holding)
                desk.book(under_way, _closing_fill(desk, under_way, report, book, holding, price))
            return


def _stopped_at(desk: Desk, book: AccountBook, holding: Holding) -> Decimal:
    view = desk.view(book.venue, holding.symbol)
    if holding.multiplier and view.instrument is not None:
        return holding.stop_out(view.instrument.price_step)
    return holding.entry_price
