"""Resident memory of the embedded stack: NATS, PostgreSQL, simulator, services and their supervisor, in the demo."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

from libs.common.embedded.process import ProcessSpec
from libs.common.embedded.stack import SERVICES, ready_reasons
from libs.common.runtime import read_services
from tests.bench.harness import Line, absolute
from tests.bench.sandbox import Sandbox, until

LIMIT_MB: Final = 1_500.0
AFTER_S: Final = 40.0
SAMPLES: Final = 5
MB: Final = 1_000_000


def proportional_mb(root: psutil.Process) -> dict[str, float]:
    """Proportional set size of `root` and all below it, MB, by name: shared pages are counted once."""
    found: dict[str, float] = {}
    for process in (root, *root.children(recursive=True)):
        try:
            line = process.cmdline()
            size = process.memory_full_info().pss / MB
        except psutil.Error:
            continue
        found[_name(line)] = found.get(_name(line), 0.0) + size
    return found


def _name(line: list[str]) -> str:
    module = next((part for part in line if part.startswith("services.")), "")
    if module:
        return module.removeprefix("services.")
    program = Path(line[0]).name.split(":")[0] if line else "?"
    return "supervisor" if program.startswith("python") else program


async def run(samples: int = SAMPLES, after_s: float = AFTER_S) -> list[Line]:
    """The line `memory_embedded`."""
    async with Sandbox("memory") as box:
        env = {"CONCLAVE_VAR": str(box.folder)}
        spec = ProcessSpec(
            "demo",
            (sys.executable, "cli.py", "demo", "--minutes", "10"),
            env=env,
            stop_signal=signal.SIGINT.name,
            restart=False,
        )
        child = await box.start(spec)
        await until(lambda: _all_ready(box.folder), f"the demo to be ready; {child.last_words()}", timeout_s=90)
        ready = time.monotonic()
        taken: list[dict[str, float]] = []
        for number in range(samples):
            await asyncio.sleep(max(0.0, ready + after_s + number - time.monotonic()))
            taken.append(await asyncio.to_thread(proportional_mb, psutil.Process(child.pid)))
        await child.stop(30)
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(taken[-1].items(), key=lambda item: -item[1]))
    what = f"PSS {after_s:.0f} s after ready: {parts}"
    values = [sum(sample.values()) for sample in taken]
    return [
        absolute("memory_embedded", values, unit="MB", what=what, at_most=LIMIT_MB, references=[LIMIT_MB] * samples)
    ]


def _all_ready(folder: Path) -> bool:
    services = read_services(folder / "demo")
    return all(name in services and not ready_reasons(services[name]["http"]) for name in SERVICES)
