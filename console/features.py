"""`conclave features`: what there is, computed over bars of yours, drawn beside their candles."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from console.context import CommandError, base_var
from console.dashboard import make_console
from console.inputs import Given, read_bars, set_of
from console.views import table, utc
from libs.core.features.catalogue import CUMULATIVE, Feature, FeatureSet
from libs.core.types import interval_token

VENUE: Final = "binance"
SHOWN: Final = ("sma_20", "bb_upper_20", "bb_lower_20", "rsi_14", "macd_hist", "rv_60")
"""What is drawn where nothing else is asked for."""

BEFORE: Final = 2_000
"""Bars before those that are drawn, so that windows are full."""


def run_list(name: str, as_json: bool) -> None:
    """The features of a set: unit, range, memory, warm-up, inputs, source."""
    features = set_of(name)
    if as_json:
        rows = [{**msgspec.structs.asdict(each), "source": source_of(each)} for each in features.features]
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        return
    made = table(f"{features.name}: {len(features)} features, warm after {features.warmup:,} bars, {features.hash}")
    for column in ("feature", "range", "memory", "warm-up"):
        made.add_column(column, no_wrap=True, justify="left" if column == "feature" else "right")
    for column in ("unit", "needs", "source"):
        made.add_column(column, overflow="fold")
    for each in features.features:
        made.add_row(*(escape(text) for text in row_of(each)))
    make_console().print(made)


def row_of(feature: Feature) -> tuple[str, ...]:
    """A feature in words: name, range, memory, warm-up, unit, needs, source."""
    low, high = (f"{bound:g}" for bound in (feature.low, feature.high))
    bounds = "" if (low, high) == ("-inf", "inf") else f"{low} .. {high}"
    needs = ", ".join(feature.needs)
    memory = "differences" if feature.memory == CUMULATIVE else f"{feature.memory:,}"
    return feature.name, bounds, memory, f"{feature.warmup:,}", feature.unit, needs, source_of(feature)


def source_of(feature: Feature) -> str:
    """Where its definition comes from."""
    from libs.core.features.sets import definition_of

    return definition_of(feature).source


def run_compute(data: str, name: str, out: Path, calendar: str = "") -> None:
    """Every feature of a set over a table of bars, into a Parquet file that is whole or not there."""
    given, features = read_bars(data, calendar), set_of(name)
    if out.suffix != ".parquet":
        raise CommandError(f"--out must end with .parquet, not {out.name}")
    if not out.parent.is_dir():
        raise CommandError(f"{out.parent} does not exist")
    console = make_console()
    columns, taken = computed(given, features, console)
    _write(given, features, columns, out)
    refused = len(taken) - int(taken.sum())
    beside = f"; {refused:,} bars refused (repeated, late, off the grid or impossible)" if refused else ""
    interval = interval_token(given.interval_s)
    console.print(
        f"{len(features)} features of {len(taken):,} bars of {given.symbol} {interval} ({given.calendar}) "
        f"are in {out}{beside}",
        soft_wrap=True,
    )
    missing = [feature.name for feature in features.features if feature.needs]
    if missing:
        console.print(
            f"{len(missing)} of them read trades, books or other series and are empty: bars have none of these"
        )


def computed(given: Given, features: FeatureSet, console: Console) -> tuple[dict[str, Any], Any]:
    """Values by name in the order of the set, and which bars were taken; kernel by kernel, so that progress shows."""
    from libs.core.features.engine import FeatureEngine

    by_kernel: dict[tuple[str, tuple[float, ...]], list[Feature]] = defaultdict(list)
    for feature in features.features:
        by_kernel[feature.kernel, feature.values].append(feature)
    values: dict[str, Any] = {}
    taken = np.zeros(len(given.bars), dtype=bool)
    steps = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*steps, console=console, transient=True) as progress:
        task = progress.add_task("features", total=len(by_kernel))
        for (kernel, _), group in by_kernel.items():
            progress.update(task, description=f"features {kernel}")
            part = FeatureSet(name=kernel, features=tuple(group))
            matrix = FeatureEngine(VENUE, given.symbol, given.interval_s, part, given.calendar).batch(given.bars)
            values |= {feature.name: matrix.values[:, i].copy() for i, feature in enumerate(group)}
            taken = matrix.taken
            progress.advance(task)
    if not taken.any():
        interval = interval_token(given.interval_s)
        raise CommandError(f"no bar begins at a multiple of {interval} UTC while the market ({given.calendar}) is open")
    return {name: values[name] for name in features.names}, taken


def _write(given: Given, features: FeatureSet, columns: dict[str, Any], out: Path) -> None:
    import polars as pl

    bars = given.bars
    prices = {key: getattr(bars, key) for key in ("open", "high", "low", "close", "volume")}
    times = pl.Series("open_time", bars.open_time).cast(pl.Datetime("ns", "UTC"))
    frame = pl.DataFrame([times, *(pl.Series(key, value) for key, value in (prices | columns).items())])
    facts = {
        "conclave.feature_set": features.name,
        "conclave.feature_hash": features.hash,
        "conclave.symbol": given.symbol,
        "conclave.interval_s": str(given.interval_s),
    }
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        frame.write_parquet(part, compression="zstd", metadata=facts)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def run_plot(given: Given, names: Sequence[str], of: str, count: int, out: Path | None) -> None:
    """Candles with chosen features: a PNG and an interactive page."""
    from libs.research.charts import Chart, Line, write_html, write_png

    known = set_of(of)
    wanted = list(names or [name for name in SHOWN if name in known.names] or known.names[:6])
    if unknown := [name for name in wanted if name not in known.names]:
        raise CommandError(f"no feature {unknown[0]!r}; `conclave features list --set {of}` shows what there is")
    chosen = FeatureSet(name="plot", features=tuple(known.features[known.index(name)] for name in wanted))
    console = make_console()
    values, _ = computed(given, chosen, console)
    first = max(0, len(given.bars) - count)
    bars = given.bars
    chart = Chart(
        title=f"{given.symbol} {interval_token(given.interval_s)}, {utc(int(bars.open_time[first]))} to "
        f"{utc(int(bars.open_time[-1]))} UTC",
        open_time=bars.open_time[first:],
        prices={key: getattr(bars, key)[first:] for key in ("open", "high", "low", "close", "volume")},
        lines=[Line(name, chosen.features[i].unit, values[name][first:]) for i, name in enumerate(wanted)],
        interval_s=given.interval_s,
    )
    if empty := [line.name for line in chart.lines if not np.isfinite(line.values).any()]:
        console.print(f"no value in these bars: {', '.join(empty)}")
    stem = _stem(given, out)
    for path, write in ((stem.with_suffix(".png"), write_png), (stem.with_suffix(".html"), write_html)):
        write(chart, path)
        console.print(f"written: {path}", soft_wrap=True)


def _stem(given: Given, out: Path | None) -> Path:
    """Where the pictures go, without a suffix."""
    if out is not None:
        if not out.parent.is_dir():
            raise CommandError(f"{out.parent} does not exist")
        return out
    folder = base_var() / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{given.symbol}_{interval_token(given.interval_s)}"


def read_given(symbol: str | None, data: str | None, venue: str, interval: str, count: int) -> Given:
    """Bars of a table, or of a symbol in the store.

    Raises:
        CommandError: neither or both are given, or there are no bars.
    """
    import asyncio

    if (symbol is None) == (data is None):
        raise CommandError("give either a SYMBOL of the store or a table with --data")
    if data is not None:
        return read_bars(data)
    from console.stored import stored_bars

    return asyncio.run(stored_bars(str(symbol), venue, interval, count + BEFORE))
