"""The same house as elsewhere: settings that load, names and sizes of compose, secrets as they are made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_rendered import K8S, OVERLAYS, ROOT, WORKLOADS, containers, needs_kubectl, of_kind, pod_of, render

from libs.common.settings import load_settings

SERVICES = ("ingest", "features", "predict", "risk", "execute", "train")
EXAMPLE = list(yaml.safe_load_all((K8S / "secrets.example.yaml").read_text(encoding="utf-8")))


@pytest.fixture
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONCLAVE_VAR", "HTTP_HOST", "VENUE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_overrides")
def test_the_stack_of_its_own_runs_what_the_example_runs() -> None:
    ours = load_settings(K8S / "overlays" / "dev" / "config.yaml").model_dump()
    example = load_settings(ROOT / "config.example.yaml").model_dump()
    different = [section for section in example if ours[section] != example[section]]
    assert not different, f"change these sections of deploy/k8s/overlays/dev/config.yaml as the example: {different}"


@pytest.mark.usefixtures("_no_overrides")
def test_production_starts_on_paper_and_at_no_live_venue() -> None:
    settings = load_settings(K8S / "overlays" / "prod" / "config.yaml")
    assert settings.trading.mode == "paper"
    assert {venue.endpoint for venue in settings.data.venues} == {"testnet"}
    assert "PLANTED" not in {row.symbol for venue in settings.data.venues for row in venue.symbols}


@needs_kubectl
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_confirms_live_trading_by_default(overlay: str) -> None:
    said = {
        row["name"] for w in of_kind(render(overlay), *WORKLOADS) for c in containers(w) for row in c.get("env", [])
    }
    assert "CONCLAVE_CONFIRM_LIVE" not in said
    assert ("SIMULATOR_HOST" in said) == (overlay == "dev")


@needs_kubectl
def test_a_service_has_the_environment_the_places_and_the_size_that_compose_gives_it() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    workloads = {w["metadata"]["name"]: w for w in of_kind(render("dev"), *WORKLOADS)}
    for name in SERVICES:
        (container,) = pod_of(workloads[name])["spec"]["containers"]
        there = compose[name]
        environment = {row["name"]: row.get("value", "a secret") for row in container["env"]}
        same = ("CONFIG_PATH", "NATS_URL", "NATS_USER")
        assert {key: environment[key] for key in same} == {key: there["environment"][key] for key in same}
        assert ("DATABASE_URL" in environment) == ("DATABASE_URL" in there["environment"])
        limits = container["resources"]["limits"]
        assert limits["memory"].replace("Mi", "m").replace("Gi", "g") == there["mem_limit"]
        assert float(limits["cpu"].removesuffix("m")) / (1000 if "m" in limits["cpu"] else 1) == there["cpus"]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]} | {"/etc/conclave/config.yaml"}
        places = {_place(volume) for volume in there["volumes"]}
        if name == "execute":  # there the folder of keys is mounted, here the folder of public ones in it
            places = places - {"/var/lib/conclave/keys"} | {"/var/lib/conclave/keys/public"}
        if name == "predict":
            places = places - {"/var/lib/conclave/keys/train"} | {"/var/lib/conclave/keys/train/public"}
        assert places <= mounted
    for name in ("nats", "timescaledb", "prometheus"):
        (container,) = pod_of(workloads[name])["spec"]["containers"]
        assert container["image"] == _default(compose[name]["image"])


@needs_kubectl
def test_prometheus_gets_every_rule_that_is_written() -> None:
    (config,) = [
        m for m in of_kind(render("dev"), "ConfigMap") if m["metadata"]["name"].startswith("prometheus-config")
    ]
    folder = ROOT / "deploy" / "prometheus"
    assert {path.name for path in folder.glob("*.rules.yml")} <= set(config["data"])
    given = yaml.safe_load(config["data"]["prometheus.yml"])
    assert given["rule_files"] == ["*.rules.yml"]
    files = [
        name for row in given["alerting"]["alertmanagers"] for sd in row["file_sd_configs"] for name in sd["files"]
    ]
    assert set(files) <= set(config["data"])
    (scraped,) = [job for job in given["scrape_configs"] if job["job_name"] == "conclave"]
    targets = {target for row in scraped["static_configs"] for target in row["targets"]}
    assert targets == {f"{name}:8080" for name in SERVICES}


def _place(volume: str | dict[str, Any]) -> str:
    """Where compose mounts it, in either of its two spellings."""
    return str(volume["target"]) if isinstance(volume, dict) else volume.removesuffix(":ro").rpartition(":")[2]


def _default(image: str) -> str:
    """What `${NAME:-image}` is where nothing is set."""
    return image.partition(":-")[2].removesuffix("}")


@needs_kubectl
def test_the_script_makes_every_secret_of_the_example_with_its_keys(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    first = _secrets(folder)
    venue = folder / "venues" / "DERIV_TOKEN"
    venue.write_text("from a person", encoding="utf-8")
    second = _secrets(folder)
    assert "conclave-venues" not in first
    assert set(second.pop("conclave-venues")["data"]) == {"DERIV_TOKEN"}
    assert second == first, "what is there stays"
    for secret in EXAMPLE:
        name, keys = secret["metadata"]["name"], set(secret["stringData"])
        if name in ("conclave-execute-keys", "conclave-predict-keys"):
            (key,) = first[name]["data"]
            assert (folder / name.removeprefix("conclave-") / "public" / key).exists()
        elif name != "conclave-venues":
            assert keys <= set(first[name]["data"])
    assert {made["metadata"]["namespace"] for made in first.values()} == {"conclave"}
    assert folder.stat().st_mode & 0o077 == 0


def _secrets(folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        ["sh", str(K8S / "secrets.sh"), str(folder)],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {secret["metadata"]["name"]: secret for secret in yaml.safe_load_all(done.stdout) if secret}
