"""What holding the instrument has paid: Sharpe ratio and drawdown of a rolling window."""

from __future__ import annotations

import math
from typing import Final

from libs.core.features.inputs import CLOSE, RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import (
    FIRST,
    INTERVAL,
    NAN,
    NOISE,
    NUMBER,
    REFRESH,
    ROWS,
    SPENT,
    WIDTH,
    Pointer,
    resettle,
    run_of,
    slide,
)

YEAR_SECONDS: Final = 365 * 86_400


@feature(
    outputs=[Output(name="sharpe_{n}", unit="annual Sharpe ratio")],
    n=120,
    state=4,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="pandas",
    source="Sharpe 1994: mean / sample deviation of log returns, no risk-free rate, a year of 365 days",
)
def sharpe(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Annualised ratio of mean to deviation of the last n log returns; 0 where they are all equal."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    scale = math.sqrt(YEAR_SECONDS / c[INTERVAL])
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        s[2] = run_of(x, at, i, s[2])
        if i < n:
            out[j] = NAN
            continue
        if i > n:
            slide(s, 0, n, n, x[at], x[at - n])
            s[3] = max(s[3], s[1])
        if i == n or (number + j) % REFRESH == 0 or s[1] < SPENT * s[3]:
            resettle(s, 0, x, at, n)
            s[3] = s[1]
        variance = s[1] / (n - 1.0)
        out[j] = scale * s[0] / math.sqrt(variance) if s[2] < n and variance > NOISE else 0.0


@feature(
    outputs=[Output(name="drawdown_{n}", unit="share of the peak", low=0.0, high=1.0)],
    n=1000,
    state=lambda n: 2 * n + 2,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="pandas rolling max",
    source="1 - close / highest close of the window",
)
def drawdown(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """How far the close is below the highest close of the last n bars."""
    n, first = int(p[0]), c[FIRST]
    # A ring of candidates, falling prices from s[2] and the bars they belong to from s[2 + n]: the oldest is the peak.
    head, count = int(s[0]), int(s[1])
    for j in range(c[ROWS]):
        i, close = first + j, x[CLOSE * c[WIDTH] + j]
        while count > 0 and s[2 + (head + count - 1) % n] <= close:
            count -= 1
        if count > 0 and s[2 + n + head] <= i - n:
            head = (head + 1) % n
            count -= 1
        newest = (head + count) % n
        s[2 + newest], s[2 + n + newest] = close, i
        count += 1
        out[j] = 1.0 - close / s[2 + head] if i >= n - 1 else NAN
    s[0], s[1] = head, count


FULL = ("sharpe(n=120)", "drawdown(n=1000)")
