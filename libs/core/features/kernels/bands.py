"""Bands and channels around the price."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, HIGH, LOW, RANGE
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import (
    FIRST,
    NAN,
    NUMBER,
    REFRESH,
    ROWS,
    STRIDE,
    WIDTH,
    Pointer,
    highest,
    lowest,
    resettle,
    slide,
    wilder,
)

QUOTE = "quote currency"
RATIO = "ratio"


@feature(
    outputs=[
        Output(name="bb_mid_{n}", unit=QUOTE, low=0.0),
        Output(name="bb_upper_{n}", unit=QUOTE),
        Output(name="bb_lower_{n}", unit=QUOTE),
        Output(name="bb_pct_b_{n}", unit=RATIO),
        Output(name="bb_width_{n}", unit=RATIO, low=0.0),
    ],
    n=20,
    k=2,
    state=2,
    lookback=lambda n, k: n,
    warmup=lambda n, k: n - 1,
    memory=lambda n, k: n,
    oracle="talib.BBANDS",
    source="Bollinger 2001; population deviation",
)
def bollinger(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Mean of n closes and bands k deviations away; percent b (flat: 0.5) and width against the mean."""
    n, k = int(p[0]), p[1]
    w, v, first, number = c[WIDTH], c[STRIDE], c[FIRST], c[NUMBER]
    base = CLOSE * w
    for j in range(c[ROWS]):
        i = first + j
        close = x[base + j]
        slide(s, 0, n, i, close, x[base + j - n] if i >= n else 0.0)
        if i >= n - 1 and (number + j) % REFRESH == 0:
            resettle(s, 0, x, base + j, n)
        if i < n - 1:
            for f in range(5):
                out[f * v + j] = NAN
            continue
        mid = s[0]
        band = k * math.sqrt(s[1] / n)
        if band < 1e-12 * mid:
            band = 0.0
        out[j] = mid
        out[v + j] = mid + band
        out[2 * v + j] = mid - band
        out[3 * v + j] = (close - (mid - band)) / (2.0 * band) if band > 0.0 else 0.5
        out[4 * v + j] = 2.0 * band / mid


@feature(
    outputs=[
        Output(name="donchian_high_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_low_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_pos_{n}", unit=RATIO, low=0.0, high=1.0),
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
    n, w, v, first = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST]
    for j in range(c[ROWS]):
        if first + j < n - 1:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        top, bottom = highest(x, HIGH * w + j, n), lowest(x, LOW * w + j, n)
        out[j], out[v + j] = top, bottom
        out[2 * v + j] = (x[CLOSE * w + j] - bottom) / (top - bottom) if top > bottom else 0.5


@feature(
    outputs=[
        Output(name="atr_{n}", unit=QUOTE, low=0.0),
        Output(name="natr_{n}", unit="percent of the close", low=0.0),
    ],
    n=14,
    state=1,
    lookback=1,
    warmup=lambda n: n,
    memory=lambda n: forgets(1.0 / n, n),
    oracle="talib.ATR, talib.NATR",
    source="Wilder 1978",
)
def atr(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Average true range by Wilder's average, and as percent of the close."""
    n, w, v, first = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST]
    value = s[0]
    for j in range(c[ROWS]):
        i = first + j
        value = wilder(value, i, n, x[RANGE * w + j])
        out[j] = value if i >= n else NAN
        out[v + j] = 100.0 * value / x[CLOSE * w + j] if i >= n else NAN
    s[0] = value


FULL = ("bollinger(n=20)", "donchian(n=20)", "donchian(n=55)", "atr(n=14)")
