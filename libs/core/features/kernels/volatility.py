"""Volatility of closes and of ranges."""

from __future__ import annotations

import math

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, NUMBER, REFRESH, ROWS, WIDTH, Pointer

LOG = "log return"


@feature(
    outputs=[Output(name="rv_{n}", unit=LOG, low=0.0)],
    n=10,
    state=1,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="numpy",
    source="root of the summed squared log returns, not demeaned, not annualised",
)
def realised_vol(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Realised volatility of the last n returns."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    base = RET * c[WIDTH]
    total = s[0]
    for j in range(c[ROWS]):
        i = first + j
        total += x[base + j] * x[base + j]
        if i > n:
            total -= x[base + j - n] * x[base + j - n]
        if i >= n and ((number + j) % REFRESH == 0 or total < 0.0):
            total = 0.0
            for k in range(j - n + 1, j + 1):
                total += x[base + k] * x[base + k]
        out[j] = math.sqrt(total) if i >= n else NAN
    s[0] = total


@feature(
    outputs=[Output(name="ewma_vol", unit=LOG, low=0.0)],
    decay=0.94,
    seed=30,
    state=1,
    lookback=1,
    warmup=lambda decay, seed: seed + 1,
    memory=lambda decay, seed: forgets(1.0 - decay, seed),
    oracle="recursion in numpy",
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


FULL = (
    "realised_vol(n=10)",
    "realised_vol(n=30)",
    "realised_vol(n=60)",
    "realised_vol(n=120)",
    "realised_vol(n=480)",
    "ewma_vol",
)
