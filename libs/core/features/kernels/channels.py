"""Channels of highs and lows, and bars that are narrower than those before them."""

from __future__ import annotations

import numpy as np
from numba import njit

from libs.core.features.inputs import CLOSE, HIGH, LOW
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, ROWS, STRIDE, WIDTH, Pointer, channel, highest, lowest, position

QUOTE = "quote currency"


@njit(cache=False)
def beyond(close: float, upper: float, lower: float) -> float:
    """1 above both prices, -1 below both, else 0."""
    return 1.0 if close > upper else (-1.0 if close < lower else 0.0)


@feature(
    outputs=[
        Output(name="donchian_high_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_low_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_pos_{n}", unit="ratio", low=0.0, high=1.0),
    ],
    n=20,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="talib.MAX, talib.MIN",
    source="Donchian",
)
def donchian(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Highest high and lowest low of n bars, this one among them, and where the close stands between (flat: 0.5)."""
    n, w, v, first, rows = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST], c[ROWS]
    channel(x, HIGH * w, LOW * w, rows, n, out, out, v)
    for j in range(min(max(n - 1 - first, 0), rows)):
        out[j] = out[v + j] = NAN
    for j in range(rows):
        out[2 * v + j] = position(x[CLOSE * w + j], out[j], out[v + j])


@feature(
    outputs=[Output(name="donchian_break_{n}", unit="-1, 0 or 1", low=-1.0, high=1.0)],
    n=20,
    lookback=lambda n: n + 1,
    warmup=lambda n: n,
    memory=lambda n: n + 1,
    oracle="talib.MAX, talib.MIN",
    source="Donchian; the channel ends with the bar before, which knows nothing of the breakout",
)
def breakout(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """1 when the close is above the highest high of the n bars before, -1 when below their lowest low, else 0."""
    n, w, first, rows = int(p[0]), c[WIDTH], c[FIRST], c[ROWS]
    high, low, close = HIGH * w - 1, LOW * w - 1, CLOSE * w
    if rows < n:
        for j in range(rows):
            out[j] = beyond(x[close + j], highest(x, high + j, n), lowest(x, low + j, n))
    else:
        tops, bottoms = np.empty(rows), np.empty(rows)
        channel(x, high, low, rows, n, tops, bottoms, 0)
        for j in range(rows):
            out[j] = beyond(x[close + j], tops[j], bottoms[j])
    for j in range(min(max(n - first, 0), rows)):
        out[j] = NAN


@feature(
    outputs=[Output(name="nr{n}", unit="flag", low=0.0, high=1.0)],
    n=7,
    lookback=lambda n: n - 1,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="Crabel 1990",
)
def narrow_range(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """1 when high - low is smaller than that of each of the n - 1 bars before, else 0; a tie is none."""
    n, w, first = int(p[0]), c[WIDTH], c[FIRST]
    high, low = HIGH * w, LOW * w
    for j in range(c[ROWS]):
        if first + j < n - 1:
            out[j] = NAN
            continue
        width = x[high + j] - x[low + j]
        narrowest = 1.0
        for k in range(1, n):
            if x[high + j - k] - x[low + j - k] <= width:
                narrowest = 0.0
        out[j] = narrowest


FULL = (
    "donchian(n=20)",
    "donchian(n=55)",
    "breakout(n=20)",
    "breakout(n=55)",
    "narrow_range(n=7)",
)
