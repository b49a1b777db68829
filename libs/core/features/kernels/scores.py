"""How unusual the newest price and volume are."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, LOGVOL
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, REFRESH, ROWS, WIDTH, Pointer, resettle, slide

DEVIATIONS = "standard deviations"


@feature(
    outputs=[Output(name="z_price_{n}", unit=DEVIATIONS)],
    n=20,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="(close - mean) / sample deviation; 0 when the deviation is below 1e-12",
)
def z_price(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Standard score of the close within its last n."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    base = CLOSE * c[WIDTH]
    for j in range(c[ROWS]):
        i = first + j
        slide(s, 0, n, i, x[base + j], x[base + j - n] if i >= n else 0.0)
        if i >= n - 1 and (number + j) % REFRESH == 0:
            resettle(s, 0, x, base + j, n)
        deviation = math.sqrt(s[1] / (n - 1))
        if i < n - 1:
            out[j] = NAN
        else:
            out[j] = (x[base + j] - s[0]) / deviation if deviation > 1e-12 * s[0] else 0.0


@feature(
    outputs=[Output(name="z_volume_{n}", unit=DEVIATIONS)],
    n=60,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="of ln(1 + volume), as z_price",
)
def z_volume(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Standard score of the volume, in logs, within its last n."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    base = LOGVOL * c[WIDTH]
    for j in range(c[ROWS]):
        i = first + j
        slide(s, 0, n, i, x[base + j], x[base + j - n] if i >= n else 0.0)
        if i >= n - 1 and (number + j) % REFRESH == 0:
            resettle(s, 0, x, base + j, n)
        deviation = math.sqrt(s[1] / (n - 1))
        if i < n - 1:
            out[j] = NAN
        else:
            out[j] = (x[base + j] - s[0]) / deviation if deviation > 1e-12 else 0.0


FULL = ("z_price(n=20)", "z_volume(n=60)")
