"""Seeded series with a known edge, their data sets, and tables of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from libs.core.features.engine import Bars
from libs.core.types import SECOND
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import Dataset
from libs.research.training.read import Series
from libs.research.training.run import Plan

HOUR = 3_600
BEGIN = 1_600_000_000 // HOUR * HOUR
FAST = {"rounds": 12, "min_rows": 60, "linear_weight": 0.5, "linear_c": 0.01}
"""A boosting model that is fitted in a moment."""


def bars(count: int, seed: int = 1, echo: float = 0.0, scale: float = 0.01) -> Bars:
    """Hourly bars whose log return is `echo` times the one before, plus noise."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, scale, count)
    returns = np.empty(count)
    last = 0.0
    for t in range(count):
        last = returns[t] = echo * last + noise[t]
    close = 100.0 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0.0, scale / 2.0, (2, count)))
    return Bars(
        open_time=(BEGIN + HOUR * np.arange(count)) * SECOND,
        open=opened,
        high=np.maximum(opened, close) * (1.0 + wick[0]),
        low=np.minimum(opened, close) * (1.0 - wick[1]),
        close=close,
        volume=rng.lognormal(3.0, 0.5, count),
    )


def series(count: int = 5_000, seed: int = 1, echo: float = 0.0) -> Series:
    return Series("binance", "BTCUSDT", HOUR, bars(count, seed, echo), np.zeros(count, dtype=bool))


@cache
def dataset(count: int = 5_000, seed: int = 1, echo: float = 0.0) -> Dataset:
    return series(count, seed, echo).dataset()


def with_column(data: Dataset, name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Dataset:
    """The same data where one feature has other values."""
    x = data.x.copy()
    x[:, data.names.index(name)] = values
    return replace(data, x=x)


def fast_plan(seed: int = 1) -> Plan:
    return Plan(("boosting",), TrainOptions(preset="quick", seed=seed, threads=1), {"boosting": FAST})


def table(path: Path, given: Bars, **columns: object) -> Path:
    """Bars as a Parquet or CSV file with times in ms."""
    names = ("open", "high", "low", "close", "volume")
    frame = pl.DataFrame(
        {"ts": given.open_time // 1_000_000, **{name: getattr(given, name) for name in names}, **columns}
    )
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path
