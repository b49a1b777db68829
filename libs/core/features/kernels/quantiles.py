"""Order statistics of the last returns, from a window that is kept sorted."""

from __future__ import annotations

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import (
    FIRST,
    NAN,
    ROWS,
    STRIDE,
    WIDTH,
    Pointer,
    lower_bound,
    sorted_insert,
    sorted_quantile,
    sorted_replace,
    upper_bound,
)

LOG = "log return"


@feature(
    outputs=[
        Output(name="ret_q10_{n}", unit=LOG),
        Output(name="ret_q25_{n}", unit=LOG),
        Output(name="ret_q50_{n}", unit=LOG),
        Output(name="ret_q75_{n}", unit=LOG),
        Output(name="ret_q90_{n}", unit=LOG),
        Output(name="ret_rank_{n}", unit="share", low=0.0, high=1.0),
    ],
    n=60,
    state=lambda n: n,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="numpy.quantile, scipy.stats.percentileofscore",
    source="type 7 of Hyndman and Fan 1996; rank = (those below + half of the equal ones) / (n - 1)",
)
def quantiles(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Quantiles of the last n log returns, and the share of the others that the newest one exceeds (all equal: 0.5)."""
    n, v, first = int(p[0]), c[STRIDE], c[FIRST]
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        if i > n:
            sorted_replace(s, 0, n, x[at - n], x[at])
        elif i > 0:
            sorted_insert(s, 0, i - 1, x[at])
        if i < n:
            for f in range(6):
                out[f * v + j] = NAN
            continue
        out[j] = sorted_quantile(s, 0, n, 0.10)
        out[v + j] = sorted_quantile(s, 0, n, 0.25)
        out[2 * v + j] = sorted_quantile(s, 0, n, 0.50)
        out[3 * v + j] = sorted_quantile(s, 0, n, 0.75)
        out[4 * v + j] = sorted_quantile(s, 0, n, 0.90)
        below, within = lower_bound(s, 0, n, x[at]), upper_bound(s, 0, n, x[at])
        out[5 * v + j] = (below + 0.5 * (within - below - 1)) / (n - 1.0)


FULL = ("quantiles(n=20)", "quantiles(n=60)", "quantiles(n=120)")
