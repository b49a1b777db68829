"""Kernels of the volatility model: from bars to the columns of its regression, one bar after another.

What is carried lies in one float64 array: a GARCH variance and rings of the newest variances, squared returns, log
volumes and returns with their sums. A sum is taken anew whenever its ring begins anew, so that rounding does not pile
up. Kernels and layout share a file because numba's cache looks only at the file of the compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOWS: Final = (1, 2, 5, 12, 24, 72, 168, 720)
"""Bars over which variance is averaged: of hourly bars up to thirty days (Corsi 2009, with more steps)."""

LONGEST: Final = WINDOWS[-1]
SHORT: Final = 24
LONG: Final = 168

# The state.
TAKEN: Final = 0  # bars taken
GARCH: Final = 1  # variance of the next bar
PLACE: Final = 2  # of the newest bar in each ring: bars taken modulo its length
SUMS: Final = 3  # of variance over each window
SQUARED: Final = SUMS + len(WINDOWS)  # sum of squared returns, SHORT
DRIFT: Final = SQUARED + 1  # sum of returns, SHORT
VOLUME_SHORT: Final = DRIFT + 1
VOLUME_LONG: Final = VOLUME_SHORT + 1
RANGE: Final = VOLUME_LONG + 1  # Parkinson variance of the newest bar
VARIANCES: Final = RANGE + 1  # rings
RETURNS: Final = VARIANCES + LONGEST
VOLUMES: Final = RETURNS + SHORT
STATE_SIZE: Final = VOLUMES + LONG

# Columns of the regression: the log variance of each window, then these.
LEVELS: Final = len(WINDOWS)
NAMES: Final = (
    *(f"variance_{w}" for w in WINDOWS),
    "range",
    "return",
    "absolute_return",
    "drift",
    "close_to_close",
    "volume_1",
    "volume_24",
    "garch",
)
COLUMNS: Final = len(NAMES)

# Settings of a model, one float64 array.
FLOOR: Final = 0  # added to a variance before its logarithm
VOLUME_FLOOR: Final = 1
FIRST: Final = 2  # GARCH variance before the first bar
THETA: Final = 3  # mu, omega, alpha, gamma, beta
NEED: Final = 8  # bars before the columns have values; until a window is full its mean is of what there is
SETTINGS: Final = 9

_FOUR_LN2: Final = 4.0 * math.log(2.0)


@njit(cache=True)
def bar_variance(open_: float, high: float, low: float, close: float) -> float:
    """Variance of a bar from its range, Garman and Klass 1980; Parkinson's where that is not above zero."""
    span, body = math.log(high / low), math.log(close / open_)
    value = 0.5 * span * span - (2.0 * math.log(2.0) - 1.0) * body * body
    return value if value > 0.0 else span * span / _FOUR_LN2


@njit(cache=True)
def start(s: Floats, settings: Floats) -> None:
    """A state that has seen nothing."""
    s[:] = 0.0
    s[GARCH] = settings[FIRST]


@njit(cache=True)
def _ring_sum(s: Floats, ring: int, size: int, place: int, window: int) -> float:
    """Of the newest `window` values, summed in their order in time."""
    total = 0.0
    for back in range(window - 1, -1, -1):
        total += s[ring + (place - back) % size]
    return total


