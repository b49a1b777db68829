"""Kernels of the volatility agent: an EWMA and a GARCH(1,1) variance side by side, and the fit of the latter.

Both follow quant.md section 10: h(t+1) = omega + alpha (r - mu)² + beta h(t). Kernels and layout share a file because
numba's cache looks only at the file of the compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The state: slots of one float64 array. Variances are per bar, of log returns.
FITTED: Final = 0
EWMA: Final = 1  # forecast variance of the next bar, EWMA
GARCH: Final = 2  # forecast variance of the next bar, GARCH
MU: Final = 3
OMEGA: Final = 4
ALPHA: Final = 5
BETA: Final = 6
EWMA_LOSS: Final = 7  # decayed Gaussian loss of past one-step forecasts
GARCH_LOSS: Final = 8
STATE_SIZE: Final = 9

LAMBDA: Final = 0.94  # RiskMetrics, and what the feature ewma_vol uses
SEED_BARS: Final = 30
MIN_BARS: Final = 50  # fewer say nothing about two parameters
LOSS_DECAY: Final = 0.98  # about the last 50 bars judge which forecast speaks
MAX_PERSISTENCE: Final = 0.9995


@njit(cache=True)
def garch_loss(r: Floats, mu: float, variance: float, alpha: float, persistence: float) -> float:
    """Sum of ln h + e²/h over r (twice the negative Gaussian log likelihood, constant left out).

    Variance targeting: omega = (1 - persistence) variance. Presample rule: h of the first bar is `variance`.
    """
    omega = (1.0 - persistence) * variance
    beta = persistence - alpha
    floor = 1e-12 * variance
    h = variance
    total = 0.0
    for i in range(len(r)):
        e2 = (r[i] - mu) ** 2
        total += math.log(h) + e2 / h
        h = max(omega + alpha * e2 + beta * h, floor)
    return total


@njit(cache=True)
def fit_garch(r: Floats, mu: float, variance: float) -> tuple[float, float]:
    """(alpha, persistence) of the smallest loss: a coarse grid, then a pattern search that halves its step."""
    best_alpha = 0.05
    best_persistence = 0.9
    best = garch_loss(r, mu, variance, best_alpha, best_persistence)
    for alpha in (0.01, 0.05, 0.1, 0.2, 0.35):
        for persistence in (0.4, 0.7, 0.85, 0.93, 0.97, 0.99):
            loss = garch_loss(r, mu, variance, alpha, persistence)
            if loss < best:
                best, best_alpha, best_persistence = loss, alpha, persistence
    step = 0.04
    while step > 2e-4:
        improved = False
        for k in range(4):
            alpha = best_alpha + (step if k == 0 else -step if k == 1 else 0.0)
            persistence = best_persistence + (step if k == 2 else -step if k == 3 else 0.0)
            persistence = min(persistence, MAX_PERSISTENCE)
            if alpha <= 0.0 or alpha > persistence:
                continue
            loss = garch_loss(r, mu, variance, alpha, persistence)
            if loss < best:
                best, best_alpha, best_persistence = loss, alpha, persistence
                improved = True
        if not improved:
            step *= 0.5
    return best_alpha, best_persistence


@njit(cache=True)
def step(s: Floats, r: float) -> None:
    """Judge both forecasts by the bar's return r, then make the next ones. NaN (a hole) changes nothing."""
    if math.isnan(r):
        return
    r2 = r * r
    e2 = (r - s[MU]) ** 2
    s[EWMA_LOSS] = LOSS_DECAY * s[EWMA_LOSS] + (1.0 - LOSS_DECAY) * (math.log(s[EWMA]) + r2 / s[EWMA])
    s[GARCH_LOSS] = LOSS_DECAY * s[GARCH_LOSS] + (1.0 - LOSS_DECAY) * (math.log(s[GARCH]) + e2 / s[GARCH])
    # A long flat stretch must not run the variance down to where ln(h) and 1/h lose their meaning.
    floor = 1e-6 * s[OMEGA]
    s[EWMA] = max(LAMBDA * s[EWMA] + (1.0 - LAMBDA) * r2, floor)
    s[GARCH] = max(s[OMEGA] + s[ALPHA] * e2 + s[BETA] * s[GARCH], floor)


@njit(cache=True)
def fit(s: Floats, r: Floats) -> None:
    """Fit on the returns r (no NaN) and run both recursions over them; FITTED stays 0 when r cannot tell anything."""
    s[:] = 0.0
    n = len(r)
    if n < MIN_BARS:
        return
    mu = 0.0
    for i in range(n):
        mu += r[i]
    mu /= n
    variance = 0.0
    for i in range(n):
        variance += (r[i] - mu) ** 2
    variance /= n
    if variance <= 1e-20:
        return
    alpha, persistence = fit_garch(r, mu, variance)
    s[MU] = mu
    s[ALPHA] = alpha
    s[BETA] = persistence - alpha
    s[OMEGA] = (1.0 - persistence) * variance
    s[GARCH] = variance
    seed = 0.0
    for i in range(SEED_BARS):
        seed += r[i] * r[i]
    s[EWMA] = max(seed / SEED_BARS, 1e-6 * s[OMEGA])
    s[EWMA_LOSS] = math.log(variance) + 1.0
    s[GARCH_LOSS] = s[EWMA_LOSS]
    s[FITTED] = 1.0
    for i in range(SEED_BARS, n):
        step(s, r[i])


def warm() -> None:
    """Compile, or load from the cache, exactly what the agent calls."""
    state = np.zeros(STATE_SIZE)
    fit(state, np.sin(np.arange(64.0)) * 1e-3)
    step(state, 1e-3)
