"""The volatility of the next bars from that of the last few, of a week and of a month of as many bars."""

from __future__ import annotations

import math
from typing import Final

from numba import njit

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, SPENT, WIDTH, Pointer

WEEK: Final = 7
MONTH: Final = 30

# Slots: running sums of squared returns over n, 7 n and 30 n bars with their peaks, the last fit, and room for it.
SUMS: Final = 0
PEAKS: Final = 3
SLOPES: Final = 6
SMEAR: Final = 9  # ln of the mean of exp(residual)
LEAST: Final = 10  # realised variances of the fit's targets stay between these, and so does what it forecasts
MOST: Final = 11
MEANS: Final = 12  # of the regressors, then of the target
PRODUCTS: Final = 16  # 3 x 3
MOMENTS: Final = 25  # regressors by target
RING: Final = 28  # ln of the three variances of the last `rows + n` bars

QUIET: Final = 1e-4
"""A variance counts as at least this share of the month's, so that a still hour is no infinity in logs."""

STILL: Final = 1e-24
"""And as at least this, where a month did not move."""

PRIOR: Final = (0.4, 0.3, 0.2)
"""Slopes that the fit is shrunk to: a few hundred overlapping pairs tell too little to stand alone."""

EVERY: Final = 60
"""Bars between two fits."""


@njit(cache=False)
def squares(x: Pointer, last: int, n: int) -> float:
    """Sum of the n squares that end at x[last]."""
    total = 0.0
    for k in range(last - n + 1, last + 1):
        total += x[k] * x[k]
    return total


@njit(cache=False)
def log_variances(s: Pointer, place: int) -> None:
    """ln of the realised variances over n bars, and of the mean ones of the week and the month, into the ring."""
    floor = max(QUIET * s[SUMS + 2] / MONTH, STILL)
    s[RING + 3 * place] = math.log(max(s[SUMS], floor))
    s[RING + 3 * place + 1] = math.log(max(s[SUMS + 1] / WEEK, floor))
    s[RING + 3 * place + 2] = math.log(max(s[SUMS + 2] / MONTH, floor))


@njit(cache=False)
def solve(s: Pointer) -> None:
    """s[MOMENTS...] becomes the solution of s[PRODUCTS...] times it, by Cholesky; 0 for regressors that never move."""
    a, b = PRODUCTS, MOMENTS
    for k in range(3):
        for m in range(k + 1):
            total = s[a + 3 * k + m]
            for i in range(m):
                total -= s[a + 3 * k + i] * s[a + 3 * m + i]
            if m < k:
                s[a + 3 * k + m] = total / s[a + 4 * m]
            else:
                s[a + 4 * k] = math.sqrt(total) if total > 0.0 else math.inf
    for k in range(3):
        for m in range(k):
            s[b + k] -= s[a + 3 * k + m] * s[b + m]
        s[b + k] /= s[a + 4 * k]
    for k in range(2, -1, -1):
        for m in range(k + 1, 3):
            s[b + k] -= s[a + 3 * m + k] * s[b + m]
        s[b + k] /= s[a + 4 * k]


@njit(cache=False)
def residual(s: Pointer, place: int, target: float) -> float:
    """What the fit leaves of a target."""
    left = target - s[MEANS + 3]
    for k in range(3):
        left -= s[SLOPES + k] * (s[place + k] - s[MEANS + k])
    return float(left)


