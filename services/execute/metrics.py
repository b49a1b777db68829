"""What execute measures of itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from libs.core.types import AccountState, Event, Fill, Order, OrderState

_BUCKETS: Final = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

ORDERS = Counter("conclave_execute_orders_total", "Order revisions by the state they reached", ["state"])
FILLS = Counter("conclave_execute_fills_total", "Fills", ["venue", "action"])
REFUSED = Counter("conclave_execute_permits_refused_total", "Permits refused, by reason", ["reason"])
DURABLE = Histogram(
    "conclave_execute_order_durable_seconds",
    "From the arrival of the message that closed the bar to the order's durable acceptance",
    buckets=_BUCKETS,
)
FILL_LATENCY = Histogram(
    "conclave_execute_fill_latency_seconds",
    "From acceptance to execution, data clock",
    buckets=_BUCKETS,
)
UNRESOLVED = Gauge("conclave_execute_unresolved_orders", "Orders whose fate only the venue knows")
UNRESOLVED_AGE = Gauge(
    "conclave_execute_unresolved_order_age_seconds",
    "For how long the longest unresolved order has been so, as far as this process has seen; 0 = there is none",
)
OPEN_POSITIONS = Gauge("conclave_execute_open_positions", "Open positions", ["account"])
STRANGERS = Gauge("conclave_execute_unknown_positions", "Venue positions that the ledger does not know", ["account"])
AGREES = Gauge("conclave_execute_ledger_agrees", "1 when the last comparison with the venue agreed", ["account"])
DIFFERENCES = Counter(
    "conclave_execute_ledger_differences_total",
    "Differences between ledger and venue that halted an account",
    ["account"],
)
PRIVATE = Counter("conclave_execute_private_events_total", "What the private stream told, by kind", ["account", "kind"])
PRIVATE_OPEN = Gauge("conclave_execute_private_stream_open", "1 while the private stream is open", ["account"])
RESUMED = Counter("conclave_execute_private_stream_resumed_total", "Times the private stream was opened", ["account"])
EQUITY = Gauge("conclave_execute_equity", "Equity in the account's own currency", ["account", "currency"])
FEES = Gauge("conclave_execute_fees_paid", "Fees paid since start, account currency", ["account", "currency"])


for _grave in ("unsigned", "altered", "foreign", "verdict"):
    # From the first one on: an increase from nothing is none to Prometheus.
    REFUSED.labels(_grave)


class UnresolvedOrders:
    """Remembers since when each order has been unresolved, whatever is learned of it meanwhile."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def show(self, orders: Iterable[Order], now: float) -> None:
        """Set the gauges. `now`: seconds of a clock that never goes back."""
        unresolved = {order.intent_id for order in orders if order.state is OrderState.UNRESOLVED}
        self._since = {intent: self._since.get(intent, now) for intent in unresolved}
        UNRESOLVED.set(len(unresolved))
        UNRESOLVED_AGE.set(now - min(self._since.values(), default=now))


def count(event: Event) -> None:
    """Count one output of the stage."""
    if isinstance(event, Order):
        ORDERS.labels(event.state.value).inc()
        if event.state is OrderState.REJECTED and event.revision == 0:
            REFUSED.labels(event.reason.partition(":")[0]).inc()
    elif isinstance(event, Fill):
        FILLS.labels(event.venue, event.action.value).inc()
        FILL_LATENCY.observe(event.latency_ms / 1e3)
    elif isinstance(event, AccountState):
        EQUITY.labels(event.account, event.currency).set(float(event.equity))
        FEES.labels(event.account, event.currency).set(float(event.fees))


def durable(order: Order) -> None:
    """An order that a bar led to is in the ledger."""
    if order.ts_recv:
        DURABLE.observe(max(0.0, (time.time_ns() - order.ts_recv) / 1e9))
