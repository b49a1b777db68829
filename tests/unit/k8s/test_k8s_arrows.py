"""Network policies against docs/architecture.md: who may speak to whom is read from the picture, port by port."""

from __future__ import annotations

import re

import pytest
from k8s_rendered import (
    OVERLAYS,
    ROOT,
    STORE,
    VENUES,
    Arrow,
    allowed,
    needs_kubectl,
    of_kind,
    pod_of,
    render,
    render_with_service_monitor,
    selects,
)

pytestmark = needs_kubectl

SERVICES = {path.parent.name for path in ROOT.glob("services/*/Dockerfile")} - {"simulator"}
PICTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def _on_the_bus() -> set[str]:
    """Services that the table of subjects names as publishers."""
    rows = re.findall(r"^\| `[^|]+\|([^|]+)\|", PICTURE, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"\w+", row)} & SERVICES


def _at_venues() -> set[str]:
    """Where the line of a price begins and ends."""
    line = next(line for line in PICTURE.splitlines() if line.startswith("venue ws ->"))
    parts = [part.strip() for part in line.split("->")]
    assert parts[-1] == "venue"
    return {parts[1], parts[-2]}


def _at_the_store() -> set[str]:
    """Services whose line in the house says that they write into TimescaleDB."""
    return set(re.findall(r"^  (\w+)/ .*TimescaleDB", PICTURE, re.MULTILINE)) & SERVICES


def _arrows(overlay: str) -> set[Arrow]:
    # The preparing job makes the streams and the schema, before there is anything to draw.
    arrows = {Arrow(name, "nats", 4222) for name in _on_the_bus() | {"prepare"}}
    store = _at_the_store() | {"prepare"}
    if overlay == "prod":
        return (
            arrows
            | {Arrow("nats", "nats", 6222)}
            | {Arrow(name, STORE, 5432) for name in store}
            | {Arrow(name, VENUES, port) for name in _at_venues() for port in (443, 9443)}
        )
    return (
        arrows
        | {Arrow(name, "timescaledb", 5432) for name in store}
        | {Arrow(name, "simulator", port) for name in _at_venues() for port in (8081, 8082)}
        | {Arrow("prometheus", name, 8080) for name in SERVICES | {"simulator"}}
    )


def test_the_picture_says_what_this_test_reads_from_it() -> None:
    assert _on_the_bus() == SERVICES == {"ingest", "features", "predict", "risk", "execute", "train"}
    assert _at_venues() == {"ingest", "execute"}
    assert _at_the_store() == {"features"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_policies_allow_the_arrows_of_the_picture_and_nothing_else(overlay: str) -> None:
    assert allowed(render(overlay)) == _arrows(overlay)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_policy_is_without_effect(overlay: str) -> None:
    manifests = render(overlay)
    policies = {m["metadata"]["name"]: m for m in of_kind(manifests, "NetworkPolicy")}
    for name, policy in policies.items():
        if name in ("nobody", "names"):  # see the two tests below
            continue
        assert allowed(tuple(m for m in manifests if m is not policy)) != allowed(manifests), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_is_new_speaks_to_nobody_and_hears_nobody(overlay: str) -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in of_kind(render(overlay), "NetworkPolicy")}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    stranger = {"app.kubernetes.io/name": "stranger", "app.kubernetes.io/part-of": "conclave"}
    assert [name for name, spec in policies.items() if selects(spec["podSelector"], stranger)] == ["names", "nobody"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_names_are_looked_up_at_the_clusters_own_server_alone(overlay: str) -> None:
    specs = {m["metadata"]["name"]: m["spec"] for m in of_kind(render(overlay), "NetworkPolicy")}
    (rule,) = specs["names"]["egress"]
    (peer,) = rule["to"]
    assert peer == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {("UDP", 53), ("TCP", 53)}
    others = [spec for name, spec in specs.items() if name != "names"]
    assert not [
        peer for spec in others for rule in spec.get("egress", []) for peer in rule["to"] if "namespaceSelector" in peer
    ]


def test_ways_to_venues_lead_to_no_private_address() -> None:
    (policy,) = [m["spec"] for m in of_kind(render("prod"), "NetworkPolicy") if m["metadata"]["name"] == "to-venues"]
    (rule,) = policy["egress"]
    kept = {network for peer in rule["to"] for network in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} <= kept


def test_with_the_operator_only_its_prometheus_reads_metrics() -> None:
    manifests = render_with_service_monitor()
    assert allowed(manifests) == _arrows("prod")
    (metrics,) = [m["spec"] for m in of_kind(manifests, "NetworkPolicy") if m["metadata"]["name"] == "metrics"]
    (rule,) = metrics["ingress"]
    assert [set(peer) for peer in rule["from"]] == [{"namespaceSelector", "podSelector"}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]
    (monitor,) = of_kind(manifests, "ServiceMonitor")
    watched = [
        m for m in of_kind(manifests, "Service") if selects(monitor["spec"]["selector"], m["metadata"]["labels"])
    ]
    assert {m["metadata"]["name"] for m in watched} == SERVICES
    named = {port["name"] for m in watched for port in m["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} == named
    workloads = of_kind(manifests, "Deployment", "StatefulSet")
    assert {
        w["metadata"]["name"] for w in workloads if selects(metrics["podSelector"], pod_of(w)["metadata"]["labels"])
    } == SERVICES
