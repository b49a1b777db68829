"""A ledger as small as can be: what the reports of an adapter add up to, each execution once."""

from __future__ import annotations

from decimal import Decimal

from libs.core.types import Action, Instrument, Order, ReportKind, Side, VenueReport


class Ledger:
    """Balances by asset after everything that was reported; positions of contracts by their id at the venue."""

    def __init__(self, opening: dict[str, Decimal], currency: str, *, contracts: bool) -> None:
        self.balances = dict(opening)
        self.positions: dict[str, Decimal] = {}
        self.filled: dict[str, Decimal] = {}
        self.executions = 0
        self.ended: dict[str, ReportKind] = {}
        self._currency = currency
        self._contracts = contracts
        self._seen: set[tuple[str, str]] = set()

    def take(self, order: Order, instrument: Instrument, reports: list[VenueReport]) -> None:
        """Count what is new in `reports` of `order`."""
        for report in reports:
            if report.kind in (ReportKind.CANCELLED, ReportKind.REJECTED):
                self.ended[order.intent_id] = report.kind
            if report.kind not in (ReportKind.FILLED, ReportKind.CLOSED):
                continue
            assert report.trade_id, f"an execution without an identity: {report}"
            # A contract is sold once, whoever tells of it; an asset is traded under the id of its market.
            key = (order.symbol, report.trade_id)
            if key in self._seen:
                continue
            self._seen.add(key)
            self.executions += 1
            if self._contracts:
                self._take_contract(order, report)
            else:
                self._take_assets(order, instrument, report)

    def hear(self, orders: dict[str, Order], instrument: Instrument, reports: list[VenueReport]) -> None:
        """Count what a private stream told, of orders of ours; contracts are known by their id as well."""
        for report in reports:
            order = orders.get(report.intent_id) or orders.get(report.venue_order_id)
            if order is not None:
                self.take(order, instrument, [report])

    def _take_contract(self, order: Order, report: VenueReport) -> None:
        if report.proceeds is not None:
            self._move(self._currency, report.proceeds)
            self.positions.pop(report.venue_order_id, None)
        else:
            assert order.action is Action.ENTER
            assert report.quantity is not None
            self._move(self._currency, -report.quantity)
            self.positions[report.venue_order_id] = report.quantity
        self._count(order, report)

    def _take_assets(self, order: Order, instrument: Instrument, report: VenueReport) -> None:
        assert report.quantity is not None
        assert report.price is not None
        sign = 1 if order.side is Side.BUY else -1
        self._move(instrument.base, sign * report.quantity)
        self._move(instrument.quote, -sign * report.quantity * report.price)
        self._move(report.fee_asset or self._currency, -report.fee)
        self._count(order, report)

    def _count(self, order: Order, report: VenueReport) -> None:
        self.filled[order.intent_id] = self.filled.get(order.intent_id, Decimal(0)) + (report.quantity or Decimal(0))

    def transfer(self, asset: str, amount: Decimal, identity: str) -> None:
        """Count money that moved without an order, once."""
        if ("transfer", identity) not in self._seen:
            self._seen.add(("transfer", identity))
            self._move(asset, amount)

    def _move(self, asset: str, amount: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, Decimal(0)) + amount


def held(balances: dict[str, Decimal]) -> dict[str, Decimal]:
    """Balances without the empty ones, in one spelling of each number."""
    return {asset: amount.normalize() for asset, amount in balances.items() if amount}
