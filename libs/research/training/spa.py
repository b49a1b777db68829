"""Whether the best of several forecasters beats a benchmark by more than luck: Hansen's test of superior ability."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from libs.research.training.dataset import Floats, Ints

REPS = 1_000


@dataclass(frozen=True, slots=True)
class Spa:
    """p-values of "none of them is better than the benchmark".

    Attributes:
        lower, consistent, upper: recentred liberally, consistently and conservatively; the middle one counts.
        statistic: the largest studentised mean advantage; best: whose it is, -1 where nobody has any.
        block: mean block length of the bootstrap, bars.
    """

    statistic: float
    lower: float
    consistent: float
    upper: float
    best: int
    block: float


def spa(benchmark: Floats, models: Floats, *, block: float = 0.0, reps: int = REPS, seed: int = 1) -> Spa:
    """Hansen 2005, J. Business & Economic Statistics 23(4), by the stationary bootstrap of Politis and Romano 1994.

    `benchmark`: (n,) losses; `models`: (n, k) losses. `block`: mean block length, 0 = the cube root of n, rounded up.

    Raises:
        ValueError: fewer than two bars, or no model.
    """
    n = len(benchmark)
    if n < 2 or models.ndim != 2 or not models.shape[1]:
        raise ValueError("the test needs at least two bars and one model")
    block = block or float(math.ceil(n ** (1.0 / 3.0)))
    advantage = benchmark[:, np.newaxis] - models
    mean = advantage.mean(axis=0)
    deviation = np.sqrt(long_run_variance(advantage, block))
    deviation = np.where(deviation > 0.0, deviation, np.inf)
    studentised = math.sqrt(n) * mean / deviation
    statistic = max(0.0, float(studentised.max()))
    floor = -math.sqrt(2.0 * math.log(max(math.log(n), 1.0 + 1e-12)))
    centres = np.stack([np.maximum(mean, 0.0), np.where(studentised >= floor, mean, 0.0), mean])
    above = np.zeros(3)
    for rows in stationary_bootstrap(n, block, reps, np.random.default_rng(seed)):
        drawn = advantage[rows].mean(axis=0)
        best = (math.sqrt(n) * (drawn - centres) / deviation).max(axis=1)
        above += np.maximum(best, 0.0) >= statistic
    lower, consistent, upper = (above / reps).tolist()
    winner = int(studentised.argmax()) if statistic > 0.0 else -1
    return Spa(statistic, lower, consistent, upper, winner, block)


def long_run_variance(series: Floats, block: float) -> Floats:
    """(k,) variance of sqrt(n) times the mean of each column of (n, k) under that bootstrap, in closed form."""
    n = len(series)
    centred = series - series.mean(axis=0)
    stay = 1.0 - 1.0 / block
    lags = np.arange(1, n)
    weights = (n - lags) / n * stay**lags + lags / n * stay ** (n - lags)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    covariance = np.fft.irfft(power, size, axis=0)[:n] / n
    variance: Floats = covariance[0] + 2.0 * weights @ covariance[1:]
    return np.maximum(variance, 0.0)


def stationary_bootstrap(n: int, block: float, reps: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Rows of each of `reps` resamples: blocks of geometric length with mean `block`, wrapped around the end."""
    places = np.arange(n)
    for _ in range(reps):
        begins = rng.random(n) < 1.0 / block
        begins[0] = True
        at = np.flatnonzero(begins)
        number = np.cumsum(begins) - 1
        starts = rng.integers(0, n, len(at))
        yield (starts[number] + places - at[number]) % n
