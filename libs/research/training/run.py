"""Training the agents of one series: each is fitted, calibrated, signed and written whole, and each is a trial."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest, pack, unpack
from libs.research.training.base import Progress, Trainer, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset
from libs.research.training.folds import Fold, final_split
from libs.research.training.ledger import Ledger
from libs.research.training.manifests import CODE
from libs.research.training.meta import said_unseen, stack

TRAINERS: Final = {
    "volatility": "libs.research.training.volatility:VolatilityTrainer",
    "regime": "libs.research.training.regime:RegimeTrainer",
    "boosting": "libs.research.training.boosting:BoostingTrainer",
    "trend": "libs.research.training.trend:TrendTrainer",
    "pattern": "libs.research.training.pattern:PatternTrainer",
}
"""Agents that learn from bars, in the order in which they are fitted; imported when they are asked for."""

META: Final = "meta"
"""Learns from the others, after them: its stack weighs what each said of bars that it was not fitted on."""

PRESETS: Final = ("quick", "default", "full")
SUFFIX: Final = ".model"
STATE: Final = "run.json"
"""What a run in progress has behind it; gone once it is done."""

CHECKPOINTS: Final = "checkpoints"
Sign = Callable[[Artifact], Artifact]


def available() -> tuple[str, ...]:
    """Agents whose trainer can be imported here, the meta-agent last."""
    return (*(agent for agent in TRAINERS if _found(agent)), META)


def refuse_unknown(agents: Sequence[str]) -> None:
    """Raises DataProblem for an agent that cannot be trained here."""
    for agent in agents:
        if agent != META:
            trainer_of(agent)


def _found(agent: str) -> bool:
    try:
        return importlib.util.find_spec(TRAINERS[agent].partition(":")[0]) is not None
    except ModuleNotFoundError:
        return False


def trainer_of(agent: str) -> Trainer:
    """The trainer of an agent.

    Raises:
        DataProblem: there is none, or a library that it needs is missing.
    """
    if agent not in TRAINERS:
        raise DataProblem(f"no agent {agent!r} to train; there are {', '.join(available())}")
    module, _, name = TRAINERS[agent].partition(":")
    try:
        trainer: Trainer = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as err:
        raise DataProblem(f"{agent} cannot be trained here: {err}; pip install 'conclave[train]' brings it") from None
    return trainer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one agent. `problem`: why there is no new model, "" when there is. `kept`: it was there already,
    from the run that this one takes up."""

    agent: str
    path: Path | None = None
    manifest: Manifest | None = None
    problem: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained and how. `params`: agent to settings of its model. `folds`: agent to figures of a walk-forward,
    for its manifest."""

    agents: Sequence[str]
    options: TrainOptions
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folds: Mapping[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)

    def options_of(self, agent: str, checkpoints: str = "") -> TrainOptions:
        """Of one agent."""
        return replace(self.options, params=dict(self.params.get(agent, {})), resume=checkpoints)


def train(
    data: Dataset,
    plan: Plan,
    out: Path,
    *,
    sign: Sign,
    ledger: Ledger,
    progress: Progress = silent,
    finished: Callable[[Artifact], None] | None = None,
) -> list[Outcome]:
    """Fit every agent of the plan on all but the held-out end and write `<out>/<agent>.model` and its manifest.

    One that cannot be fitted does not keep the others from it; its earlier model stays. A run that was killed goes on
    where it was when the same is asked for again. `finished` is told each new model.

    Raises:
        DataProblem: too few bars to hold some back.
        OSError: a file cannot be written; nothing half-written is left under a model's name.
    """
    fold = final_split(data)
    if min(len(fold.train), len(fold.calibrate), len(fold.test)) < 50:
        raise DataProblem(f"{data.symbol}: {len(data):,} bars are too few to train, to calibrate and to hold some back")
    out.mkdir(parents=True, exist_ok=True)
    state = _State.taken_up(out, identity_of(data, plan))
    outcomes, fitted = [], []
    for agent in sorted(plan.agents, key=lambda agent: agent == META):
        if (made := state.done(agent)) is not None:
            fitted.append(made)
            outcomes.append(Outcome(agent, out / f"{agent}{SUFFIX}", made.manifest, kept=True))
            continue
        try:
            artifact = _fitted(agent, data, fold, plan, state, sign, ledger, progress, fitted)
        except DataProblem as err:
            outcomes.append(Outcome(agent, problem=str(err)))
            continue
        path = save(artifact, out)
        state.has(agent)
        fitted.append(artifact)
        outcomes.append(Outcome(agent, path, artifact.manifest))
        if finished is not None:
            finished(artifact)
    state.end()
    return outcomes


def _fitted(
    agent: str,
    data: Dataset,
    fold: Fold,
    plan: Plan,
    state: _State,
    sign: Sign,
    ledger: Ledger,
    progress: Progress,
    others: Sequence[Artifact],
) -> Artifact:
    checkpoints = state.checkpoints(agent)
    options = plan.options_of(agent, str(checkpoints))
    with ledger.trial(what="train", **trial_facts(agent, data, options)) as trial:
        if agent == META:
            heard = {other.manifest.agent: said_unseen(data, other) for other in others}
            artifact = stack(data, fold, heard, options)
        else:
            artifact = trainer_of(agent).fit(data, fold, options, progress)
        manifest = msgspec.structs.replace(
            artifact.manifest, trials=ledger.trials, folds=tuple(plan.folds.get(agent, ()))
        )
        signed = sign(msgspec.structs.replace(artifact, manifest=manifest))
        trial.found(model=manifest.model_id, metrics=manifest.metrics)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return signed


def trial_facts(agent: str, data: Dataset, options: TrainOptions) -> dict[str, Any]:
    """What a ledger notes when a fit begins."""
    return {
        "agent": agent,
        "symbol": data.symbol,
        "interval_s": data.interval_s,
        "preset": options.preset,
        "seed": options.seed,
        "params": dict(options.params),
        "data_hash": data.hash_of(slice(0, len(data))),
        "set_hash": data.set_hash,
        "code": CODE,
    }


def identity_of(data: Dataset, plan: Plan) -> str:
    """The same for the same bars, features, settings, seed and code: what one run may take up from another."""
    parts = [identity_of_agent(agent, data, plan.options_of(agent)) for agent in plan.agents]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def identity_of_agent(agent: str, data: Dataset, options: TrainOptions) -> str:
    """The same for one agent."""
    facts = trial_facts(agent, data, options)
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def save(artifact: Artifact, out: Path) -> Path:
    """Write `<out>/<agent>.model` and, for people, `<agent>.json`; either file is the old or the new one, never half.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    manifest = artifact.manifest
    path = out / f"{manifest.agent}{SUFFIX}"
    write_whole(path, pack(artifact))
    facts = {"model_id": manifest.model_id, "key_id": artifact.key_id, **msgspec.to_builtins(manifest)}
    write_whole(path.with_suffix(".json"), json.dumps(facts, indent=2).encode() + b"\n")
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file at once, on the disk before this returns; a draft that could not be finished is removed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


