"""Kernels of the regime agent: a two-state Gaussian hidden Markov model, its EM fit and its forward filter.

Hamilton 1989 (filter), Baum and Welch 1970 with the usual scaling (fit). State 0 is the calm one. Kernels and layout
share a file because numba's cache looks only at the file of the compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The state: slots of one float64 array.
FITTED: Final = 0
MU0: Final = 1
MU1: Final = 2
VAR0: Final = 3
VAR1: Final = 4
STAY0: Final = 5
STAY1: Final = 6
CALM: Final = 7  # filtered probability of state 0 after the newest bar
GAIN: Final = 8  # log likelihood over one Gaussian, less what four more parameters cost (BIC)
DISTANCE: Final = 9  # newest return from the nearer state's mean, in its deviations
STATE_SIZE: Final = 10

MIN_BARS: Final = 50
TWO_PI: Final = 2.0 * math.pi


@njit(cache=True)
def density(r: float, mu: float, variance: float) -> float:
    """Log of the normal density."""
    return -0.5 * (math.log(TWO_PI * variance) + (r - mu) ** 2 / variance)


@njit(cache=True)
def filter_step(s: Floats, r: float) -> float:
    """Hamilton's filter over one return; returns its log likelihood. NaN (a hole) only lets the chain move on."""
    calm = s[CALM] * s[STAY0] + (1.0 - s[CALM]) * (1.0 - s[STAY1])
    if math.isnan(r):
        s[CALM] = calm
        return 0.0
    d0 = density(r, s[MU0], s[VAR0])
    d1 = density(r, s[MU1], s[VAR1])
    top = max(d0, d1)
    j0 = calm * math.exp(d0 - top)
    j1 = (1.0 - calm) * math.exp(d1 - top)
    total = j0 + j1
    s[CALM] = j0 / total if total > 0.0 else calm
    s[DISTANCE] = min(abs(r - s[MU0]) / math.sqrt(s[VAR0]), abs(r - s[MU1]) / math.sqrt(s[VAR1]))
    return top + (math.log(total) if total > 0.0 else -745.0)


@njit(cache=True)
def em_step(r: Floats, s: Floats, floor: float, forward: Floats, calm_given: Floats) -> None:
    """One step of expectation maximisation on r; `forward` (n, 2) and `calm_given` (n,) are scratch."""
    n = len(r)
    first = (1.0 - s[STAY1]) / max(2.0 - s[STAY0] - s[STAY1], 1e-12)
    f0 = first
    for i in range(n):
        p0 = first if i == 0 else f0 * s[STAY0] + (1.0 - f0) * (1.0 - s[STAY1])
        d0 = density(r[i], s[MU0], s[VAR0])
        d1 = density(r[i], s[MU1], s[VAR1])
        top = max(d0, d1)
        j0 = p0 * math.exp(d0 - top)
        j1 = (1.0 - p0) * math.exp(d1 - top)
        f0 = j0 / (j0 + j1) if j0 + j1 > 0.0 else p0
        forward[i, 0] = f0
        forward[i, 1] = p0
    stay0 = 0.0
    stay1 = 0.0
    from0 = 0.0
    from1 = 0.0
    calm_given[n - 1] = f0
    for i in range(n - 2, -1, -1):
        f0 = forward[i, 0]
        ahead = forward[i + 1, 1]
        g0 = calm_given[i + 1]
        k0 = g0 / max(ahead, 1e-300)
        k1 = (1.0 - g0) / max(1.0 - ahead, 1e-300)
        x00 = f0 * s[STAY0] * k0
        x01 = f0 * (1.0 - s[STAY0]) * k1
        x10 = (1.0 - f0) * (1.0 - s[STAY1]) * k0
        x11 = (1.0 - f0) * s[STAY1] * k1
        total = x00 + x01 + x10 + x11
        calm_given[i] = (x00 + x01) / total
        stay0 += x00 / total
        stay1 += x11 / total
        from0 += (x00 + x01) / total
        from1 += (x10 + x11) / total
    w0 = 0.0
    m0 = 0.0
    m1 = 0.0
    for i in range(n):
        w0 += calm_given[i]
        m0 += calm_given[i] * r[i]
        m1 += (1.0 - calm_given[i]) * r[i]
    w1 = n - w0
    if min(w0, w1) < 2.0 or min(from0, from1) <= 0.0:
        return
    m0 /= w0
    m1 /= w1
    v0 = 0.0
    v1 = 0.0
    for i in range(n):
        v0 += calm_given[i] * (r[i] - m0) ** 2
        v1 += (1.0 - calm_given[i]) * (r[i] - m1) ** 2
    s[MU0] = m0
    s[MU1] = m1
    s[VAR0] = max(v0 / w0, floor)
    s[VAR1] = max(v1 / w1, floor)
    s[STAY0] = min(max(stay0 / from0, 1e-4), 1.0 - 1e-4)
    s[STAY1] = min(max(stay1 / from1, 1e-4), 1.0 - 1e-4)


@njit(cache=True)
def fit(s: Floats, r: Floats, steps: int) -> float:
    """`steps` of EM on the returns r (no NaN), then the filter over them; returns its log likelihood.

    Starts from one deviation half and one one and a half times the sample's. A state's deviation is never below a
    hundredth of the sample's, so that a run of equal prices is a calm state and no singularity.
    """
    s[:] = 0.0
    n = len(r)
    if n < MIN_BARS:
        return 0.0
    mu = 0.0
    for i in range(n):
        mu += r[i]
    mu /= n
    variance = 0.0
    for i in range(n):
        variance += (r[i] - mu) ** 2
    variance /= n
    if variance <= 1e-20:
        return 0.0
    s[MU0] = mu
    s[MU1] = mu
    s[VAR0] = 0.25 * variance
    s[VAR1] = 2.25 * variance
    s[STAY0] = 0.95
    s[STAY1] = 0.90
    forward = np.empty((n, 2))
    calm_given = np.empty(n)
    for _ in range(steps):
        em_step(r, s, 1e-4 * variance, forward, calm_given)
    if s[VAR0] > s[VAR1]:
        s[MU0], s[MU1] = s[MU1], s[MU0]
        s[VAR0], s[VAR1] = s[VAR1], s[VAR0]
        s[STAY0], s[STAY1] = s[STAY1], s[STAY0]
    s[CALM] = (1.0 - s[STAY1]) / (2.0 - s[STAY0] - s[STAY1])
    likelihood = 0.0
    for i in range(n):
        likelihood += filter_step(s, r[i])
    single = -0.5 * n * (math.log(TWO_PI * variance) + 1.0)
    s[GAIN] = likelihood - single - 2.0 * math.log(n)
    s[FITTED] = 1.0
    return likelihood


def warm() -> None:
    """Compile, or load from the cache, exactly what the agent calls."""
    state = np.zeros(STATE_SIZE)
    fit(state, np.sin(np.arange(64.0)) * 1e-3, 1)
    filter_step(state, 1e-3)
