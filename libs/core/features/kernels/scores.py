"""How unusual the newest price and volume are."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, LOGVOL
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, WIDTH, Pointer, deviations

DEVIATIONS = "standard deviations"


@feature(
    outputs=[Output(name="z_price_{n}", unit=DEVIATIONS)],
    n=20,
    state=4,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="numpy windows",
    source="(close - mean) / sample deviation; 0 when the deviation is below 1e-12 of the close",
)
def z_price(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Standard score of the close within its last n."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    base = CLOSE * c[WIDTH]
    origin, mean, squares, peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i = first + j
        origin, mean, squares, peak = deviations(origin, mean, squares, peak, x, base + j, n, i, number + j)
        deviation = math.sqrt(squares / (n - 1))
        if i < n - 1:
            out[j] = NAN
        else:
            out[j] = (x[base + j] - origin - mean) / deviation if deviation > 1e-12 * x[base + j] else 0.0
    s[0], s[1], s[2], s[3] = origin, mean, squares, peak


@feature(
    outputs=[Output(name="z_volume_{n}", unit=DEVIATIONS)],
    n=60,
    state=4,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="numpy windows",
    source="of ln(1 + volume), 0 when the deviation is below 1e-12",
)
def z_volume(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Standard score of the volume, in logs, within its last n."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    base = LOGVOL * c[WIDTH]
    origin, mean, squares, peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i = first + j
        origin, mean, squares, peak = deviations(origin, mean, squares, peak, x, base + j, n, i, number + j)
        deviation = math.sqrt(squares / (n - 1))
        if i < n - 1:
            out[j] = NAN
        else:
            out[j] = (x[base + j] - origin - mean) / deviation if deviation > 1e-12 else 0.0
    s[0], s[1], s[2], s[3] = origin, mean, squares, peak


FULL = ("z_price(n=20)", "z_volume(n=60)")
