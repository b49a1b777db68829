"""Momentum: how far and how steadily the price has moved."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, ROWS, WIDTH, Pointer, wilder


@feature(
    outputs=[Output(name="rsi_{n}", unit="0 to 100", low=0.0, high=100.0)],
    n=14,
    state=2,
    lookback=1,
    warmup=lambda n: n,
    memory=lambda n: forgets(1.0 / n, n),
    oracle="talib.RSI",
    source="Wilder 1978",
)
def rsi(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Relative strength: 100 gain / (gain + loss) by Wilder's averages; 50 where nothing moved."""
    n, first = int(p[0]), c[FIRST]
    base = CLOSE * c[WIDTH]
    gain, loss = s[0], s[1]
    for j in range(c[ROWS]):
        i = first + j
        change = x[base + j] - x[base + j - 1] if i else 0.0
        gain = wilder(gain, i, n, max(change, 0.0))
        loss = wilder(loss, i, n, max(-change, 0.0))
        total = gain + loss
        out[j] = NAN if i < n else (100.0 * gain / total if total > 0.0 else 50.0)
    s[0], s[1] = gain, loss


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


FULL = ("rsi(n=14)", "log_return(n=1)", "log_return(n=5)", "log_return(n=20)")
