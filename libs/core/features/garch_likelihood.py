"""The Gaussian likelihood of a GARCH(1,1), its gradient, and a fit that needs nothing but them.

r(t) = mu + e(t), h(t) = omega + alpha e(t-1)^2 + beta h(t-1), e(t) ~ N(0, h(t)) (Bollerslev 1986). Before the first
return stands the mean of e^2 over the window for both e^2 and h; as it depends on mu, it is part of the gradient
(Fiorentini, Calzolari and Panattoni 1996). Returns and work areas are arrays or pointers, read by index, so that
kernels of features and agents compile the same functions into theirs. Nothing here allocates.
"""

from __future__ import annotations

import math
from typing import Any, Final

from numba import njit

Floats = Any
"""A float64 array, or a pointer in a kernel."""

# Slots of a fit.
MU: Final = 0
OMEGA: Final = 1
ALPHA: Final = 2
BETA: Final = 3
NEXT: Final = 4  # variance forecast for the bar after the window
LOSS: Final = 5
GRADIENT: Final = 6  # of the loss by mu, omega, alpha, beta
INFORMATION: Final = 10  # expected second derivatives, row by row
FIT_SLOTS: Final = 78  # what lies beyond is room for the search

MAX_PERSISTENCE: Final = 0.99999
LEAST_OMEGA: Final = 1e-8
"""Smallest omega as a share of the variance of the window; its largest is that variance tenfold."""

STARTS: Final = ((0.9, 0.1, 1.0), (0.99, 0.03, 1.0), (0.4, 0.4, 1.0), (0.995, 0.01, 0.05))
"""Where searches begin: alpha + beta, alpha's share of it, omega against what keeps the variance of the window."""

FIRST_STEPS: Final = 6
"""Steps from each start; only the best goes on."""

ITERATIONS: Final = 100

LONGEST: Final = 2.0
"""No step moves ln omega or ln(1 - p) further."""

BLIND: Final = 1e-9
"""A step that promises a smaller fall of the loss is taken on the gradient's word: rounding hides it in the loss."""

_POINT: Final = 26  # mu, ln omega, ln(1 - p) for p = alpha + beta, alpha / p
_SLOPE: Final = 30  # gradient in these coordinates
_CURVE: Final = 34  # information in them
_TRIAL: Final = 50
_STEP: Final = 54
_FACTOR: Final = 58
_BEST: Final = 74

_LOG_2PI: Final = math.log(2.0 * math.pi)


@njit(cache=False)
def presample(r: Floats, at: int, n: int, mu: float) -> float:
    """Mean of (r - mu)^2 over the n returns from r[at]."""
    total = 0.0
    for t in range(at, at + n):
        total += (r[t] - mu) * (r[t] - mu)
    return total / n


@njit(cache=False)
def loss(r: Floats, at: int, n: int, mu: float, omega: float, alpha: float, beta: float) -> float:
    """Minus the log likelihood of the n returns from r[at]."""
    before = presample(r, at, n, mu)
    h = omega + (alpha + beta) * before
    logs, squares, product = 0.0, 0.0, 1.0
    for t in range(n):
        e = r[at + t] - mu
        # ln of a product of eight: one logarithm instead of eight. Scaled by `before`, it stays within a float.
        product *= h / before
        if t % 8 == 7:
            logs += math.log(product)
            product = 1.0
        squares += e * e / h
        h = omega + alpha * e * e + beta * h
    return 0.5 * (n * (_LOG_2PI + math.log(before)) + logs + math.log(product) + squares)


