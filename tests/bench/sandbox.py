"""A place to measure in: a folder of its own under var/, real servers, and processes that end with it."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from libs.common.embedded.nats import nats_spec
from libs.common.embedded.ports import answers, free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.embedded.process import Child, ProcessSpec
from tests.bench.harness import ROOT

START_S = 30.0


class BenchError(Exception):
    """A measurement could not be made; the text says why."""


class Sandbox:
    """`async with Sandbox("name") as box`: everything that it starts is ended and its folder removed at the end."""

    def __init__(self, name: str) -> None:
        self.folder = ROOT / "var" / "bench" / name
        self._children: list[Child] = []
        self._postgres: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._children):
            await child.stop()
        if self._postgres is not None:
            self._postgres.send_signal(signal.SIGINT)
            await asyncio.to_thread(self._postgres.wait, 20)
        if error is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def start(self, spec: ProcessSpec) -> Child:
        """Start a process; it is stopped when the sandbox ends."""
        child = Child(spec, self.folder / "log", ROOT)
        self._children.append(child)
        await child.start()
        if spec.port:
            await until(lambda: answers(spec.port), f"{spec.name} to listen; {child.last_words()}")
        return child

    async def module(self, name: str, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Child:
        """Start `python -m module arguments`, once."""
        argv = (sys.executable, "-m", module, *arguments)
        return await self.start(ProcessSpec(name, argv, env=env or {}, restart=False))

    async def nats(self) -> str:
        """Start a NATS server as durable as the house's own; its URL."""
        password, port = secrets.token_hex(8), free_port()
        await self.start(nats_spec(self.folder / "nats", port, "bench", password))
        return f"nats://bench:{password}@127.0.0.1:{port}"

    async def postgres(self) -> str:
        """Start a PostgreSQL server; the URL of an empty database."""
        server = EmbeddedPostgres(self.folder / "postgres", free_port(), secrets.token_hex(8))
        spec = await asyncio.to_thread(server.spec)
        self._postgres = await asyncio.to_thread(_as_owner, spec)
        await until(lambda: answers(spec.port), "PostgreSQL to listen")
        return server.url


def _as_owner(spec: ProcessSpec) -> subprocess.Popen[bytes]:
    """Start a server as the user that it wants: no Child can, because uvloop starts no process as another user."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    return subprocess.Popen(spec.argv, **quiet, **spec.popen)  # type: ignore[call-overload, no-any-return]


async def until(condition: Callable[[], object], what: str, timeout_s: float = START_S, every_s: float = 0.05) -> None:
    """Poll until `condition` holds.

    Raises:
        BenchError: it does not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(condition):
        if time.monotonic() > deadline:
            raise BenchError(f"waited {timeout_s:g} s in vain for {what}")
        await asyncio.sleep(every_s)