class _State:
    """What of a run is done, in `<out>/run.json`."""

    def __init__(self, out: Path, identity: str, done: list[str]) -> None:
        self._out, self._identity, self._done = out, identity, done

    @classmethod
    def taken_up(cls, out: Path, identity: str) -> _State:
        """The state of the run that was killed here if it was the same, else a new one without its checkpoints."""
        try:
            saved = json.loads((out / STATE).read_bytes())
            if saved["identity"] == identity:
                return cls(out, identity, list(saved["done"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        state = cls(out, identity, [])
        state._write()
        return state

    def done(self, agent: str) -> Artifact | None:
        """The model that this run wrote before it was killed."""
        if agent not in self._done:
            return None
        try:
            return unpack((self._out / f"{agent}{SUFFIX}").read_bytes())
        except (OSError, ArtifactRefused):
            return None

    def has(self, agent: str) -> None:
        self._done.append(agent)
        self._write()

    def checkpoints(self, agent: str) -> Path:
        folder = self._out / CHECKPOINTS / agent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def end(self) -> None:
        shutil.rmtree(self._out / CHECKPOINTS, ignore_errors=True)
        (self._out / STATE).unlink(missing_ok=True)

    def _write(self) -> None:
        write_whole(self._out / STATE, json.dumps({"identity": self._identity, "done": self._done}).encode())
