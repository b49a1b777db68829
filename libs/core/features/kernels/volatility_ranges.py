"""Volatility that the ranges of bars tell: more than closes do, as long as the price moves freely inside them."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, HIGH, LOW, OPEN
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, WIDTH, Pointer, worn

LOG = "log return a bar"


@feature(
    outputs=[Output(name="parkinson_{n}", unit=LOG, low=0.0)],
    n=20,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="formula in numpy",
    source="Parkinson 1980: root of the mean of ln(high / low)^2 / (4 ln 2)",
)
def parkinson(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Volatility of one bar from the high-low ranges of the last n."""
    n, w, first, number = int(p[0]), c[WIDTH], c[FIRST], c[NUMBER]
    high, low = HIGH * w, LOW * w
    scale = 1.0 / (4.0 * math.log(2.0) * n)
    total, peak = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        total += math.log(x[high + j] / x[low + j]) ** 2
        if i >= n:
            total -= math.log(x[high + j - n] / x[low + j - n]) ** 2
            if worn(total, peak, number + j):
                total = peak = 0.0
                for k in range(j - n + 1, j + 1):
                    total += math.log(x[high + k] / x[low + k]) ** 2
        peak = max(peak, total)
        out[j] = math.sqrt(scale * total) if i >= n - 1 else NAN
    s[0], s[1] = total, peak


@feature(
    outputs=[Output(name="garman_klass_{n}", unit=LOG, low=0.0)],
    n=20,
    state=4,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="formula in pandas",
    source="Garman and Klass 1980: root of the mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2",
)
def garman_klass(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Volatility of one bar from range and body of the last n; 0 when the mean is negative."""
    n, w, first, number = int(p[0]), c[WIDTH], c[FIRST], c[NUMBER]
    a, b, o, z = HIGH * w, LOW * w, OPEN * w, CLOSE * w
    weight = 2.0 * math.log(2.0) - 1.0
    spans, most, bodies, peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i = first + j
        spans += math.log(x[a + j] / x[b + j]) ** 2
        bodies += math.log(x[z + j] / x[o + j]) ** 2
        if i >= n:
            spans -= math.log(x[a + j - n] / x[b + j - n]) ** 2
            bodies -= math.log(x[z + j - n] / x[o + j - n]) ** 2
            if worn(spans, most, number + j) or worn(bodies, peak, number + j):
                spans = most = bodies = peak = 0.0
                for k in range(j - n + 1, j + 1):
                    spans += math.log(x[a + k] / x[b + k]) ** 2
                    bodies += math.log(x[z + k] / x[o + k]) ** 2
        most, peak = max(most, spans), max(peak, bodies)
        out[j] = math.sqrt(max(0.5 * spans - weight * bodies, 0.0) / n) if i >= n - 1 else NAN
    s[0], s[1], s[2], s[3] = spans, most, bodies, peak


FULL = ("parkinson(n=20)", "garman_klass(n=20)")
