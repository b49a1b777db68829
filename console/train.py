"""`conclave train`: fits the agents of one series and writes signed models, each run on record."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from console.context import CommandError, base_var
from console.dashboard import make_console

if TYPE_CHECKING:
    from libs.research.training.base import Progress
    from libs.research.training.dataset import Dataset
    from libs.research.training.ledger import Ledger
    from libs.research.training.run import Outcome, Plan


@dataclass(frozen=True, slots=True)
class TrainWish:
    """What was asked for. `agents`: empty = all that can be trained here."""

    data: str
    symbol: str
    venue: str
    interval: str
    out: Path
    agents: Sequence[str]
    preset: str
    seed: int
    params: Path | None
    trials: int
    workers: int
    study: str
    track: str
    walk_forward: bool
    threads: int
    as_json: bool


def run_train(wish: TrainWish) -> int:
    """Train, say what came of it; 0 when every agent has its model, 1 when one could not be fitted.

    Raises:
        CommandError: one line, when nothing can be trained.
    """
    from console.progress import bars
    from libs.common.signing import make_signer
    from libs.core.types.subjects import interval_seconds
    from libs.research.training import run
    from libs.research.training.base import TrainOptions
    from libs.research.training.dataset import DataProblem
    from libs.research.training.read import read_series
    from libs.research.training.tracking import Tracker

    screen = make_console()
    try:
        agents = tuple(wish.agents) or run.available()
        run.refuse_unknown(agents)
        if wish.preset not in run.PRESETS:
            raise DataProblem(f"no preset {wish.preset!r}; there are {', '.join(run.PRESETS)}")
        interval_s = interval_seconds(wish.interval) if wish.interval else 0
        series = read_series(wish.data, wish.symbol, venue=wish.venue, interval_s=interval_s)
        if not wish.as_json:
            screen.print(series.said, soft_wrap=True)
        data = series.dataset()
        var = base_var()
        ledger = open_ledger(wish.out, var)
        tracker = Tracker(wish.track) if wish.track else None
        options = TrainOptions(preset=wish.preset, seed=wish.seed, threads=wish.threads)
        plan = run.Plan(agents, options, params=read_params(wish.params, agents))
        with bars(quiet=wish.as_json) as tell:
            if wish.trials:
                plan = _searched(data, plan, wish, ledger, tell)
            if wish.walk_forward:
                plan = _walked(data, plan, wish, var, ledger, tell, screen)
            outcomes = run.train(data, plan, wish.out, sign=make_signer(var), ledger=ledger, progress=tell)
        for outcome in outcomes:
            if tracker is not None and outcome.manifest is not None and not outcome.kept:
                tracker.model(outcome.manifest)
    except (DataProblem, ValueError) as err:
        raise CommandError(str(err)) from None
    if wish.as_json:
        print(json.dumps(_facts(outcomes, ledger)))  # noqa: T201
    else:
        _show(screen, outcomes, wish.out, ledger)
    return int(any(outcome.problem for outcome in outcomes))


def _searched(data: Dataset, plan: Plan, wish: TrainWish, ledger: Ledger, tell: Progress) -> Plan:
    """The plan with the settings that a search found, which are also written to `<out>/params.yaml`."""
    from libs.common.onnx import make_session
    from libs.research.training import search
    from libs.research.training.run import write_whole

    storage = wish.study or f"sqlite:///{(wish.out / 'study.sqlite').absolute()}"
    aim = search.Wish(wish.trials, storage, wish.workers)
    found = {agent: dict(plan.params.get(agent, {})) for agent in plan.agents}
    if not set(plan.agents) & set(search.SPACES):
        raise CommandError(f"--trials searches settings of {', '.join(search.SPACES)}; none of them is trained here")
    for agent in plan.agents:
        if agent in search.SPACES:
            options = plan.options_of(agent)
            found[agent] = search.search(
                agent, data, options, aim, make_session=make_session, ledger_files=ledger.files, progress=tell
            )
    write_whole(wish.out / "params.yaml", search.params_of(found).encode())
    return replace(plan, params=found)


def _walked(
    data: Dataset, plan: Plan, wish: TrainWish, var: Path, ledger: Ledger, tell: Progress, screen: Console
) -> Plan:
    """The plan with the figures of a walk-forward, whose report is written and whose meaning is said."""
    from console.exam import new_report
    from libs.common.onnx import make_session
    from libs.research.training.exam_council import pooled
    from libs.research.training.exam_scores import by_block
    from libs.research.training.exam_walk import walk
    from libs.research.training.report import Facts, make_page, write_report

    walked = walk(data, plan, wish.out / "walk", make_session=make_session, ledger=ledger, progress=tell)
    exam = walked.exam
    voices = {name: voice for name, voice in exam.voices.items() if voice.has_direction}
    if voices:
        how = f"{', '.join(plan.agents)}; preset {wish.preset}, seed {wish.seed}; fitted anew before each block"
        note = f"{how}, with an embargo of 60 bars. The last blocks hold the bars that the exam of the models reads."
        page = make_page(exam, pooled(exam.voices, len(exam)), walked.beside, Facts("Walk-forward exam", (), [note]))
        html, _ = write_report(new_report(var), page)
        if not wish.as_json:
            screen.print(page.lead, soft_wrap=True, markup=False)
            screen.print(f"report: {html}", soft_wrap=True, markup=False)
    return replace(plan, folds={name: tuple(by_block(voice, exam)) for name, voice in voices.items()})


def open_ledger(folder: Path, var: Path) -> Ledger:
    """The ledger of a folder of models, and that of the house, which outlives it."""
    from libs.research.training.ledger import NAME, Ledger

    return Ledger([folder / NAME, var / "research" / NAME])


def read_params(file: Path | None, agents: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Settings by agent from a JSON or YAML file: `boosting: {model: xgboost}`.

    Raises:
        CommandError: it cannot be read, or is of another shape.
    """
    if file is None:
        return {}
    import yaml

    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as err:
        raise CommandError(f"{file} is neither YAML nor JSON: {str(err).splitlines()[0]}") from None
    if not isinstance(given, dict) or not all(isinstance(value, dict) for value in given.values()):
        raise CommandError(f"{file} must map agents to their settings, for example boosting: {{model: xgboost}}")
    if strange := sorted(set(given) - set(agents)):
        raise CommandError(
            f"{file} has settings of {strange[0]!r}, which is not trained; --agents names those that are"
        )
    return given


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _facts(outcomes: Sequence[Outcome], ledger: Ledger) -> dict[str, Any]:
    agents = {}
    for outcome in outcomes:
        manifest = outcome.manifest
        agents[outcome.agent] = {
            "path": str(outcome.path) if outcome.path else None,
            "model_id": manifest.model_id if manifest else None,
            "metrics": manifest.metrics if manifest else {},
            "problem": outcome.problem,
        }
    return {"agents": agents, "trials": ledger.trials}


