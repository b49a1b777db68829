"""What risk measures of itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from libs.core.portfolio.memory import AccountMemory
from libs.core.types import Control, Event, Signal, Verdict

_BUCKETS: Final = (20e-6, 50e-6, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0)

APPLY = Histogram("conclave_risk_apply_seconds", "From a signal to its verdict, in the stage", buckets=_BUCKETS)
ARRIVAL = Histogram(
    "conclave_risk_arrival_to_verdict_seconds",
    "From the arrival of the message that closed the bar to the verdict",
    buckets=_BUCKETS,
)
SIGN = Histogram("conclave_risk_sign_seconds", "Signing one permit", buckets=_BUCKETS)
VERDICTS = Counter("conclave_risk_verdicts_total", "Verdicts", ["action", "result"])
REJECTIONS = Counter("conclave_risk_rejections_total", "Rules that refused; a verdict counts under each", ["reason"])
EXPIRED = Counter("conclave_risk_permits_expired_total", "Permits that nobody used")
COMMANDS = Counter("conclave_risk_commands_total", "Halts and other commands applied", ["kind", "actor"])
HALTS = Gauge("conclave_risk_halted_scopes", "Scopes in halt or reduce-only", ["kind"])
EQUITY = Gauge("conclave_risk_equity_amount", "Equity in the account's currency", ["account", "currency"])
DRAWDOWN = Gauge("conclave_risk_drawdown_ratio", "1 - equity / high-water mark", ["account"])
DRAWDOWN_LIMIT = Gauge("conclave_risk_drawdown_limit_ratio", "Drawdown at which an account is halted and flattened")
EXPOSURE = Gauge("conclave_risk_exposure_ratio", "Notional of positions and open permits / equity", ["account"])
OPEN_RISK = Gauge("conclave_risk_open_risk_ratio", "Loss if all were stopped / equity", ["account"])


def observe(event: Event, outputs: Sequence[Event], seconds: float) -> None:
    """Count what one input led to."""
    if isinstance(event, Control):
        COMMANDS.labels(event.kind.value, event.actor if event.actor in ("risk", "admin", "cli") else "other").inc()
    if not isinstance(event, Signal):
        return
    APPLY.observe(seconds)
    for output in outputs:
        if isinstance(output, Verdict):
            VERDICTS.labels(output.action.value, "approved" if output.approved else "rejected").inc()
            if event.ts_recv:
                ARRIVAL.observe(max(0.0, (time.time_ns() - event.ts_recv) / 1e9))
            if not output.approved:
                for reason in output.reasons:
                    REJECTIONS.labels(reason).inc()


def show_account(account: AccountMemory) -> None:
    """Set the gauges of one account."""
    state = account.state
    if state is None or not state.equity.is_finite():
        return
    name = account.spec.id
    EQUITY.labels(name, account.spec.currency).set(float(state.equity))
    view = account.view("", state.ts_event, (), ())
    if state.equity > 0:
        DRAWDOWN.labels(name).set(float(view.drawdown))
        EXPOSURE.labels(name).set(float(view.exposure / state.equity))
        OPEN_RISK.labels(name).set(float(view.open_risk / state.equity))
