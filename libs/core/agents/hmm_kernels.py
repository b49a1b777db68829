"""Kernels of Gaussian hidden Markov models of a few states: filter, smoother and expectation maximisation.

Hamilton 1989 (filter), Kim 1994 (smoother), Baum and Welch 1970 (fit). Densities stay logarithms until a bar's largest
is taken out, so that neither a crash nor a still price underflows. Matrices of transition are (from, to). A value that
is NaN tells nothing: the chain moves on. Kernels share a file because numba's cache looks only at the file of the
compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOG_2PI: Final = math.log(2.0 * math.pi)
LEAST: Final = 1e-300


@njit(cache=True)
def log_normal(x: float, mean: float, variance: float) -> float:
    """Log of the normal density."""
    return -0.5 * (LOG_2PI + math.log(variance) + (x - mean) ** 2 / variance)


@njit(cache=True)
def update(p: Floats, logs: Floats) -> float:
    """Bayes: prior p (K,) becomes posterior given log densities (K,); the log likelihood of what was seen."""
    top = float(logs[0])
    for k in range(1, len(p)):
        top = max(top, float(logs[k]))
    total = 0.0
    for k in range(len(p)):
        total += p[k] * math.exp(logs[k] - top)
    if not total > 0.0:
        return top + math.log(LEAST)
    for k in range(len(p)):
        p[k] *= math.exp(logs[k] - top) / total
    return top + math.log(total)


@njit(cache=True)
def move(p: Floats, transition: Floats, following: Floats) -> None:
    """following (K,) = p of the next bar before it is seen."""
    for j in range(len(p)):
        following[j] = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            following[j] += p[i] * transition[i, j]


@njit(cache=True)
def filtered(logs: Floats, transition: Floats, start: Floats, out: Floats) -> float:
    """Hamilton's filter over log densities (T, K), NaN = not seen; posteriors in `out` (T, K), log likelihood back.

    `start`: of the first bar before it is seen.
    """
    k = len(start)
    p, following = start.copy(), np.empty(k)
    total = 0.0
    for t in range(len(logs)):
        if not math.isnan(logs[t, 0]):
            total += update(p, logs[t])
        out[t] = p
        move(p, transition, following)
        p[:] = following
    return total


@njit(cache=True)
def smoothed(posterior: Floats, transition: Floats, out: Floats) -> None:
    """(T, K) probabilities given all bars, from the filter's posteriors."""
    n, k = posterior.shape
    out[n - 1] = posterior[n - 1]
    prior, lift = np.empty(k), np.empty(k)
    for t in range(n - 2, -1, -1):
        move(posterior[t], transition, prior)
        for j in range(k):
            lift[j] = out[t + 1, j] / max(prior[j], LEAST)
        total = 0.0
        for i in range(k):
            ahead = 0.0
            for j in range(k):
                ahead += transition[i, j] * lift[j]
            out[t, i] = posterior[t, i] * ahead
            total += out[t, i]
        for i in range(k):
            out[t, i] /= max(total, LEAST)


@njit(cache=True)
def log_densities(x: Floats, mean: Floats, variance: Floats, out: Floats) -> None:
    """(T, K) of values (T,); NaN where the value is."""
    for k in range(len(mean)):
        constant, half = -0.5 * (LOG_2PI + math.log(variance[k])), 0.5 / variance[k]
        for t in range(len(x)):
            out[t, k] = constant - half * (x[t] - mean[k]) ** 2


@njit(cache=True)
def maximise(
    x: Floats, mean: Floats, variance: Floats, transition: Floats, start: Floats, steps: int, tolerance: float
) -> float:
    """Expectation maximisation from the given model, in place, until a step gains less than `tolerance` per value or
    `steps` are taken; the log likelihood of the model before its last step.

    A deviation never falls below a hundredth of the sample's: a run of equal prices is a calm state, no singularity.
    """
    n, k = len(x), len(mean)
    logs, posterior = np.empty((n, k)), np.empty((n, k))
    given, counts = np.empty((n, k)), np.empty((k, k))
    prior, lift = np.empty(k), np.empty(k)
    floor = 1e-4 * float(np.nanvar(x))
    last = -math.inf
    for _ in range(steps):
        log_densities(x, mean, variance, logs)
        value = filtered(logs, transition, start, posterior)
        if value - last < tolerance * n:
            return max(value, last)
        last = value
        counts[:] = 0.0
        given[n - 1] = posterior[n - 1]
        for t in range(n - 2, -1, -1):
            move(posterior[t], transition, prior)
            for j in range(k):
                lift[j] = given[t + 1, j] / max(prior[j], LEAST)
            for i in range(k):
                total = 0.0
                for j in range(k):
                    pair = posterior[t, i] * transition[i, j] * lift[j]
                    counts[i, j] += pair
                    total += pair
                given[t, i] = total
        for i in range(k):
            weight, first = 0.0, 0.0
            for t in range(n):
                if not math.isnan(x[t]):
                    weight += given[t, i]
                    first += given[t, i] * x[t]
            left = counts[i].sum()
            if weight < 2.0 or left <= 0.0:
                return value
            centre, second = first / weight, 0.0
            for t in range(n):
                if not math.isnan(x[t]):
                    second += given[t, i] * (x[t] - centre) ** 2
            mean[i], variance[i] = centre, max(float(second / weight), floor)
            for j in range(k):
                transition[i, j] = counts[i, j] / left
        total = given[0].sum()
        for i in range(k):
            start[i] = given[0, i] / max(total, LEAST)
    return last


@njit(cache=True)
def step(p: Floats, x: float, mean: Floats, variance: Floats, transition: Floats, scratch: Floats) -> float:
    """Take one value into the posterior p (K,) of the bar before, in place; its log likelihood, 0 when NaN.

    `scratch`: (2, K).
    """
    move(p, transition, scratch[0])
    p[:] = scratch[0]
    if math.isnan(x):
        return 0.0
    for k in range(len(p)):
        scratch[1, k] = log_normal(x, mean[k], variance[k])
    return update(p, scratch[1])


@njit(cache=True)
def steps(x: Floats, p: Floats, mean: Floats, variance: Floats, transition: Floats, out: Floats) -> None:
    """`step` over values (T,), posteriors in `out` (T, K)."""
    scratch = np.empty((2, len(p)))
    for t in range(len(x)):
        step(p, x[t], mean, variance, transition, scratch)
        out[t] = p


def warm() -> None:
    """Compile, or load from the cache, what the model calls."""
    mean, variance, transition = np.zeros(2), np.ones(2), np.full((2, 2), 0.5)
    p = np.full(2, 0.5)
    step(p, 0.1, mean, variance, transition, np.empty((2, 2)))
    steps(np.zeros(2), p, mean, variance, transition, np.empty((2, 2)))
