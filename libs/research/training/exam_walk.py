"""The walk-forward exam: every agent fitted anew before each block of time and judged on it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from libs.core.agents.model import MakeSession, load_model
from libs.research.training.base import Progress, silent
from libs.research.training.dataset import DataProblem, Dataset, Floats
from libs.research.training.exam import META, Judged, Seated, Voice, bring_loaders, range_variance, voice_of
from libs.research.training.folds import Fold, walk_forward
from libs.research.training.ledger import Ledger
from libs.research.training.manifests import climatology
from libs.research.training.meta import joint, said_unseen, stack
from libs.research.training.report_baselines import baselines
from libs.research.training.run import Plan, identity_of, trainer_of, trial_facts, write_whole


@dataclass(frozen=True, slots=True)
class Walked:
    """All test blocks in one, what the agents said in them, and what the forecasters of one line did."""

    exam: Judged
    beside: Mapping[str, Voice]


def walk(
    data: Dataset,
    plan: Plan,
    work: Path,
    *,
    make_session: MakeSession,
    ledger: Ledger,
    progress: Progress = silent,
    blocks: int = 6,
) -> Walked:
    """Expanding walk-forward over `blocks` test blocks; nothing is chosen by what comes out.

    What each fit said is kept in `work` until all are done, so that a killed run goes on where it was.

    Raises:
        DataProblem: too few bars for so many blocks, or an agent that cannot learn from one of them.
    """
    bring_loaders()
    folds = walk_forward(data, blocks=blocks)
    agents = [agent for agent in plan.agents if agent != META]
    everyone = [*agents, *([META] if len(agents) > 1 else [])]
    kept = _Kept(work, f"{blocks} {identity_of(data, plan)}")
    voices: dict[str, list[Voice]] = {agent: [] for agent in everyone}
    for number, fold in enumerate(folds):
        before: dict[str, Floats] = {}
        for agent in agents:
            name = f"{agent}-{number}"
            said = kept.get(name)
            if said is None:
                at = (number, len(folds))
                said = _said(agent, data, fold, plan, at, kept.checkpoints(name), make_session, ledger, progress)
                kept.put(name, *said)
            voice, unseen = said
            voices[agent].append(voice)
            before[agent] = unseen
        if META in voices:
            now = {agent: voices[agent][-1] for agent in agents}
            voices[META].append(_joint(data, fold, plan, before, now, make_session))
        progress("walk-forward", (number + 1) / len(folds), f"block {number + 1} of {len(folds)}")
    beside: dict[str, list[Voice]] = {}
    for fold in folds:
        for name, voice in baselines(data, np.concatenate([fold.train, fold.calibrate]), fold.test).items():
            beside.setdefault(name, []).append(voice)
    kept.end()
    whole = {name: joined(parts) for name, parts in beside.items() if len(parts) == len(folds)}
    return Walked(_judged(data, folds, {agent: joined(parts) for agent, parts in voices.items()}), whole)


def _said(
    agent: str,
    data: Dataset,
    fold: Fold,
    plan: Plan,
    at: tuple[int, int],
    checkpoints: Path,
    make_session: MakeSession,
    ledger: Ledger,
    progress: Progress,
) -> tuple[Voice, Floats]:
    """What one agent says of the test block, and (n, 3) of the calibration slice before it was fitted on it."""
    options = plan.options_of(agent, str(checkpoints))
    number, count = at

    def tell(what: str, share: float, line: str) -> None:
        progress(f"{what}, block {number + 1} of {count}", share, line)

    with ledger.trial(what="walk-forward", block=number, **trial_facts(agent, data, options)) as trial:
        artifact = trainer_of(agent).fit(data, fold, options, tell)
        voice = voice_of(Seated(artifact, load_model(artifact, make_session)), data).at(fold.test)
        trial.found(metrics=artifact.manifest.metrics)
    unseen = said_unseen(data, artifact)
    return voice, unseen[fold.calibrate] if len(unseen) else unseen


def _joint(
    data: Dataset,
    fold: Fold,
    plan: Plan,
    before: Mapping[str, Floats],
    now: Mapping[str, Voice],
    make_session: MakeSession,
) -> Voice:
    """The stack's opinion of the test block; none where there are too few agents with a direction to stack."""
    n = len(fold.test)
    whole = {agent: np.full((len(data), 3), np.nan) for agent, p in before.items() if len(p)}
    for agent, p in whole.items():
        p[fold.calibrate] = before[agent]
    try:
        artifact = stack(data, fold, whole, plan.options_of(META))
    except DataProblem:
        return Voice(np.full((n, 3), np.nan), np.zeros(n, dtype=bool))
    p = joint(artifact, load_model(artifact, make_session), {agent: voice.p for agent, voice in now.items()}, n)
    return Voice(p, np.asarray(np.isfinite(p).all(axis=1)))


def joined(parts: Sequence[Voice]) -> Voice:
    """What one forecaster says about blocks that follow each other."""
    return Voice(
        np.concatenate([part.p for part in parts]),
        np.concatenate([part.speaks for part in parts]),
        np.concatenate([part.sigma for part in parts]),
    )


def _judged(data: Dataset, folds: Sequence[Fold], voices: Mapping[str, Voice]) -> Judged:
    rows = np.concatenate([fold.test for fold in folds])
    shares = [climatology(data, fold) for fold in folds]
    sizes = [len(fold.test) for fold in folds]
    return Judged(
        symbol=data.symbol,
        interval_s=data.interval_s,
        row=rows,
        time=data.bars.open_time[rows],
        y3=data.y3[rows],
        y2=data.y2[rows],
        next_return=data.next_return[rows],
        sigma=data.sigma[rows],
        variance=range_variance(data)[rows],
        climatology=np.repeat(np.array([three for three, _ in shares]), sizes, axis=0),
        up=np.repeat([up for _, up in shares], sizes),
        block=np.repeat(np.arange(len(folds)), sizes),
        voices=voices,
    )


class _Kept:
    """What fits said, in a folder, for as long as the run is the same."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        mark = folder / "run.json"
        try:
            same = json.loads(mark.read_bytes()) == identity
        except (OSError, ValueError):
            same = False
        if not same:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_whole(mark, json.dumps(identity).encode())

    def get(self, name: str) -> tuple[Voice, Floats] | None:
        path = self._folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path) as arrays:
            return Voice(arrays["p"], arrays["speaks"], arrays["sigma"]), arrays["unseen"]

    def put(self, name: str, voice: Voice, unseen: Floats) -> None:
        data = io.BytesIO()
        arrays: dict[str, Any] = {"p": voice.p, "speaks": voice.speaks, "sigma": voice.sigma, "unseen": unseen}
        np.savez(data, **arrays)
        write_whole(self._folder / f"{name}.npz", data.getvalue())
        shutil.rmtree(self.checkpoints(name), ignore_errors=True)

    def checkpoints(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def end(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
