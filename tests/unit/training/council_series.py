"""Made-up bars whose volatility clusters, follows the clock and changes regime, for the tests of the council."""

from __future__ import annotations

import numpy as np

from libs.core.features.engine import Bars
from libs.core.features.sets import make_set
from libs.core.types import SECOND
from libs.research.training.dataset import Dataset, Floats, make_dataset

HOUR = 3600
FEATURES = make_set("council_tests", ("ewma_vol", "parkinson(n=20)", "touch:spread_bp"))


def lively_bars(n: int, seed: int = 5, inside: int = 12) -> tuple[Bars, Floats]:
    """`n` hourly bars, each of `inside` normal steps, and the variance of each that made them."""
    rng = np.random.default_rng(seed)
    level = np.zeros(n)
    for t in range(1, n):
        level[t] = 0.97 * level[t - 1] + 0.15 * rng.standard_normal()
    busy = np.where((np.arange(n) % 24 >= 13) & (np.arange(n) % 24 < 17), 0.8, 0.0)
    variance = 1e-5 * np.exp(2.0 * level + busy)
    steps = np.sqrt(variance / inside)[:, np.newaxis] * rng.standard_normal((n, inside))
    path = 4.0 + np.cumsum(steps.ravel()).reshape(n, inside)
    begin = np.concatenate([[4.0], path[:-1, -1]])
    whole = np.column_stack([begin, path])
    volume = np.sqrt(variance) * np.exp(0.2 * rng.standard_normal(n)) * 1e5
    bars = Bars(
        open_time=np.arange(n, dtype=np.int64) * HOUR * SECOND,
        open=np.exp(begin),
        high=np.exp(whole.max(axis=1)),
        low=np.exp(whole.min(axis=1)),
        close=np.exp(path[:, -1]),
        volume=volume,
    )
    return bars, variance


def lively(n: int, seed: int = 5) -> tuple[Dataset, Floats]:
    """The same as a data set, and the variance of each bar."""
    bars, variance = lively_bars(n, seed)
    return make_dataset("test", "MADEUP", HOUR, bars, FEATURES), variance
