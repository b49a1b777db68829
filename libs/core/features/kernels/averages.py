"""Moving averages of the close and what is made of them."""

from __future__ import annotations

from libs.core.features.inputs import CLOSE
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, STRIDE, WIDTH, Pointer, window_sum, worn

QUOTE = "quote currency"


@feature(
    outputs=[Output(name="sma_{n}", unit=QUOTE, low=0.0)],
    n=20,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="talib.SMA",
    source="arithmetic mean",
)
def sma(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Mean of the last n closes, as a running sum."""
    n, w, first, number = int(p[0]), c[WIDTH], c[FIRST], c[NUMBER]
    base = CLOSE * w
    total, peak = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        if i < n:
            total += x[base + j]
        else:
            total += x[base + j] - x[base + j - n]
            if worn(total, peak, number + j):
                total = peak = window_sum(x, base + j, n)
        peak = max(peak, total)
        out[j] = total / n if i >= n - 1 else NAN
    s[0], s[1] = total, peak


@feature(
    outputs=[Output(name="ema_{n}", unit=QUOTE, low=0.0)],
    n=12,
    state=1,
    warmup=lambda n: n - 1,
    memory=lambda n: forgets(2.0 / (n + 1), n),
    oracle="talib.EMA",
    source="seeded with the mean of the first n closes, as TA-Lib does",
)
def ema(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Exponential average of the close: e += 2 / (n + 1) (close - e)."""
    n, w, first = int(p[0]), c[WIDTH], c[FIRST]
    base = CLOSE * w
    alpha = 2.0 / (n + 1)
    value = s[0]
    for j in range(c[ROWS]):
        i = first + j
        close = x[base + j]
        if i >= n:
            value += alpha * (close - value)
        elif i == n - 1:
            value = (value + close) / n
        else:
            value += close
        out[j] = value if i >= n - 1 else NAN
    s[0] = value


@feature(
    outputs=[
        Output(name="macd_line", unit=QUOTE),
        Output(name="macd_signal", unit=QUOTE),
        Output(name="macd_hist", unit=QUOTE),
    ],
    fast=12,
    slow=26,
    signal=9,
    state=3,
    warmup=lambda fast, slow, signal: slow + signal - 2,
    memory=lambda fast, slow, signal: forgets(2.0 / (slow + 1), slow + signal) + forgets(2.0 / (signal + 1)),
    oracle="talib.MACD",
    source="Appel; the fast average is seeded so that both are valid from the same bar, as TA-Lib does",
)
def macd(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Fast minus slow exponential average, its own average, and their difference."""
    fast, slow, signal = int(p[0]), int(p[1]), int(p[2])
    w, v, first = c[WIDTH], c[STRIDE], c[FIRST]
    base = CLOSE * w
    gain, drag, ease = 2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (signal + 1)
    quick, calm, smooth = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i = first + j
        close = x[base + j]
        if i >= slow:
            quick += gain * (close - quick)
            calm += drag * (close - calm)
        else:
            if i >= slow - fast:
                quick += close
            calm += close
            if i == slow - 1:
                quick /= fast
                calm /= slow
        line = quick - calm
        k = i - (slow - 1)
        if k >= signal:
            smooth += ease * (line - smooth)
        elif k >= 0:
            smooth += line
            if k == signal - 1:
                smooth /= signal
        warm = k >= signal - 1
        out[j] = line if warm else NAN
        out[v + j] = smooth if warm else NAN
        out[2 * v + j] = line - smooth if warm else NAN
    s[0], s[1], s[2] = quick, calm, smooth


FULL = ("sma(n=10)", "sma(n=20)", "sma(n=50)", "sma(n=200)", "ema(n=12)", "ema(n=26)", "macd")
