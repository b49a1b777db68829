"""Whatever a manifest names is there: pods, ports, keys, volumes, identities, claims."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml
from k8s_rendered import (
    K8S,
    OVERLAYS,
    WORKLOADS,
    Manifest,
    containers,
    names,
    needs_kubectl,
    of_kind,
    pod_of,
    render,
    selects,
)

pytestmark = [needs_kubectl, pytest.mark.parametrize("overlay", OVERLAYS)]

EXAMPLE = {
    secret["metadata"]["name"]: set(secret["stringData"])
    for secret in yaml.safe_load_all((K8S / "secrets.example.yaml").read_text(encoding="utf-8"))
}
OPTIONAL = {"conclave-venues"}


def _workloads(overlay: str) -> list[Manifest]:
    return of_kind(render(overlay), *WORKLOADS)


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child)


def test_selectors_find_their_own_pods_and_no_others(overlay: str) -> None:
    pods = {w["metadata"]["name"]: pod_of(w)["metadata"]["labels"] for w in _workloads(overlay)}
    for workload in _workloads(overlay):
        if "selector" in workload["spec"]:
            found = [name for name, labels in pods.items() if selects(workload["spec"]["selector"], labels)]
            assert found == [workload["metadata"]["name"]]
    for service in of_kind(render(overlay), "Service"):
        found = [name for name, labels in pods.items() if selects({"matchLabels": service["spec"]["selector"]}, labels)]
        assert found == [service["metadata"]["name"].removesuffix("-peers")]


def test_services_lead_to_ports_that_are_there(overlay: str) -> None:
    for service in of_kind(render(overlay), "Service"):
        (workload,) = [
            w
            for w in _workloads(overlay)
            if selects({"matchLabels": service["spec"]["selector"]}, pod_of(w)["metadata"]["labels"])
        ]
        ports = {p["name"]: p["containerPort"] for c in containers(workload) for p in c.get("ports", [])}
        for port in service["spec"]["ports"]:
            # The number too, because clients of a headless service meet the pod itself.
            assert ports[port["targetPort"]] == port["port"]


def test_probes_ask_ports_that_are_there(overlay: str) -> None:
    for workload in _workloads(overlay):
        for container in containers(workload):
            ports = {port["name"] for port in container.get("ports", [])}
            asked = [
                container[p]["httpGet"]["port"] for p in container if p.endswith("Probe") and "httpGet" in container[p]
            ]
            assert set(asked) <= ports


def test_stateful_sets_have_the_service_that_names_their_pods(overlay: str) -> None:
    headless = {
        s["metadata"]["name"] for s in of_kind(render(overlay), "Service") if s["spec"].get("clusterIP") == "None"
    }
    assert {w["spec"]["serviceName"] for w in of_kind(render(overlay), "StatefulSet")} <= headless


def test_mounts_name_volumes_and_every_volume_is_mounted(overlay: str) -> None:
    for workload in _workloads(overlay):
        claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod_of(workload)["spec"].get("volumes", [])}
        mounted = {mount["name"] for c in containers(workload) for mount in c.get("volumeMounts", [])}
        assert mounted == volumes | claimed, workload["metadata"]["name"]
        for container in containers(workload):
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))


def test_configuration_that_is_named_is_there(overlay: str) -> None:
    maps = {m["metadata"]["name"]: set(m["data"]) for m in of_kind(render(overlay), "ConfigMap")}
    used = set()
    for workload in _workloads(overlay):
        for volume in pod_of(workload)["spec"].get("volumes", []):
            if "configMap" not in volume:
                continue
            name = volume["configMap"]["name"]
            used.add(name)
            wanted = {item["key"] for item in volume["configMap"].get("items", [])}
            mounts = [m for c in containers(workload) for m in c["volumeMounts"] if m["name"] == volume["name"]]
            wanted |= {mount["subPath"] for mount in mounts if "subPath" in mount}
            wanted |= _read_below(workload, {mount["mountPath"] for mount in mounts if "subPath" not in mount})
            assert wanted, f"nothing is read from {name}"
            assert wanted <= maps[name]
    assert used == set(maps)


def _read_below(workload: Manifest, folders: set[str]) -> set[str]:
    """Files in `folders` that a command or a variable names."""
    said = [
        word.rpartition("=")[2]
        for c in containers(workload)
        for word in (*c.get("command", ()), *c.get("args", ()), *(row.get("value", "") for row in c.get("env", ())))
    ]
    return {word.rpartition("/")[2] for word in said if word.rpartition("/")[0] in folders}


def test_secrets_that_are_named_are_described_and_none_is_applied(overlay: str) -> None:
    assert not of_kind(render(overlay), "Secret")
    used: set[str] = set()
    for node in (node for workload in _workloads(overlay) for node in _walk(pod_of(workload))):
        for kind, name_key in (("secret", "secretName"), ("secret", "name"), ("secretKeyRef", "name")):
            reference = node.get(kind)
            if not isinstance(reference, dict) or name_key not in reference:
                continue
            name = reference[name_key]
            used.add(name)
            keys = {item["key"] for item in reference.get("items", [])} | (
                {reference["key"]} if "key" in reference else set()
            )
            assert keys <= EXAMPLE[name]
            assert bool(reference.get("optional")) == (name in OPTIONAL)
    only_in_dev = {"conclave-db", "conclave-simulator"}
    assert used == set(EXAMPLE) - (only_in_dev if overlay == "prod" else set())


def test_each_has_an_identity_of_its_own_and_no_token(overlay: str) -> None:
    accounts = {a["metadata"]["name"]: a for a in of_kind(render(overlay), "ServiceAccount")}
    used = [pod_of(workload)["spec"]["serviceAccountName"] for workload in _workloads(overlay)]
    assert sorted(used) == sorted(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert all(pod_of(w)["spec"]["automountServiceAccountToken"] is False for w in _workloads(overlay))


def test_claims_that_are_named_are_there(overlay: str) -> None:
    named = {
        volume["persistentVolumeClaim"]["claimName"]
        for workload in _workloads(overlay)
        for volume in pod_of(workload)["spec"].get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    assert named == names(render(overlay), "PersistentVolumeClaim")


def test_autoscalers_and_budgets_have_their_targets(overlay: str) -> None:
    manifests = render(overlay)
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        (deployment,) = [d for d in of_kind(manifests, target["kind"]) if d["metadata"]["name"] == target["name"]]
        assert "replicas" not in deployment["spec"], "applying it again would undo what the autoscaler did"
        assert all("cpu" in c["resources"]["requests"] for c in containers(deployment)), "a share of nothing"
    budgets = {
        budget["metadata"]["name"]: {
            w["metadata"]["name"]
            for w in _workloads(overlay)
            if selects(budget["spec"]["selector"], pod_of(w)["metadata"]["labels"])
        }
        for budget in of_kind(manifests, "PodDisruptionBudget")
    }
    assert budgets == {"services": {"ingest", "features", "predict", "risk", "execute", "train"}, "nats": {"nats"}}


def test_pods_are_spread_by_labels_that_they_have(overlay: str) -> None:
    spread = 0
    for workload in _workloads(overlay):
        pod = pod_of(workload)
        rows = pod["spec"].get("topologySpreadConstraints", [])
        assert len({row["topologyKey"] for row in rows}) == len(rows)
        assert all(selects(row["labelSelector"], pod["metadata"]["labels"]) for row in rows)
        spread += bool(rows)
    assert spread == 7  # six services and the bus


def test_limits_are_not_below_requests(overlay: str) -> None:
    for workload in _workloads(overlay):
        for container in containers(workload):
            resources = container["resources"]
            for what in ("cpu", "memory"):
                assert Decimal(0) < _quantity(resources["requests"][what]) <= _quantity(resources["limits"][what])


def _quantity(text: str) -> Decimal:
    for unit, factor in (("Mi", Decimal(2**20)), ("Gi", Decimal(2**30)), ("m", Decimal("0.001"))):
        if text.endswith(unit):
            return Decimal(text.removesuffix(unit)) * factor
    return Decimal(text)
