"""Runs `cli.py` in processes of its own and reads what they print."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
FORGOTTEN = ("CONFIG_PATH", "NATS_URL", "DATABASE_URL", "CONCLAVE_ADMIN_TOKEN", "HTTP_PORT")
"""Variables of whoever runs the tests that would lead elsewhere."""


class Cli:
    """`conclave` with its own folder of state."""

    def __init__(self, var: Path) -> None:
        self.var = var
        kept = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
        self.env = {**kept, "CONCLAVE_VAR": str(var), "COLUMNS": "200"}

    def __call__(self, *arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), *arguments],
            capture_output=True,
            text=True,
            env=self.env,
            cwd=ROOT,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> Running:
        """Start a command that goes on."""
        return Running(self, arguments)

    def json(self, *arguments: str) -> Any:
        """What a command answers to programs."""
        done = self(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return json.loads(done.stdout)

    @property
    def sessions(self) -> list[Path]:
        """Recorded sessions, oldest first."""
        return sorted((self.var / "sessions").glob("*.session"), key=lambda path: path.stat().st_mtime)


class Running:
    """A command under way; its output goes to a file, so that it never waits for a reader."""

    def __init__(self, cli: Cli, arguments: tuple[str, ...]) -> None:
        self._out = cli.var / f"{'-'.join(arguments[:1])}-{time.monotonic_ns()}.out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "cli.py"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=cli.env,
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self._out.read_text(errors="replace")

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
        """Poll while it runs; fails when it ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"ended before {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}\n{self.output}"
            time.sleep(0.1)

    def says(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait until it has printed `text`."""
        self.until(lambda: text in self.output, f"{text!r} was printed", timeout_s)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float = 90.0) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)


def processes_of(var: Path) -> Iterator[tuple[int, str]]:
    """(pid, command line) of every other process that has `var` in its command line or its environment."""
    needle = str(var).encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            if needle in command or needle in (folder / "environ").read_bytes():
                yield int(folder.name), command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def nothing_runs(var: Path) -> list[tuple[int, str]]:
    """What still runs after a moment's grace for processes that are just being reaped; empty is as it should be."""
    deadline = time.monotonic() + 5
    while (left := list(processes_of(var))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def kill_what_is_left(var: Path) -> None:
    """After a failed test: the processes of this folder, by their ids."""
    for pid, _ in list(processes_of(var)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
