"""How returns depend on the ones before them: autocorrelation and partial autocorrelation."""

from __future__ import annotations

from typing import Final

from numba import njit

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NOISE, NUMBER, ROWS, SPENT, STRIDE, WIDTH, Pointer, run_of

LAGS: Final = 10

# Slots: the sum and lagged products of (return - reference), then room for the Durbin-Levinson recursion.
REFERENCE: Final = 0
TOTAL: Final = 1
PEAK: Final = 2  # largest PRODUCTS since they were made anew
RUN: Final = 3
PRODUCTS: Final = 4  # lags 0 to LAGS
RHO: Final = PRODUCTS + LAGS + 1
PHI: Final = RHO + LAGS + 1
BEFORE: Final = PHI + LAGS + 1
SLOTS: Final = BEFORE + LAGS + 1


@njit(cache=False)
def settle(s: Pointer, x: Pointer, last: int, n: int) -> None:
    """Reference, sum and lagged products of the n returns that end at x[last], anew."""
    newest, start = x[last], last - n + 1
    total = 0.0
    for t in range(start, last + 1):
        total += x[t] - newest
    reference = newest + total / n
    total = 0.0
    for t in range(start, last + 1):
        total += x[t] - reference
    for k in range(LAGS + 1):
        products = 0.0
        for t in range(start + k, last + 1):
            products += (x[t] - reference) * (x[t - k] - reference)
        s[PRODUCTS + k] = products
    s[REFERENCE], s[TOTAL], s[PEAK] = reference, total, s[PRODUCTS]


@njit(cache=False)
def partial(s: Pointer, out: Pointer, at: int, step: int) -> None:
    """Partial autocorrelations of s[RHO + k] to out[at], out[at + step], ... by Durbin and Levinson."""
    error = 1.0
    for k in range(1, LAGS + 1):
        gap = s[RHO + k]
        for m in range(1, k):
            s[BEFORE + m] = s[PHI + m]
            gap -= s[PHI + m] * s[RHO + k - m]
        last = min(1.0, max(-1.0, gap / error)) if error > 1e-12 else 0.0
        for m in range(1, k):
            s[PHI + m] = s[BEFORE + m] - last * s[BEFORE + k - m]
        s[PHI + k] = last
        error *= 1.0 - last * last
        out[at + (k - 1) * step] = last


@feature(
    outputs=[
        *(Output(name=f"acf_{lag}_{{n}}", unit="correlation", low=-1.0, high=1.0) for lag in range(1, LAGS + 1)),
        *(Output(name=f"pacf_{lag}_{{n}}", unit="correlation", low=-1.0, high=1.0) for lag in range(1, LAGS + 1)),
    ],
    n=60,
    state=SLOTS,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="statsmodels acf, pacf(ywm)",
    source="one mean and the whole window below the line; partial ones by Durbin and Levinson",
)
def autocorrelation(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Autocorrelation and partial autocorrelation of the last n log returns at lags 1 to 10 (n > 10); 0 where all
    returns are equal."""
    n, w, v, first, number = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST], c[NUMBER]
    for j in range(c[ROWS]):
        i, at = first + j, RET * w + j
        s[RUN] = run_of(x, at, i, s[RUN])
        if i < n:
            for f in range(2 * LAGS):
                out[f * v + j] = NAN
            continue
        if i == n or (number + j) % n == 0:
            settle(s, x, at, n)
        else:
            reference = s[REFERENCE]
            new, old = x[at] - reference, x[at - n] - reference
            s[TOTAL] += new - old
            for k in range(LAGS + 1):
                s[PRODUCTS + k] += new * (x[at - k] - reference) - old * (x[at - n + k] - reference)
            s[PEAK] = max(s[PEAK], s[PRODUCTS])
            if s[PRODUCTS] < SPENT * s[PEAK] or s[TOTAL] * s[TOTAL] > n * s[PRODUCTS] * 0.5:
                settle(s, x, at, n)
        total, reference = s[TOTAL], s[REFERENCE]
        d = total / n
        below = s[PRODUCTS] - total * d
        if s[RUN] >= n or below <= n * NOISE:
            for f in range(2 * LAGS):
                out[f * v + j] = 0.0
            continue
        edges = 0.0
        for k in range(1, LAGS + 1):
            edges += (x[at - k + 1] - reference) + (x[at - n + k] - reference)
            s[RHO + k] = (s[PRODUCTS + k] - d * (2.0 * total - edges) + (n - k) * d * d) / below
            out[(k - 1) * v + j] = s[RHO + k]
        partial(s, out, LAGS * v + j, v)


FULL = ("autocorrelation(n=20)", "autocorrelation(n=60)", "autocorrelation(n=120)")