@njit(cache=False)
def fit(s: Pointer, oldest: int, rows: int, n: int, weight: float) -> None:
    """Ridge regression of ln variance n bars on, on the three before it, over `rows` pairs of which the oldest is at
    place `oldest`: slopes off PRIOR cost as much as `weight` n pairs of ordinary size say."""
    size = rows + n
    for k in range(4):
        s[MEANS + k] = 0.0
    s[LEAST], s[MOST] = math.inf, -math.inf
    for row in range(rows):
        place, target = RING + 3 * ((oldest + row) % size), s[RING + 3 * ((oldest + row + n) % size)]
        for k in range(3):
            s[MEANS + k] += s[place + k] / rows
        s[MEANS + 3] += target / rows
        s[LEAST], s[MOST] = min(s[LEAST], target), max(s[MOST], target)
    for k in range(9):
        s[PRODUCTS + k] = 0.0
    for k in range(3):
        s[SLOPES + k], s[MOMENTS + k] = PRIOR[k], 0.0
    for row in range(rows):
        place, target = RING + 3 * ((oldest + row) % size), s[RING + 3 * ((oldest + row + n) % size)]
        left = residual(s, place, target)
        for k in range(3):
            d = s[place + k] - s[MEANS + k]
            s[MOMENTS + k] += d * left
            for m in range(k + 1):
                s[PRODUCTS + 3 * k + m] += d * (s[place + m] - s[MEANS + m])
    penalty = weight * n / rows * (s[PRODUCTS] + s[PRODUCTS + 4] + s[PRODUCTS + 8]) / 3.0
    for k in range(3):
        s[PRODUCTS + 4 * k] += penalty
    solve(s)
    for k in range(3):
        s[SLOPES + k] += s[MOMENTS + k]
    total = 0.0
    for row in range(rows):
        place, target = RING + 3 * ((oldest + row) % size), s[RING + 3 * ((oldest + row + n) % size)]
        total += math.exp(residual(s, place, target))
    s[SMEAR] = math.log(total / rows)


@njit(cache=False)
def forecast(s: Pointer, place: int) -> float:
    """Root of the forecast variance; 0 where the month has not moved."""
    if s[SUMS + 2] <= STILL:
        return 0.0
    level = s[MEANS + 3] + s[SMEAR]
    for k in range(3):
        level += s[SLOPES + k] * (s[place + k] - s[MEANS + k])
    return math.exp(0.5 * min(max(level, s[LEAST]), s[MOST]))


@feature(
    outputs=[Output(name="har_vol_{n}", unit="log return over n bars", low=0.0)],
    n=12,
    rows=600,
    weight=100,
    state=lambda n, rows, weight: RING + 3 * (rows + n),
    lookback=lambda n, rows, weight: MONTH * n,
    warmup=lambda n, rows, weight: (MONTH + 1) * n + rows - 1,
    memory=lambda n, rows, weight: (MONTH + 1) * n + rows + EVERY,
    oracle="statsmodels OLS",
    source="Corsi 2009 in logs, ridge towards slopes 0.4, 0.3, 0.2, with the smearing factor of Duan 1983",
)
def har(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Deviation forecast for the return over the next n bars: ln of their realised variance on ln of that of the last
    n, and of the means of the last 7 n and 30 n bars, by least squares over the last `rows` overlapping pairs, shrunk
    by `weight` n pairs towards slopes 0.4, 0.3, 0.2. It is fitted at the first bar that has the pairs and then every 60
    bars; a forecast stays within what the fit has seen, and is 0 where a month has not moved."""
    n, rows, weight, first, number = int(p[0]), int(p[1]), p[2], c[FIRST], c[NUMBER]
    size, month = rows + n, MONTH * n
    warm = month + n + rows - 1
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        if i < month:
            out[j] = NAN
            continue
        for k in range(3):
            span = n if k == 0 else WEEK * n if k == 1 else month
            if i > month:
                s[SUMS + k] += x[at] * x[at] - x[at - span] * x[at - span]
                s[PEAKS + k] = max(s[PEAKS + k], s[SUMS + k])
            if i == month or (number + j) % month == 0 or s[SUMS + k] < SPENT * s[PEAKS + k]:
                s[SUMS + k] = s[PEAKS + k] = squares(x, at, span)
        place = i % size
        log_variances(s, place)
        if i < warm:
            out[j] = NAN
            continue
        if i == warm or (number + j) % EVERY == EVERY // 2:
            fit(s, (i + 1) % size, rows, n, weight)
        out[j] = forecast(s, RING + 3 * place)


FULL = ("har",)
