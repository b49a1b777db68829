"""A real PostgreSQL for the store's tests: one cluster for the session, a new database for each test.

The server of the wheel, and where Docker is there TimescaleDB's images as well: for the quick tests of the store itself
in every run, for everything with CONTAINERS=1 (`make test-containers`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

from store_timescale import CommunityCluster, TimescaleCluster

from libs.common.embedded.ports import free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.store import Store


class Cluster:
    """A PostgreSQL server that a test may stop, kill and start again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="conclave-store-"))
        self.folder.chmod(0o755)
        self.embedded = EmbeddedPostgres(self.folder, free_port(), "secret")
        self.port = self.embedded.port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        spec = self.embedded.spec()
        with (self.folder / "log").open("ab") as out:
            self.process = subprocess.Popen(spec.argv, stdout=out, stderr=out, cwd="/", **spec.popen)  # type: ignore[call-overload]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.embedded.port), 0.5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, number: int = signal.SIGINT) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(60)
        if number == signal.SIGKILL:
            self._wait_for_orphans(self.process.pid)
        self.process = None

    def _wait_for_orphans(self, postmaster: int) -> None:
        """Children of a killed postmaster end by themselves; only then may another one start."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not any(str(self.embedded.data) in line for line in _commands() if "postgres" in line):
                return
            time.sleep(0.05)
        os.killpg(postmaster, signal.SIGKILL)

    def url(self, database: str, user: str = "conclave", password: str = "secret") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.embedded.port}/{database}"

    def close(self) -> None:
        # Nobody needs the data again: an orderly end would first write them all to disk.
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.embedded.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


AnyCluster = Cluster | TimescaleCluster


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text().replace("\0", " "))
        except OSError:
            continue
    return found


SERVERS = {"wheel": Cluster, "timescaledb": TimescaleCluster, "community": CommunityCluster}
ON_EVERY = (
    *("test_store_database", "test_store_writer", "test_store_history", "test_store_rollups", "test_store_retention"),
)
"""Modules that meet every server in every run."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which servers a test meets."""
    everything = os.environ.get("CONTAINERS") == "1"
    every = everything or metafunc.module.__name__.rpartition(".")[2] in ON_EVERY
    for name in ("shared_cluster", "own_cluster"):
        if name in metafunc.fixturenames:
            scope = "session" if name == "shared_cluster" else "function"
            metafunc.parametrize(name, list(SERVERS) if every else ["wheel"], indirect=True, scope=scope)


@pytest.fixture(scope="session")
def shared_cluster(request: pytest.FixtureRequest) -> Iterator[AnyCluster]:
    with contextlib.closing(SERVERS[request.param]()) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def own_cluster(request: pytest.FixtureRequest) -> Iterator[AnyCluster]:
    """A cluster that the test may break."""
    with contextlib.closing(SERVERS[request.param]()) as cluster:
        cluster.start()
        yield cluster


async def new_database(cluster: AnyCluster) -> str:
    """URL of an empty database."""
    name = f"t_{uuid4().hex}"
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = await asyncpg.connect(cluster.url("postgres"))
            break
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return cluster.url(name)


@pytest.fixture
async def database_url(shared_cluster: AnyCluster) -> str:
    return await new_database(shared_cluster)


@pytest.fixture
async def own_url(own_cluster: AnyCluster) -> str:
    return await new_database(own_cluster)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = Store(database_url)
    await opened.open()
    yield opened
    await opened.close()
