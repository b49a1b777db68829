"""Momentum: how far and how steadily the price has moved."""

from __future__ import annotations

import math

import numpy as np

from libs.core.features.inputs import CLOSE, HIGH, LOW, RET
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import (
    FIRST,
    NAN,
    ROWS,
    STILL,
    STRIDE,
    WIDTH,
    Pointer,
    channel,
    highest,
    lowest,
    position,
    positive,
    wilder,
)


@feature(
    outputs=[
        Output(name="rsi_{n}", unit="0 to 100", low=0.0, high=100.0),
        Output(name="rsi_flat_{n}", unit="flag", low=0.0, high=1.0),
    ],
    n=14,
    state=2,
    lookback=1,
    warmup=lambda n: n,
    memory=lambda n: 2 * forgets(1.0 / n, n),
    oracle="talib.RSI",
    source="Wilder 1978; a standstill keeps the ratio of what went before, so it is forgotten twice as late",
)
def rsi(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Relative strength: 100 gain / (gain + loss) by Wilder's averages; 50 and a flag where nothing has moved."""
    n, v, first = int(p[0]), c[STRIDE], c[FIRST]
    base = CLOSE * c[WIDTH]
    gain, loss = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        change = x[base + j] - x[base + j - 1] if i else 0.0
        gain = wilder(gain, i, n, positive(change))
        loss = wilder(loss, i, n, positive(-change))
        if i < n:
            out[j] = out[v + j] = NAN
            continue
        moves = gain + loss > STILL * x[base + j]
        out[j] = 100.0 * gain / (gain + loss) if moves else 50.0
        out[v + j] = 0.0 if moves else 1.0
    s[0], s[1] = gain, loss


@feature(
    outputs=[
        Output(name="stoch_k_{n}", unit="0 to 100", low=0.0, high=100.0),
        Output(name="stoch_d_{n}", unit="0 to 100", low=0.0, high=100.0),
    ],
    n=14,
    smooth=3,
    signal=3,
    state=lambda n, smooth, signal: 2 + smooth + signal,
    lookback=lambda n, smooth, signal: n,
    warmup=lambda n, smooth, signal: n + smooth + signal - 3,
    memory=lambda n, smooth, signal: n + smooth + signal - 2,
    oracle="talib.STOCH",
    source="Lane; slow form, both lines from the same bar, as TA-Lib does",
)
def stochastic(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Where the close stands in the range of n bars (flat: 50), averaged over `smooth` bars, and that over `signal`."""
    n, smooth, signal = int(p[0]), int(p[1]), int(p[2])
    w, v, first, rows = c[WIDTH], c[STRIDE], c[FIRST], c[ROWS]
    channel(x, HIGH * w, LOW * w, rows, n, out, out, v)
    fast, slow = int(s[0]), int(s[1])
    for j in range(rows):
        s[2 + fast] = 100.0 * position(x[CLOSE * w + j], out[j], out[v + j])
        fast = fast + 1 if fast + 1 < smooth else 0
        total = 0.0
        for k in range(smooth):
            total += s[2 + k]
        out[j] = s[2 + smooth + slow] = total / smooth
        slow = slow + 1 if slow + 1 < signal else 0
        total = 0.0
        for k in range(signal):
            total += s[2 + smooth + k]
        out[v + j] = total / signal
    s[0], s[1] = fast, slow
    for j in range(min(max(n + smooth + signal - 3 - first, 0), rows)):
        out[j] = out[v + j] = NAN


@feature(
    outputs=[Output(name="willr_{n}", unit="-100 to 0", low=-100.0, high=0.0)],
    n=14,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="talib.WILLR",
    source="Williams 1973",
)
def williams(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Percent R: how far the close is below the highest high of n bars, in percent of their range (flat: -50)."""
    n, w, first, rows = int(p[0]), c[WIDTH], c[FIRST], c[ROWS]
    high, low, close = HIGH * w, LOW * w, CLOSE * w
    if rows < n:
        for j in range(rows):
            out[j] = 100.0 * (position(x[close + j], highest(x, high + j, n), lowest(x, low + j, n)) - 1.0)
    else:
        tops, bottoms = np.empty(rows), np.empty(rows)
        channel(x, high, low, rows, n, tops, bottoms, 0)
        for j in range(rows):
            out[j] = 100.0 * (position(x[close + j], tops[j], bottoms[j]) - 1.0)
    for j in range(min(max(n - 1 - first, 0), rows)):
        out[j] = NAN


@feature(
    outputs=[Output(name="roc_{n}", unit="percent", low=-100.0)],
    n=10,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="talib.ROC",
    source="100 (close / close n bars ago - 1)",
)
def roc(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Rate of change over n bars."""
    n, first = int(p[0]), c[FIRST]
    base = CLOSE * c[WIDTH]
    for j in range(c[ROWS]):
        out[j] = 100.0 * (x[base + j] / x[base + j - n] - 1.0) if first + j >= n else NAN


@feature(
    outputs=[Output(name="mom_{n}", unit="standard deviations")],
    n=10,
    decay=0.94,
    seed=30,
    state=1,
    lookback=lambda n, decay, seed: n,
    warmup=lambda n, decay, seed: n + seed,
    memory=lambda n, decay, seed: n + forgets(1.0 - decay, seed),
    oracle="pandas ewm",
    source="ln(close / close n bars ago) / (sigma sqrt(n)), sigma as in ewma_vol",
)
def momentum(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Log return over n bars against what the present volatility makes of n bars; 0 without volatility."""
    n, decay, seed, w, first = int(p[0]), p[1], int(p[2]), c[WIDTH], c[FIRST]
    variance = s[0]
    for j in range(c[ROWS]):
        i = first + j
        square = x[RET * w + j] * x[RET * w + j]
        if i > seed:
            variance = decay * variance + (1.0 - decay) * square
        elif i >= 1:
            variance += square / seed
        if i < n + seed:
            out[j] = NAN
            continue
        scale = math.sqrt(variance * n)
        out[j] = math.log(x[CLOSE * w + j] / x[CLOSE * w + j - n]) / scale if scale > 0.0 else 0.0
    s[0] = variance


@feature(
    outputs=[Output(name="ret_{n}", unit="log return")],
    n=1,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="numpy",
    source="ln(close / close n bars ago)",
)
def log_return(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Log return over n bars."""
    n, first = int(p[0]), c[FIRST]
    base = CLOSE * c[WIDTH]
    for j in range(c[ROWS]):
        out[j] = math.log(x[base + j] / x[base + j - n]) if first + j >= n else NAN


FULL = (
    "rsi(n=14)",
    "stochastic(n=14,smooth=3,signal=3)",
    "williams(n=14)",
    "roc(n=10)",
    "momentum(n=10)",
    "momentum(n=20)",
    "momentum(n=60)",
    "log_return(n=1)",
    "log_return(n=5)",
    "log_return(n=20)",
)
