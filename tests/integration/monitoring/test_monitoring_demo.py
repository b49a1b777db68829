"""Every question of the rules and of the dashboards is asked of the running demo, and answered."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from demo_commands import Cli
from monitoring_files import SERVICES, alerts, metric_names, operands, rules, targets
from monitoring_stack import Prometheus, promql, sql

from libs.common import runtime

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

LIVE_ONLY = "paper accounts have no venue to be compared with"
SILENT: dict[str, str] = {
    "conclave_execute_ledger_agrees": LIVE_ONLY,
    "conclave_execute_ledger_differences_total": LIVE_ONLY,
    "conclave_execute_unknown_positions": LIVE_ONLY,
    "conclave_execute_private_stream_open": LIVE_ONLY,
}
"""Metrics that a healthy demo does not have, each with its reason; everything else has to answer."""

EMPTY_NOW: dict[str, str] = {
    "Positions": "whether one is open at the moment of the question is a matter of luck",
    "Working orders": "on paper an order works for a fifth of a second",
}
"""Panels whose statement may give no row in a healthy demo."""

ANSWERS_WITHIN_S = 100.0


def questions() -> dict[str, str]:
    """Where it stands -> an expression that must be answered."""
    asked: dict[str, str] = {}
    for rule in rules():
        name = rule.get("record") or rule.get("alert")
        sides = operands(rule["expr"]) if "alert" in rule else [rule["expr"], rule["record"]]
        asked |= {f"{name} {rule.get('labels', {}).get('stage', '')} {number}": s for number, s in enumerate(sides)}
    for board, panel, target in targets():
        if "expr" not in target:
            continue
        whom = SERVICES if "$service" in target["expr"] else ("",)
        place = f"{board}: {panel['title']} {target['refId']}"
        asked |= {f"{place} {service}".strip(): promql(target["expr"], service) for service in whom}
    return {place: expr for place, expr in asked.items() if not metric_names(expr) & SILENT.keys()}


@dataclass
class Seen:
    """What was asked of the demo while it ran, and what it answered."""

    up: list[dict[str, Any]] = field(default_factory=list)
    firing_when_healthy: set[str] = field(default_factory=set)
    firing_when_halted: set[str] = field(default_factory=set)
    unanswered: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    code: int = -1


async def read_as_reader(url: str) -> dict[str, list[Any]]:
    """Panel -> rows of each of its statements, asked by a role that may read tables and nothing else."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE ROLE reader; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        await connection.execute("SET ROLE reader; SET default_transaction_read_only = on")
        asked = [(panel["title"], target) for _, panel, target in targets() if "rawSql" in target]
        return {title: await connection.fetch(sql(target["rawSql"])) for title, target in asked}
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def seen(cli: Cli) -> Seen:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("Prometheus is not installed (Debian: apt install prometheus)")
    made = Seen()
    running = cli.start("demo", "--minutes", "4")
    prometheus = Prometheus(binary, cli.var, cli.var / "prometheus")
    open_questions = questions()
    try:
        running.says("all services ready")

        def everything_is_answered() -> bool:
            for place, expr in list(open_questions.items()):
                if prometheus.knows(expr):
                    del open_questions[place]
            return not open_questions.keys() - waiting_for_the_halt

        waiting_for_the_halt = {
            place for place, expr in open_questions.items() if "ALERTS" in expr or "rejections" in expr
        }
        try:
            running.until(everything_is_answered, "every question is answered", ANSWERS_WITHIN_S)
            made.firing_when_healthy = prometheus.firing()
            halted = cli("halt", "--scope", "PLANTED", "--yes", "--reason", "a test halts")
            assert halted.returncode == 0, halted.stderr
            waiting_for_the_halt.clear()
            running.until(everything_is_answered, "every question is answered after the halt", 60)
        except AssertionError:
            made.unanswered = dict(open_questions)
        made.firing_when_halted = prometheus.firing()
        made.up = prometheus.ask("up")
        made.rows = asyncio.run(read_as_reader(runtime.read_stack(cli.var / "demo")["database_url"]))
        running.interrupt()
        made.code = running.wait()
    finally:
        prometheus.stop()
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
    return made


def test_every_process_of_the_stack_is_asked_under_its_name(seen: Seen) -> None:
    found = {(row["metric"]["job"], row["metric"]["service"], row["value"][1]) for row in seen.up}
    assert found == {("conclave", name, "1") for name in SERVICES} | {("simulator", "simulator", "1")}


def test_every_expression_of_rules_and_dashboards_returns_data(seen: Seen) -> None:
    assert not seen.unanswered


def test_no_alert_fires_in_a_healthy_demo_and_a_halt_is_one(seen: Seen) -> None:
    assert seen.firing_when_healthy == set()
    assert seen.firing_when_halted == {"TradingHalted"}


def test_every_statement_runs_and_returns_rows(seen: Seen) -> None:
    assert {title for title, rows in seen.rows.items() if not rows} <= EMPTY_NOW.keys()
    assert len(seen.rows) == sum("rawSql" in target for *_, target in targets())
    for _, panel, target in targets():
        if panel["type"] == "timeseries" and "rawSql" in target:
            assert list(seen.rows[panel["title"]][0].keys()) == ["time", "metric", "value"]
    [commands] = [row for row in seen.rows["Commands"] if row["reason"] == "a test halts"]
    assert (commands["kind"], commands["scope"]) == ("halt", "PLANTED")


def test_the_demo_ended_as_it_should(seen: Seen) -> None:
    assert seen.code == 0


def test_what_may_be_silent_is_asked_somewhere() -> None:
    everything = {name for rule in rules() for name in metric_names(rule["expr"])}
    assert SILENT.keys() <= everything
    assert EMPTY_NOW.keys() <= {panel["title"] for _, panel, _ in targets()}
    assert len(questions()) > 2 * len(alerts())
