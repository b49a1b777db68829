"""What Prometheus and Grafana are given, as tests read it: rules, dashboards, and the metrics that the code makes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
SERVICES = ("ingest", "features", "predict", "risk", "execute", "train")
KINDS = ("Counter", "Gauge", "Histogram")
SPENDERS = "ingest, execute"


@dataclass(frozen=True)
class Metric:
    """A metric as the code makes it; `name` as Prometheus shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    place: str

    @property
    def who(self) -> str:
        """Which services show it."""
        parts = Path(self.place).parts
        if parts[0] == "services":
            return parts[1]
        return SPENDERS if parts[-1] == "budgets.py" else "every service"


def metrics_of_the_code() -> list[Metric]:
    """Every metric that libs and services make, by name."""
    found = [
        metric
        for folder in ("libs", "services")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "prometheus_client" in (text := path.read_text(encoding="utf-8"))
        for metric in _metrics_in(text, str(path.relative_to(ROOT)))
    ]
    return sorted(found, key=lambda metric: (metric.name, metric.place))


def _metrics_in(text: str, place: str) -> Iterator[Metric]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            name, meaning, *rest = node.args
            labels = tuple(ast.literal_eval(rest[0])) if rest else ()
            yield Metric(ast.literal_eval(name), node.func.id.lower(), labels, ast.literal_eval(meaning), place)


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Every recording and alert rule."""
    files = sorted(PROMETHEUS.glob("*.rules.yml"))
    return [rule for path in files for group in load(path)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboards() -> dict[str, dict[str, Any]]:
    """File name to dashboard."""
    return {path.name: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Every panel, those in folded rows too, without the rows."""
    everything = [p for panel in dashboard["panels"] for p in (panel, *panel.get("panels", ()))]
    return [panel for panel in everything if panel["type"] != "row"]


def targets() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(dashboard, panel, query)."""
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield name, panel, target


_STOP = re.compile(r"\b(?:and|or|unless)\b(?:\s*(?:on|ignoring)\s*\([^)]*\))?|==|!=|>=|<=|>|<")


def operands(expr: str) -> list[str]:
    """What an alert compares: the sides of its comparisons and set operations, without plain numbers and `absent`.

    An alert that is silent answers nothing; its operands must answer all the same.
    """
    cuts, depth, quoted, at = [0], 0, "", 0
    while at < len(expr):
        char = expr[at]
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'":
            quoted = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif not depth and (stop := _STOP.match(expr, at)) and not (expr[at].isalpha() and expr[at - 1 : at].isalnum()):
            cuts += [at, stop.end()]
            at = stop.end()
            continue
        at += 1
    parts = [expr[start:end].strip() for start, end in zip(cuts[::2], [*cuts[1::2], len(expr)], strict=True)]
    absent = re.compile(r"absent\((.*)\)", re.DOTALL)
    bare = [match[1] if (match := absent.fullmatch(part)) else part for part in parts]
    return [part for part in bare if not re.fullmatch(r"-?[\d.]+", part)]


_WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def metric_names(expr: str) -> set[str]:
    """Names in an expression that can only be those of metrics of ours, of rules, of processes or of Prometheus."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'|\{\{.*?\}\}", "", expr)
    return {
        w for w in _WORDS.findall(bare) if w in ("up", "ALERTS") or ":" in w or w.startswith(("conclave_", "process_"))
    }


def page() -> str:
    """docs/metrics.md as it should be."""
    lines = [
        "# Metrics",
        "",
        "What every process tells at `GET /metrics`. Made by `python tests/unit/monitoring/metrics_page.py` from",
        "the code; a test compares them. Times are seconds, sizes bytes, shares 0 to 1. Prometheus adds `service`",
        "(who told it) to each; a histogram is also `_bucket`, `_sum` and `_count`. Beside these there is what the",
        "Prometheus client tells of every Python process (`process_resident_memory_bytes`,",
        "`process_cpu_seconds_total`, ...).",
        "",
        "Recording rules made of them: `deploy/prometheus/recording.rules.yml`; alerts: `alerts.rules.yml` beside it.",
        "",
        "| metric | kind | labels | who | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    merged: dict[str, list[Metric]] = {}
    for metric in metrics_of_the_code():
        merged.setdefault(metric.name, []).append(metric)
    for name, same in merged.items():
        who = ", ".join(dict.fromkeys(metric.who for metric in same))
        labels = ", ".join(f"`{label}`" for label in same[0].labels)
        lines.append(f"| `{name}` | {same[0].kind} | {labels} | {who} | {same[0].meaning} |")
    return "\n".join(lines) + "\n"
