"""What another symbol, the leader of the venue, says about this one; strictly one bar late."""

from __future__ import annotations

import math

from libs.core.features.inputs import EXTRA, RET
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import FIRST, NAN, ROWS, STRIDE, WIDTH, Pointer

LEAD_RETURN = EXTRA.index("lead_return")
LEAD_SIGMA = EXTRA.index("lead_sigma")
SEED = 30


@feature(
    outputs=[Output(name="lead_return", unit="deviations")],
    warmup=0,
    memory=0,
    needs=["leader"],
    oracle="definition",
    source="deviation: EWMA 0.94 of squared returns, seeded by the mean of 30; 0 when it is below 1e-12",
)
def lead(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """The leader's log return in the bar before this one, divided by its deviation."""
    v = c[STRIDE]
    for j in range(c[ROWS]):
        move, sigma = e[LEAD_RETURN * v + j], e[LEAD_SIGMA * v + j]
        if move != move or sigma != sigma:
            out[j] = NAN
        else:
            out[j] = move / sigma if sigma > 1e-12 else 0.0


@feature(
    outputs=[Output(name="lead_corr", unit="correlation", low=-1.0, high=1.0)],
    decay=0.97,
    state=4,
    lookback=1,
    warmup=SEED + 1,
    memory=lambda decay: 2 * forgets(1.0 - decay, SEED + 2),  # a flat market lets all but the seed fade
    needs=["leader"],
    oracle="brute force",
    source="RiskMetrics 1996, mean zero, seeded by the means of 30; a bar without the leader begins it anew",
)
def lead_corr(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Exponentially weighted correlation with the leader, of returns of the bar before this one; no variance: 0."""
    decay, v, first = p[0], c[STRIDE], c[FIRST]
    base = RET * c[WIDTH]
    count, both, own, other = s[0], s[1], s[2], s[3]
    for j in range(c[ROWS]):
        theirs = e[LEAD_RETURN * v + j]
        if first + j < 2 or theirs != theirs:
            count, both, own, other = 0.0, 0.0, 0.0, 0.0
        else:
            ours = x[base + j - 1]
            count += 1.0
            weight = 1.0 / count if count <= SEED else 1.0 - decay
            both += weight * (ours * theirs - both)
            own += weight * (ours * ours - own)
            other += weight * (theirs * theirs - other)
        if count < SEED:
            out[j] = NAN
        elif own > 1e-24 and other > 1e-24:
            out[j] = min(max(both / math.sqrt(own * other), -1.0), 1.0)
        else:
            out[j] = 0.0
    s[0], s[1], s[2], s[3] = count, both, own, other


FULL = ("lead", "lead_corr")
