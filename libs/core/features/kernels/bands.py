"""Bands around the price: of deviations and of ranges, and the squeeze of one inside the other."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, RANGE
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, STRIDE, WIDTH, Pointer, deviations, wilder

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
    state=4,
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
    origin, mean, squares, peak = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        i = first + j
        origin, mean, squares, peak = deviations(origin, mean, squares, peak, x, base + j, n, i, number + j)
        if i < n - 1:
            for f in range(5):
                out[f * v + j] = NAN
            continue
        band = k * math.sqrt(squares * (1.0 / n))
        mid = origin + mean
        out[j] = mid
        out[v + j] = mid + band
        out[2 * v + j] = mid - band
        out[3 * v + j] = 0.5 + (x[base + j] - origin - mean) / (2.0 * band) if band > 0.0 else 0.5
        out[4 * v + j] = 2.0 * band / mid
    s[0], s[1], s[2], s[3] = origin, mean, squares, peak


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


@feature(
    outputs=[
        Output(name="keltner_mid_{n}", unit=QUOTE, low=0.0),
        Output(name="keltner_upper_{n}", unit=QUOTE, low=0.0),
        Output(name="keltner_lower_{n}", unit=QUOTE),
    ],
    n=20,
    m=10,
    k=2,
    state=2,
    lookback=1,
    warmup=lambda n, m, k: max(n - 1, m),
    memory=lambda n, m, k: max(forgets(2.0 / (n + 1), n), forgets(1.0 / m, m)),
    oracle="talib.EMA, talib.ATR",
    source="Keltner as Raschke draws it: exponential average of n closes, k average true ranges of m bars away",
)
def keltner(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Exponential average of n closes, and k average true ranges (Wilder, m bars) above and below it."""
    n, m, k = int(p[0]), int(p[1]), p[2]
    w, v, first = c[WIDTH], c[STRIDE], c[FIRST]
    alpha, warm = 2.0 / (n + 1), max(n - 1, m)
    mid, band = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        close = x[CLOSE * w + j]
        if i >= n:
            mid += alpha * (close - mid)
        else:
            mid += close
            if i == n - 1:
                mid /= n
        band = wilder(band, i, m, x[RANGE * w + j])
        out[j] = mid if i >= warm else NAN
        out[v + j] = mid + k * band if i >= warm else NAN
        out[2 * v + j] = mid - k * band if i >= warm else NAN
    s[0], s[1] = mid, band


@feature(
    outputs=[Output(name="squeeze_{n}", unit="flag", low=0.0, high=1.0)],
    n=20,
    k=2,
    ranges=1.5,
    state=6,
    lookback=lambda n, k, ranges: n,
    warmup=lambda n, k, ranges: n,
    memory=lambda n, k, ranges: forgets(1.0 / n, n),
    oracle="talib.BBANDS, talib.ATR",
    source="Carter 2005: k deviations are less than `ranges` average true ranges, both of n bars",
)
def squeeze(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """1 while Bollinger's bands lie inside Keltner's, else 0; 0 when nothing has moved for n bars."""
    n, k, ranges = int(p[0]), p[1], p[2]
    w, first, number = c[WIDTH], c[FIRST], c[NUMBER]
    origin, mean, squares, peak, width, moved = s[0], s[1], s[2], s[3], s[4], s[5]
    for j in range(c[ROWS]):
        i = first + j
        origin, mean, squares, peak = deviations(origin, mean, squares, peak, x, CLOSE * w + j, n, i, number + j)
        width = wilder(width, i, n, x[RANGE * w + j])
        if x[RANGE * w + j] > 0.0:
            moved = i + 1.0
        if i < n:
            out[j] = NAN
            continue
        inside = k * math.sqrt(squares / n) < ranges * width
        out[j] = 1.0 if inside and i + 1 - moved < n else 0.0
    s[0], s[1], s[2], s[3], s[4], s[5] = origin, mean, squares, peak, width, moved


FULL = (
    "bollinger(n=20)",
    "atr(n=14)",
    "keltner(n=20,m=10,k=2)",
    "squeeze(n=20)",
)
