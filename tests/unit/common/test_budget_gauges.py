"""A venue's rate limits as people and alarms see them."""

from __future__ import annotations

from prometheus_client import REGISTRY

from libs.common import budgets
from libs.venues.budget import Budget, Priority


async def test_budgets_show_what_was_spent_and_how_long_a_ban_lasts() -> None:
    now = [100.0]
    budget = Budget("weight", 10, 60.0, now=lambda: now[0])
    assert budget.try_take(Priority.EXIT, 4)
    budget.block(30.0)
    budgets.show("somewhere", [budget.state()])

    def gauge(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"conclave_venue_budget_{name}", {"venue": "somewhere", "budget": "weight"})

    assert (gauge("limit"), gauge("used"), gauge("waiting"), gauge("blocked_seconds")) == (10, 4, 0, 30)
    now[0] += 100
    budgets.show("somewhere", [budget.state()])
    assert (gauge("used"), gauge("blocked_seconds")) == (0, 0)
