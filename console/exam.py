"""`conclave exam`: what signed models say about bars after their training range, as figures and as a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from console.context import CommandError, base_var
from console.dashboard import make_console


def run_exam(models: Path, data: str, *, report: Path | None, keys: Path | None, as_json: bool) -> None:
    """Examine, print the figures; write a report unless only JSON was asked for.

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
        series = read_series(data, first.symbol, venue=first.venue)
        dataset = series.dataset()
        exam.refuse_others(seats, dataset)
        bars_hash = dataset.hash_of(slice(0, len(dataset)))
        ledger = open_ledger(models, var)
        facts = {"data_hash": bars_hash, "models": [seat.manifest.model_id for seat in seats.values()]}
        with ledger.trial(what="exam", **facts) as trial:
            council, own = exam.examine(seats, dataset)
            found = figures_of(council, own)
            trial.found(council=found["council"])
    except (ArtifactRefused, DataProblem) as err:
        raise CommandError(str(err)) from None
    if as_json:
        print(json.dumps(plain(found)))  # noqa: T201
    else:
        _show(found)


def plain(value: Any) -> Any:
    """For JSON: what is not a number is null."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _show(found: Mapping[str, Any]) -> None:
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
