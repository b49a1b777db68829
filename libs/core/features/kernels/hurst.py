"""Does the price persist or revert over longer spans: two estimates of the Hurst exponent from 256 returns."""

from __future__ import annotations

import math
from typing import Final

from numba import njit

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NOISE, NUMBER, ROWS, SPENT, WIDTH, Pointer, slide

WINDOW: Final = 256
EVERY: Final = 16
"""Rescaled ranges are made anew at bars whose number is a multiple of this."""

LEVELS: Final = 5
BLOCKS: Final = (8, 16, 32, 64, 128)
SPANS: Final = (1, 2, 4, 8, 16)


def expected_range(n: int) -> float:
    """E[R/S] of n independent normal values (Anis and Lloyd 1976)."""
    ratio = math.exp(math.lgamma((n - 1) / 2) - math.lgamma(n / 2)) / math.sqrt(math.pi)
    return ratio * sum(math.sqrt((n - r) / r) for r in range(1, n))


LOG_BLOCKS: Final = tuple(math.log(n) for n in BLOCKS)
LOG_EXPECTED: Final = tuple(math.log(expected_range(n)) for n in BLOCKS)


@njit(cache=False)
def rescaled_range(x: Pointer, start: int, n: int) -> float:
    """Range of the cumulated deviations from the mean of n values from x[start] over their deviation; 0 if equal."""
    first = x[start]
    total = 0.0
    for k in range(start, start + n):
        total += x[k] - first
    mean = total / n
    level = top = bottom = squares = 0.0
    for k in range(start, start + n):
        d = x[k] - first - mean
        level += d
        squares += d * d
        top = max(top, level)
        bottom = min(bottom, level)
    return (top - bottom) / math.sqrt(squares / n) if squares > 0.0 else 0.0


@njit(cache=False)
def rescaled_slope(x: Pointer, last: int) -> float:
    """0.5 + slope of ln(R/S) - ln E[R/S] on ln n over the levels that move; 0.5 with fewer than two of them."""
    count = sx = sy = sxx = sxy = 0.0
    for level in range(LEVELS):
        n = BLOCKS[level]
        total, moving = 0.0, 0
        for block in range(WINDOW // n):
            ratio = rescaled_range(x, last - WINDOW + 1 + block * n, n)
            if ratio > 0.0:
                total += ratio
                moving += 1
        if moving == 0:
            continue
        a, b = LOG_BLOCKS[level], math.log(total / moving) - LOG_EXPECTED[level]
        count += 1.0
        sx += a
        sy += b
        sxx += a * a
        sxy += a * b
    below = count * sxx - sx * sx
    return 0.5 + (count * sxy - sx * sy) / below if count >= 2.0 else 0.5


@feature(
    outputs=[Output(name="hurst_rs", unit="Hurst exponent")],
    state=1,
    lookback=WINDOW,
    warmup=WINDOW,
    memory=WINDOW + EVERY,
    oracle="numpy; white noise and fractional Gaussian noise",
    source="Hurst 1951; Anis and Lloyd 1976 for what independent returns would give",
)
def hurst_rs(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Hurst exponent by rescaled ranges of 256 returns in blocks of 8 to 128, less what independent returns give; anew
    every 16 bars, 0.5 where nothing moves."""
    first, number = c[FIRST], c[NUMBER]
    for j in range(c[ROWS]):
        i = first + j
        if i == WINDOW or (i > WINDOW and (number + j) % EVERY == 0):
            s[0] = rescaled_slope(x, RET * c[WIDTH] + j)
        out[j] = s[0] if i >= WINDOW else NAN


@njit(cache=False)
def span_return(x: Pointer, last: int, k: int) -> float:
    """Return over k bars; one order of adding, so that what leaves a sum is what entered it."""
    total = 0.0
    for t in range(last - k + 1, last + 1):
        total += x[t]
    return total


@njit(cache=False)
def settle(s: Pointer, at: int, x: Pointer, last: int, k: int) -> None:
    """Mean, summed squared deviations and their peak of the k-bar returns in the window that ends at x[last], anew."""
    total = squares = 0.0
    for t in range(last - WINDOW + k, last + 1):
        total += span_return(x, t, k)
    mean = total / (WINDOW - k + 1)
    for t in range(last - WINDOW + k, last + 1):
        d = span_return(x, t, k) - mean
        squares += d * d
    s[at], s[at + 1], s[at + 2] = mean, squares, squares


@feature(
    outputs=[Output(name="hurst_vt", unit="Hurst exponent")],
    state=3 * LEVELS,
    lookback=WINDOW + SPANS[-1],
    warmup=WINDOW,
    memory=WINDOW,
    oracle="numpy; white noise and fractional Gaussian noise",
    source="half the slope of ln variance on ln span (aggregated variance, Taqqu, Teverovsky and Willinger 1995)",
)
def hurst_vt(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Hurst exponent by how the variance of returns over 1, 2, 4, 8 and 16 bars grows within 256 bars; 0.5 where a span
    does not move."""
    first, number = c[FIRST], c[NUMBER]
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        if i < WINDOW:
            out[j] = NAN
            continue
        anew = i == WINDOW or (number + j) % WINDOW == 0
        sy = sxy = 0.0
        moving = True
        for level in range(LEVELS):
            k, slot = SPANS[level], 3 * level
            count = WINDOW - k + 1
            if not anew:
                slide(s, slot, count, count, span_return(x, at, k), span_return(x, at - count, k))
                s[slot + 2] = max(s[slot + 2], s[slot + 1])
            if anew or s[slot + 1] < SPENT * s[slot + 2]:
                settle(s, slot, x, at, k)
            variance = s[slot + 1] / (count - 1.0)
            if variance <= NOISE:
                moving = False
            else:
                # The levels are ln k = level ln 2: their slope needs only the numbers 0 to 4.
                sy += math.log(variance)
                sxy += level * math.log(variance)
        out[j] = 0.5 * (sxy - 2.0 * sy) / (10.0 * math.log(2.0)) if moving else 0.5


FULL = ("hurst_rs", "hurst_vt")
