"""One kernel per feature over a packed float64 state; streaming and batch run the same compiled step.

Windowed features are summed anew, oldest first, from the window they keep: their value depends on those bars alone,
never on when the run began. Recursive ones (EMA, Wilder, EWMA) depend on the first bar. Kernels and the layout stand
in one file because numba's cache looks only at the file of the compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAN: Final = math.nan

# Statuses of `advance`.
TAKEN: Final = 0
FILLED: Final = 1  # taken, after flat bars for the missing ones before it
RESTARTED: Final = 2  # taken as the first bar: more bars are missing than MAX_FILL
STALE: Final = 3  # not taken: at or before the last bar
INVALID: Final = 4  # not taken: a price or volume that cannot be

MAX_FILL: Final = 600
"""Longest hole that flat bars may stand in for; after a longer one every window would hold invented bars only."""

# The state: slots of one float64 array.
COUNT: Final = 0  # bars taken
LAST: Final = 1  # number of the last bar (open time / interval); exact in float64
CLOSES: Final = 2  # 21 closes, newest last
HIGHS: Final = CLOSES + 21  # 20
LOWS: Final = HIGHS + 20  # 20
RETURNS: Final = LOWS + 20  # 60
VOLUMES: Final = RETURNS + 60  # 60, as ln(1 + volume)
EMA12: Final = VOLUMES + 60
EMA26: Final = EMA12 + 1
MACD_FAST: Final = EMA26 + 1
MACD_SIGNAL: Final = MACD_FAST + 1
RSI_GAIN: Final = MACD_SIGNAL + 1
RSI_LOSS: Final = RSI_GAIN + 1
ATR: Final = RSI_LOSS + 1
EWMA: Final = ATR + 1
STATE_SIZE: Final = EWMA + 1

FEATURES: Final = 20


@njit(cache=True)
def push(s: Floats, at: int, width: int, x: float) -> None:
    """Slide a window of `width` by one; the newest stands last, so sums run oldest first."""
    for j in range(at, at + width - 1):
        s[j] = s[j + 1]
    s[at + width - 1] = x


@njit(cache=True)
def ema(s: Floats, at: int, i: int, first: int, n: int, x: float) -> float:
    """EMA of n, seeded with the mean of bars first...first+n-1; `i` is the bar's index. talib.EMA."""
    k = i - first
    if k < 0:
        return NAN
    if k < n - 1:
        s[at] += x
        return NAN
    if k == n - 1:
        s[at] = (s[at] + x) / n
    else:
        s[at] += 2.0 / (n + 1) * (x - s[at])
    return float(s[at])


@njit(cache=True)
def wilder(s: Floats, at: int, i: int, n: int, x: float) -> float:
    """Wilder's average of n, seeded with the mean of bars 1...n."""
    if i < 1:
        return NAN
    if i < n:
        s[at] += x
        return NAN
    if i == n:
        s[at] = (s[at] + x) / n
    else:
        s[at] += (x - s[at]) / n
    return float(s[at])


@njit(cache=True)
def rsi_14(s: Floats, i: int, change: float) -> float:
    """RSI = 100 gain / (gain + loss) by Wilder's averages; 50 where nothing moved. talib.RSI."""
    gain = wilder(s, RSI_GAIN, i, 14, max(change, 0.0))
    loss = wilder(s, RSI_LOSS, i, 14, max(-change, 0.0))
    if i < 14:
        return NAN
    total = gain + loss
    return 50.0 if total == 0.0 else 100.0 * gain / total


@njit(cache=True)
def macd(s: Floats, i: int, close: float, slow: float, out: Floats, at: int) -> None:
    """MACD 12, 26, 9: line, signal, histogram; the fast EMA is seeded with bars 14...25 as TA-Lib does. talib.MACD."""
    fast = ema(s, MACD_FAST, i, 14, 12, close)
    line = fast - slow
    signal = ema(s, MACD_SIGNAL, i, 25, 9, line)
    out[at] = line if i >= 33 else NAN
    out[at + 1] = signal
    out[at + 2] = line - signal


@njit(cache=True)
def atr_14(s: Floats, i: int, high: float, low: float, previous: float) -> float:
    """Average true range, Wilder 14. talib.ATR."""
    true_range = high - low
    if i >= 1:
        true_range = max(true_range, max(abs(high - previous), abs(low - previous)))
    return wilder(s, ATR, i, 14, true_range)


@njit(cache=True)
def spread_about_newest(s: Floats, at: int, width: int) -> tuple[float, float]:
    """Mean minus newest and summed squared deviations of a window; centring makes a flat window exactly zero."""
    newest = s[at + width - 1]
    total = 0.0
    for j in range(at, at + width):
        total += s[j] - newest
    shift = total / width
    squares = 0.0
    for j in range(at, at + width):
        d = s[j] - newest - shift
        squares += d * d
    return shift, squares


@njit(cache=True)
def bollinger_20(i: int, close: float, shift: float, squares: float, out: Floats, at: int) -> None:
    """Percent b (flat: 0.5) and width of 20 closes, 2 population deviations. talib.BBANDS."""
    if i < 19:
        out[at] = NAN
        out[at + 1] = NAN
        return
    band = 2.0 * math.sqrt(squares / 20.0)
    out[at] = 0.5 if band == 0.0 else (band - shift) / (2.0 * band)
    out[at + 1] = 2.0 * band / (close + shift)


