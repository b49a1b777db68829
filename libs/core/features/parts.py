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

STILL: Final = 1e-12
"""An average of price changes below this share of the price is none: what remains of older ones is no direction."""

SPENT: Final = 1e-4
"""A running sum that has shrunk to this share of its largest is made anew: what left it left its rounding behind."""

NOISE: Final = 1e-28
"""A variance of returns below it is the rounding of ln(close / previous close): nothing moves."""

LEAST_BARS: Final = 24
MOST_BARS: Final = 1440
"""Models are fitted anew at least and at most so many bars apart."""


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
def worn(total: float, peak: float, number: int) -> bool:
    """A running sum of terms that are never negative must be made anew at the bar `number`.

    `peak`: its largest value since it was last made anew. A sum that is made anew sets the peak to itself, so that a
    window in which nothing happens gives exactly zero and is left alone from then on.
    """
    return total < SPENT * peak or number % REFRESH == 0


@njit(cache=False)
def settled(x: Pointer, last: int, n: int) -> tuple[float, float, float, float]:
    """What `deviations` returns, made anew from the n values that end at x[last]."""
    origin, total, squares = x[last], 0.0, 0.0
    for j in range(last - n + 1, last + 1):
        total += x[j] - origin
    mean = total / n
    for j in range(last - n + 1, last + 1):
        d = x[j] - origin - mean
        squares += d * d
    return origin, mean, squares, squares


@njit(cache=False)
def deviations(
    origin: float, mean: float, squares: float, peak: float, x: Pointer, last: int, n: int, i: int, number: int
) -> tuple[float, float, float, float]:
    """Origin, mean less origin, summed squared deviations and their peak, moved on to the n values that end at x[last].

    Sliding Welford at bar i, about an origin among the values so that their level costs no digits; anew on schedule and
    when the squares have fallen so far that rounding would show. Zero for a flat window, exactly.
    """
    if i == 0:
        return x[last], 0.0, 0.0, 0.0
    new = x[last] - origin
    if i < n:
        delta = new - mean
        mean += delta / (i + 1)
        squares += delta * (new - mean)
        return origin, mean, squares, max(peak, squares)
    old = x[last - n] - origin
    moved = mean + (new - old) * (1.0 / n)
    squares += (new - old) * ((new - moved) + (old - mean))
    if worn(squares, peak, number):
        return settled(x, last, n)
    return origin, moved, squares, max(peak, squares)


@njit(cache=False)
def positive(value: float) -> float:
    """max(value, 0), exactly and without a branch that half of the bars would take."""
    return 0.5 * (value + abs(value))


@njit(cache=False)
def wilder(value: float, i: int, n: int, x: float) -> float:
    """Next value of Wilder's average of n at bar i: a plain sum until the mean of values 1...n seeds it."""
    if i < 1:
        return 0.0
    if i < n:
        return value + x
    alpha = 1.0 / n
    if i == n:
        return alpha * (value + x)
    return (1.0 - alpha) * value + alpha * x


@njit(cache=False)
def highest(x: Pointer, last: int, n: int) -> float:
    """Largest of the n values that end at x[last]."""
    # Two at a time: a comparison waits for the one before it.
    a = b = x[last]
    for j in range(last - n + 1, last, 2):
        a, b = max(a, x[j]), max(b, x[j + 1])
    return float(max(a, b))


@njit(cache=False)
def lowest(x: Pointer, last: int, n: int) -> float:
    """Smallest of the n values that end at x[last]."""
    a = b = x[last]
    for j in range(last - n + 1, last, 2):
        a, b = min(a, x[j]), min(b, x[j + 1])
    return float(min(a, b))


@njit(cache=False)
def channel(x: Pointer, high: int, low: int, rows: int, n: int, upper: Any, lower: Any, at: int) -> None:
    """Highest of the n values that end at x[high + j] into upper[j], lowest of those at x[low + j] into lower[at + j].

    For each of `rows`. In a batch from both ends of stretches of n rows, so that n does not matter (van Herk 1992).
    """
    if rows < n:
        for j in range(rows):
            upper[j], lower[at + j] = highest(x, high + j, n), lowest(x, low + j, n)
        return
    for begin in range(0, rows, n):
        end = min(begin + n, rows)
        top, bottom = x[high + begin], x[low + begin]
        for j in range(begin, end):
            top, bottom = max(top, x[high + j]), min(bottom, x[low + j])
            upper[j], lower[at + j] = top, bottom
        top, bottom = -math.inf, math.inf
        for j in range(begin + n - 2, begin - 1, -1):
            top, bottom = max(top, x[high + j - n + 1]), min(bottom, x[low + j - n + 1])
            if j < end:
                upper[j], lower[at + j] = max(upper[j], top), min(lower[at + j], bottom)


@njit(cache=False)
def position(close: float, upper: float, lower: float) -> float:
    """Where the close stands between two prices, 0 to 1; 0.5 when they are the same."""
    width = upper - lower
    return 0.5 if width == 0.0 else min(max((close - lower) / width, 0.0), 1.0)


@njit(cache=False)
def run_of(x: Pointer, last: int, i: int, before: float) -> float:
    """Equal values in a row that end at x[last]; `before` is the answer of the bar before, i the bar's index.

    A window of n equal values is known by it exactly, whatever rounding a running sum carries.
    """
    return before + 1.0 if i > 0 and x[last] == x[last - 1] else 1.0


@njit(cache=False)
def lower_bound(s: Pointer, at: int, n: int, value: float) -> int:
    """How many of the n ascending values from s[at] are below `value`."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if s[at + middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=False)
def upper_bound(s: Pointer, at: int, n: int, value: float) -> int:
    """How many of the n ascending values from s[at] are at or below `value`."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if s[at + middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=False)
def sorted_insert(s: Pointer, at: int, n: int, value: float) -> None:
    """Put a value among the n ascending ones from s[at], which become n + 1."""
    k = n
    while k > 0 and s[at + k - 1] > value:
        s[at + k] = s[at + k - 1]
        k -= 1
    s[at + k] = value


@njit(cache=False)
def sorted_replace(s: Pointer, at: int, n: int, old: float, new: float) -> None:
    """Exchange a value that is among the n ascending ones from s[at]."""
    k = at + lower_bound(s, at, n, old)
    while k + 1 < at + n and s[k + 1] < new:
        s[k] = s[k + 1]
        k += 1
    while k > at and s[k - 1] > new:
        s[k] = s[k - 1]
        k -= 1
    s[k] = new


@njit(cache=False)
def sorted_quantile(s: Pointer, at: int, n: int, q: float) -> float:
    """Quantile q of the n ascending values from s[at], linear between neighbours (type 7 of Hyndman and Fan 1996)."""
    place = q * (n - 1)
    k = min(int(place), n - 2)
    return float(s[at + k] + (place - k) * (s[at + k + 1] - s[at + k]))


@njit(cache=False)
def refit_bars(interval: int) -> int:
    """Bars between two fits of a model: those of a day, within LEAST_BARS and MOST_BARS."""
    return min(max(86_400 // interval, LEAST_BARS), MOST_BARS)
