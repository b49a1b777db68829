"""What kubectl makes of an overlay, and who may speak to whom by its network policies."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("dev", "prod")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
VENUES, STORE = "the internet, ports of venues", "anywhere, port of the store"

Manifest = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@functools.cache
def render(overlay: str) -> tuple[Manifest, ...]:
    """Every manifest of an overlay."""
    return _kustomize(K8S / "overlays" / overlay)


@functools.cache
def render_with_service_monitor() -> tuple[Manifest, ...]:
    """The production overlay as it is with the line for the Prometheus operator switched on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        reach = {part: os.path.relpath(K8S / part, folder) for part in ("overlays/prod", "components/service-monitor")}
        text = {"resources": [reach["overlays/prod"]], "components": [reach["components/service-monitor"]]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
        return _kustomize(folder)


def _kustomize(folder: Path) -> tuple[Manifest, ...]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(manifests: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def names(manifests: tuple[Manifest, ...], *kinds: str) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in of_kind(manifests, *kinds)}


def pod_of(workload: Manifest) -> Manifest:
    """Its pod: {metadata, spec}."""
    pod: Manifest = workload["spec"]["template"]
    return pod


def containers(workload: Manifest) -> list[Manifest]:
    spec = pod_of(workload)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes a pod with these labels; an empty one takes all."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    for row in selector.get("matchExpressions", []):
        assert row["operator"] == "In", "the evaluator of this test knows no other"
        if labels.get(row["key"]) not in row["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


@dataclass(frozen=True, order=True)
class Arrow:
    """One connection that the policies allow."""

    source: str
    target: str
    port: int


def allowed(manifests: tuple[Manifest, ...]) -> set[Arrow]:
    """Every pair of pods and every TCP port of the second on which the first may connect to it, and every way out.

    Names are looked up at kube-system, which is left out here.
    """
    pods = {w["metadata"]["name"]: pod_of(w)["metadata"]["labels"] for w in of_kind(manifests, *WORKLOADS)}
    ports = {
        w["metadata"]["name"]: {p["containerPort"] for c in containers(w) for p in c.get("ports", [])}
        for w in of_kind(manifests, *WORKLOADS)
    }
    policies = [policy["spec"] for policy in of_kind(manifests, "NetworkPolicy")]
    found = set()
    for source, source_labels in pods.items():
        for target, target_labels in pods.items():
            for port in ports[target]:
                goes_out = _passes(policies, "Egress", source_labels, target_labels, port)
                comes_in = _passes(policies, "Ingress", target_labels, source_labels, port)
                if goes_out and comes_in:
                    found.add(Arrow(source, target, port))
        for block_ports in _ways_out(policies, source_labels):
            found |= {Arrow(source, STORE if port == 5432 else VENUES, port) for port in block_ports}
    return found


def _passes(
    policies: list[Manifest], direction: str, own: Mapping[str, str], other: Mapping[str, str], port: int
) -> bool:
    rules, isolated = _rules(policies, direction, own)
    if not isolated:
        return True
    for rule in rules:
        peers = rule["from" if direction == "Ingress" else "to"]
        inside = [peer["podSelector"] for peer in peers if set(peer) == {"podSelector"}]
        if any(selects(selector, other) for selector in inside) and port in _tcp(rule):
            return True
    return False


def _ways_out(policies: list[Manifest], own: Mapping[str, str]) -> Iterator[set[int]]:
    rules, isolated = _rules(policies, "Egress", own)
    assert isolated, f"{own} may connect to the whole world"
    for rule in rules:
        if any("ipBlock" in peer for peer in rule["to"]):
            yield _tcp(rule)


def _rules(policies: list[Manifest], direction: str, labels: Mapping[str, str]) -> tuple[list[Manifest], bool]:
    mine = [p for p in policies if direction in p["policyTypes"] and selects(p["podSelector"], labels)]
    return [rule for policy in mine for rule in policy.get(direction.lower(), [])], bool(mine)


def _tcp(rule: Manifest) -> set[int]:
    """Its ports; a rule without ports would allow all of them."""
    return {port["port"] for port in rule["ports"] if port["protocol"] == "TCP"}
