"""Pictures of an exam as SVG text: what was promised against what came true, and skill over time."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from libs.core.types import SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f3a5f", "#d1495b", "#2e8b57", "#edae49", "#66a5ad", "#8d6a9f", "#7f7f7f")
Reliability = Sequence[tuple[float, float, int]]


def reliability_svg(title: str, curves: Mapping[str, Reliability]) -> str:
    """Share that came true over the forecast probability, one curve a class; the diagonal keeps its promise.

    Bars of the binomial deviation (two of it) show what chance alone does to a point.
    """

    def draw(axis: Axes) -> None:
        points = [point for curve in curves.values() for point in curve]
        low = max(0.0, min(min(p, share) for p, share, _ in points) - 0.03)
        high = min(1.0, max(max(p, share) for p, share, _ in points) + 0.03)
        axis.plot([low, high], [low, high], color="#999999", linewidth=0.8, linestyle="--")
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
            p, share, count = (np.array(column, dtype=float) for column in zip(*curve, strict=True))
            spread = 2.0 * np.sqrt(np.maximum(share * (1.0 - share), 1e-6) / np.maximum(count, 1.0))
            axis.errorbar(
                p, share, spread, color=colour, marker="o", markersize=3.5, linewidth=1.1, elinewidth=0.7, label=name
            )
        axis.set_xlabel("forecast probability")
        axis.set_ylabel("share that came true")
        axis.set_xlim(low, high)
        axis.set_ylim(low, high)
        axis.legend(frameon=False, fontsize=8, loc="upper left")

    return _svg(title, (4.2, 3.6), draw)


def blocks_svg(title: str, blocks: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> str:
    """Skill in percent in each block of time, one bar a forecaster."""

    def draw(axis: Axes) -> None:
        width = 0.8 / max(len(blocks), 1)
        first: Sequence[Mapping[str, Any]] = []
        for i, ((name, rows), colour) in enumerate(zip(blocks.items(), COLOURS * 3, strict=False)):
            first = first or rows
            at = np.arange(len(rows)) + (i - (len(blocks) - 1) / 2.0) * width
            axis.bar(at, [100.0 * row[key] for row in rows], width, color=colour, label=name)
        axis.axhline(0.0, color="#333333", linewidth=0.8)
        axis.set_xticks(range(len(first)), [f"from {_day(row['from'])}" for row in first], fontsize=8)
        axis.set_ylabel("skill, %")
        axis.legend(frameon=False, fontsize=8, ncols=4)

    return _svg(title, (8.6, 3.2), draw)


def earned_svg(title: str, times: Sequence[int], curves: Mapping[str, Any]) -> str:
    """Summed log return in percent over time, one line each."""

    def draw(axis: Axes) -> None:
        keep = np.unique(np.linspace(0, len(times) - 1, min(len(times), 600)).astype(int))
        at = [datetime.fromtimestamp(times[i] / SECOND, UTC).replace(tzinfo=None) for i in keep]
        for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
            axis.plot(at, 100.0 * np.asarray(values)[keep], color=colour, linewidth=1.1, label=name)  # type: ignore[arg-type]
        axis.axhline(0.0, color="#333333", linewidth=0.8)
        axis.set_ylabel("sum of log returns, %")
        axis.tick_params(axis="x", labelsize=8)
        axis.legend(frameon=False, fontsize=8)

    return _svg(title, (8.6, 3.2), draw)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d")


def _svg(title: str, size: tuple[float, float], draw: Any) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "svg.hashsalt": title}):
        figure = Figure(figsize=size, layout="constrained")
        axis = figure.add_subplot()
        axis.set_title(title, loc="left", fontsize=10)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        axis.grid(alpha=0.2)
        draw(axis)
        text = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(text, metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)
