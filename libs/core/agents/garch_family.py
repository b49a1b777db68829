"""GARCH(1,1) with leverage (GJR) and Student-t errors: likelihood, gradient, filter and forecasts.

r(t) = mu + e(t), h(t) = omega + (alpha + gamma [e(t-1) < 0]) e(t-1)^2 + beta h(t-1). Errors are normal, or Student-t of
nu degrees of freedom scaled to variance h (Bollerslev 1987; Glosten, Jagannathan and Runkle 1993). Before the first
return stands the mean of e^2 over the window, for e^2 with half of it falls; it depends on mu, so it is part of the
gradient. With gamma 0 and nu infinite this is `libs.core.features.garch_likelihood`, which fits faster.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PARAMETERS: Final = ("mu", "omega", "alpha", "gamma", "beta", "nu")
"""The order of parameters, gradients and score columns."""

COUNT: Final = len(PARAMETERS)
_LOG_2PI: Final = math.log(2.0 * math.pi)


class Garch(NamedTuple):
    """Parameters: mu and the square root of omega in units of the returns, the rest without unit."""

    mu: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    nu: float = math.inf

    @property
    def persistence(self) -> float:
        """Share of a variance shock that is left after a bar."""
        return self.alpha + 0.5 * self.gamma + self.beta

    @property
    def variance(self) -> float:
        """Of a return, unconditionally; inf when shocks do not fade."""
        return self.omega / (1.0 - self.persistence) if self.persistence < 1.0 else math.inf


def forecast(garch: Garch, following: float, bars: int) -> Floats:
    """(bars,) variances of the next bars, the first of them `following`.

    h(T+k) = omega (1 + p + ... + p^(k-2)) + p^(k-1) h(T+1) with persistence p: below 1 it settles at the unconditional
    variance, from 1 on it never does.
    """
    p = garch.persistence
    fading = np.power(p, np.arange(bars, dtype=np.float64))
    added = garch.omega * np.concatenate([[0.0], np.cumsum(fading)[:-1]])
    path: Floats = fading * following + added
    return path


@njit(cache=True)
def digamma(x: float) -> float:
    """Derivative of ln gamma for x > 0: recurrence up to 8, then the asymptotic series (Abramowitz, Stegun 6.3.18)."""
    value = 0.0
    while x < 8.0:
        value -= 1.0 / x
        x += 1.0
    q = 1.0 / (x * x)
    series = q * (1.0 / 12.0 - q * (1.0 / 120.0 - q * (1.0 / 252.0 - q * (1.0 / 240.0 - q / 132.0))))
    return value + math.log(x) - 0.5 / x - series


@njit(cache=True)
def likelihood(r: Floats, theta: Floats, gradient: Floats, scores: Floats) -> float:
    """Log likelihood of the returns r at theta (PARAMETERS; nu inf = normal errors).

    Its gradient goes to `gradient` (COUNT,), and what each return adds to that to `scores` (n, COUNT), or (0, COUNT)
    where nobody asks.
    """
    mu, omega, alpha, gamma, beta, nu = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    n = len(r)
    keep = len(scores) == n
    fat = nu < 1e6
    constant, slope_nu = -0.5 * _LOG_2PI, 0.0
    if fat:
        constant = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
        slope_nu = 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / (nu - 2.0))
    sums, squares = 0.0, 0.0
    for t in range(n):
        sums += r[t] - mu
        squares += (r[t] - mu) ** 2
    before, d_before = squares / n, -2.0 * sums / n
    p = alpha + 0.5 * gamma + beta
    h = omega + p * before
    dm, dw, da, dg, db = p * d_before, 1.0, before, 0.5 * before, before
    gradient[:] = 0.0
    total = 0.0
    for t in range(n):
        e = r[t] - mu
        e2 = e * e
        if fat:
            z = e2 / ((nu - 2.0) * h)
            total += constant - 0.5 * math.log(h) - 0.5 * (nu + 1.0) * math.log1p(z)
            pull = (nu + 1.0) * z / (1.0 + z)
            by_h = 0.5 * (pull - 1.0) / h
            by_mu = (nu + 1.0) * e / ((nu - 2.0) * h * (1.0 + z))
            by_nu = slope_nu - 0.5 * math.log1p(z) + 0.5 * pull / (nu - 2.0)
        else:
            total += constant - 0.5 * math.log(h) - 0.5 * e2 / h
            by_h = 0.5 * (e2 / h - 1.0) / h
            by_mu = e / h
            by_nu = 0.0
        s0, s1, s2, s3, s4 = by_h * dm + by_mu, by_h * dw, by_h * da, by_h * dg, by_h * db
        gradient[0] += s0
        gradient[1] += s1
        gradient[2] += s2
        gradient[3] += s3
        gradient[4] += s4
        gradient[5] += by_nu
        if keep:
            scores[t, 0], scores[t, 1], scores[t, 2] = s0, s1, s2
            scores[t, 3], scores[t, 4], scores[t, 5] = s3, s4, by_nu
        fall = 1.0 if e < 0.0 else 0.0
        weight = alpha + gamma * fall
        dm = beta * dm - 2.0 * weight * e
        dw = beta * dw + 1.0
        da = beta * da + e2
        dg = beta * dg + fall * e2
        db = beta * db + h
        h = omega + weight * e2 + beta * h
    return total


@njit(cache=True)
def step(h: float, r: float, mu: float, omega: float, alpha: float, gamma: float, beta: float) -> float:
    """Variance of the next bar from that of this one and its return; a return that is NaN moves h towards its mean."""
    if math.isnan(r):
        return omega + (alpha + 0.5 * gamma + beta) * h
    e = r - mu
    weight = alpha + gamma if e < 0.0 else alpha
    return omega + weight * e * e + beta * h


@njit(cache=True)
def variances(r: Floats, theta: Floats, first: float) -> Floats:
    """(n + 1,) variance of each bar before its return is known, from `first` on; the last is the next bar's."""
    h = np.empty(len(r) + 1)
    h[0] = first
    for t in range(len(r)):
        h[t + 1] = step(h[t], r[t], theta[0], theta[1], theta[2], theta[3], theta[4])
    return h


def warm() -> None:
    """Compile, or load from the cache, what a model calls."""
    step(1.0, 0.1, 0.0, 0.1, 0.1, 0.0, 0.8)
    variances(np.zeros(2), np.array([0.0, 0.1, 0.1, 0.0, 0.8, math.inf]), 1.0)
