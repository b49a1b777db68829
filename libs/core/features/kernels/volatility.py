"""Volatility of closes: realised, exponentially weighted, and the share of jumps in it."""

from __future__ import annotations

import math

from numba import njit

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, INTERVAL, NAN, NUMBER, ROWS, STRIDE, WIDTH, Pointer, worn

LOG = "log return"

YEAR_S = 365 * 86_400
"""Seconds of the year to which volatility is scaled: markets that never close."""

FAINTEST = 1e-9
"""Least volatility of a window, as a share of a longer one's, so that its logarithm is finite."""


@njit(cache=False)
def squares_of(x: Pointer, last: int, n: int) -> float:
    """Sum of the squares of the n values that end at x[last]."""
    total = 0.0
    for j in range(last - n + 1, last + 1):
        total += x[j] * x[j]
    return total


@njit(cache=False)
def squared(total: float, peak: float, x: Pointer, last: int, n: int, i: int, number: int) -> tuple[float, float]:
    """Sum of the squares of the last n returns and its peak, moved on to x[last], bar i; zero when all are zero."""
    total += x[last] * x[last]
    if i > n:
        total -= x[last - n] * x[last - n]
        if worn(total, peak, number):
            total = squares_of(x, last, n)
            return total, total
    return total, max(peak, total)


@feature(
    outputs=[
        Output(name="rv_{n}", unit=LOG, low=0.0),
        Output(name="rv_year_{n}", unit="log return a year", low=0.0),
    ],
    n=10,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="numpy",
    source="root of the summed squared log returns, not demeaned; times sqrt(bars of 365 days / n) for a year",
)
def realised_vol(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Realised volatility of the last n returns, over these n bars and scaled to a year."""
    n, v, first, number = int(p[0]), c[STRIDE], c[FIRST], c[NUMBER]
    base = RET * c[WIDTH]
    annual = math.sqrt(YEAR_S / (n * c[INTERVAL]))
    total, peak = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        total, peak = squared(total, peak, x, base + j, n, i, number + j)
        root = math.sqrt(total) if i >= n else NAN
        out[j] = root
        out[v + j] = annual * root
    s[0], s[1] = total, peak


@feature(
    outputs=[Output(name="ewma_vol", unit=LOG, low=0.0)],
    decay=0.94,
    seed=30,
    state=1,
    lookback=1,
    warmup=lambda decay, seed: seed + 1,
    memory=lambda decay, seed: 2 * forgets(1.0 - decay, seed),  # the root of the seed's weight is what shows
    oracle="recursion in Python",
    source="RiskMetrics 1996",
)
def ewma_vol(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Volatility of exponentially weighted squared returns, seeded with the mean of the first `seed`."""
    decay, seed, first = p[0], int(p[1]), c[FIRST]
    base = RET * c[WIDTH]
    value = s[0]
    for j in range(c[ROWS]):
        i = first + j
        square = x[base + j] * x[base + j]
        if i > seed:
            value = decay * value + (1.0 - decay) * square
        elif i >= 1:
            value += square / seed
        out[j] = math.sqrt(value) if i > seed else NAN
    s[0] = value


@feature(
    outputs=[
        Output(name="bipower_{n}", unit="squared log return", low=0.0),
        Output(name="jump_{n}", unit="ratio", low=0.0, high=1.0),
    ],
    n=60,
    state=4,
    lookback=lambda n: n + 1,
    warmup=lambda n: n + 1,
    memory=lambda n: n + 1,
    oracle="numpy",
    source="Barndorff-Nielsen and Shephard 2004: pi / 2 times the sum of |r||r one bar before|",
)
def bipower(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Bipower variation of the last n returns, which jumps leave alone, and the share of variance that is jumps.

    The share is 1 - bipower / realised variance, not below 0; 0 when nothing moved.
    """
    n, v, first, number = int(p[0]), c[STRIDE], c[FIRST], c[NUMBER]
    base = RET * c[WIDTH]
    pairs, most, total, peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i, at = first + j, base + j
        total, peak = squared(total, peak, x, at, n, i, number + j)
        if i >= 1:
            pairs += abs(x[at] * x[at - 1])
        if i > n:
            pairs -= abs(x[at - n] * x[at - n - 1])
            if worn(pairs, most, number + j):
                pairs = most = 0.0
                for k in range(n):
                    pairs += abs(x[at - k] * x[at - k - 1])
        most = max(most, pairs)
        if i <= n:
            out[j] = out[v + j] = NAN
            continue
        variation = math.pi / 2.0 * pairs
        out[j] = variation
        out[v + j] = min(max(1.0 - variation / total, 0.0), 1.0) if total > 0.0 else 0.0
    s[0], s[1], s[2], s[3] = pairs, most, total, peak


@feature(
    outputs=[Output(name="vol_ratio_{short}_{long}", unit="log ratio", low=math.log(FAINTEST))],
    short=10,
    long=60,
    state=4,
    lookback=lambda short, long: max(short, long),
    warmup=lambda short, long: max(short, long),
    memory=lambda short, long: max(short, long),
    oracle="numpy",
    source="ln of the realised volatility of `short` bars against that of `long` bars, both scaled to the same time",
)
def vol_ratio(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """How much livelier the last bars are than the longer past: 0 alike; 0 when nothing moved in either window."""
    short, long, first, number = int(p[0]), int(p[1]), c[FIRST], c[NUMBER]
    base = RET * c[WIDTH]
    quick, quick_peak, calm, calm_peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i = first + j
        quick, quick_peak = squared(quick, quick_peak, x, base + j, short, i, number + j)
        calm, calm_peak = squared(calm, calm_peak, x, base + j, long, i, number + j)
        if i < max(short, long):
            out[j] = NAN
        elif calm > 0.0:
            out[j] = 0.5 * math.log(max(quick / calm * long / short, FAINTEST * FAINTEST))
        else:
            out[j] = 0.0
    s[0], s[1], s[2], s[3] = quick, quick_peak, calm, calm_peak


FULL = (
    "realised_vol(n=10):rv_10",
    "realised_vol(n=30):rv_30",
    "realised_vol(n=60)",
    "realised_vol(n=120):rv_120",
    "realised_vol(n=480):rv_480",
    "ewma_vol",
    "bipower(n=60)",
    "vol_ratio(short=10,long=60)",
    "vol_ratio(short=60,long=480)",
)
