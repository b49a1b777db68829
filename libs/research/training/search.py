"""A search for settings: tries judged on the training part alone, kept in a data base, pruned when they fall behind."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from libs.core.agents.model import MakeSession, load_model
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset
from libs.research.training.exam import Seated, bring_loaders, voice_of
from libs.research.training.folds import Fold, final_split
from libs.research.training.ledger import Ledger
from libs.research.training.run import identity_of_agent, trainer_of, trial_facts
from libs.research.training.scores import log_loss

if TYPE_CHECKING:
    import optuna

EMBARGO: Final = 60
STEPS: Final = 3
"""Inner blocks that a try is judged on, the oldest first; between them it may be given up."""

Suggest = Callable[["optuna.Trial"], dict[str, Any]]


def _boosting(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.005, 0.05, log=True),
        "leaves": trial.suggest_int("leaves", 4, 24),
        "depth": trial.suggest_int("depth", 2, 5),
        "min_rows": trial.suggest_int("min_rows", 100, 1_000, log=True),
        "feature_share": trial.suggest_float("feature_share", 0.05, 0.5),
        "l2": trial.suggest_float("l2", 1.0, 100.0, log=True),
        "linear_weight": trial.suggest_float("linear_weight", 0.0, 0.6),
        "rounds": trial.suggest_int("rounds", 30, 300, log=True),
    }


SPACES: Final[dict[str, Suggest]] = {"boosting": _boosting}
"""What is searched, by agent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How long and where. `storage`: postgresql://... or sqlite:///FILE. `workers`: processes side by side."""

    tries: int
    storage: str
    workers: int = 1


def search(
    agent: str,
    data: Dataset,
    options: TrainOptions,
    wish: Wish,
    *,
    make_session: MakeSession,
    ledger_files: tuple[Path, ...],
    progress: Progress = silent,
) -> dict[str, Any]:
    """The settings with the least log loss over the inner blocks, on top of `options.params`.

    Only rows of the training part before the calibration slice are looked at. A study goes on where it was when the
    same is asked for again, until it has `tries` tries; each is a line of the ledger.

    Raises:
        DataProblem: nothing is known to search for this agent, the data base cannot be used, or no try succeeded.
    """
    if agent not in SPACES:
        raise DataProblem(f"no settings of {agent} are searched; --trials knows {', '.join(SPACES)}")
    import optuna

    _quiet()
    name = f"{agent} {identity_of_agent(agent, data, options)[:16]}"
    url = storage_url(wish.storage)
    try:
        study = optuna.create_study(
            study_name=name,
            storage=url,
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=options.seed, multivariate=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
        )
        done = _ended(study)
        task = _Task(agent, data, options, name, url, make_session, ledger_files)
        if wish.workers == 1:
            _work(task, wish.tries, options.seed, progress)
        elif done < wish.tries:
            _side_by_side(task, wish, progress)
        best = study.best_trial
    except (optuna.exceptions.StorageInternalError, _sqlalchemy_error()) as err:
        raise DataProblem(f"the study's data base {wish.storage} cannot be used: {_first(err)}") from None
    except ValueError:
        raise DataProblem(f"no try of {agent} succeeded in {wish.tries}; the ledger says why") from None
    return {**options.params, **best.params}


def storage_url(storage: str) -> str:
    """With the driver that comes with the project: pg8000 for PostgreSQL."""
    for begin in ("postgresql://", "postgres://"):
        if storage.startswith(begin):
            return f"postgresql+pg8000://{storage.removeprefix(begin)}"
    return storage


@dataclass(frozen=True, slots=True)
class _Task:
    agent: str
    data: Dataset
    options: TrainOptions
    study: str
    url: str
    make_session: MakeSession
    ledger_files: tuple[Path, ...]


def inner_folds(data: Dataset, steps: int = STEPS) -> list[Fold]:
    """Expanding folds within the rows that the model is fitted on; none reaches into its calibration slice."""
    train = final_split(data).train
    edges = np.linspace(int(len(train) * 0.5), len(train), steps + 1).astype(int)
    folds = []
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        middle = int(begin * 0.85)
        test = train[begin:end]
        folds.append(
            Fold(
                _before(data, train[:middle], int(train[middle])),
                _before(data, train[middle:begin], int(test[0])),
                test,
            )
        )
    return folds


def _before(data: Dataset, rows: Any, first: int) -> Any:
    """Rows whose label ends an embargo before a row."""
    return rows[data.span_end[rows] + EMBARGO < first]


def _work(task: _Task, tries: int, seed: int, progress: Progress = silent) -> None:
    """Try until the study has `tries` tries, whoever made them."""
    import optuna

    _quiet()
    bring_loaders()
    study = optuna.load_study(
        study_name=task.study,
        storage=task.url,
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    ledger = Ledger(task.ledger_files)
    folds = inner_folds(task.data)

    def told() -> None:
        ended = _ended(study)
        loss = f"log loss {study.best_value:.5f}" if any(t.state.name == "COMPLETE" for t in study.trials) else ""
        progress(f"search {task.agent}", min(ended / tries, 1.0), loss)

    told()
    while _ended(study) < tries:
        study.optimize(lambda trial: _judge(task, folds, ledger, trial), n_trials=1, catch=(DataProblem,))
        told()


def _judge(task: _Task, folds: list[Fold], ledger: Ledger, trial: optuna.Trial) -> float:
    import optuna

    found = SPACES[task.agent](trial)
    options = replace(task.options, params={**task.options.params, **found}, resume="")
    losses: list[float] = []
    with ledger.trial(what="search", **trial_facts(task.agent, task.data, options)) as entry:
        for step, fold in enumerate(folds):
            artifact = trainer_of(task.agent).fit(task.data, fold, options)
            voice = voice_of(Seated(artifact, load_model(artifact, task.make_session)), task.data).at(fold.test)
            known = np.isfinite(voice.p).all(axis=1)
            losses.append(float(log_loss(voice.p[known], task.data.y3[fold.test][known]).mean()))
            entry.found(log_loss=losses)
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                entry.found(pruned=True)
                break
    if len(losses) < len(folds):
        raise optuna.TrialPruned
    return float(np.mean(losses))


def _side_by_side(task: _Task, wish: Wish, progress: Progress) -> None:
    """Several processes on one study; one that dies leaves its tries to the others."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(task, wish.tries, task.options.seed + number), daemon=True)
        for number in range(1, wish.workers)
    ]
    for worker in workers:
        worker.start()
    _work(task, wish.tries, task.options.seed, progress)
    for worker in workers:
        worker.join()


def _ended(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _quiet() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _sqlalchemy_error() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError


def _first(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]


def params_of(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What was found, as the file that `--params` reads."""
    import yaml

    return str(yaml.safe_dump({agent: dict(params) for agent, params in found.items()}, sort_keys=True))
