"""A compose stack of a test: its own project, its own ports, images built from this checkout."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from libs.common.bus import NatsBus
from libs.common.embedded.ports import free_port

ROOT = Path(__file__).parents[3]
TRADES_A_DAY = 10_000
"""The example's own limit would end the trading before the last container was killed."""


class ComposeFailed(AssertionError):
    """A docker command failed; the text is what it said."""


def docker(*arguments: str, timeout: float = 120) -> str:
    """What a docker command prints. Raises ComposeFailed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise ComposeFailed(f"docker {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class ComposeStack:
    """Made with `up`, gone with `down`, volumes and all."""

    def __init__(self, folder: Path, project: str, tag: str, **settings: str) -> None:
        self.project, self.folder, self.tag = project, folder, tag
        config = yaml.safe_load((ROOT / "config.example.yaml").read_text(encoding="utf-8"))
        config["risk"]["max_trades_per_day"] = TRADES_A_DAY
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "given").mkdir(exist_ok=True)
        self.settings = {
            "VENUE_ENDPOINT": "simulator",
            "COMPOSE_PROFILES": "",
            "CONCLAVE_TAG": tag,
            "CONFIG_FILE": str(folder / "config.yaml"),
            "VENUE_SECRETS": str(folder / "given"),
            "PROMETHEUS_PORT": str(free_port()),
        } | settings
        self.environment = folder / "environment"
        self.environment.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """`docker compose ...`, with nothing of the caller's own settings."""
        kept = {name: value for name, value in os.environ.items() if name not in self.settings}
        command = ["docker", "compose", "-p", self.project, "--env-file", str(self.environment), *arguments]
        return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, timeout=timeout)

    def must(self, *arguments: str, timeout: float = 300) -> str:
        """The same; raises ComposeFailed when it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.returncode != 0:
            raise ComposeFailed(f"docker compose {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout

    def build(self) -> None:
        """Every image, from the checkout."""
        self.must("--profile", "cli", "build", timeout=1800)

    def up(self, *services: str) -> None:
        """Return once everything is healthy."""
        self.must("up", "--wait", "--no-build", *services)

    def down(self) -> None:
        """Remove containers, networks and volumes."""
        self.run("--profile", "cli", "down", "--volumes", "--remove-orphans", "--timeout", "2")

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker says of the service's container."""
        found: list[dict[str, Any]] = json.loads(docker("inspect", f"{self.project}-{service}-1"))
        return found[0]

    def health(self, service: str) -> str:
        """starting, healthy, unhealthy; else the container's state."""
        state = self.inspect(service)["State"]
        return str(state["Health"]["Status"] if state["Status"] == "running" and "Health" in state else state["Status"])

    def services(self) -> list[str]:
        """Services that run for ever."""
        return [name for name in self.must("config", "--services").split() if name not in ("init", "prepare")]

    def logs(self, service: str) -> list[str]:
        """Lines that the container printed, both streams."""
        name = f"{self.project}-{service}-1"
        done = subprocess.run(["docker", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.splitlines()

    def address(self, service: str) -> str:
        """The container's own address: nothing of the house is published on the host but panels."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])

    async def bus(self) -> NatsBus:
        """The bus as its operator sees it."""
        volume = f"{self.project}_secrets-operator:/secrets:ro"
        image = f"conclave/risk:{self.tag}"
        read = ("run", "--rm", "--user", "0", "--entrypoint", "cat", "-v", volume, image, "/secrets/NATS_PASSWORD")
        password = await asyncio.to_thread(docker, *read)
        return await NatsBus.connect(f"nats://operator:{password}@{self.address('nats')}:4222", "tests", timeout_s=20)


async def until(condition: Callable[[], object], what: str, timeout_s: float = 90.0) -> float:
    """Seconds until `condition` holds; fails with `what` when it does not in time."""
    begun = time.monotonic()
    while not await asyncio.to_thread(condition):
        assert time.monotonic() - begun < timeout_s, f"never happened within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.25)
    return time.monotonic() - begun
