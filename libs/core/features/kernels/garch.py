"""The next bar's volatility by a GARCH(1,1) that is fitted anew about once a day."""

from __future__ import annotations

import math
from typing import Final

from libs.core.features.garch_likelihood import ALPHA, BETA, FIT_SLOTS, MU, NEXT, OMEGA, fit
from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, INTERVAL, MOST_BARS, NAN, NUMBER, ROWS, WIDTH, Pointer, refit_bars

TOLERANCE: Final = 1e-10
"""Of the fit: what a further step would gain in likelihood per return."""

DECAY: Final = 0.94  # RiskMetrics, where returns that never move tell nothing


@feature(
    outputs=[Output(name="garch_vol", unit="log return", low=0.0)],
    n=500,
    state=FIT_SLOTS,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n + MOST_BARS,
    oracle="arch",
    source="Bollerslev 1986; Gaussian quasi maximum likelihood with a constant mean",
)
def garch(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Deviation that a GARCH(1,1) forecasts for the next bar's log return. It is fitted to the last n returns at the
    first bar that has them, and at bars whose number is a multiple of a day's bars (24 to 1440); returns that have not
    moved leave an EWMA with decay 0.94 until the next fit."""
    n, first, number = int(p[0]), c[FIRST], c[NUMBER]
    every = refit_bars(c[INTERVAL])
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        if i < n:
            out[j] = NAN
            continue
        if i == n or (number + j) % every == 0:
            if not fit(x, at - n + 1, n, s, TOLERANCE):
                s[MU], s[OMEGA], s[ALPHA], s[BETA], s[NEXT] = 0.0, 0.0, 1.0 - DECAY, DECAY, 0.0
        else:
            error = x[at] - s[MU]
            s[NEXT] = s[OMEGA] + s[ALPHA] * error * error + s[BETA] * s[NEXT]
        out[j] = math.sqrt(s[NEXT])


FULL = ("garch",)
