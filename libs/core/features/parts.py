"""Pieces that kernels are made of: compiled into each, so that a kernel is one function and reads like its formula."""

from __future__ import annotations

import math
from typing import Any, Final

from numba import njit

Pointer = Any
"""A float64 pointer in compiled code, a numpy view in plain Python."""

NAN: Final = math.nan

# Slots of `c`, the integers that a kernel is called with.
ROWS: Final = 0  # rows of this call
FIRST: Final = 1  # index of row 0 since the first bar
NUMBER: Final = 2  # number of row 0: its open time / interval; consecutive over the rows
WIDTH: Final = 3  # w: distance between columns of x
STRIDE: Final = 4  # v: distance between columns of e and out
INTERVAL: Final = 5  # seconds
CONTROLS: Final = 6

REFRESH: Final = 4096
"""Running sums are made anew at bars whose number is a multiple of this: by the bar's time, never by a count."""


@njit(cache=False)
def window_sum(x: Pointer, at: int, n: int) -> float:
    """Sum of the n values that end at x[at], oldest first."""
    total = 0.0
    for j in range(at - n + 1, at + 1):
        total += x[j]
    return total


@njit(cache=False)
def slide(s: Pointer, at: int, n: int, i: int, new: float, old: float) -> None:
    """Sliding Welford: s[at] mean and s[at + 1] summed squared deviations of the last n values.

    The caller says the index `i` of the value and hands over the one that leaves; `resettle` keeps the drift away.
    """
    if i < n:
        delta = new - s[at]
        s[at] += delta / (i + 1)
        s[at + 1] += delta * (new - s[at])
    else:
        delta = new - old
        mean = s[at] + delta / n
        s[at + 1] += delta * ((new - mean) + (old - s[at]))
        s[at] = mean
        if s[at + 1] < 0.0:
            s[at + 1] = 0.0


@njit(cache=False)
def resettle(s: Pointer, at: int, x: Pointer, last: int, n: int) -> None:
    """Mean and summed squared deviations of the n values that end at x[last], anew; exactly zero for a flat window."""
    newest = x[last]
    total = 0.0
    for j in range(last - n + 1, last + 1):
        total += x[j] - newest
    mean = total / n
    squares = 0.0
    for j in range(last - n + 1, last + 1):
        d = x[j] - newest - mean
        squares += d * d
    s[at] = newest + mean
    s[at + 1] = squares


@njit(cache=False)
def wilder(value: float, i: int, n: int, x: float) -> float:
    """Next value of Wilder's average of n at bar i: a plain sum until the mean of values 1...n seeds it."""
    if i < 1:
        return 0.0
    if i < n:
        return value + x
    if i == n:
        return (value + x) / n
    return value + (x - value) / n


@njit(cache=False)
def highest(x: Pointer, last: int, n: int) -> float:
    """Largest of the n values that end at x[last]."""
    top = x[last]
    for j in range(last - n + 1, last):
        top = max(top, x[j])
    return float(top)


@njit(cache=False)
def lowest(x: Pointer, last: int, n: int) -> float:
    """Smallest of the n values that end at x[last]."""
    bottom = x[last]
    for j in range(last - n + 1, last):
        bottom = min(bottom, x[j])
    return float(bottom)
