"""Shared by all tests: a real NATS server from the wheel, and waiting for conditions instead of sleeping."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from libs.common.embedded.nats import nats_spec
from libs.common.embedded.ports import answers, free_port

Until = Callable[[Callable[[], object], str], Awaitable[None]]


class NatsServer:
    """One nats-server process that can be killed and started again on the same files."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://test:test@127.0.0.1:{self.port}"
        self._spec = nats_spec(folder, self.port, "test", "test")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._spec.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not answers(self.port):
            assert time.monotonic() < deadline, "nats-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of an `xdist_group` on one worker, so that only one whole stack runs at a time.

    pytest-xdist 3.8 appends the group's name to `_nodeid`, where pytest 9.2 no longer looks: groups were ignored.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        marker = item.get_closest_marker("xdist_group")
        if marker is not None and not item.nodeid.endswith(f"@{marker.args[0]}"):
            item._id = type(item.id).parse(f"{item.nodeid}@{marker.args[0]}")


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A fresh server of one test."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def until() -> Until:
    """`await until(lambda: condition, "what is awaited")` polls with a deadline."""

    async def wait(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"never happened: {what}"
            await asyncio.sleep(0.005)

    return wait
