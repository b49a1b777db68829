"""Every manifest as Kubernetes itself describes it, and what each pod may do."""

from __future__ import annotations

from pathlib import PurePosixPath

import kubernetes_validate
import pytest
from k8s_rendered import (
    OVERLAYS,
    WORKLOADS,
    Manifest,
    containers,
    needs_kubectl,
    of_kind,
    pod_of,
    render,
    render_with_service_monitor,
)

pytestmark = needs_kubectl

OLDEST = "1.30"
"""The oldest version of Kubernetes for which these manifests are meant."""


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_follow_the_strict_schema(overlay: str, version: str) -> None:
    for manifest in render(overlay):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_part_for_the_operator_adds_its_kind_alone() -> None:
    kinds = [m["kind"] for m in render_with_service_monitor() if "monitoring.coreos.com" in m["apiVersion"]]
    assert kinds == ["ServiceMonitor"]
    assert not of_kind(render("prod"), "ServiceMonitor"), "a cluster without the operator refuses the whole overlay"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_lives_in_one_namespace_that_admits_restricted_pods_only(overlay: str) -> None:
    manifests = render(overlay)
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    rest = [m for m in manifests if m is not namespace]
    assert {m["metadata"]["namespace"] for m in rest} == {namespace["metadata"]["name"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_container_has_more_rights_than_none(overlay: str) -> None:
    for workload in of_kind(render(overlay), *WORKLOADS):
        spec = pod_of(workload)["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            # Its last line is what `kubectl describe pod` shows.
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"].rpartition("/")[2]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_runs_on_is_probed_and_services_say_themselves_how_they_are(overlay: str) -> None:
    for workload in of_kind(render(overlay), "Deployment", "StatefulSet"):
        for container in pod_of(workload)["spec"]["containers"]:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
            if workload["metadata"]["labels"]["app.kubernetes.io/component"] in ("service", "venue"):
                assert _asks(container, "startupProbe") == _asks(container, "livenessProbe") == "/healthz"
                assert _asks(container, "readinessProbe") == "/readyz"


def _asks(container: Manifest, probe: str) -> str:
    return str(container[probe]["httpGet"]["path"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_only_one_may_do_is_never_done_by_two(overlay: str) -> None:
    for workload in of_kind(render(overlay), "Deployment"):
        assert workload["spec"]["strategy"] == {"type": "Recreate"}
        assert workload["spec"].get("replicas", 1) == 1
    (execute,) = [w for w in of_kind(render(overlay), "StatefulSet") if w["metadata"]["name"] == "execute"]
    assert execute["spec"]["replicas"] == 1
    for scaler in of_kind(render(overlay), "HorizontalPodAutoscaler"):
        # Until a replica owns a part of the symbols; see deploy/k8s/base/availability.yaml.
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 1)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_signing_key_reaches_risk_alone(overlay: str) -> None:
    holders = {
        workload["metadata"]["name"]
        for workload in of_kind(render(overlay), *WORKLOADS)
        for volume in pod_of(workload)["spec"].get("volumes", [])
        if volume.get("secret", {}).get("secretName") == "conclave-risk-keys"
    }
    assert holders == {"risk"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_mounted_for_the_group_of_the_pod_and_for_nobody_else(overlay: str) -> None:
    for workload in of_kind(render(overlay), *WORKLOADS):
        spec = pod_of(workload)["spec"]
        modes = [v[kind]["defaultMode"] for v in spec["volumes"] for kind in ("secret", "projected") if kind in v]
        assert set(modes) <= {0o440}
        if modes:
            assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"] > 0
        for container in containers(workload):
            for mount in container.get("volumeMounts", []):
                if mount["name"] in ("secrets", "given-key", "passwords"):
                    assert mount["readOnly"] is True
                    assert PurePosixPath(mount["mountPath"]).is_absolute()
