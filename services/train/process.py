"""Runs the fitting process: started again when it is killed, ended when the service ends, never more than one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from services.train.job import JOB, Failed, Finished, Job, Made, Said

STARTS: Final = 3
"""How often a run is started; what it had made before it was killed stays."""

THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
_KILLED: Final = "the trainer was killed"


async def run_job(job: Job, folder: Path) -> AsyncIterator[Said]:
    """What the process says, until everything was tried; ends with `Finished`.

    A run that dies is started again and goes on where it was. What it could not finish in STARTS starts is `Failed`.

    Raises:
        OSError: the folder cannot be written, or no process started.
    """
    (folder / JOB).write_bytes(msgspec.json.encode(job))
    told: set[tuple[int, str]] = set()
    code: int | None = None
    for _ in range(STARTS):
        process = await _start(job, folder)
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                said = _decoded(line)
                if isinstance(said, Made | Failed):
                    if (said.task, said.agent) in told:
                        continue
                    told.add((said.task, said.agent))
                if isinstance(said, Finished):
                    yield said
                    return
                if said is not None:
                    yield said
            code = await process.wait()
        finally:
            await _end(process)
    why = f"{_KILLED} {STARTS} times" if code is not None and code < 0 else f"the trainer failed {STARTS} times"
    words = last_words(folder)
    for number, task in enumerate(job.tasks):
        for agent in task.agents:
            if (number, agent) not in told:
                yield Failed(number, agent, f"{why}{': ' + words if words else ''}")
    yield Finished()


async def _start(job: Job, folder: Path) -> asyncio.subprocess.Process:
    with (folder / "fit.out").open("wb") as out:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.train.fit", str(folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
            env={**os.environ, **dict.fromkeys(THREADS, str(job.threads))},
            start_new_session=True,
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def _decoded(line: bytes) -> Said | None:
    try:
        said: Said = msgspec.json.decode(line, type=Said)
        return said
    except msgspec.MsgspecError:
        return None


def last_words(folder: Path) -> str:
    """The last line that the process printed, for a message."""
    try:
        lines = (folder / "fit.out").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
