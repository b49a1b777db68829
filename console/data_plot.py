"""A picture of a table of history: price, gaps and volume over time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from console.context import CommandError
from libs.core.bars.audit import AuditReport
from libs.core.history import Kind, time_of
from libs.core.types import SECOND, Nanos
from libs.research.tables.read import Table

POINTS: Final = 4_000
"""More than a picture is wide: what lies closer together is drawn as its range."""

NARROWEST: Final = 0.002
"""A gap is drawn at least this wide, as a share of the picture, so that it can be seen."""


def draw(path: Path, found: Table, report: AuditReport | None, title: str) -> None:
    """Write the picture in the format that the suffix names.

    Raises:
        CommandError: no such format, no rows, or it cannot be written.
    """
    columns, times = found.columns, found.columns[time_of(found.kind)]
    if not len(times):
        raise CommandError("there are no rows to draw")
    try:
        import matplotlib
    except ImportError as err:
        raise CommandError(f"--plot needs a library that is missing ({err}); make setup") from None
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    order = np.argsort(times, kind="stable")
    low, high, last, volume = _series(found, order)
    parts = [part for part in np.array_split(np.arange(len(order)), min(POINTS, len(order))) if len(part)]
    at = [_moment(int(times[order[part[0]]])) for part in parts]
    figure = Figure(figsize=(14, 7), layout="constrained")
    axes: Any = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    price, bars = axes
    price.fill_between(at, [low[p].min() for p in parts], [high[p].max() for p in parts], alpha=0.3, linewidth=0)
    price.plot(at, [last[p[-1]] for p in parts], linewidth=0.8)
    price.set_title(title if report is None else f"{title}: score {report.score:.4f}, {report.missing_bars:,} missing")
    price.set_ylabel("value" if found.kind is Kind.READINGS else "price")
    bars.fill_between(at, [volume[p].sum() for p in parts], step="post", linewidth=0)
    bars.set_ylabel("rows" if found.kind is Kind.READINGS else "volume")
    for axis in axes:
        axis.grid(alpha=0.3)
    if report is not None:
        _mark(price, report, int(times[order[0]]), int(times[order[-1]]), columns)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as err:
        raise CommandError(f"{path} cannot be drawn: {str(err).splitlines()[0]}") from None


def _series(found: Table, order: Any) -> tuple[Any, Any, Any, Any]:
    columns = {name: values[order] for name, values in found.columns.items()}
    if found.kind is Kind.BARS:
        return columns["low"], columns["high"], columns["close"], columns["volume"]
    if found.kind is Kind.TRADES:
        return columns["price"], columns["price"], columns["price"], columns["size"]
    return columns["value"], columns["value"], columns["value"], np.ones(len(order))


def _mark(axis: Any, report: AuditReport, first: int, last: int, columns: Any) -> None:
    """Gaps as red bands, what else matters as red points."""
    least = int((last - first) * NARROWEST) + SECOND
    for hole in report.missing:
        axis.axvspan(_moment(hole.start), _moment(max(hole.end, hole.start + least)), color="red", alpha=0.35)
    points = [finding.time for finding in report.findings if finding.matters and finding.flaw != "missing"]
    where = np.searchsorted(columns["open_time"], points)
    inside = [i for i in where.tolist() if i < len(columns["open_time"])]
    if inside:
        at = [_moment(int(columns["open_time"][i])) for i in inside]
        axis.plot(at, columns["close"][inside], "rx", markersize=6)


def _moment(at: Nanos) -> datetime:
    return datetime.fromtimestamp(at / SECOND, UTC)
