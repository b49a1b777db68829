"""The rules of Prometheus: valid, tested alert by alert, made of metrics that exist, and saying what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from monitoring_files import (
    PROMETHEUS,
    ROOT,
    SERVICES,
    alerts,
    load,
    metric_names,
    metrics_of_the_code,
    operands,
    rules,
    targets,
)

PROCESS = {
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
"""What the Prometheus client tells of its process."""


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    return found


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "embedded.yml"])
def test_prometheus_accepts_the_configuration(promtool: str, name: str) -> None:
    assert "SUCCESS" in run(promtool, "check", "config", str(PROMETHEUS / name))


def test_the_rules_do_what_their_tests_say(promtool: str) -> None:
    run(promtool, "test", "rules", *map(str, sorted((PROMETHEUS / "tests").glob("*.yml"))))


def test_a_rule_that_is_changed_fails_its_test(promtool: str, tmp_path: Path) -> None:
    copy = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, copy)
    file = copy / "alerts.rules.yml"
    file.write_text(file.read_text().replace("order_age_seconds) > 30", "order_age_seconds) > 45"))
    done = subprocess.run(
        [promtool, "test", "rules", str(copy / "tests" / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "OrderUnresolved" in done.stdout + done.stderr


def test_every_alert_is_seen_quiet_and_seen_firing() -> None:
    seen: dict[str, set[bool]] = {}
    for case in load(PROMETHEUS / "tests" / "alerts.yml")["tests"]:
        for question in case["promql_expr_test"]:
            [name] = re.findall(r'alertname="(\w+)"', question["expr"])
            seen.setdefault(name, set()).add(bool(question["exp_samples"]))
    assert seen == {alert["alert"]: {True, False} for alert in alerts()}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_grave_it_is_what_is_wrong_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "action"}
    for text in alert["annotations"].values():
        assert "\n" not in text
        assert 20 < len(text) < 200
        assert text.endswith(".")


def test_every_metric_in_a_rule_or_a_panel_exists() -> None:
    known = PROCESS | {"up", "ALERTS"} | {rule["record"] for rule in rules() if "record" in rule}
    for metric in metrics_of_the_code():
        parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known |= {metric.name + part for part in parts}
    asked = {name for rule in rules() for name in metric_names(rule["expr"])}
    asked |= {name for *_, target in targets() for name in metric_names(target.get("expr", ""))}
    assert asked <= known, asked - known


def test_the_container_stack_asks_every_service_under_its_name() -> None:
    jobs = {job["job_name"]: job for job in load(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
    listed = {row["labels"]["service"]: row["targets"] for row in jobs["conclave"]["static_configs"]}
    assert listed == {name: [f"{name}:8080"] for name in SERVICES}
    compose = load(ROOT / "deploy" / "docker-compose.yml")["services"]
    assert set(listed) < set(compose)


def test_both_stacks_have_the_same_rules_and_label_alike() -> None:
    containers, embedded = load(PROMETHEUS / "prometheus.yml"), load(PROMETHEUS / "embedded.yml")
    for key in ("global", "rule_files", "alerting"):
        assert containers[key] == embedded[key]
    assert all(job["honor_labels"] for job in (*containers["scrape_configs"][:2], *embedded["scrape_configs"]))


@pytest.mark.parametrize(
    ("expr", "sides"),
    [
        ("up == 0", ["up"]),
        ('a{x="b > c and d"} >= 2', ['a{x="b > c and d"}']),
        ("a > on (x) b unless on (y) c == 1", ["a", "on (x) b", "c"]),
        ('absent(up{s="e"}) or absent(up{s="r"})', ['up{s="e"}', 'up{s="r"}']),
        ("max(a > 0) < -3.5", ["max(a > 0)"]),
        ("sum(floor) > 1", ["sum(floor)"]),
        ("floor_and_order > 1", ["floor_and_order"]),
    ],
)
def test_the_operands_of_an_alert(expr: str, sides: list[str]) -> None:
    assert operands(expr) == sides


def test_kubernetes_takes_the_files_that_the_configuration_names() -> None:
    [made] = load(PROMETHEUS / "kustomization.yaml")["configMapGenerator"]
    wanted = {"prometheus.yml", "alertmanagers.yml", *(path.name for path in PROMETHEUS.glob("*.rules.yml"))}
    assert set(made["files"]) == wanted


def test_the_walk_through_names_every_alert_with_its_gravity() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (critical|warning) \|", page, re.MULTILINE))
    assert told == {alert["alert"]: alert["labels"]["severity"] for alert in alerts()}
