"""The shape of the last returns: mean, deviation, skew, kurtosis, and how evenly up and down alternate."""

from __future__ import annotations

import math
from typing import Final

from numba import njit

from libs.core.features.inputs import RET
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NOISE, NUMBER, ROWS, SPENT, STRIDE, WIDTH, Pointer, run_of

LOG = "log return"

# Slots of `moments`: sums of powers of (return - reference), the largest fourth power sum since they were made anew.
REFERENCE: Final = 0
S1: Final = 1
S2: Final = 2
S3: Final = 3
S4: Final = 4
PEAK: Final = 5
RUN: Final = 6


@njit(cache=False)
def settle(s: Pointer, x: Pointer, last: int, n: int) -> None:
    """Reference and power sums of the n returns that end at x[last], anew."""
    newest = x[last]
    total = 0.0
    for k in range(last - n + 1, last + 1):
        total += x[k] - newest
    reference = newest + total / n
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    for k in range(last - n + 1, last + 1):
        d = x[k] - reference
        one += d
        two += d * d
        three += d * d * d
        four += d * d * d * d
    s[REFERENCE], s[S1], s[S2], s[S3], s[S4], s[PEAK] = reference, one, two, three, four, four


@feature(
    outputs=[
        Output(name="ret_mean_{n}", unit=LOG),
        Output(name="ret_std_{n}", unit=LOG, low=0.0),
        Output(name="skew_{n}", unit="none"),
        Output(name="kurt_{n}", unit="none"),
    ],
    n=60,
    state=7,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="pandas, scipy.stats",
    source="sample deviation; adjusted Fisher-Pearson skew G1 and excess kurtosis G2 (Joanes and Gill 1998)",
)
def moments(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Mean, deviation, skew and excess kurtosis of the last n log returns; returns that are all equal have skew 0 and
    kurtosis 0."""
    n, w, v, first, number = int(p[0]), c[WIDTH], c[STRIDE], c[FIRST], c[NUMBER]
    for j in range(c[ROWS]):
        i, at = first + j, RET * w + j
        s[RUN] = run_of(x, at, i, s[RUN])
        if i < n:
            out[j] = out[v + j] = out[2 * v + j] = out[3 * v + j] = NAN
            continue
        if i == n or (number + j) % n == 0:
            settle(s, x, at, n)
        else:
            new, old = x[at] - s[REFERENCE], x[at - n] - s[REFERENCE]
            new2, old2 = new * new, old * old
            s[S1] += new - old
            s[S2] += new2 - old2
            s[S3] += new2 * new - old2 * old
            s[S4] += new2 * new2 - old2 * old2
            s[PEAK] = max(s[PEAK], s[S4])
            if s[S4] < SPENT * s[PEAK] or s[S1] * s[S1] > n * s[S2] * 0.5:
                settle(s, x, at, n)
        d = s[S1] / n
        two, three, four = s[S2] / n, s[S3] / n, s[S4] / n
        m2 = two - d * d
        if s[RUN] >= n or m2 <= NOISE:
            out[j] = x[at] if s[RUN] >= n else s[REFERENCE] + d
            out[v + j] = out[2 * v + j] = out[3 * v + j] = 0.0
            continue
        m3 = three - d * (3.0 * two - 2.0 * d * d)
        m4 = four - d * (4.0 * three - d * (6.0 * two - 3.0 * d * d))
        deviation = math.sqrt(m2)
        out[j] = s[REFERENCE] + d
        out[v + j] = deviation * math.sqrt(n / (n - 1.0))
        out[2 * v + j] = math.sqrt(n * (n - 1.0)) / (n - 2.0) * m3 / (m2 * deviation)
        out[3 * v + j] = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * (m4 / (m2 * m2) - 3.0) + 6.0)


@njit(cache=False)
def bits(count: float, n: int) -> float:
    """A share's part of the entropy."""
    return -count / n * math.log2(count / n) if count > 0.0 else 0.0


@feature(
    outputs=[Output(name="sign_entropy_{n}", unit="bits", low=0.0, high=math.log2(3.0) + 1e-12)],
    n=64,
    state=2,
    lookback=lambda n: n,
    warmup=lambda n: n,
    memory=lambda n: n,
    oracle="scipy.stats.entropy",
    source="Shannon 1948, over up, down and unchanged",
)
def sign_entropy(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Entropy of the signs of the last n returns: 0 when all agree."""
    n, first = int(p[0]), c[FIRST]
    ups, downs = s[0], s[1]
    for j in range(c[ROWS]):
        i, at = first + j, RET * c[WIDTH] + j
        ups += 1.0 if x[at] > 0.0 else 0.0
        downs += 1.0 if x[at] < 0.0 else 0.0
        if i > n:
            ups -= 1.0 if x[at - n] > 0.0 else 0.0
            downs -= 1.0 if x[at - n] < 0.0 else 0.0
        out[j] = bits(ups, n) + bits(downs, n) + bits(n - ups - downs, n) if i >= n else NAN
    s[0], s[1] = ups, downs


FULL = ("moments(n=20)", "moments(n=60)", "moments(n=120)", "sign_entropy(n=64)")