def _show(screen: Console, outcomes: Sequence[Outcome], out: Path, ledger: Ledger) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("agent", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("samples", "skill, 3 classes", "skill, 2 classes", "ECE"):
        table.add_column(name, justify="right", no_wrap=True)
    for outcome in outcomes:
        manifest = outcome.manifest
        if manifest is None:
            continue
        figures = [manifest.metrics.get(f"calibration_{name}") for name in ("brier_skill", "brier_skill_2c", "ece")]
        three, two, ece = figures
        table.add_row(
            outcome.agent,
            manifest.model_id + (" (from the run before)" if outcome.kept else ""),
            f"{manifest.samples:,}",
            "" if three is None else f"{three:+.2%}",
            "" if two is None else f"{two:+.2%}",
            "" if ece is None else f"{ece:.3f}",
        )
    if table.row_count:
        screen.print(table)
        screen.print("Skill on the slice that the calibrator was fitted on: conclave exam reads the held-out bars.")
    for outcome in outcomes:
        if outcome.problem:
            screen.print(f"{outcome.agent}: not trained: {outcome.problem}", style="red", markup=False, soft_wrap=True)
    made = sum(outcome.manifest is not None for outcome in outcomes)
    screen.print(f"{made} signed models in {out}; trial {ledger.trials} of its ledger", soft_wrap=True, markup=False)
