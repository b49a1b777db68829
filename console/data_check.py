"""`conclave data check`: what a table of history is worth, for people, as JSON and as a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.markup import escape

from console.context import ROOT, CommandError, default_config, running_var
from console.dashboard import make_console
from console.views import table, utc
from libs.common import runtime
from libs.common.settings import load_settings
from libs.common.store import Store, StoreError
from libs.core.bars.audit import AuditReport, Finding, audit
from libs.core.bars.columns import Columns as BarTable
from libs.core.bars.sessions import SessionCalendar, calendar_named
from libs.core.history import Columns, Kind, made, rows_in, time_of
from libs.core.types import DAY_S, SECOND, Nanos, interval_seconds, interval_token, is_bar_length
from libs.research.tables.manifest import Manifest, load_manifest
from libs.research.tables.names import parse_columns
from libs.research.tables.place import Format, Place, TableError, place_of
from libs.research.tables.read import Table, interval_of, is_there, read_table
from libs.research.tables.write import digest_of

SHOWN: Final = 20
DAY: Final[Nanos] = DAY_S * SECOND
SATURDAY: Final = 2
"""Days from 1970-01-01 to the first Saturday."""

LATE_MORNING: Final[Nanos] = 16 * 3600 * SECOND
"""Of a day in UTC: inside the session of that day in New York, in summer and winter, on short days too."""

STORE: Final = "store:"


class Verdict(NamedTuple):
    """What was found out. `report` only of bars; `notes`: lines for people, `faults`: those that matter."""

    kind: Kind
    rows: int
    report: AuditReport | None
    notes: list[str]
    faults: list[str]

    @property
    def clean(self) -> bool:
        return not self.faults and (self.report is None or self.report.clean)


async def run_check(where: str, interval: str, plot: Path | None, calendar: str, columns: str, as_json: bool) -> int:
    """Print the report; 0 when the table is clean, 1 when something matters."""
    try:
        notes: list[str] = []
        faults: list[str] = []
        if where.startswith(STORE):
            found = await _from_store(where)
        else:
            place = place_of(where)
            place = place.named() if is_there(place.named()) else place
            manifest = load_manifest(place)
            found = read_table(place, parse_columns(columns) or (manifest.names if manifest else {}))
            notes, faults = _provenance(place, manifest)
        verdict = _judge(found, interval, calendar, notes, faults)
    except (TableError, ValueError) as err:
        raise CommandError(str(err)) from None
    if plot is not None:
        from console.data_plot import draw

        draw(plot, found, verdict.report, where)
    if as_json:
        _print_json(verdict)
    else:
        _print(where, verdict, plot)
    return 0 if verdict.clean else 1


async def _from_store(where: str) -> Table:
    venue, _, rest = where.removeprefix(STORE).partition("/")
    symbol, _, length = rest.rpartition("/")
    if not venue or not symbol:
        raise CommandError(f"{where}: write store:VENUE/SYMBOL/INTERVAL, for example store:binance/BTCUSDT/1m")
    settings = load_settings(default_config())
    try:
        var = running_var()
    except CommandError:
        var = settings.platform.var if settings.platform.var.is_absolute() else ROOT / settings.platform.var
    url = runtime.database_url(var, settings.platform.database_url)
    if not url:
        raise CommandError("no store is known: start a stack, or set DATABASE_URL")
    store = Store(url, connections=1)
    try:
        await store.open()
        rows = await store.read_bars(venue, symbol, interval_seconds(length), 0, 1 << 62)
    except StoreError as err:
        raise CommandError(str(err)) from None
    finally:
        await store.close()
    return Table(Kind.BARS, made(Kind.BARS, {name: values for name, values in rows.items() if name != "flags"}))


def _provenance(place: Place, known: Manifest | None) -> tuple[list[str], list[str]]:
    """What is known of a downloaded table, and whether it is still what was downloaded."""
    if known is None:
        return [], []
    notes = [f"downloaded: {known.what}, {utc(known.start)} to {utc(known.end)} UTC"]
    if place.format is Format.SQLITE:
        return notes, []
    if digest_of(place.path) == known.sha256:
        return [*notes, "checksum: as downloaded"], []
    return notes, ["checksum: the file was changed since it was downloaded"]


def _judge(found: Table, interval: str, calendar: str, notes: list[str], faults: list[str]) -> Verdict:
    rows = rows_in(found.columns)
    if not rows:
        return Verdict(found.kind, 0, None, notes, [*faults, "there are no rows"])
    if found.kind is not Kind.BARS:
        return Verdict(found.kind, rows, None, [*notes, *_span(found)], [*faults, *_faults_of_rows(found)])
    length = interval_seconds(interval) if interval else interval_of(found.columns)
    if not is_bar_length(length):
        raise CommandError(f"its rows are {length} s apart, which is no length of bars; say which with --interval")
    hours = calendar_named(calendar) if calendar else guessed_calendar(found.columns, length)
    report = audit(bars_of(laid_on(found.columns, length, hours)), length, hours)
    guess = "" if calendar else ", as the rows suggest"
    return Verdict(found.kind, rows, report, [*notes, f"hours: {hours.name}{guess}"], faults)


def bars_of(columns: Columns) -> BarTable:
    """Columns of history as those of the audit."""
    return BarTable(*(columns[name] for name in ("open_time", "open", "high", "low", "close", "volume")))


def guessed_calendar(columns: Columns, interval_s: int) -> SessionCalendar:
    """By the days on which there are bars: every day, not on Saturdays, or not on Sundays either."""
    days = np.unique(columns["open_time"] // DAY)
    if len(days) < 10 or interval_s > DAY_S:
        return calendar_named("always")
    weekday = (days - SATURDAY) % 7
    if (weekday == 0).any():
        return calendar_named("always")
    return calendar_named("forex" if (weekday == 1).any() else "us_stocks")


def laid_on(columns: Columns, interval_s: int, calendar: SessionCalendar) -> Columns:
    """Daily bars that are stamped with the midnight of their date, at the opening of that day's session."""
    times = columns["open_time"]
    if interval_s != DAY_S or calendar.name == "always" or (times % DAY).any():
        return columns
    opened = [calendar.session_of(int(at) + LATE_MORNING) for at in times]
    moved = [span[0] if span else int(at) for span, at in zip(opened, times, strict=True)]
    return columns | {"open_time": np.array(moved, np.int64)}