@njit(cache=False)
def score(r: Floats, at: int, n: int, mu: float, omega: float, alpha: float, beta: float, f: Floats) -> float:
    """The loss, with its gradient and expected second derivatives in f[GRADIENT...] and f[INFORMATION...]; the
    variance forecast of the next bar in f[NEXT]."""
    total = 0.0
    squares = 0.0
    for t in range(at, at + n):
        e = r[t] - mu
        total += e
        squares += e * e
    before = squares / n
    d_before = -2.0 * total / n
    h = omega + (alpha + beta) * before
    dm, dw, da, db = (alpha + beta) * d_before, 1.0, before, before
    gm = gw = ga = gb = 0.0
    qq = mm = mw = ma = mb = ww = wa = wb = aa = ab = bb = 0.0
    logs, squares, product = 0.0, 0.0, 1.0
    for t in range(n):
        e = r[at + t] - mu
        e2 = e * e
        q = 1.0 / h
        product *= h / before
        if t % 8 == 7:
            logs += math.log(product)
            product = 1.0
        squares += e2 * q
        u = 0.5 * q * (1.0 - e2 * q)
        gm += u * dm - e * q
        gw += u * dw
        ga += u * da
        gb += u * db
        rm, rw, ra, rb = q * dm, q * dw, q * da, q * db
        qq += q
        mm += rm * rm
        mw += rm * rw
        ma += rm * ra
        mb += rm * rb
        ww += rw * rw
        wa += rw * ra
        wb += rw * rb
        aa += ra * ra
        ab += ra * rb
        bb += rb * rb
        dm = beta * dm - 2.0 * alpha * e
        dw = beta * dw + 1.0
        da = beta * da + e2
        db = beta * db + h
        h = omega + alpha * e2 + beta * h
    f[NEXT] = h
    f[GRADIENT], f[GRADIENT + 1], f[GRADIENT + 2], f[GRADIENT + 3] = gm, gw, ga, gb
    i = INFORMATION
    f[i], f[i + 1], f[i + 2], f[i + 3] = 0.5 * mm + qq, 0.5 * mw, 0.5 * ma, 0.5 * mb
    f[i + 4], f[i + 5], f[i + 6], f[i + 7] = 0.5 * mw, 0.5 * ww, 0.5 * wa, 0.5 * wb
    f[i + 8], f[i + 9], f[i + 10], f[i + 11] = 0.5 * ma, 0.5 * wa, 0.5 * aa, 0.5 * ab
    f[i + 12], f[i + 13], f[i + 14], f[i + 15] = 0.5 * mb, 0.5 * wb, 0.5 * ab, 0.5 * bb
    f[LOSS] = 0.5 * (n * (_LOG_2PI + math.log(before)) + logs + math.log(product) + squares)
    return float(f[LOSS])


@njit(cache=False)
def fit(r: Floats, at: int, n: int, f: Floats, tolerance: float) -> bool:
    """Quasi maximum likelihood on the n returns from r[at]; False, and nothing written, when they do not move.

    Leaves mu, omega, alpha, beta, the next bar's variance, the loss, gradient and information in f (FIT_SLOTS long).
    Fisher scoring with Levenberg's damping, from the best of a few starts and within bounds, in mu, ln omega,
    ln(1 - alpha - beta) and alpha / (alpha + beta), until a step promises to lower the loss by less than `tolerance`
    per return. The same window always gives the same numbers.
    """
    first = r[at]
    total = 0.0
    for t in range(at, at + n):
        total += r[t] - first
    mu = first + total / n
    variance = presample(r, at, n, mu)
    if variance <= 1e-28:
        return False
    best = math.inf
    for start in range(len(STARTS)):
        p, share, omega = STARTS[start]
        f[_POINT], f[_POINT + 1], f[_POINT + 2], f[_POINT + 3] = (
            mu,
            math.log(omega * (1.0 - p) * variance),
            math.log(1.0 - p),
            share,
        )
        value = _search(r, at, n, f, variance, FIRST_STEPS, tolerance, best)
        if value < best:
            best = value
            for k in range(4):
                f[_BEST + k] = f[_POINT + k]
    for k in range(4):
        f[_POINT + k] = f[_BEST + k]
    _search(r, at, n, f, variance, ITERATIONS, tolerance, math.inf)
    p, share = 1.0 - math.exp(f[_POINT + 2]), f[_POINT + 3]
    f[MU], f[OMEGA], f[ALPHA], f[BETA] = f[_POINT], math.exp(f[_POINT + 1]), p * share, p * (1.0 - share)
    return True


@njit(cache=False)
def _search(
    r: Floats, at: int, n: int, f: Floats, variance: float, steps: int, tolerance: float, rival: float
) -> float:
    """Damped Fisher scoring from the point f[_POINT...]; the least loss seen. It gives up when not even
    what the next step promises, twice what a parabola would keep, reaches the loss `rival`."""
    least = _score_at(r, at, n, f)
    damping, before = 1e-3, math.inf
    for _ in range(steps):
        promise = _step(f, damping, variance)
        blind = 0.0 <= promise < BLIND
        if blind and (promise <= tolerance * n or promise >= before):
            break
        if least - max(promise, 0.0) > rival:
            break
        value = math.inf
        if promise > 0.0:
            p, share = 1.0 - math.exp(f[_TRIAL + 2]), f[_TRIAL + 3]
            value = loss(r, at, n, f[_TRIAL], math.exp(f[_TRIAL + 1]), p * share, p * (1.0 - share))
        if value < least or blind:
            least = min(least, value)
            for k in range(4):
                f[_POINT + k] = f[_TRIAL + k]
            _score_at(r, at, n, f)
            damping = damping * 0.1 if damping > 1e-9 else 0.0
            before = promise
        else:
            damping = 8.0 * max(damping, 1e-6)
            if damping > 1e9:
                break
    return least


