"""Volume profile: at which prices of a window it traded most, and between which the better part of it."""

from __future__ import annotations

import math

from numba import njit

from libs.core.features.inputs import HIGH, LOW, VOLUME
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, ROWS, STRIDE, WIDTH, Pointer

QUOTE = "quote currency"

# Slots of the state before the bins; behind them a ring of the logs of highs, and one of lows.
TOP = 0
BOTTOM = 1
BUSIEST = 2
FLOOR = 3  # log of the lowest low for which the bins stand
CEILING = 4
CAP = 5  # the power of two for which they stand: no bar has more volume, and one has more than half of it
TOTAL = 6
BINS = 7

FINENESS = 2.0**-44
"""Volumes in bins are whole multiples of this share of the cap: what is added can be taken away again to the last bit,
and which of two equal bins is the fuller depends on the window alone."""


@njit(cache=False)
def top(x: Pointer, last: int, n: int, i: int, at: int) -> int:
    """Index since the first bar of the highest of the n values that end at x[last], bar i; the newest of equals.

    `at`: the answer at the bar before; only when that bar leaves the window are all n looked at.
    """
    if at > i - n:
        return i if x[last] >= x[last - i + at] else at
    best, found = x[last - n + 1], n - 1
    for k in range(n - 2, -1, -1):
        if x[last - k] >= best:
            best, found = x[last - k], k
    return i - found


@njit(cache=False)
def bottom(x: Pointer, last: int, n: int, i: int, at: int) -> int:
    """As `top`, of the lowest."""
    if at > i - n:
        return i if x[last] <= x[last - i + at] else at
    best, found = x[last - n + 1], n - 1
    for k in range(n - 2, -1, -1):
        if x[last - k] <= best:
            best, found = x[last - k], k
    return i - found


@njit(cache=False)
def binned(level: float, floor: float, scale: float, bins: int) -> int:
    """The bin in which a log price lies."""
    return min(max(int((level - floor) * scale), 0), bins - 1)


@njit(cache=False)
def pour(s: Pointer, high: float, low: float, volume: float, sign: float, bins: int) -> None:
    """Add a bar's volume, spread evenly over the bins from its low to its high, or take it away again."""
    floor, scale = s[FLOOR], bins / (s[CEILING] - s[FLOOR])
    a, b = binned(low, floor, scale, bins), binned(high, floor, scale, bins)
    # Adding and taking away a number this large rounds to multiples of the step.
    rounder = 1.5 * 2.0**52 * FINENESS * s[CAP]
    part = volume / (b - a + 1) + rounder - rounder
    for k in range(BINS + a, BINS + b + 1):
        s[k] += sign * part
    s[TOTAL] += sign * part * (b - a + 1)


@njit(cache=False)
def rebuild(s: Pointer, x: Pointer, last: int, newest: int, n: int, bins: int) -> None:
    """The bins anew from the n volumes that end at x[last]; `newest` is that bar's place in the rings."""
    s[TOTAL] = 0.0
    for k in range(BINS, BINS + bins):
        s[k] = 0.0
    if s[CAP] > 0.0 and s[CEILING] > s[FLOOR]:
        for k in range(n):
            at = newest - k if newest >= k else newest - k + n
            pour(s, s[BINS + bins + at], s[BINS + bins + n + at], x[last - k], 1.0, bins)


@njit(cache=False)
def value_area(s: Pointer, bins: int, point: int, wanted: float) -> tuple[int, int]:
    """First and last bin of the shortest run around `point` that holds `wanted`; of equally short ones the fullest."""
    held = 0.0
    for k in range(point + 1):
        held += s[BINS + k]
    last = point
    first, end, most = 0, bins - 1, -1.0
    for begin in range(point + 1):
        while held < wanted and last < bins - 1:
            last += 1
            held += s[BINS + last]
        if held < wanted:
            break
        if most < 0.0 or last - begin < end - first or (last - begin == end - first and held > most):
            first, end, most = begin, last, held
        held -= s[BINS + begin]
    return first, end


@feature(
    outputs=[
        Output(name="vp_poc_{n}", unit=QUOTE, low=0.0),
        Output(name="vp_low_{n}", unit=QUOTE, low=0.0),
        Output(name="vp_high_{n}", unit=QUOTE, low=0.0),
    ],
    n=240,
    bins=50,
    share=0.7,
    state=lambda n, bins, share: BINS + bins + 2 * n,
    lookback=lambda n, bins, share: n,
    warmup=lambda n, bins, share: n,
    memory=lambda n, bins, share: n,
    oracle="brute force over the whole window at each bar",
    source="Steidlmayer; equal bins of the log price from the lowest low to the highest high, volume even over a bar",
)
def volume_profile(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Middle of the bin with most volume of n bars, and lower and upper edge of the shortest run of bins around it that
    holds `share` of all; the lowest of equal bins, the middle of the range when there is no volume or no range.
    """
    n, bins, share = int(p[0]), int(p[1]), p[2]
    w, v, first = c[WIDTH], c[STRIDE], c[FIRST]
    high, low, busiest = int(s[TOP]), int(s[BOTTOM]), int(s[BUSIEST])
    for j in range(c[ROWS]):
        i, volume = first + j, VOLUME * w + j
        high = top(x, HIGH * w + j, n, i, high)
        low = bottom(x, LOW * w + j, n, i, low)
        busiest = top(x, volume, n, i, busiest)
        place = i % n
        upper, lower = BINS + bins + place, BINS + bins + n + place
        was_upper, was_lower = s[upper], s[lower]
        s[upper], s[lower] = math.log(x[HIGH * w + j]), math.log(x[LOW * w + j])
        if i < n:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        ceiling, floor = s[BINS + bins + high % n], s[BINS + bins + n + low % n]
        most = x[volume - i + busiest]
        other_cap = most > s[CAP] or (s[CAP] > 0.0 and 2.0 * most <= s[CAP])
        if i == n or ceiling != s[CEILING] or floor != s[FLOOR] or other_cap:
            s[CEILING], s[FLOOR] = ceiling, floor
            s[CAP] = 2.0 ** math.ceil(math.log2(most)) if most > 0.0 else 0.0
            rebuild(s, x, volume, place, n, bins)
        elif ceiling > floor:
            pour(s, was_upper, was_lower, x[volume - n], -1.0, bins)
            pour(s, s[upper], s[lower], x[volume], 1.0, bins)
        if s[TOTAL] <= 0.0:
            out[j] = out[v + j] = out[2 * v + j] = math.exp(0.5 * (floor + ceiling))
            continue
        point = 0
        for k in range(1, bins):
            if s[BINS + k] > s[BINS + point]:
                point = k
        begin, end = value_area(s, bins, point, share * s[TOTAL])
        step = (ceiling - floor) / bins
        out[j] = math.exp(floor + (point + 0.5) * step)
        out[v + j] = math.exp(floor + begin * step)
        out[2 * v + j] = math.exp(floor + (end + 1) * step)
    s[TOP], s[BOTTOM], s[BUSIEST] = high, low, busiest


FULL = ("volume_profile(n=240)",)
