"""Trend: its direction, its strength against the noise around it, and how straight it runs."""

from __future__ import annotations

import math

from numba import njit

from libs.core.features.inputs import CLOSE, HIGH, LOW, RANGE, RET
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, ROWS, STILL, STRIDE, WIDTH, Pointer

QUOTE = "quote currency"
PERCENT = "0 to 100"

STEEPEST = 1e6
"""Bound of a t-value: closes that lie on a line leave no residual to divide by."""


@njit(cache=False)
def directed(rise: float, fall: float) -> float:
    """Directional movement: the rise of one extreme when it is positive and beats the fall of the other, else 0."""
    return rise if rise > fall and rise > 0.0 else 0.0


@njit(cache=False)
def moved(plus: float, minus: float, x: Pointer, w: int, j: int, alpha: float) -> tuple[float, float]:
    """Wilder's sums of directional movement with bar j; `alpha` of the old ones leaves."""
    up = x[HIGH * w + j] - x[HIGH * w + j - 1]
    down = x[LOW * w + j - 1] - x[LOW * w + j]
    return (
        plus + (directed(up, down) - alpha * plus),
        minus + (directed(down, up) - alpha * minus),
    )


@njit(cache=False)
def disagreement(plus: float, minus: float, still: float) -> float:
    """Wilder's DX: difference against sum of both movements in percent; 0 when their sum is not above `still`."""
    both = plus + minus
    return min(100.0 * abs(plus - minus) / both, 100.0) if both > still else 0.0


@feature(
    outputs=[
        Output(name="plus_dm", unit=QUOTE, low=0.0),
        Output(name="minus_dm", unit=QUOTE, low=0.0),
        Output(name="true_range", unit=QUOTE, low=0.0),
    ],
    lookback=1,
    warmup=1,
    memory=1,
    oracle="talib.PLUS_DM, talib.MINUS_DM, talib.TRANGE",
    source="Wilder 1978",
)
def directional(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Directional movement of the bar, upwards and downwards, and its true range."""
    w, v, first = c[WIDTH], c[STRIDE], c[FIRST]
    for j in range(c[ROWS]):
        if first + j < 1:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        up = x[HIGH * w + j] - x[HIGH * w + j - 1]
        down = x[LOW * w + j - 1] - x[LOW * w + j]
        out[j] = directed(up, down)
        out[v + j] = directed(down, up)
        out[2 * v + j] = x[RANGE * w + j]


@feature(
    outputs=[
        Output(name="plus_di_{n}", unit=PERCENT, low=0.0, high=100.0),
        Output(name="minus_di_{n}", unit=PERCENT, low=0.0, high=100.0),
        Output(name="dx_{n}", unit=PERCENT, low=0.0, high=100.0),
    ],
    n=14,
    state=3,
    lookback=1,
    warmup=lambda n: n,
    memory=lambda n: 2 * forgets(1.0 / n, n),
    oracle="talib.PLUS_DI, talib.MINUS_DI, talib.DX",
    source="Wilder 1978; a standstill keeps the ratio of what went before, so it is forgotten twice as late",
)
def directional_index(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Directional movement in percent of the true range, and difference against sum of both (0 when nothing moves)."""
    n, w, v, first = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST]
    alpha = 1.0 / n
    plus, minus, ranges = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i = first + j
        if i >= 1:
            kept = 0.0 if i < n else alpha
            plus, minus = moved(plus, minus, x, w, j, kept)
            ranges += x[RANGE * w + j] - kept * ranges
        if i < n:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        still = STILL * x[CLOSE * w + j]
        scale = 100.0 / ranges if ranges > still else 0.0
        out[j] = min(scale * plus, 100.0)
        out[v + j] = min(scale * minus, 100.0)
        out[2 * v + j] = disagreement(plus, minus, still)
    s[0], s[1], s[2] = plus, minus, ranges


@feature(
    outputs=[Output(name="adx_{n}", unit=PERCENT, low=0.0, high=100.0)],
    n=14,
    state=3,
    lookback=1,
    warmup=lambda n: 2 * n - 1,
    memory=lambda n: 3 * forgets(1.0 / n, n),
    oracle="talib.ADX",
    source="Wilder 1978; seeded with the mean of the first n values of dx",
)
def adx(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Average directional index: Wilder's average of dx, see directional_index."""
    n, w, first = int(p[0]), c[WIDTH], c[FIRST]
    alpha = 1.0 / n
    plus, minus, average = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i = first + j
        if i >= 1:
            plus, minus = moved(plus, minus, x, w, j, 0.0 if i < n else alpha)
        if i >= n:
            dx = disagreement(plus, minus, STILL * x[CLOSE * w + j])
            average += alpha * (dx - (average if i >= 2 * n else 0.0))
        out[j] = min(average, 100.0) if i >= 2 * n - 1 else NAN
    s[0], s[1], s[2] = plus, minus, average


@feature(
    outputs=[Output(name="trend_t_{n}", unit="t-value", low=-STEEPEST, high=STEEPEST)],
    n=50,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="numpy least squares, statsmodels OLS",
    source="ordinary least squares: slope / standard error of the slope, n - 2 degrees of freedom",
)
def trend_strength(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """t-value of the slope of the last n log closes on time; 0 when they are all the same, at most a million."""
    n, first = int(p[0]), c[FIRST]
    base = RET * c[WIDTH]
    middle = (n - 1) / 2.0
    spread = n * (n * n - 1.0) / 12.0
    for j in range(c[ROWS]):
        if first + j < n - 1:
            out[j] = NAN
            continue
        # Log closes are taken against the newest one, so that the price level costs no digits.
        y = total = product = 0.0
        for k in range(n - 1):
            y -= x[base + j - k]
            total += y
            product += y * (middle - 1.0 - k)
        slope, mean = product / spread, total / n
        y = 0.0
        residual = -mean - slope * middle
        squares = residual * residual
        for k in range(n - 1):
            y -= x[base + j - k]
            residual = y - mean - slope * (middle - 1.0 - k)
            squares += residual * residual
        error = math.sqrt(squares / (n - 2) / spread)
        if abs(slope) >= STEEPEST * error:
            out[j] = 0.0 if slope == 0.0 else math.copysign(STEEPEST, slope)
        else:
            out[j] = slope / error


@feature(
    outputs=[Output(name="efficiency_{n}", unit="ratio", low=0.0, high=1.0)],
    n=10,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="Kaufman 1995: net change over n bars / sum of absolute changes",
)
def efficiency(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """How straight the close went over n bars: 1 on a line, near 0 when it came back; 0 when it stood still."""
    n, first = int(p[0]), c[FIRST]
    base = CLOSE * c[WIDTH]
    for j in range(c[ROWS]):
        if first + j < n:
            out[j] = NAN
            continue
        path = 0.0
        for k in range(n):
            path += abs(x[base + j - k] - x[base + j - k - 1])
        net = abs(x[base + j] - x[base + j - n])
        out[j] = min(net / path, 1.0) if path > 0.0 else 0.0


FULL = ("directional", "directional_index(n=14)", "adx(n=14)", "trend_strength(n=50)", "efficiency(n=10)")
