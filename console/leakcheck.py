"""`conclave leakcheck`: the attack on features, its progress and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from console.context import CommandError
from console.dashboard import make_console
from console.inputs import read_history, set_of
from libs.core.features.catalogue import CUMULATIVE
from libs.research.leak.attack import Report, Subject, attack, length_for
from libs.research.leak.series import History, seeded

SEED = 1


def run_leakcheck(data: str | None, name: str, file: Path | None, moments: int) -> int:
    """Attack every feature of a set or a file; 0 when all are clean, 1 when not."""
    console = make_console()
    problems: list[str] = []
    try:
        subjects = _subjects(name, file)
        reports = _attacked(console, subjects, data, moments)
        if file is not None:
            from libs.research.leak.own import disagreements

            for subject in subjects:
                problems += disagreements(subject.name, seeded(SEED, length_for(subject), clean=True))
    except ValueError as err:
        raise CommandError(str(err)) from None
    return _said(console, reports, problems)


def _subjects(name: str, file: Path | None) -> Sequence[Subject]:
    """What is attacked. Agents and strategies join here: anything that is a `Subject`."""
    if file is not None:
        from libs.research.leak.own import subjects_in

        return subjects_in(file)
    from libs.research.leak.features import subjects_of

    return subjects_of(set_of(name))


def _attacked(console: Console, subjects: Sequence[Subject], data: str | None, moments: int) -> list[Report]:
    given = read_history(data) if data else None
    reports = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("leakcheck", total=len(subjects))
        for subject in subjects:
            progress.update(task, description=f"leakcheck {subject.name}")
            reports += attack(subject, _history(subject, given), SEED, moments)
            progress.advance(task)
    return reports


def _history(subject: Subject, given: History | None) -> History:
    """The newest bars that were given, as many as the memory takes; seeded ones where none were."""
    wanted = length_for(subject)
    return seeded(SEED, wanted) if given is None else given.part(max(0, len(given) - wanted), len(given))


def _said(console: Console, reports: Sequence[Report], problems: Sequence[str]) -> int:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("feature", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("found")
    for report in reports:
        memory = "its differences" if report.value.memory == CUMULATIVE else f"{report.value.memory:,} bars"
        found = "clean" if report.reached else "clean, but too few bars to check its memory"
        table.add_row(
            report.value.name, memory, f"[red]{escape(str(report.finding))}[/red]" if report.finding else found
        )
    console.print(table)
    for problem in problems:
        console.print(f"[red]{escape(problem)}[/red]")
    caught = sum(report.finding is not None for report in reports) + len(problems)
    if caught:
        console.print(f"[red]{caught} found[/red] in {len(reports)} values")
        return 1
    console.print(f"{len(reports)} value{'s' * (len(reports) != 1)}, nothing found")
    return 0
