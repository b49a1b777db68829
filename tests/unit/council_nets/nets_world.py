"""Seeded series with a known edge for nets to learn, and settings with which they do in a moment."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from libs.core.agents.artifact import Artifact
from libs.core.agents.model import Floats, Model, Said, Seen, load_model
from libs.core.features.engine import Bars
from libs.core.features.sets import FULL
from libs.core.types import SECOND
from libs.research.training.base import Trainer, TrainOptions
from libs.research.training.dataset import NO_LABEL, Dataset, next_bar_labels, stationary
from libs.research.training.folds import Fold, final_split
from libs.research.training.nets import TrainedSession

HOUR = 3_600
BEGIN = 1_600_000_000 // HOUR * HOUR
COUNT = 3_000
HOLE = 2_700
"""The bar before which three are missing."""

NAMES = stationary(FULL)[:8]
TINY = {"features": 6, "window": 16, "hidden": 8, "layers": 2, "epochs": 2, "batch": 16, "dropout": 0.1}
"""A trend net that is fitted in a moment."""


@cache
def world(seed: int = 1, echo: float = 0.5) -> Dataset:
    """Hourly bars whose log return is `echo` times the one before, plus noise; the first feature is that return."""
    rng = np.random.default_rng(seed)
    returns = np.empty(COUNT)
    last = 0.0
    for t, noise in enumerate(rng.normal(0.0, 0.01, COUNT)):
        last = returns[t] = echo * last + noise
    close = 100.0 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0.0, 0.005, (2, COUNT)))
    slots = np.arange(COUNT) + 3 * (np.arange(COUNT) >= HOLE)
    bars = Bars(
        open_time=(BEGIN + HOUR * slots) * SECOND,
        open=opened,
        high=np.maximum(opened, close) * (1.0 + wick[0]),
        low=np.minimum(opened, close) * (1.0 - wick[1]),
        close=close,
        volume=rng.lognormal(3.0, 0.5, COUNT),
    )
    returns[[0, HOLE]] = np.nan
    following = np.append(returns[1:], np.nan)
    sigma = np.full(COUNT, 0.01)
    y3, y2 = next_bar_labels(following, sigma)
    x = rng.normal(0.0, 1.0, (COUNT, len(NAMES)))
    x[:, 0] = returns
    x[rng.random(x.shape) < 0.01] = np.nan
    return Dataset(
        venue="binance",
        symbol="BTCUSDT",
        interval_s=HOUR,
        bars=bars,
        set_hash=FULL.hash,
        names=NAMES,
        x=x,
        returns=returns,
        next_return=following,
        sigma=sigma,
        y3=y3,
        y2=y2,
        usable=y3 != NO_LABEL,
        span_end=np.minimum(np.arange(COUNT) + 1, COUNT - 1),
    )


def fold() -> Fold:
    return final_split(world())


def quick(seed: int = 1, resume: str | Path = "", **params: object) -> TrainOptions:
    return TrainOptions(preset="quick", seed=seed, threads=1, params=params, resume=str(resume))


def with_labels(data: Dataset, y3: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Dataset:
    return replace(data, y3=y3)


def model_of(artifact: Artifact) -> Model:
    return load_model(artifact, TrainedSession)


def heard(model: Model, data: Dataset, part: slice = slice(None)) -> Said:
    """What it says of these bars in one go."""
    x = data.columns(model.manifest.features)
    return model.history(x[part], data.returns[part], data.ohlcv[part], data.bars.open_time[part])


def seen(model: Model, data: Dataset, end: int, rows: int, bars: int) -> Seen:
    """So many rows and bars that end with bar `end`."""
    x: Floats = data.columns(model.manifest.features)
    return Seen(
        rows=x[end - rows + 1 : end + 1][np.newaxis],
        returns=np.empty((1, 0)),
        bars=data.ohlcv[end - bars + 1 : end + 1][np.newaxis],
        time=data.bars.open_time[end : end + 1],
    )


def killed_after(epochs: int, trainer: Trainer, options: TrainOptions) -> None:
    """A fit that ends by Ctrl-C after so many epochs."""
    done = 0

    def progress(what: str, share: float, line: str) -> None:
        nonlocal done
        done += line.startswith("epoch")
        if done == epochs:
            raise KeyboardInterrupt

    try:
        trainer.fit(world(), fold(), options, progress)
    except KeyboardInterrupt:
        return
    raise AssertionError("it ended before it was killed")
