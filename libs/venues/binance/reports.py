"""What Binance says of an order as VenueReports: the same fact has the same id, whichever way it came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from libs.core.types import MILLISECOND, Nanos, ReportKind, VenueReport, stable_id
from libs.venues import checked
from libs.venues.binance import codec
from libs.venues.binance.trade_codec import WORKING, ExecutionReport, Placed, TradeRow
from libs.venues.checked import ZERO, Absurd


class Subject(msgspec.Struct, frozen=True, gc=False):
    """Whose reports they are: our order and the venue's number of it."""

    intent_id: str
    symbol: str
    order_id: int


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One trade of one order. `fee` in `fee_asset`; `ms` of the venue."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    ms: int


def acknowledged(of: Subject, ms: int) -> VenueReport:
    """The venue has the order."""
    return _report(of, ReportKind.ACKNOWLEDGED, ms, "new")


def filled(of: Subject, trade: Execution) -> VenueReport:
    """One trade. Raises Absurd when its numbers cannot be true."""
    price, quantity, fee = checked.amount(trade.price), checked.amount(trade.quantity), checked.amount(trade.fee)
    if not price or not quantity:
        raise Absurd(f"trade {trade.trade_id} of {quantity} at {price}")
    codec.check_id(trade.trade_id)
    return VenueReport(
        id=stable_id("binance", of.symbol, of.order_id, "trade", trade.trade_id),
        ts_event=_nanos(trade.ms),
        kind=ReportKind.FILLED,
        intent_id=of.intent_id,
        venue_order_id=str(of.order_id),
        trade_id=str(trade.trade_id),
        price=price,
        quantity=quantity,
        fee=fee,
        fee_asset=trade.fee_asset,
    )


def cancelled(of: Subject, ms: int, why: str) -> VenueReport:
    """The order is over with a part unfilled."""
    return _report(of, ReportKind.CANCELLED, ms, "ended", why)


def unresolved(of: Subject, ms: int, why: str) -> VenueReport:
    """It should be over and is not: ask again."""
    return _report(of, ReportKind.UNRESOLVED, ms, "unresolved", why)


def ending(of: Subject, status: str, why: str, ms: int) -> VenueReport | None:
    """How the venue ended an order that is not filled; None while it may still fill."""
    if status == "FILLED" or status in WORKING:
        return None
    if status == "REJECTED":
        return _report(of, ReportKind.REJECTED, ms, "rejected", why or "refused by the matching engine")
    return cancelled(of, ms, why or status.lower())


def unsent(of: Subject, ms: int) -> VenueReport:
    """Everything sent is filled, and less than the order's quantity was sent."""
    return cancelled(of, ms, "the rest is no quantity that the venue takes")


def archived(intent_id: str, symbol: str, ts_event: Nanos) -> VenueReport:
    """The venue put it away: months ago it ended without a fill; its number is no longer told."""
    return VenueReport(
        id=stable_id("binance", symbol, intent_id, "archived"),
        ts_event=ts_event,
        kind=ReportKind.CANCELLED,
        intent_id=intent_id,
        detail="ended without a fill, archived by the venue",
    )


def of_answer(intent_id: str, answer: Placed, asked: Decimal) -> list[VenueReport]:
    """Everything that a FULL answer to an order of `asked` tells. Raises Absurd when it contradicts itself."""
    if answer.clientOrderId != intent_id:
        raise Absurd(f"answer about order {answer.clientOrderId[:40]!r}")
    of, at = subject(intent_id, answer.symbol, answer.orderId), answer.transactTime
    trades = [
        Execution(row.tradeId, row.price, row.qty, row.commission, row.commissionAsset, at) for row in answer.fills
    ]
    executed = checked.amount(answer.executedQty)
    told = [acknowledged(of, at), *fills(of, trades, executed)]
    if answer.status in WORKING:
        told.append(unresolved(of, at, f"still {answer.status} at the venue"))
    elif (end := ending(of, answer.status, answer.expiryReason, at)) is not None:
        told.append(end)
    elif executed < asked:
        told.append(unsent(of, at))
    return told


def fills(of: Subject, trades: Iterable[Execution], executed: Decimal) -> list[VenueReport]:
    """One report a trade. Raises Absurd when together they are not the `executed` quantity."""
    reports = [filled(of, trade) for trade in trades]
    told = sum((report.quantity or ZERO for report in reports), ZERO)
    if told != executed:
        raise Absurd(f"trades of {told} make no executed quantity of {executed}")
    return reports


def of_trades(rows: Sequence[TradeRow]) -> list[Execution]:
    """Rows of myTrades as executions."""
    return [Execution(row.id, row.price, row.qty, row.commission, row.commissionAsset, row.time) for row in rows]


def subject_of(event: ExecutionReport) -> Subject:
    """The order that an event speaks of; a cancelled one keeps its own id in C. Raises Absurd."""
    return subject(event.C or event.c, event.s, event.i)


def execution_of(event: ExecutionReport) -> Execution | None:
    """The trade in an event; None when there is none (status changes, and trades of nothing)."""
    if event.x != "TRADE" or not event.l:
        return None
    return Execution(event.t, event.L, event.l, event.n, event.N or "", event.T)


def end_of(of: Subject, event: ExecutionReport) -> VenueReport | None:
    """The order's end, where the event tells it beside or instead of a trade."""
    return ending(of, event.X, event.eR or (event.r if event.r != "NONE" else ""), event.T)


def subject(intent_id: str, symbol: str, order_id: int) -> Subject:
    """Checked. Raises Absurd."""
    codec.check_id(order_id)
    return Subject(intent_id, symbol, order_id)


def _nanos(ms: int) -> Nanos:
    checked.check_time(ms)
    return ms * MILLISECOND


def _report(of: Subject, kind: ReportKind, ms: int, event: str, detail: str = "") -> VenueReport:
    return VenueReport(
        id=stable_id("binance", of.symbol, of.order_id, event),
        ts_event=_nanos(ms),
        kind=kind,
        intent_id=of.intent_id,
        venue_order_id=str(of.order_id),
        detail=" ".join(detail.split())[:200],
    )
