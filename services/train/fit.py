"""The process that fits, niced and apart from the service: python -m services.train.fit FOLDER."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import msgspec

from services.train.job import JOB, Failed, Finished, Job, Made, Said, Task, Working

if TYPE_CHECKING:
    from libs.research.training.dataset import Dataset
    from libs.research.training.ledger import Ledger
    from libs.research.training.run import Sign

NICE: Final = 19
EVERY_S: Final = 0.5
"""How often progress is said at most."""


def fit(job: Job, say: Callable[[Said], None]) -> None:
    """Fit what the job asks for, task by task; one that cannot be fitted does not keep the others from it."""
    from libs.common.signing import make_signer
    from libs.research.training.ledger import NAME, Ledger

    sign = make_signer(Path(job.var))
    ledger = Ledger([Path(job.var) / NAME])
    for number, task in enumerate(job.tasks):
        _fit_task(job, number, task, say, sign, ledger)
    say(Finished())


def _fit_task(job: Job, number: int, task: Task, say: Callable[[Said], None], sign: Sign, ledger: Ledger) -> None:
    from libs.core.agents.artifact import Artifact
    from libs.research.training.base import TrainOptions
    from libs.research.training.dataset import DataProblem
    from libs.research.training.run import SUFFIX, Plan, train

    agent, said_at = task.agents[0], 0.0

    def progress(what: str, share: float, line: str) -> None:
        nonlocal said_at, agent
        agent = what.split()[0] if what.split()[0] in task.agents else agent
        if time.monotonic() - said_at >= EVERY_S:
            said_at = time.monotonic()
            say(Working(number, agent, round(share, 3), line))

    def finished(artifact: Artifact) -> None:
        name = artifact.manifest.agent
        say(Made(number, name, str(Path(task.out) / f"{name}{SUFFIX}")))

    say(Working(number, agent, 0.0, "features"))
    options = TrainOptions(preset=job.preset, seed=job.seed, threads=job.threads)
    try:
        data = read(job, task)
        outcomes = train(
            data,
            Plan(task.agents, options, params=job.params),
            Path(task.out),
            sign=sign,
            ledger=ledger,
            progress=progress,
            finished=finished,
        )
    except DataProblem as err:
        for name in task.agents:
            say(Failed(number, name, str(err)))
        return
    except ImportError as err:
        for name in task.agents:
            say(Failed(number, name, f"{err.name or err} is not installed; pip install 'conclave[train]' brings it"))
        return
    except OSError as err:
        for name in task.agents:
            say(Failed(number, name, f"{err.strerror or err}: {err.filename or task.out}"))
        return
    for outcome in outcomes:
        if outcome.problem:
            say(Failed(number, outcome.agent, outcome.problem))
        elif outcome.kept and outcome.path is not None:  # made before this process was killed
            say(Made(number, outcome.agent, str(outcome.path)))


def read(job: Job, task: Task) -> Dataset:
    """The data set of a task. Raises DataProblem: too few bars, or a price that does not move."""
    import numpy as np

    from libs.core.bars.quality import trainable
    from libs.core.features import feature_set
    from libs.core.features.engine import Bars
    from libs.research.training.dataset import make_dataset

    with np.load(task.bars) as columns:
        bars = Bars(**{name: columns[name] for name in ("open_time", "open", "high", "low", "close", "volume")})
        flagged = ~trainable(columns["flags"])
    features = feature_set(job.feature_set, job.feature_entries, job.feature_files)
    return make_dataset(task.venue, task.symbol, task.interval_s, bars, features, flagged=flagged)


def _speak(answers: IO[bytes]) -> Callable[[Said], None]:
    encode = msgspec.json.Encoder().encode

    def say(said: Said) -> None:
        answers.write(encode(said) + b"\n")

    return say


if __name__ == "__main__":
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive the service
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        fit(msgspec.json.decode((Path(sys.argv[1]) / JOB).read_bytes(), type=Job), _speak(answers))
