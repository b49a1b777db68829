"""One child process: how it is started, watched, restarted with back-off and stopped."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_S = 20.0
"""A process that ran this long starts again without delay when it dies."""


class StackError(Exception):
    """The embedded stack cannot start or go on; the text is one line for people."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to run. `port` is where it listens (0 = nowhere), `popen` extra arguments for the start, `nice` how far
    behind the others it stands in line for the processor."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    stop_signal: str = "SIGTERM"
    popen: Mapping[str, object] = field(default_factory=dict)
    restart: bool = True
    nice: int = 0


def _settle(number: int, nice: int) -> None:
    """In the new process: die with the parent, and stand where one is told to."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if nice:
        os.nice(nice)


class Child:
    """A supervised process. Its output goes to `<logs>/<name>.out`."""

    def __init__(self, spec: ProcessSpec, logs: Path, cwd: Path) -> None:
        self.spec, self._logs, self._cwd = spec, logs, cwd
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.started = 0.0
        self.last_exit: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.returncode is None else None

    async def start(self) -> None:
        """Start it and keep it up until `stop`."""
        await self._spawn()
        self._watch = asyncio.create_task(self._keep_up(), name=f"watch-{self.spec.name}")

    async def _spawn(self) -> None:
        number = int(getattr(signal, self.spec.stop_signal))
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{self.spec.name}.out").open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self._cwd,
                env={**os.environ, **self.spec.env},
                start_new_session=True,
                preexec_fn=lambda: _settle(number, self.spec.nice),
                **self.spec.popen,  # type: ignore[arg-type]  # a mapping of keyword arguments
            )
        self.started = time.monotonic()

    async def _keep_up(self) -> None:
        tries = 0
        while True:
            assert self.process is not None
            self.last_exit = await self.process.wait()
            if self._stopping or not self.spec.restart:
                return
            tries = 0 if time.monotonic() - self.started > STEADY_S else min(tries + 1, len(BACKOFF_S) - 1)
            log.warning("process died, starting it again", process=self.spec.name, exit=self.last_exit)
            await asyncio.sleep(BACKOFF_S[tries] if tries else 0.0)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as err:
                raise StackError(f"{self.spec.name} cannot be started: {err}") from err

    async def stop(self, timeout_s: float = 12.0) -> int | None:
        """Ask it to drain, wait, kill what does not; its exit code."""
        self._stopping = True
        process = self.process
        if process is not None and process.returncode is None:
            _signal(process.pid, self.spec.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), timeout_s)
            except TimeoutError:
                log.error("process did not drain in time, killed", process=self.spec.name)
                _signal(process.pid, "SIGKILL")
                await process.wait()
        if self._watch is not None:
            self._watch.cancel()
        return process.returncode if process else None

    def last_words(self, lines: int = 1) -> str:
        """The last lines of its output, for an error message."""
        try:
            text = (self._logs / f"{self.spec.name}.out").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def _signal(pid: int, name: str) -> None:
    try:
        os.kill(pid, getattr(signal, name))
    except ProcessLookupError:
        return