@njit(cache=False)
def _score_at(r: Floats, at: int, n: int, f: Floats) -> float:
    """`score` at the search's point, carried over to the search's coordinates; the loss there."""
    w, rest, share = math.exp(f[_POINT + 1]), math.exp(f[_POINT + 2]), f[_POINT + 3]
    p = 1.0 - rest
    score(r, at, n, f[_POINT], w, p * share, p * (1.0 - share), f)
    g, i = GRADIENT, INFORMATION
    f[_SLOPE], f[_SLOPE + 1] = f[g], w * f[g + 1]
    f[_SLOPE + 2] = -rest * (share * f[g + 2] + (1.0 - share) * f[g + 3])
    f[_SLOPE + 3] = p * (f[g + 2] - f[g + 3])
    # Columns, then rows, of the information are combined as the gradient is.
    for k in range(4):
        row = i + 4 * k
        f[_CURVE + 4 * k], f[_CURVE + 4 * k + 1] = f[row], w * f[row + 1]
        f[_CURVE + 4 * k + 2] = -rest * (share * f[row + 2] + (1.0 - share) * f[row + 3])
        f[_CURVE + 4 * k + 3] = p * (f[row + 2] - f[row + 3])
    for k in range(4):
        one, two, three = f[_CURVE + 4 + k], f[_CURVE + 8 + k], f[_CURVE + 12 + k]
        f[_CURVE + 4 + k] = w * one
        f[_CURVE + 8 + k] = -rest * (share * two + (1.0 - share) * three)
        f[_CURVE + 12 + k] = p * (two - three)
    return float(f[LOSS])


@njit(cache=False)
def _bound(k: int, variance: float, upper: bool) -> float:
    """Bounds of the search's coordinate k."""
    if k == 1:
        return math.log((10.0 if upper else LEAST_OMEGA) * variance)
    if k == 2:
        return 0.0 if upper else math.log(1.0 - MAX_PERSISTENCE)
    if k == 3:
        return 1.0 if upper else 0.0
    return math.inf if upper else -math.inf


@njit(cache=False)
def _step(f: Floats, damping: float, variance: float) -> float:
    """A damped step to f[_TRIAL...] within the bounds; the fall of the loss that the gradient promises for it."""
    for k in range(4):
        place, slope = f[_POINT + k], f[_SLOPE + k]
        held = (slope > 0.0 and place <= _bound(k, variance, False)) or (
            slope < 0.0 and place >= _bound(k, variance, True)
        )
        f[_STEP + k] = 0.0 if held else -slope
        for m in range(4):
            f[_FACTOR + 4 * k + m] = f[_CURVE + 4 * k + m]
        # An infinite diagonal takes a coordinate that its bound holds out of the system.
        f[_FACTOR + 5 * k] = math.inf if held else (1.0 + damping) * f[_CURVE + 5 * k] + 1e-12
    _solve(f)
    promise = 0.0
    for k in range(4):
        step = f[_STEP + k]
        if k == 1 or k == 2:
            step = min(max(step, -LONGEST), LONGEST)
        f[_TRIAL + k] = min(max(f[_POINT + k] + step, _bound(k, variance, False)), _bound(k, variance, True))
        promise -= f[_SLOPE + k] * (f[_TRIAL + k] - f[_POINT + k])
    return promise


@njit(cache=False)
def _solve(f: Floats) -> None:
    """f[_STEP...] becomes the solution of f[_FACTOR...] x = f[_STEP...], by Cholesky; 0 where the diagonal is inf."""
    a, b = _FACTOR, _STEP
    for k in range(4):
        for m in range(k + 1):
            total = f[a + 4 * k + m]
            for i in range(m):
                total -= f[a + 4 * k + i] * f[a + 4 * m + i]
            if k == m:
                f[a + 5 * k] = math.sqrt(total) if total > 1e-14 * f[a + 5 * k] else math.inf
            else:
                f[a + 4 * k + m] = total / f[a + 5 * m]
    for k in range(4):
        total = f[b + k]
        for m in range(k):
            total -= f[a + 4 * k + m] * f[b + m]
        f[b + k] = total / f[a + 5 * k]
    for k in range(3, -1, -1):
        total = f[b + k]
        for m in range(k + 1, 4):
            total -= f[a + 4 * m + k] * f[b + m]
        f[b + k] = total / f[a + 5 * k]