@njit(cache=True)
def take(s: Floats, bar: Floats, r: float, measured: float, settings: Floats) -> None:
    """Take a bar (open, high, low, close, volume), its log return and, unless NaN, its realised variance.

    A bar that is NaN changes nothing.
    """
    if not (bar[1] > 0.0 and bar[2] > 0.0 and bar[0] > 0.0 and bar[3] > 0.0):
        return
    span = math.log(bar[1] / bar[2])
    variance = bar_variance(bar[0], bar[1], bar[2], bar[3]) if math.isnan(measured) else measured
    volume = math.log(max(bar[4], 0.0) + settings[VOLUME_FLOOR])
    moved = 0.0 if math.isnan(r) else r
    n = int(s[TAKEN])
    place = n % LONGEST
    s[TAKEN] = n + 1.0
    s[PLACE] = place
    at = VARIANCES + place
    oldest = s[at]
    s[at] = variance
    for k in range(LEVELS):
        w = WINDOWS[k]
        if n % w == 0:
            s[SUMS + k] = _ring_sum(s, VARIANCES, LONGEST, place, min(w, n + 1))
        else:
            left = oldest if w == LONGEST else s[VARIANCES + (place - w) % LONGEST]
            s[SUMS + k] += variance - (left if n >= w else 0.0)
    at = RETURNS + n % SHORT
    s[SQUARED] += moved * moved - s[at] * s[at]
    s[DRIFT] += moved - s[at]
    s[at] = moved
    at = VOLUMES + n % LONG
    s[VOLUME_LONG] += volume - s[at]
    if n >= SHORT:
        s[VOLUME_SHORT] -= s[VOLUMES + (n - SHORT) % LONG]
    s[VOLUME_SHORT] += volume
    s[at] = volume
    if n % SHORT == 0:
        s[SQUARED] = s[DRIFT] = 0.0
        for k in range(SHORT):
            s[SQUARED] += s[RETURNS + k] * s[RETURNS + k]
            s[DRIFT] += s[RETURNS + k]
    if n % LONG == 0:
        s[VOLUME_LONG] = _ring_sum(s, VOLUMES, LONG, n % LONG, min(LONG, n + 1))
        s[VOLUME_SHORT] = _ring_sum(s, VOLUMES, LONG, n % LONG, min(SHORT, n + 1))
    s[RANGE] = span * span / _FOUR_LN2
    h, theta = s[GARCH], THETA
    mu, omega, alpha, gamma, beta = (
        settings[theta],
        settings[theta + 1],
        settings[theta + 2],
        settings[theta + 3],
        settings[theta + 4],
    )
    if math.isnan(r):
        s[GARCH] = omega + (alpha + 0.5 * gamma + beta) * h
    else:
        e = r - mu
        s[GARCH] = omega + (alpha + gamma if e < 0.0 else alpha) * e * e + beta * h


@njit(cache=True)
def columns(s: Floats, settings: Floats, out: Floats) -> None:
    """The regression's columns after the newest bar, NaN until so many bars as the settings want."""
    n = int(s[TAKEN])
    if n < settings[NEED]:
        out[:] = math.nan
        return
    floor = settings[FLOOR]
    for k in range(LEVELS):
        out[k] = math.log(max(s[SUMS + k], 0.0) / min(n, WINDOWS[k]) + floor)
    few, many = min(n, SHORT), min(n, LONG)
    short = max(s[SUMS + 4], 0.0) / few + floor
    last = n - 1
    r = s[RETURNS + last % SHORT]
    volume = s[VOLUMES + last % LONG]
    out[LEVELS] = math.log(s[RANGE] + floor) - out[0]
    out[LEVELS + 1] = r / math.sqrt(short)
    out[LEVELS + 2] = abs(r) / math.sqrt(short)
    out[LEVELS + 3] = s[DRIFT] / math.sqrt(few * short)
    out[LEVELS + 4] = math.log(max(s[SQUARED], 0.0) / few + floor) - math.log(short)
    out[LEVELS + 5] = volume - s[VOLUME_SHORT] / few
    out[LEVELS + 6] = s[VOLUME_SHORT] / few - s[VOLUME_LONG] / many
    out[LEVELS + 7] = math.log(s[GARCH] + floor)


@njit(cache=True)
def design(bars: Floats, returns: Floats, measured: Floats, settings: Floats) -> Floats:
    """(T, COLUMNS) of consecutive bars (T, 5) from a state that has seen nothing."""
    s = np.empty(STATE_SIZE)
    start(s, settings)
    out = np.empty((len(bars), COLUMNS))
    for t in range(len(bars)):
        take(s, bars[t], returns[t], measured[t], settings)
        columns(s, settings, out[t])
    return out


@njit(cache=True)
def bar_variances(bars: Floats) -> Floats:
    """(T,) of bars (T, 5); NaN where there is no bar."""
    out = np.empty(len(bars))
    for t in range(len(bars)):
        known = bars[t, 0] > 0.0 and bars[t, 1] > 0.0 and bars[t, 2] > 0.0 and bars[t, 3] > 0.0
        out[t] = bar_variance(bars[t, 0], bars[t, 1], bars[t, 2], bars[t, 3]) if known else math.nan
    return out


def warm() -> None:
    """Compile, or load from the cache, what the model calls."""
    settings = np.array([1e-8, 1.0, 1e-4, 0.0, 1e-6, 0.1, 0.0, 0.8, 1.0])
    design(np.ones((2, 5)), np.zeros(2), np.full(2, math.nan), settings)
    bar_variances(np.ones((2, 5)))
    state = np.zeros(STATE_SIZE)
    start(state, settings)
    take(state, np.ones(5), 0.0, math.nan, settings)
    columns(state, settings, np.empty(COLUMNS))
