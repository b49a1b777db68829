"""Fitting Gaussian hidden Markov models: how many states, what to call them, and which of another fit they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from libs.core.agents import hmm_kernels as kernels
from libs.research.training.dataset import DataProblem, Floats, Ints

FEWEST: Final = 200
STICKY: Final = 0.95
SPREADS: Final = (0.5, 1.0)
"""Searches begin with deviations from half to one and a half times the sample's, or from a quarter to twice that."""

TREND: Final = 0.1
"""A state whose mean is further from zero than so many of its deviations is a trend."""

LEVELS: Final = {
    1: ("normal",),
    2: ("calm", "wild"),
    3: ("calm", "normal", "wild"),
    4: ("calm", "normal", "lively", "wild"),
}


@dataclass(frozen=True, slots=True)
class Hmm:
    """States, the calmest first unless they were put into another order.

    Attributes:
        mean, variance: (K,) of each state, in units of the values.
        transition: (K, K) from, to. start: (K,) of the first value before it is seen.
        log_likelihood: of the values that it was fitted on; count: how many they were.
    """

    mean: Floats
    variance: Floats
    transition: Floats
    start: Floats
    log_likelihood: float
    count: int

    @property
    def states(self) -> int:
        return len(self.mean)

    @property
    def bic(self) -> float:
        """ln n for each parameter less twice the log likelihood (Schwarz 1978); smaller is better."""
        k = self.states
        return (2 * k + k * (k - 1) + k - 1) * math.log(self.count) - 2.0 * self.log_likelihood

    def filter(self, values: Floats) -> Floats:
        """(T, K) probabilities given the values up to each."""
        out = np.empty((len(values), self.states))
        kernels.filtered(self._logs(values), self.transition, self.start, out)
        return out

    def smooth(self, values: Floats) -> Floats:
        """(T, K) probabilities given all values."""
        out = np.empty((len(values), self.states))
        kernels.smoothed(self.filter(values), self.transition, out)
        return out

    def ordered(self, order: Sequence[int]) -> Hmm:
        """The same model with its states in this order."""
        at = np.asarray(order)
        square = np.ascontiguousarray(self.transition[np.ix_(at, at)])
        return Hmm(self.mean[at], self.variance[at], square, self.start[at], self.log_likelihood, self.count)

    def _logs(self, values: Floats) -> Floats:
        logs = np.empty((len(values), self.states))
        kernels.log_densities(np.ascontiguousarray(values), self.mean, self.variance, logs)
        return logs


def fit_hmm(values: Floats, states: int, *, seed: int = 0, starts: int = 4, steps: int = 500) -> Hmm:
    """The likeliest of several searches; two begin at set places, the others at random ones.

    Raises:
        DataProblem: too few values, or they do not move.
    """
    x = np.ascontiguousarray(values)
    known = x[np.isfinite(x)]
    if len(known) < FEWEST or not known.var() > 1e-28:
        raise DataProblem(f"{len(known)} returns are too few to tell regimes by, or they do not move")
    scale, rng = float(known.std()), np.random.default_rng(seed)
    best: Hmm | None = None
    for number in range(starts):
        if number < len(SPREADS):
            spread = np.linspace(-1.0, 1.0, states) * SPREADS[number]
            mean, deviation = (
                np.full(states, known.mean()),
                scale * (1.0 + 0.5 * spread if number == 0 else 2.0**spread),
            )
        else:
            mean = known.mean() + 0.3 * scale * rng.standard_normal(states)
            deviation = scale * np.exp(0.6 * rng.standard_normal(states))
        variance, start = deviation**2, np.full(states, 1.0 / states)
        transition = np.full((states, states), (1.0 - STICKY) / max(states - 1, 1))
        np.fill_diagonal(transition, STICKY if states > 1 else 1.0)
        value = kernels.maximise(x, mean, variance, transition, start, steps, 1e-9)
        if best is None or value > best.log_likelihood:
            best = Hmm(mean, variance, transition, start, float(value), len(known))
    assert best is not None
    return best.ordered(np.argsort(best.variance, kind="stable").tolist())


def choose_hmm(
    values: Floats, most: int = 4, *, seed: int = 0, starts: int = 4, steps: int = 500, least: int = 2
) -> Hmm:
    """The fit of `least` to `most` states with the smallest BIC. Raises DataProblem as `fit_hmm`."""
    fits = [fit_hmm(values, k, seed=seed, starts=starts, steps=steps) for k in range(least, most + 1)]
    return min(fits, key=lambda fit: fit.bic)


def names_of(hmm: Hmm) -> tuple[str, ...]:
    """What to call the states, by their moments: from calm to wild, and up or down where the mean is a trend."""
    ratio = hmm.mean / np.sqrt(hmm.variance)
    sides = ["" if abs(each) < TREND else " up" if each > 0.0 else " down" for each in ratio]
    rank = np.argsort(np.argsort(hmm.variance, kind="stable"))
    return tuple(LEVELS[hmm.states][int(level)] + side for level, side in zip(rank, sides, strict=True))


def match(mean: Floats, variance: Floats, to_mean: Floats, to_variance: Floats) -> Ints:
    """Which state of the first model each state of the second is, so that together they differ least.

    Distance: of log deviations, and of means in the second's deviations. Both have the same number of states.
    """
    k = len(to_mean)
    deviation = np.sqrt(to_variance)
    apart = (
        np.abs(0.5 * np.log(variance[:, np.newaxis] / to_variance)) + np.abs(mean[:, np.newaxis] - to_mean) / deviation
    )
    best = min(itertools.permutations(range(k)), key=lambda order: sum(apart[order[j], j] for j in range(k)))
    return np.asarray(best, dtype=np.int64)
