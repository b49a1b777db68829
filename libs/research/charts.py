"""Candles with lines over and under them, as a picture and as an interactive page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.types import SECOND

Floats = NDArray[np.float64]

UP, DOWN, LINES = "#1a9850", "#d73027", ("#1f77b4", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#e377c2", "#7f7f7f")
PRICE_UNIT: Final = "quote currency"


class Line(msgspec.Struct, frozen=True):
    """Values of one feature at the bars of a chart, NaN where there is none."""

    name: str
    unit: str
    values: Floats


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Candles (`prices`: open, high, low, close, volume; open times in ns UTC) and lines."""

    title: str
    open_time: NDArray[np.int64]
    prices: dict[str, Floats]
    lines: Sequence[Line]
    interval_s: int

    @property
    def over(self) -> list[Line]:
        """Lines that are prices of about the level of the candles: drawn over them."""
        return [line for line in self.lines if self._is_price(line)]

    @property
    def under(self) -> dict[str, list[Line]]:
        """The others: a panel per feature, those that share beginning and unit in one."""
        panels: dict[str, list[Line]] = {}
        for line in self.lines:
            if not self._is_price(line):
                panels.setdefault(f"{line.name.split('_')[0]} ({line.unit})", []).append(line)
        return panels

    @property
    def moments(self) -> list[datetime]:
        return [datetime.fromtimestamp(at / SECOND, UTC).replace(tzinfo=None) for at in self.open_time.tolist()]

    def _is_price(self, line: Line) -> bool:
        known = line.values[np.isfinite(line.values)]
        if line.unit != PRICE_UNIT or not len(known):
            return False
        low, high = self.prices["low"].min(), self.prices["high"].max()
        margin = 2.0 * (high - low)
        return bool(low - margin <= np.median(known) <= high + margin)


def _colours() -> Iterator[str]:
    while True:
        yield from LINES


def write_png(chart: Chart, path: Path) -> None:
    """Draw the chart into a PNG."""
    from matplotlib import collections, dates
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    marks: Any = collections
    calendar: Any = dates

    panels = chart.under
    heights = [4.0, 1.0, *(1.4 for _ in panels)]
    figure = Figure(figsize=(14, 1.6 * sum(heights) + 0.6), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    candles, volume = axes[0], axes[1]
    at = np.asarray(calendar.date2num(chart.moments))
    width = 0.7 * chart.interval_s / 86_400
    o, h, low, c = (chart.prices[key] for key in ("open", "high", "low", "close"))
    colours = np.where(c >= o, UP, DOWN).tolist()
    wicks = np.stack([np.column_stack([at, low]), np.column_stack([at, h])], axis=1)
    candles.add_collection(marks.LineCollection(wicks, colors=colours, linewidths=0.7))
    candles.add_collection(
        marks.PolyCollection(_boxes(at, width, o, c), facecolors=colours, edgecolors=colours, linewidths=0.5)
    )
    candles.autoscale_view()
    palette = _colours()
    for line in chart.over:
        candles.plot(at, line.values, color=next(palette), linewidth=1.1, label=line.name)
    if chart.over:
        candles.legend(loc="upper left", fontsize=8, ncols=4)
    candles.set_title(chart.title, loc="left")
    candles.set_ylabel("price")
    volume.bar(at, chart.prices["volume"], width=width, color=colours)
    volume.set_ylabel("volume")
    for axis, (name, lines) in zip(axes[2:], panels.items(), strict=True):
        palette = _colours()
        for line in lines:
            axis.plot(at, line.values, color=next(palette), linewidth=1.0, label=line.name)
        axis.legend(loc="upper left", fontsize=8, ncols=6)
        axis.set_ylabel(_folded(name), fontsize=8)
    locator = calendar.AutoDateLocator()
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(calendar.ConciseDateFormatter(locator))
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.set_xlim(at[0] - width, at[-1] + width)
    figure.savefig(path)


def _boxes(at: Floats, width: float, first: Floats, last: Floats) -> Floats:
    """Corners of the bodies of candles, candles x 4 x 2."""
    left, right = at - width / 2, at + width / 2
    corners = ((left, first), (left, last), (right, last), (right, first))
    return np.stack([np.column_stack(corner) for corner in corners], axis=1)


def _folded(name: str) -> str:
    head, _, unit = name.partition(" (")
    return f"{head}\n({unit}" if unit else head


def write_html(chart: Chart, path: Path) -> None:
    """Write the chart as one page that needs nothing else: zoom, hover, switch lines on and off."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    panels = chart.under
    heights = [4.0, 1.0, *(1.4 for _ in panels)]
    figure = make_subplots(
        rows=len(heights),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.02,
        row_heights=[height / sum(heights) for height in heights],
    )
    at, prices = chart.moments, chart.prices
    candles = {key: prices[key] for key in ("open", "high", "low", "close")}
    figure.add_trace(
        go.Candlestick(x=at, **candles, name="price", increasing_line_color=UP, decreasing_line_color=DOWN),
        row=1,
        col=1,
    )
    colours = np.where(prices["close"] >= prices["open"], UP, DOWN).tolist()
    figure.add_trace(go.Bar(x=at, y=prices["volume"], name="volume", marker_color=colours), row=2, col=1)
    for line in chart.over:
        figure.add_trace(go.Scatter(x=at, y=line.values, name=line.name, mode="lines"), row=1, col=1)
    for row, (name, lines) in enumerate(panels.items(), start=3):
        for line in lines:
            figure.add_trace(go.Scatter(x=at, y=line.values, name=line.name, mode="lines"), row=row, col=1)
        figure.update_yaxes(title_text=name.replace(" (", "<br>("), title_font_size=10, row=row, col=1)
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_yaxes(title_text="volume", row=2, col=1)
    figure.update_layout(
        title=chart.title,
        height=int(110 * sum(heights)),
        xaxis_rangeslider_visible=False,
        hovermode="x unified",
        template="plotly_white",
    )
    figure.write_html(path, include_plotlyjs=True, full_html=True)
