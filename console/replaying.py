"""`conclave replay`: a recorded session through the same core stages, compared event for event."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path

from rich import box
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from console.context import DEMO, CommandError, base_var, running_bus, running_var
from console.dashboard import make_console
from console.recorder import SESSIONS, collect, latest_session
from console.stages import make_stage
from libs.common import runtime
from libs.common.models import ModelCache
from libs.common.models.cache import models_folder
from libs.research.replay import Recording, ReplayReport, replay
from libs.research.session import Message, SessionError, read_session

SETTLE_S = 1.0
"""What follows from the last input of a running stack is captured within this."""


async def run_replay(session: str, as_json: bool) -> int:
    """Replay and report; the exit code."""
    source, messages, until_ns, models = await _load(session)
    console = make_console()
    columns = (TextColumn("replaying"), BarColumn(), TextColumn("{task.completed:,} inputs"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as progress:
        report = await asyncio.to_thread(_replay, Recording(messages, until_ns), models, progress)
    if as_json:
        sys.stdout.write(json.dumps(_facts(source, report)) + "\n")
    else:
        table = Table(title=f"replay of {source}", min_width=40, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("")
        table.add_column("equal", justify="right")
        for kind, count in sorted(report.equal.items()):
            table.add_row(kind, f"{count:,}")
        console.print(table)
        applied = ", ".join(f"{stage} {count:,}" for stage, count in report.applied.items())
        console.print(f"inputs applied: {applied}")
        for problem in report.problems:
            console.print(f"[red]cannot be compared:[/red] {problem}")
        if report.difference is not None:
            console.print(f"[red]first difference:[/red] {report.difference}")
        if report.ok:
            console.print("[green]equal, event for event[/green]")
    return 0 if report.ok else 1


def _replay(recording: Recording, models: ModelCache, progress: Progress) -> ReplayReport:
    total = sum(
        len(batch.entries) for runs in recording.journals.values() for run in runs.values() for batch in run.values()
    )
    task = progress.add_task("", total=total)
    return replay(recording, partial(make_stage, artifacts=models), lambda count: progress.advance(task, count))


def _facts(source: str, report: ReplayReport) -> dict[str, object]:
    return {
        "session": source,
        "ok": report.ok,
        "applied": dict(report.applied),
        "equal": dict(report.equal),
        "difference": str(report.difference) if report.difference else None,
        "problems": report.problems,
    }


async def _load(session: str) -> tuple[str, list[Message], int | None, ModelCache]:
    """Name and messages of a session, until when one that still runs is replayed, and where its models are."""
    if session == "running":
        async with running_bus("replay") as (bus, _):
            since = int(runtime.read_stack(running_var()).get("started_ns", 0))
            until = time.time_ns()
            await asyncio.sleep(SETTLE_S)
            messages = [message async for message in collect(bus, since)]
            return "the running stack", messages, until, ModelCache(models_folder(running_var()))
    path: Path | None = Path(session)
    if session == "last":
        var = base_var()
        found = [found for folder in (var, var / DEMO) if (found := latest_session(folder / SESSIONS))]
        path = max(found, key=lambda p: p.stat().st_mtime, default=None)
    if path is None:
        raise CommandError("no recorded session; run `make demo` first")
    try:
        # Verified when they were taken up; a session lies beside the models of its stack.
        kept = [models_folder(folder) for folder in (path.parent, path.parent.parent, base_var(), base_var() / DEMO)]
        return path.name, list(read_session(path)[1]), None, ModelCache(kept[0], also=kept[1:])
    except SessionError as err:
        raise CommandError(str(err)) from None
