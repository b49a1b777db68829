"""Orders and trades in ccxt's unified shape as VenueReports: the same fact has the same id, whichever way it came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.core.types import Nanos, Order, ReportKind, VenueReport, stable_id
from libs.venues.checked import ZERO, Absurd, exact, line, positive, stamp, text

WORKING: Final = frozenset({"open", "canceling"})
ENDED: Final = frozenset({"closed", "canceled", "expired", "rejected"})


class Row(msgspec.Struct, frozen=True):
    """An order at the exchange, checked. `trades` as far as the answer told them."""

    id: str
    client_id: str
    symbol: str
    status: str
    filled: Decimal
    ms: Any
    trades: tuple[dict[str, Any], ...]


def row_of(told: object) -> Row:
    """Raises Absurd."""
    if not isinstance(told, dict):
        raise Absurd("an order that is none")
    trades = told.get("trades")
    client_id, symbol, status = told.get("clientOrderId"), told.get("symbol"), told.get("status")
    return Row(
        id=text(told.get("id"), "order id"),
        client_id=client_id if isinstance(client_id, str) else "",
        symbol=symbol if isinstance(symbol, str) else "",
        status=status if isinstance(status, str) else "",
        filled=ZERO if told.get("filled") is None else exact(told["filled"], "filled quantity"),
        ms=told.get("lastTradeTimestamp") or told.get("lastUpdateTimestamp") or told.get("timestamp"),
        trades=tuple(trade for trade in trades if isinstance(trade, dict)) if isinstance(trades, list) else (),
    )


class Teller:
    """Makes the reports of one order of ours, known to the exchange as `row`."""

    def __init__(self, venue: str, order: Order, row: Row) -> None:
        self._venue, self._order, self._row = venue, order, row

    def all(self, trades: Iterable[dict[str, Any]]) -> list[VenueReport]:
        """Everything about an order that has ended, from its trades. Raises Absurd when they do not add up to it."""
        row = self._row
        fills = [self._filled(trade) for trade in trades]
        told = sum((fill.quantity or ZERO for fill in fills), ZERO)
        if told != row.filled:
            raise Absurd(f"trades of {told} make no executed quantity of {row.filled}")
        end = self._end()
        return [self._said(ReportKind.ACKNOWLEDGED, "new"), *fills, *((end,) if end else ())]

    def _end(self) -> VenueReport | None:
        row = self._row
        if row.status == "rejected" and not row.filled:
            return self._said(ReportKind.REJECTED, "rejected", "refused by the exchange")
        if row.filled < self._order.quantity:
            return self._said(ReportKind.CANCELLED, "ended", row.status or "ended")
        return None

    def _filled(self, trade: dict[str, Any]) -> VenueReport:
        fee, fee_asset = _fee(trade)
        trade_id = text(trade.get("id"), "trade id")
        return VenueReport(
            id=stable_id(self._venue, self._order.symbol, self._row.id, "trade", trade_id),
            ts_event=self._time(trade.get("timestamp")),
            kind=ReportKind.FILLED,
            intent_id=self._order.intent_id,
            venue_order_id=self._row.id,
            trade_id=trade_id,
            price=positive(trade.get("price"), "price"),
            quantity=positive(trade.get("amount"), "quantity"),
            fee=fee,
            fee_asset=fee_asset,
        )

    def _said(self, kind: ReportKind, event: str, detail: str = "") -> VenueReport:
        return VenueReport(
            id=stable_id(self._venue, self._order.symbol, self._row.id, event),
            ts_event=self._time(self._row.ms),
            kind=kind,
            intent_id=self._order.intent_id,
            venue_order_id=self._row.id,
            detail=line(detail),
        )

    def _time(self, ms: object) -> Nanos:
        return self._order.ts_event if ms is None else stamp(ms)


def _fee(trade: dict[str, Any]) -> tuple[Decimal, str]:
    """What was taken and in which asset. Raises Absurd where the trade does not tell it in one asset."""
    told = [(exact(part["cost"], "fee"), part) for part in _fees(trade)]
    taken = [(cost, text(part.get("currency"), "fee asset")) for cost, part in told if cost]
    if not taken:
        return ZERO, ""
    if len({asset for _, asset in taken}) > 1:
        raise Absurd("a fee in several assets")
    return sum((cost for cost, _ in taken), ZERO), taken[0][1]


def _fees(trade: dict[str, Any]) -> list[dict[str, Any]]:
    several = trade.get("fees")
    parts = [trade["fee"]] if trade.get("fee") else several if isinstance(several, list) else []
    return [part for part in parts if isinstance(part, dict) and part.get("cost") is not None]


def are_whole(trades: Sequence[dict[str, Any]]) -> bool:
    """Whether an order's own list of its trades tells all there is; some exchanges only name them there."""
    told = all(trade.get("price") is not None and trade.get("amount") is not None and _fees(trade) for trade in trades)
    return bool(trades) and told
