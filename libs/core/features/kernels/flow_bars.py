"""What trading costs and how far it moves the price: from bars, and from the flow of trades where it is known."""

from __future__ import annotations

import math

from libs.core.features.inputs import CLOSE, EXTRA, HIGH, LOW, RET, VOLUME
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, STRIDE, WIDTH, Pointer, worn

MID_CHANGE = EXTRA.index("mid_change")
SIGNED_VOLUME = EXTRA.index("signed_volume")


@feature(
    outputs=[Output(name="amihud_{n}", unit="log return a million of quote currency", low=0.0)],
    n=60,
    state=3,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="Amihud 2002: mean of |log return| / (close volume), times a million",
)
def amihud(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Illiquidity of the last n bars: how far the price went for the money traded; bars without volume are left out.

    0 when none of them has volume.
    """
    n, w, first, number = int(p[0]), c[WIDTH], c[FIRST], c[NUMBER]
    ret, close, volume = RET * w, CLOSE * w, VOLUME * w
    total, peak, traded = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i = first + j
        if i >= 1 and x[volume + j] > 0.0:
            total += abs(x[ret + j]) / (x[close + j] * x[volume + j])
            traded += 1.0
        if i > n:
            if x[volume + j - n] > 0.0:
                total -= abs(x[ret + j - n]) / (x[close + j - n] * x[volume + j - n])
                traded -= 1.0
            if worn(total, peak, number + j):
                total = peak = 0.0
                for k in range(j - n + 1, j + 1):
                    if x[volume + k] > 0.0:
                        total += abs(x[ret + k]) / (x[close + k] * x[volume + k])
        peak = max(peak, total)
        if i < n:
            out[j] = NAN
        else:
            out[j] = 1e6 * total / traded if traded > 0.0 else 0.0
    s[0], s[1], s[2] = total, peak, traded


@feature(
    outputs=[Output(name="kyle_{n}", unit="quote currency a base unit")],
    n=120,
    state=lambda n: 4 + 2 * n,
    warmup=lambda n: n,
    memory=lambda n: n + 1,
    needs=("trades", "quotes"),
    oracle="statsmodels RollingOLS without constant",
    source="Kyle 1985: slope of the change of the mid on signed volume, without intercept",
)
def kyle(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Price impact: how far the mid moves for a base unit bought, over n bars; 0 when nothing was traded in them.

    NaN until trades and quotes of n bars in a row are known.
    """
    n, v, first, number = int(p[0]), c[STRIDE], c[FIRST], c[NUMBER]
    product, squares, peak, known = s[0], s[1], s[2], int(s[3])
    for j in range(c[ROWS]):
        moved, flow = e[MID_CHANGE * v + j], e[SIGNED_VOLUME * v + j]
        if not (math.isfinite(moved) and math.isfinite(flow)):
            product, squares, peak, known = 0.0, 0.0, 0.0, 0
            out[j] = NAN
            continue
        at = 4 + 2 * (known % n)
        if known >= n:
            product -= s[at] * s[at + 1]
            squares -= s[at + 1] * s[at + 1]
        s[at], s[at + 1] = moved, flow
        known += 1
        product += moved * flow
        squares += flow * flow
        if known >= n and worn(squares, peak, number + j):
            product = squares = peak = 0.0
            for k in range(n):
                product += s[4 + 2 * k] * s[5 + 2 * k]
                squares += s[5 + 2 * k] * s[5 + 2 * k]
        peak = max(peak, squares)
        if known < n or first + j < n:
            out[j] = NAN
        else:
            out[j] = product / squares if squares > 0.0 else 0.0
    s[0], s[1], s[2], s[3] = product, squares, peak, known


@feature(
    outputs=[
        Output(name="roll_{n}", unit="quote currency", low=0.0),
        Output(name="roll_flag_{n}", unit="flag", low=0.0, high=1.0),
    ],
    n=120,
    state=3,
    lookback=lambda n: n + 2,
    warmup=lambda n: n + 1,
    memory=lambda n: n + 2,
    oracle="numpy.cov",
    source="Roll 1984: 2 sqrt(-covariance of a change of the close with the one before), n - 1 degrees of freedom",
)
def roll(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Bid-ask spread that makes closes bounce, over n pairs of changes; 0 and a flag when they do not bounce."""
    n, v, first, number = int(p[0]), c[STRIDE], c[FIRST], c[NUMBER]
    base = CLOSE * c[WIDTH]
    product, squares, peak = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i, at = first + j, base + j
        if i >= 2:
            change = x[at] - x[at - 1]
            product += change * (x[at - 1] - x[at - 2])
            squares += change * change
        if i >= n + 2:
            change = x[at - n] - x[at - n - 1]
            product -= change * (x[at - n - 1] - x[at - n - 2])
            squares -= change * change
            if worn(squares, peak, number + j):
                product = squares = peak = 0.0
                for k in range(at - n + 1, at + 1):
                    change = x[k] - x[k - 1]
                    product += change * (x[k - 1] - x[k - 2])
                    squares += change * change
        peak = max(peak, squares)
        if i < n + 1:
            out[j] = out[v + j] = NAN
            continue
        # The changes of n bars add up to the difference of two closes.
        covariance = (product - (x[at] - x[at - n]) * (x[at - 1] - x[at - n - 1]) / n) / (n - 1)
        out[j] = 2.0 * math.sqrt(-covariance) if covariance < 0.0 else 0.0
        out[v + j] = 0.0 if covariance < 0.0 else 1.0
    s[0], s[1], s[2] = product, squares, peak


@feature(
    outputs=[Output(name="corwin_schultz", unit="ratio", low=0.0, high=2.0)],
    lookback=1,
    warmup=1,
    memory=1,
    oracle="formula in numpy",
    source="Corwin and Schultz 2012, without their correction for gaps between sessions",
)
def corwin_schultz(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Bid-ask spread against the price: how the range of two bars compares with their own ranges; negative is 0."""
    w, first = c[WIDTH], c[FIRST]
    high, low = HIGH * w, LOW * w
    base = 3.0 - 2.0 * math.sqrt(2.0)
    for j in range(c[ROWS]):
        if first + j < 1:
            out[j] = NAN
            continue
        beta = math.log(x[high + j] / x[low + j]) ** 2 + math.log(x[high + j - 1] / x[low + j - 1]) ** 2
        gamma = math.log(max(x[high + j], x[high + j - 1]) / min(x[low + j], x[low + j - 1])) ** 2
        alpha = (math.sqrt(2.0 * beta) - math.sqrt(beta)) / base - math.sqrt(gamma / base)
        out[j] = 2.0 * math.tanh(0.5 * alpha) if alpha > 0.0 else 0.0


FULL = ("amihud(n=60)", "kyle(n=120)", "roll(n=120)", "corwin_schultz")
