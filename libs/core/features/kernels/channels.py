"""Channels of highs and lows, and bars that are narrower than those before them."""

from __future__ import annotations

from libs.core.features.inputs import CLOSE, HIGH, LOW
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, ROWS, STRIDE, WIDTH, Pointer, bottom, top

QUOTE = "quote currency"


@feature(
    outputs=[
        Output(name="donchian_high_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_low_{n}", unit=QUOTE, low=0.0),
        Output(name="donchian_pos_{n}", unit="ratio", low=0.0, high=1.0),
    ],
    n=20,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="talib.MAX, talib.MIN",
    source="Donchian",
)
def donchian(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Highest high and lowest low of n bars, this one among them, and where the close stands between (flat: 0.5)."""
    n, w, v, first = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST]
    high, low = int(s[0]), int(s[1])
    for j in range(c[ROWS]):
        i = first + j
        high = top(x, HIGH * w + j, n, i, high)
        low = bottom(x, LOW * w + j, n, i, low)
        if i < n - 1:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        upper, lower = x[HIGH * w + j - i + high], x[LOW * w + j - i + low]
        out[j], out[v + j] = upper, lower
        position = (x[CLOSE * w + j] - lower) / (upper - lower) if upper > lower else 0.5
        out[2 * v + j] = min(max(position, 0.0), 1.0)
    s[0], s[1] = high, low


@feature(
    outputs=[Output(name="donchian_break_{n}", unit="-1, 0 or 1", low=-1.0, high=1.0)],
    n=20,
    state=2,
    lookback=lambda n: n + 1,
    warmup=lambda n: n,
    memory=lambda n: n + 1,
    oracle="talib.MAX, talib.MIN, one bar later",
    source="Donchian; the channel ends with the bar before, which knows nothing of the breakout",
)
def breakout(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """1 when the close is above the highest high of the n bars before, -1 when below their lowest low, else 0."""
    n, w, first = int(p[0]), c[WIDTH], c[FIRST]
    high, low = int(s[0]), int(s[1])
    for j in range(c[ROWS]):
        before = first + j - 1
        if before < 0:
            out[j] = NAN
            continue
        high = top(x, HIGH * w + j - 1, n, before, high)
        low = bottom(x, LOW * w + j - 1, n, before, low)
        if before < n - 1:
            out[j] = NAN
            continue
        close = x[CLOSE * w + j]
        if close > x[HIGH * w + j - 1 - before + high]:
            out[j] = 1.0
        else:
            out[j] = -1.0 if close < x[LOW * w + j - 1 - before + low] else 0.0
    s[0], s[1] = high, low


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
