"""What Alpaca says of an order as VenueReports; executions come from the account's activities, each with its own id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from libs.core.types import Nanos, Order, ReportKind, VenueReport, stable_id
from libs.venues.alpaca.codec import VENUE, Activity, OrderRow, instant
from libs.venues.checked import ZERO, Absurd, exact, line, positive, text

ENDED: Final = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
"""States after which nothing more happens; every other one may still fill."""


def reports_of(order: Order, row: OrderRow, executions: Sequence[Activity]) -> list[VenueReport]:
    """Everything about an order that has ended. Raises Absurd when its executions do not add up to it."""
    at = instant(row.updated_at or row.submitted_at) if row.updated_at or row.submitted_at else order.ts_event
    fills = [_filled(order, row, execution) for execution in executions]
    told = sum((fill.quantity or ZERO for fill in fills), ZERO)
    if told != exact(row.filled_qty, "filled quantity"):
        raise Absurd(f"executions of {told} make no executed quantity of {row.filled_qty}")
    reports = [_said(order, row, ReportKind.ACKNOWLEDGED, at, "new"), *fills]
    if row.status == "rejected" and not told:
        return [*reports, _said(order, row, ReportKind.REJECTED, at, "rejected", "rejected by Alpaca")]
    if told < order.quantity:
        reports.append(_said(order, row, ReportKind.CANCELLED, at, "ended", row.status))
    return reports


def _filled(order: Order, row: OrderRow, execution: Activity) -> VenueReport:
    trade_id = text(execution.id, "execution id")
    return VenueReport(
        id=stable_id(VENUE, row.id, "execution", trade_id),
        ts_event=instant(execution.transaction_time),
        kind=ReportKind.FILLED,
        intent_id=order.intent_id,
        venue_order_id=row.id,
        trade_id=trade_id,
        price=positive(execution.price, "price"),
        quantity=positive(execution.qty, "quantity"),
    )


def _said(order: Order, row: OrderRow, kind: ReportKind, at: Nanos, event: str, detail: str = "") -> VenueReport:
    return VenueReport(
        id=stable_id(VENUE, row.id, event),
        ts_event=at,
        kind=kind,
        intent_id=order.intent_id,
        venue_order_id=row.id,
        detail=line(detail),
    )
