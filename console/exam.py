"""`conclave exam`: what signed models say about bars after their training range, as figures and as a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from console.context import CommandError, base_var
from console.dashboard import make_console

if TYPE_CHECKING:
    from libs.research.training.dataset import Dataset
    from libs.research.training.exam import Judged, Seated


def run_exam(models: Path, data: str, *, report: Path | None, keys: Path | None, as_json: bool) -> None:
    """Examine, print the figures, write the report; with JSON it is written only where `report` names a folder.

    Raises:
        CommandError: one line: a model is refused, or the bars do not do.
    """
    from console.train import open_ledger
    from libs.common.onnx import make_session
    from libs.common.signing import ModelVerifier
    from libs.core.agents.artifact import ArtifactRefused
    from libs.research.training import exam
    from libs.research.training.dataset import DataProblem
    from libs.research.training.exam_figures import figures_of
    from libs.research.training.read import read_series

    var = base_var()
    verify = ModelVerifier(keys) if keys else ModelVerifier.of(var)
    try:
        seats = exam.load_models(models, verify, make_session)
        first = next(iter(seats.values())).manifest
        dataset = read_series(data, first.symbol, venue=first.venue).dataset()
        exam.refuse_others(seats, dataset)
        bars_hash = dataset.hash_of(slice(0, len(dataset)))
        ledger = open_ledger(models, var)
        facts = {"data_hash": bars_hash, "models": [seat.manifest.model_id for seat in seats.values()]}
        with ledger.trial(what="exam", **facts) as trial:
            council, own = exam.examine(seats, dataset)
            found = figures_of(council, own)
            trial.found(council=found["council"])
        looks = ledger.exams_of(bars_hash)
    except (ArtifactRefused, DataProblem) as err:
        raise CommandError(str(err)) from None
    if as_json:
        print(json.dumps(plain(found)))  # noqa: T201
    else:
        show(found)
    if report or not as_json:
        _report(report or new_report(var), seats, dataset, council, looks, quiet=as_json)


def new_report(var: Path) -> Path:
    """A new folder for a report: <var>/reports/<time>."""
    return var / "reports" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")


def _report(
    folder: Path, seats: Mapping[str, Seated], dataset: Dataset, exam: Judged, looks: int, *, quiet: bool
) -> None:
    from libs.research.training.exam_council import pooled
    from libs.research.training.read import moment
    from libs.research.training.report import Facts, make_page, write_report
    from libs.research.training.report_baselines import baselines, rows_before

    latest = max(seat.manifest.trained_to for seat in seats.values())
    beside = baselines(dataset, rows_before(dataset, latest), exam.row)
    rows = []
    for seat in seats.values():
        manifest = seat.manifest
        span = f"{moment(manifest.trained_from)} to {moment(manifest.trained_to)} UTC, {manifest.samples:,} samples"
        how = f"{manifest.params.get('preset', '')}, {manifest.sampling}, seed {manifest.seed}, trial {manifest.trials}"
        rows.append((manifest.model_id, span, how))
    notes = [f"Look number {looks} at these bars; only the first tells what was not known before."]
    if not beside:
        notes.append("The bars given hold too little of the training range to fit the forecasters of one line on it.")
    page = make_page(exam, pooled(exam.voices, len(exam)), beside, Facts("Exam of the council", rows, notes))
    html, _ = write_report(folder, page)
    if not quiet:
        screen = make_console()
        screen.print(page.lead, soft_wrap=True, markup=False)
        screen.print(f"report: {html}", soft_wrap=True, markup=False)


def plain(value: Any) -> Any:
    """For JSON: what is not a number is null."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def show(found: Mapping[str, Any]) -> None:
    """The figures as a table."""
    screen = make_console()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for name in (
        "bars",
        "skill, 3 classes",
        "skill, 2 classes",
        "DM t",
        "accuracy",
        "2 classes",
        "log loss",
        "ECE",
        "silent",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    rows = {"council": found["council"], **found["agents"]}
    for name, row in rows.items():
        if "brier_skill" not in row:
            continue
        table.add_row(
            name,
            f"{row['n']:,}",
            f"{row['brier_skill']:+.2%}",
            f"{row['brier_skill_2c']:+.2%}",
            f"{row['dm_t_2c']:.1f}",
            f"{row['accuracy']:.3f}",
            f"{row['accuracy_2c']:.3f}",
            f"{row['log_loss']:.4f}",
            f"{row['ece']:.3f}",
            f"{row['abstention_rate']:.1%}",
        )
    screen.print(table)
