"""TimescaleDB from its public images, apache and community level, as servers that a test may stop, kill and start."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.core.container import DockerContainer

from libs.common.embedded.ports import free_port

IMAGE = "timescale/timescaledb:2.19.3-pg17-oss"
COMMUNITY_IMAGE = "timescale/timescaledb:2.19.3-pg17"


class TimescaleCluster:
    """One container. Skips the test where there is no Docker, or not this image."""

    image = IMAGE

    def __init__(self) -> None:
        try:
            asked = subprocess.run(["docker", "image", "inspect", self.image], capture_output=True, timeout=20)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            pytest.skip("Docker is not here")
        if asked.returncode != 0:
            pytest.skip(f"Docker does not run here, or has no image {self.image}")
        self.port = free_port()
        self._container = (
            DockerContainer(self.image)
            .with_env("POSTGRES_USER", "conclave")
            .with_env("POSTGRES_PASSWORD", "secret")
            .with_bind_ports(5432, self.port)
        )
        self._made = False

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        self._wait()

    def stop(self, number: int = signal.SIGINT) -> None:
        """Return once the server has ended."""
        container = self._container.get_wrapped_container()
        container.kill(signal.Signals(number).name)
        container.wait(timeout=30)

    def close(self) -> None:
        if self._made:
            self._container.stop()

    def url(self, database: str, user: str = "conclave", password: str = "secret") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def _wait(self) -> None:
        """Until it answers over the network: at its first start a server without one makes the databases."""
        deadline = time.monotonic() + 60
        asking = ["docker", "exec", self._container.get_wrapped_container().id, "pg_isready", "-q", "-h", "127.0.0.1"]
        while subprocess.run(asking, capture_output=True).returncode != 0:
            assert time.monotonic() < deadline, "TimescaleDB does not answer"
            time.sleep(0.1)


class CommunityCluster(TimescaleCluster):
    """The image with the community edition. Skips the test also where what bears its name is of another licence."""

    image = COMMUNITY_IMAGE

    def start(self) -> None:
        super().start()
        asking = ("psql", "-h", "127.0.0.1", "-U", "conclave", "-Atc", "SHOW timescaledb.license")
        command = ["docker", "exec", "-e", "PGPASSWORD=secret", self._container.get_wrapped_container().id, *asking]
        licence = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if licence != "timescale":
            self.close()
            pytest.skip(f"{self.image} is here, but at licence {licence or '(none)'}, not timescale")
