"""Gauges of the venues' rate limits, shown alike by every service that spends from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import Gauge

LIMIT = Gauge("conclave_venue_budget_limit", "Units that a rate limit allows in its window", ["venue", "budget"])
USED = Gauge("conclave_venue_budget_used", "Units spent within the window", ["venue", "budget"])
WAITING = Gauge("conclave_venue_budget_waiting", "Calls that wait for their turn", ["venue", "budget"])
BLOCKED = Gauge("conclave_venue_budget_blocked_seconds", "What is left of a venue's ban", ["venue", "budget"])


class Spent(Protocol):
    """A budget as it stands."""

    @property
    def name(self) -> str: ...
    @property
    def limit(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def blocked_s(self) -> float: ...


def show(venue: str, budgets: Iterable[Spent]) -> None:
    """Set the gauges of a venue's budgets."""
    for budget in budgets:
        LIMIT.labels(venue, budget.name).set(budget.limit)
        USED.labels(venue, budget.name).set(budget.used)
        WAITING.labels(venue, budget.name).set(budget.waiting)
        BLOCKED.labels(venue, budget.name).set(budget.blocked_s)
