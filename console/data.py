"""`conclave data download`, `update` and `list`: history from its sources into files and the store."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from console.context import DEMO, ROOT, CommandError, base_var, default_config, is_alive
from console.dashboard import make_console
from console.views import table, utc
from libs.common import runtime
from libs.common.settings import load_settings
from libs.common.settings.sources import HistorySettings, moment
from libs.core.bars.audit import AuditReport, audit
from libs.core.history import Kind, rows_in
from libs.core.types import Nanos, is_bar_length
from libs.research.tables.download import Outcome
from libs.research.tables.names import parse_columns
from libs.research.tables.place import Place, TableError, place_of
from libs.venues.errors import VenueError
from libs.venues.sources.registry import CLASSES, facts_of
from services.ingest.sources import AT_SIMULATOR, key_of, open_source
from services.ingest.updates import Updated, Wish, fetch, place_for, update_all

LACKING: Final = 0.05
"""So much of the asked time without a row at its beginning is told: the source may not go back so far."""

KEPT: Final = "raw ticks may be kept for {hours:g} hours by {source}'s terms; conclave data update drops older ones"


class Wanted(NamedTuple):
    """Arguments of `conclave data download`."""

    source: str
    symbol: str
    interval: str
    start: str
    end: str
    out: str
    columns: str
    endpoint: str
    urls: tuple[str, ...]
    as_json: bool


async def run_download(wanted: Wanted) -> None:
    """Download, show how it goes, say what came."""
    if wanted.endpoint not in ("live", "simulator"):
        raise CommandError(f"--endpoint must be live or simulator, not {wanted.endpoint}")
    try:
        outcome, place = await _download(wanted)
    except (VenueError, TableError) as err:
        raise CommandError(str(err)) from None
    _tell(outcome, place, wanted.as_json)


async def _download(wanted: Wanted) -> tuple[Outcome, Place]:
    start, end = _moment("--start", wanted.start), _moment("--end", wanted.end) if wanted.end else 0
    names = parse_columns(wanted.columns)
    from_file = wanted.source == "file"
    var = base_var()
    entry = HistorySettings(source=wanted.source, symbol=wanted.symbol, interval=wanted.interval, out=None)
    place = place_of(wanted.out) if wanted.out else place_for(entry, var)
    async with _simulated(wanted, var) as urls:
        source = open_source(
            wanted.source, var, endpoint=wanted.endpoint, urls=urls, columns=wanted.columns if from_file else ""
        )
        try:
            wish = Wish(wanted.source, wanted.symbol, wanted.interval, start, end, place, {} if from_file else names)
            with _bar(f"{wanted.symbol} {wanted.interval}", visible=not wanted.as_json) as step:
                return await fetch(source, wish, step), place
        finally:
            await source.aclose()


def _moment(option: str, text: str) -> Nanos:
    try:
        return round(moment(text, datetime.now(UTC)).timestamp() * 1000) * 1_000_000
    except ValueError as err:
        raise CommandError(f"{option}: {err}") from None


@asynccontextmanager
async def _simulated(wanted: Wanted, var: Path) -> AsyncIterator[dict[str, str]]:
    """Addresses of the source: those given, or of the simulator that runs here, or of one for this command alone."""
    urls = dict(text.split("=", 1) for text in wanted.urls if "=" in text)
    if len(urls) < len(wanted.urls):
        raise CommandError("--url: write rest=http://..., ws=ws://...")
    if urls or wanted.endpoint != "simulator" or wanted.source not in AT_SIMULATOR:
        yield urls
        return
    for folder in (var, var / DEMO):
        found = runtime.venue_urls(folder, wanted.source, "simulator", {})
        if found and is_alive(int(runtime.read_simulator(folder).get("pid", 0))):
            yield found
            return
    from services.simulator.app import Simulator
    from services.simulator.settings import SimulatorOptions

    simulator = Simulator(SimulatorOptions())
    await simulator.start()
    try:
        yield runtime.simulator_urls(simulator.describe(), wanted.source, "")
    finally:
        await simulator.stop()


@contextmanager
def _bar(name: str, *, visible: bool) -> Iterator[Callable[[float, int], None]]:
    shown = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    counted = TextColumn("{task.fields[rows]:,} rows")
    screen = Console(stderr=True)
    with Progress(
        *shown,
        counted,
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        disable=not (visible and screen.is_terminal),
    ) as bars:
        task = bars.add_task(escape(name), total=1.0, rows=0)
        yield lambda share, rows: bars.update(task, completed=share, rows=rows)


def _tell(outcome: Outcome, place: Place, as_json: bool) -> None:
    known, report = outcome.manifest, quality(outcome)
    new = rows_in(outcome.fetched)
    if as_json:
        facts: dict[str, Any] = {"file": str(place), "rows": known.rows, "new": new, "sha256": known.sha256}
        facts |= {"first": known.first, "last": known.last, "start": known.start, "end": known.end}
        sys.stdout.write(json.dumps(facts | {"score": report.score if report else None}) + "\n")
        return
    console = make_console()
    console.print(f"[bold]{escape(str(known.what))}[/bold]: {known.rows:,} rows, {new:,} new, in {escape(str(place))}")
    console.print(f"  from {utc(known.first)} to {utc(known.last)} UTC; sha256 {known.sha256[:16]}…")
    if known.first - known.start > LACKING * (known.end - known.start):
        console.print(f"  [yellow]the source told nothing from before {utc(known.first)}[/yellow]")
    if report is not None:
        console.print(f"  quality {report.score:.4f}: {told(report)}")
    if known.what.keep_s:
        console.print(f"  [yellow]{KEPT.format(hours=known.what.keep_s / 3600, source=known.what.source)}[/yellow]")


def quality(outcome: Outcome) -> AuditReport | None:
    """The audit of downloaded bars; None for rows of another kind."""
    what = outcome.manifest.what
    if what.kind is not Kind.BARS or not is_bar_length(what.interval_s) or not rows_in(outcome.columns):
        return None
    from console.data_check import bars_of, guessed_calendar, laid_on

    calendar = guessed_calendar(outcome.columns, what.interval_s)
    return audit(bars_of(laid_on(outcome.columns, what.interval_s, calendar)), what.interval_s, calendar)


def told(report: AuditReport) -> str:
    """The findings of an audit, counted in a line."""
    counts = {
        "missing": report.missing_bars,
        "repeated": report.duplicates,
        "out of order": report.out_of_order,
        "off the grid": report.off_grid,
        "impossible": report.impossible,
        "outliers": report.outliers,
        "without volume": report.zero_volume,
    }
    found = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join(found) if found else "nothing missing, nothing strange"


async def run_update(config: Path | None, as_json: bool) -> int:
    """Everything in data.history; 1 when an entry could not be brought up to date."""
    settings = load_settings(config or default_config())
    var = settings.platform.var if settings.platform.var.is_absolute() else ROOT / settings.platform.var
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=as_json or not screen.is_terminal) as bars:

        def progress(name: str) -> Callable[[float, int], None]:
            task = bars.add_task(escape(name), total=1.0)
            return lambda share, rows: bars.update(task, completed=share)

        results = await update_all(settings, var, progress)
    if as_json:
        plain = [
            {name: getattr(row, name) for name in Updated.__slots__} | {"place": str(row.place)} for row in results
        ]
        sys.stdout.write(json.dumps(plain) + "\n")
    elif results:
        make_console().print(_updates(results))
    else:
        make_console().print("nothing to update: data.history of the configuration is empty; see docs/data.md")
    return 1 if any(row.problem for row in results) else 0


def _updates(results: list[Updated]) -> Any:
    made = table("history", "what", "rows", "new", "in the store", "dropped", "detail")
    for row in results:
        stored = "–" if row.stored is None else f"{row.stored:,}"
        detail = f"[red]{escape(row.problem)}[/red]" if row.problem else escape(str(row.place))
        made.add_row(escape(row.name), f"{row.rows:,}", f"{row.new:,}", stored, f"{row.dropped:,}", detail)
    return made


def run_list(as_json: bool) -> None:
    """Every source with what it has, wants and lacks."""
    rows = [_source(name) for name in CLASSES]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    made = table("sources", "source", "what", "symbol", "intervals", "delay", "requests", "key")
    for row in rows:
        cells = [row[name] for name in ("name", "about", "example", "span", "delay", "limit")]
        made.add_row(*cells, _key(row))
    made.columns[1].no_wrap = made.columns[3].no_wrap = False
    make_console().print(made)


def _key(row: dict[str, Any]) -> str:
    if not row["key"]:
        return "-"
    if row["key_set"]:
        return f"[green]{row['key']}: set[/green]"
    return f"{row['key']}: optional" if row["key_optional"] else f"[yellow]{row['key']}: not set[/yellow]"


def _source(name: str) -> dict[str, Any]:
    try:
        facts = facts_of(name)
    except VenueError as err:
        lacking: dict[str, Any] = {
            "intervals": [],
            "span": "",
            "example": "",
            "key": "",
            "key_set": False,
            "key_optional": False,
        }
        return {"name": name, "about": str(err), "delay_s": 0.0, "delay": "", "limit": "", **lacking}
    return {
        "name": name,
        "about": facts.about,
        "intervals": list(facts.intervals),
        "span": _intervals(facts.intervals),
        "example": facts.example,
        "key": facts.key,
        "key_set": bool(facts.key and key_of(facts, base_var())),
        "key_optional": facts.key_optional,
        "delay_s": facts.delay_s,
        "delay": _span(facts.delay_s),
        "limit": "its own" if name == "ccxt" else f"{facts.limit} / {_span(facts.window_s).removeprefix('1 ')}",
    }


def _intervals(names: tuple[str, ...]) -> str:
    lengths, words = [name for name in names if name[0].isdigit()], [name for name in names if not name[0].isdigit()]
    span = [lengths[0] if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"] if lengths else []
    return ", ".join(span + words) or "its own"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