@njit(cache=True)
def donchian_20(s: Floats, i: int, close: float, out: Floats, at: int) -> None:
    """High and low of 20 bars, this one among them, and where the close stands (flat: 0.5). talib.MAX, MIN."""
    if i < 19:
        out[at] = NAN
        out[at + 1] = NAN
        out[at + 2] = NAN
        return
    top = s[HIGHS]
    bottom = s[LOWS]
    for j in range(1, 20):
        top = max(top, s[HIGHS + j])
        bottom = min(bottom, s[LOWS + j])
    out[at] = top
    out[at + 1] = bottom
    out[at + 2] = 0.5 if top == bottom else (close - bottom) / (top - bottom)


@njit(cache=True)
def log_return(s: Floats, i: int, n: int) -> float:
    """ln(close / close n bars ago)."""
    return NAN if i < n else math.log(s[CLOSES + 20] / s[CLOSES + 20 - n])


@njit(cache=True)
def realised(s: Floats, i: int, n: int) -> float:
    """Root of the summed squared log returns of n bars, without demeaning."""
    if i < n:
        return NAN
    total = 0.0
    for j in range(RETURNS + 60 - n, RETURNS + 60):
        total += s[j] * s[j]
    return math.sqrt(total)


@njit(cache=True)
def ewma_vol(s: Floats, i: int, r: float) -> float:
    """RiskMetrics volatility: v = 0.94 v + 0.06 r², seeded with the mean r² of the first 30 returns."""
    if i < 1:
        return NAN
    if i <= 30:
        s[EWMA] += r * r / 30.0
        return NAN
    s[EWMA] = 0.94 * s[EWMA] + 0.06 * (r * r)
    return math.sqrt(s[EWMA])


@njit(cache=True)
def z_score(i: int, n: int, shift: float, squares: float) -> float:
    """(newest - mean) / sample deviation of n values; 0 when the deviation is below 1e-12."""
    if i < n - 1:
        return NAN
    deviation = math.sqrt(squares / (n - 1))
    return 0.0 if deviation < 1e-12 else -shift / deviation


@njit(cache=True)
def step(s: Floats, high: float, low: float, close: float, volume: float, out: Floats) -> None:
    """Take one bar and write the 20 features of the set core20, in its order, into `out`."""
    i = int(s[COUNT])
    previous = s[CLOSES + 20]
    push(s, CLOSES, 21, close)
    push(s, HIGHS, 20, high)
    push(s, LOWS, 20, low)
    push(s, VOLUMES, 60, math.log1p(volume))
    r = log_return(s, i, 1)
    push(s, RETURNS, 60, r if i >= 1 else 0.0)
    shift, squares = spread_about_newest(s, CLOSES + 1, 20)
    out[0] = ema(s, EMA12, i, 0, 12, close)
    out[1] = ema(s, EMA26, i, 0, 26, close)
    out[2] = rsi_14(s, i, close - previous)
    macd(s, i, close, out[1], out, 3)
    out[6] = atr_14(s, i, high, low, previous)
    bollinger_20(i, close, shift, squares, out, 7)
    donchian_20(s, i, close, out, 9)
    out[12] = r
    out[13] = log_return(s, i, 5)
    out[14] = log_return(s, i, 20)
    out[15] = realised(s, i, 10)
    out[16] = realised(s, i, 60)
    out[17] = ewma_vol(s, i, r)
    out[18] = z_score(i, 20, shift, squares)
    volume_shift, volume_squares = spread_about_newest(s, VOLUMES, 60)
    out[19] = z_score(i, 60, volume_shift, volume_squares)
    s[COUNT] += 1.0


@njit(cache=True)
def advance(s: Floats, number: int, o: float, h: float, low: float, c: float, v: float, out: Floats) -> int:
    """Take the bar `number` (open time / interval) after what is missing before it; returns a status.

    Missing bars are flat at the last close with no volume. A bar that is not taken leaves state and `out` alone.
    """
    if not (number >= 0 and low > 0.0 and h >= low and o > 0.0 and c > 0.0 and v >= 0.0):
        return INVALID
    if not (math.isfinite(h) and math.isfinite(o) and math.isfinite(c) and math.isfinite(v)):
        return INVALID
    status = TAKEN
    if s[COUNT] > 0.0:
        missing = number - int(s[LAST]) - 1
        if missing < 0:
            return STALE
        if missing > MAX_FILL:
            s[:] = 0.0
            status = RESTARTED
        elif missing > 0:
            flat = s[CLOSES + 20]
            for _ in range(missing):
                step(s, flat, flat, flat, 0.0, out)
            status = FILLED
    step(s, h, low, c, v, out)
    s[LAST] = number
    return status


@njit(cache=True)
def run(s: Floats, numbers: Ints, o: Floats, h: Floats, low: Floats, c: Floats, v: Floats, out: Floats) -> Ints:
    """`advance` over columns of bars; rows of bars that were not taken stay as they were. Returns the statuses."""
    statuses = np.empty(len(numbers), dtype=np.int64)
    for i in range(len(numbers)):
        statuses[i] = advance(s, numbers[i], o[i], h[i], low[i], c[i], v[i], out[i])
    return statuses


def warm() -> None:
    """Compile, or load from the cache, exactly what the engine calls."""
    state = np.zeros(STATE_SIZE)
    advance(state, 1, 1.0, 1.0, 1.0, 1.0, 0.0, np.empty(FEATURES))
    one = np.ones(1)
    run(state, np.array([2]), one, one, one, one, one, np.empty((1, FEATURES)))
