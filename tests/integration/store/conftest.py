"""A real PostgreSQL for the store's tests: one cluster for the session, a new database for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from libs.common.embedded.ports import free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.store import Store


class Cluster:
    """A PostgreSQL server that a test may stop, kill and start again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="conclave-store-"))
        self.folder.chmod(0o755)
        self.embedded = EmbeddedPostgres(self.folder, free_port(), "secret")
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
        self.process.wait(20)
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

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.embedded.data, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A cluster that the test may break."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


async def new_database(cluster: Cluster) -> str:
    """URL of an empty database."""
    name = f"t_{uuid4().hex}"
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = await asyncpg.connect(cluster.url("postgres"))
            break
        except (OSError, asyncpg.CannotConnectNowError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return cluster.url(name)


@pytest.fixture
async def database_url(shared_cluster: Cluster) -> str:
    return await new_database(shared_cluster)


@pytest.fixture
async def own_url(own_cluster: Cluster) -> str:
    return await new_database(own_cluster)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = Store(database_url)
    await opened.open()
    yield opened
    await opened.close()
