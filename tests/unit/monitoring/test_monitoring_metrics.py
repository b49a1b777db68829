"""The metrics behind the alarms say what they claim, and the page that lists them is complete."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from monitoring_files import KINDS, ROOT, metrics_of_the_code, page
from prometheus_client import REGISTRY

from libs.common import runtime, vitals
from libs.core.types import Action, Mode, Order, OrderState, Side
from services.execute.metrics import UnresolvedOrders


def test_the_page_of_metrics_is_what_the_code_makes() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == page(), "run python tests/unit/monitoring/metrics_page.py"


def test_every_metric_bears_the_name_of_the_house_and_a_unit_where_it_has_one() -> None:
    metrics = metrics_of_the_code()
    assert len(metrics) > 50
    for metric in metrics:
        assert re.fullmatch(r"conclave_[a-z][a-z0-9_]*[a-z0-9]", metric.name), metric
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric
        assert metric.kind != "histogram" or metric.name.endswith("_seconds"), metric
        assert metric.meaning, metric


def test_every_call_that_makes_a_metric_is_on_the_page() -> None:
    made = re.compile(rf"\b(?:{'|'.join(KINDS)})\(")
    calls = sum(
        len(made.findall(path.read_text()))
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
        if "prometheus_client" in path.read_text()
    )
    assert calls == len(metrics_of_the_code())


def order(intent: str, state: OrderState, revision: int = 1) -> Order:
    return Order(
        id=f"{intent}.{revision}",
        ts_event=0,
        ts_init=0,
        intent_id=intent,
        revision=revision,
        state=state,
        mode=Mode.LIVE,
        venue="deriv",
        account="deriv-live",
        symbol="R_100",
        strategy="ema_trend",
        side=Side.BUY,
        action=Action.ENTER,
        quantity=Decimal(1),
        worst_price=Decimal(1),
        position_id="p",
        reason="entry",
    )


def test_the_age_of_unresolved_orders_is_that_of_the_oldest_and_ends_with_it() -> None:
    watch = UnresolvedOrders()

    def seen(now: float, *orders: Order) -> tuple[float | None, float | None]:
        watch.show(orders, now)
        return (
            REGISTRY.get_sample_value("conclave_execute_unresolved_orders"),
            REGISTRY.get_sample_value("conclave_execute_unresolved_order_age_seconds"),
        )

    first, second = order("a", OrderState.UNRESOLVED), order("b", OrderState.UNRESOLVED)
    assert seen(100.0) == (0, 0)
    assert seen(110.0, first, order("c", OrderState.SENT)) == (1, 0)
    assert seen(130.0, msgspec.structs.replace(first, revision=2), second) == (2, 20)
    assert seen(135.0, second) == (1, 5)
    assert seen(140.0, order("b", OrderState.FILLED)) == (0, 0)


def test_the_disk_under_the_state_is_told_and_an_absent_one_is_no_number(tmp_path: Path) -> None:
    vitals.watch_disk(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    assert REGISTRY.get_sample_value("conclave_disk_size_bytes") == usage.total
    free = REGISTRY.get_sample_value("conclave_disk_free_bytes")
    assert free == pytest.approx(usage.free, abs=usage.total * 0.05)
    vitals.watch_disk(tmp_path / "gone")
    free = REGISTRY.get_sample_value("conclave_disk_free_bytes")
    assert free is not None
    assert math.isnan(free)


def test_log_lines_count_by_level_from_zero() -> None:
    counter = vitals.LineCounter()

    def errors() -> float:
        return REGISTRY.get_sample_value("conclave_log_lines_total", {"level": "error"}) or 0.0

    before = errors()
    counter.handle(logging.LogRecord("x", logging.ERROR, "", 0, "broken", None, None))
    counter.handle(logging.LogRecord("x", logging.WARNING, "", 0, "odd", None, None))
    assert errors() == before + 1


def test_a_service_tells_prometheus_where_it_answers_until_it_ends(tmp_path: Path) -> None:
    runtime.write_service(tmp_path, "risk", "http://127.0.0.1:4711")
    [target] = (tmp_path / "run" / "targets").glob("*.json")
    assert json.loads(target.read_text()) == [{"targets": ["127.0.0.1:4711"], "labels": {"service": "risk"}}]
    assert set(runtime.read_services(tmp_path)) == {"risk"}
    runtime.forget_target(tmp_path, "risk")
    runtime.forget_target(tmp_path, "risk")
    assert not target.exists()