def _span(found: Table) -> list[str]:
    times = np.sort(found.columns[time_of(found.kind)])
    pause = int(np.diff(times).max()) / SECOND if len(times) > 1 else 0.0
    return [f"{utc(int(times[0]))} to {utc(int(times[-1]))} UTC; longest pause {pause:,.1f} s"]


def _faults_of_rows(found: Table) -> list[str]:
    columns, times = found.columns, found.columns[time_of(found.kind)]
    faults = {"out of order": int((np.diff(times) < 0).sum())}
    if found.kind is Kind.TRADES:
        faults["impossible prices"] = _count(~((columns["price"] > 0) & (columns["price"] < np.inf)))
        faults["impossible sizes"] = _count(~((columns["size"] >= 0) & (columns["size"] < np.inf)))
        numbered = columns["seq"][columns["seq"] > 0]
        faults["repeated numbers"] = len(numbered) - len(np.unique(numbered))
    else:
        faults["values that are no numbers"] = _count(~np.isfinite(columns["value"]))
    return [f"{count:,} {name}" for name, count in faults.items() if count]


def _count(mask: NDArray[np.bool_]) -> int:
    return int(mask.sum())


def _print_json(verdict: Verdict) -> None:
    facts: dict[str, Any] = {"kind": verdict.kind, "rows": verdict.rows, "clean": verdict.clean}
    facts |= {"notes": verdict.notes, "faults": verdict.faults}
    facts["report"] = msgspec.to_builtins(verdict.report) if verdict.report else None
    sys.stdout.write(json.dumps(facts) + "\n")


def _print(where: str, verdict: Verdict, plot: Path | None) -> None:
    console, report = make_console(), verdict.report
    length = f" of {interval_token(report.interval_s)}" if report else ""
    console.print(f"[bold]{escape(where)}[/bold]: {verdict.rows:,} {verdict.kind}{length}")
    if report is not None:
        from console.data import told

        console.print(f"  {utc(report.first)} to {utc(report.last)} UTC (openings); score {report.score:.6f}")
        console.print(f"  {told(report)}")
    for note in verdict.notes:
        console.print(f"  {escape(note)}")
    for fault in verdict.faults:
        console.print(f"  [red]{escape(fault)}[/red]")
    if report is not None and report.findings:
        console.print(_findings(report))
    if plot is not None:
        console.print(f"  drawn into {escape(str(plot))}")
    console.print("[green]clean[/green]" if verdict.clean else "[red]not clean[/red]")


def _findings(report: AuditReport) -> Any:
    """What matters first; what may be true of the market itself after it."""
    ordered = sorted(report.findings, key=lambda finding: (not finding.matters, finding.time))
    made = table(f"findings ({len(ordered):,})", "time (UTC)", "what", "detail")
    for finding in ordered[:SHOWN]:
        made.add_row(utc(finding.time), _name(finding), escape(finding.text))
    if len(ordered) > SHOWN:
        made.add_row("…", f"{len(ordered) - SHOWN:,} more", "see --json")
    return made


def _name(finding: Finding) -> str:
    words = finding.flaw.value.replace("_", " ")
    return f"[red]{words}[/red]" if finding.matters else f"[dim]{words}[/dim]"
