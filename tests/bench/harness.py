"""Interleaving, medians and spreads: how a measurement becomes one line of the table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 5

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Line:
    """One result.

    Attributes:
        ours, reference: medians over the repeats, in `unit`; reference None where there is nothing to compare with.
        ratio: median of ours / reference of each repeat; None without a reference.
        target: bound of what `bounds` names ("ratio" or "ours"); None = reported only. sense: "<=" or ">=".
        spread: smallest and largest value of a repeat, of what `bounds` names.
    """

    name: str
    unit: str
    ours: float
    reference: float | None
    ratio: float | None
    target: float | None
    sense: str
    met: bool | None
    spread: tuple[float, float]
    repeats: int
    what: str
    bounds: str = "ratio"


async def interleaved(ours: Measure, reference: Measure, repeats: int = REPEATS) -> list[tuple[float, float]]:
    """Both measured in turn, the first of each pair alternating, so that what drifts meets both alike."""
    pairs = []
    for repeat in range(repeats):
        if repeat % 2:
            second = await reference()
            pairs.append((await ours(), second))
        else:
            first = await ours()
            pairs.append((first, await reference()))
    return pairs


def compared(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    unit: str,
    what: str,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Line:
    """The line of ours against a reference; the target bounds the ratio ours / reference."""
    ratios = [ours / reference for ours, reference in pairs]
    ratio = statistics.median(ratios)
    target, sense, met = _judged(ratio, at_most, at_least)
    return Line(
        name=name,
        unit=unit,
        ours=statistics.median(ours for ours, _ in pairs),
        reference=statistics.median(reference for _, reference in pairs),
        ratio=ratio,
        target=target,
        sense=sense,
        met=met,
        spread=(min(ratios), max(ratios)),
        repeats=len(pairs),
        what=what,
    )


def absolute(
    name: str,
    values: Sequence[float],
    *,
    unit: str,
    what: str,
    at_most: float,
    references: Sequence[float] = (),
) -> Line:
    """The line of a value with a bound of its own; a reference, where there is one, is only shown beside it."""
    ours = statistics.median(values)
    target, sense, met = _judged(ours, at_most, None)
    return Line(
        name=name,
        unit=unit,
        ours=ours,
        reference=statistics.median(references) if references else None,
        ratio=statistics.median(a / b for a, b in zip(values, references, strict=True)) if references else None,
        target=target,
        sense=sense,
        met=met,
        spread=(min(values), max(values)),
        repeats=len(values),
        what=what,
        bounds="ours",
    )


def _judged(value: float, at_most: float | None, at_least: float | None) -> tuple[float | None, str, bool | None]:
    if at_most is not None:
        return at_most, "<=", value <= at_most
    if at_least is not None:
        return at_least, ">=", value >= at_least
    return None, "", None


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, interpolated between neighbours."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def table_of(lines: Sequence[Line]) -> Table:
    """The table for people."""
    table = Table(title="conclave bench", title_justify="left")
    for column in ("name", "what"):
        table.add_column(column, overflow="fold")
    for column in ("ours", "reference", "ratio", "spread", "target", "met"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    for line in lines:
        digits = _ratio if line.bounds == "ratio" else _amount
        low, high = line.spread
        table.add_row(
            line.name,
            line.what,
            f"{_amount(line.ours)} {line.unit}",
            "" if line.reference is None else f"{_amount(line.reference)} {line.unit}",
            "" if line.ratio is None else _ratio(line.ratio),
            f"{digits(low)} .. {digits(high)}",
            "" if line.target is None else f"{line.sense} {digits(line.target)}",
            {None: "", True: "[green]yes[/green]", False: "[red]NO[/red]"}[line.met],
            str(line.repeats),
        )
    return table


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def report(lines: Sequence[Line], file: Path) -> None:
    """Print the table and write the lines as JSON."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table_of(lines))
    missed = [line.name for line in lines if line.met is False]
    console.print(f"target missed: {', '.join(missed)}" if missed else "no target missed")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {file}")
