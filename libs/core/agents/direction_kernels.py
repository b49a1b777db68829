"""Kernels of the direction agent: online multinomial logistic regression and the running account of its own skill.

Labels (quant.md section 5): with sigma the EWMA deviation known before the bar, its return is neutral when
|r| <= 0.43 sigma, else down or up. Kernels and layout share a file because numba's cache looks only at the file of the
compiled function.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The state: scalars, then vectors over the k features.
FITTED: Final = 0
VARIANCE: Final = 1  # EWMA variance of returns, known now
PENDING: Final = 2  # 1 when X holds a vector whose outcome is awaited
DOWNS: Final = 3  # decayed counts of the three classes: climatology
NEUTRALS: Final = 4
UPS: Final = 5
SKILL: Final = 6  # decayed mean of (climatology's log loss - ours)
SKILL2: Final = 7  # decayed mean of its square
SCORED: Final = 8  # forecasts judged so far
CENTRE: Final = 9  # k means, then k deviations, then k + 1 inputs, then 3 (k + 1) weights

LAMBDA: Final = 0.94
SEED_BARS: Final = 30
NEUTRAL_BAND: Final = 0.43  # deviations: a third of a normal distribution
CLIP: Final = 5.0  # deviations; features.md allows a linear model no more
SKILL_DECAY: Final = 0.99
CLASS_DECAY: Final = 0.998
MIN_ROWS: Final = 60


@njit(cache=True)
def state_size(k: int) -> int:
    """Length of the state for k features."""
    return CENTRE + 2 * k + (k + 1) + 3 * (k + 1)


@njit(cache=True)
def probabilities(s: Floats, k: int, p: Floats) -> None:
    """Softmax of the three linear scores of the stored inputs, into p = (down, neutral, up)."""
    x = CENTRE + 2 * k
    w = x + k + 1
    top = -math.inf
    for c in range(3):
        score = 0.0
        for j in range(k + 1):
            score += s[w + c * (k + 1) + j] * s[x + j]
        p[c] = score
        top = max(top, score)
    total = 0.0
    for c in range(3):
        p[c] = math.exp(p[c] - top)
        total += p[c]
    for c in range(3):
        p[c] /= total


@njit(cache=True)
def learn_outcome(s: Floats, k: int, r: float, rate: float, l2: float, score: bool) -> None:
    """Judge the pending forecast by the return r and take one gradient step on its log loss.

    The step is divided by the squared length of the inputs (normalised LMS), so that `rate` bounds how far one bar
    can move its own score whatever the number of features. `l2` shrinks all weights but the intercepts.
    """
    band = NEUTRAL_BAND * math.sqrt(s[VARIANCE])
    label = 2 if r > band else 0 if r < -band else 1
    p = np.empty(3)
    probabilities(s, k, p)
    if score:
        classes = s[DOWNS] + s[NEUTRALS] + s[UPS]
        gain = math.log(max(p[label], 1e-12)) - math.log(s[DOWNS + label] / classes)
        s[SKILL] = SKILL_DECAY * s[SKILL] + (1.0 - SKILL_DECAY) * gain
        s[SKILL2] = SKILL_DECAY * s[SKILL2] + (1.0 - SKILL_DECAY) * gain * gain
        s[SCORED] += 1.0
    for c in range(3):
        s[DOWNS + c] = CLASS_DECAY * s[DOWNS + c] + (1.0 if c == label else 0.0)
    x = CENTRE + 2 * k
    w = x + k + 1
    length = 0.0
    for j in range(k + 1):
        length += s[x + j] * s[x + j]
    step = rate / length
    for c in range(3):
        error = p[c] - (1.0 if c == label else 0.0)
        row = w + c * (k + 1)
        for j in range(k):
            s[row + j] -= step * (error * s[x + j] + l2 * s[row + j])
        s[row + k] -= step * error


@njit(cache=True)
def step(s: Floats, k: int, r: float, row: Floats, rate: float, l2: float, score: bool) -> None:
    """Take one bar: its return r closes the pending forecast, its features `row` (k) open the next one.

    NaN in r (a hole) drops the pending forecast; NaN in the features opens none.
    """
    if s[PENDING] == 1.0 and not math.isnan(r) and s[VARIANCE] > 0.0:
        learn_outcome(s, k, r, rate, l2, score)
    if not math.isnan(r):
        s[VARIANCE] = LAMBDA * s[VARIANCE] + (1.0 - LAMBDA) * r * r
    s[PENDING] = 1.0
    x = CENTRE + 2 * k
    for j in range(k):
        z = (row[j] - s[CENTRE + j]) / s[CENTRE + k + j]
        if math.isnan(z):
            s[PENDING] = 0.0
            z = 0.0
        s[x + j] = min(max(z, -CLIP), CLIP)
    s[x + k] = 1.0


@njit(cache=True)
def standardise(s: Floats, k: int, rows: Floats, last: int) -> int:
    """Means and deviations of the complete rows before `last`; returns how many there are."""
    s[CENTRE : CENTRE + 2 * k] = 0.0
    count = 0
    for i in range(last):
        if not np.isnan(rows[i]).any():
            count += 1
            for j in range(k):
                s[CENTRE + j] += rows[i, j]
    if count == 0:
        return 0
    for j in range(k):
        s[CENTRE + j] /= count
    for i in range(last):
        if not np.isnan(rows[i]).any():
            for j in range(k):
                s[CENTRE + k + j] += (rows[i, j] - s[CENTRE + j]) ** 2
    for j in range(k):
        deviation = math.sqrt(s[CENTRE + k + j] / count)
        s[CENTRE + k + j] = deviation if deviation > 1e-12 else 1.0
    return count


@njit(cache=True)
def fit(s: Floats, k: int, returns: Floats, rows: Floats, rate: float, l2: float, epochs: int) -> None:
    """Fit on n bars: `epochs` passes over the first two thirds, then one judged pass over the rest.

    The scaler sees the first two thirds only. FITTED stays 0 when there are fewer than MIN_ROWS complete rows in them.
    """
    s[:] = 0.0
    n = len(returns)
    seed = 0.0
    seen = 0
    start = 0
    while start < n and seen < SEED_BARS:
        if not math.isnan(returns[start]):
            seed += returns[start] * returns[start]
            seen += 1
        start += 1
    cut = n * 2 // 3
    if seen < SEED_BARS or standardise(s, k, rows, cut) < MIN_ROWS:
        return
    for c in range(3):
        s[DOWNS + c] = 1.0
    for _ in range(epochs):
        s[VARIANCE] = seed / SEED_BARS
        s[PENDING] = 0.0
        for c in range(3):
            s[DOWNS + c] = 1.0
        for i in range(start, cut):
            step(s, k, returns[i], rows[i], rate, l2, False)
    for i in range(cut, n):
        step(s, k, returns[i], rows[i], rate, l2, True)
    s[FITTED] = 1.0


def warm() -> None:
    """Compile, or load from the cache, exactly what the agent calls."""
    state = np.zeros(state_size(1))
    wave = np.sin(np.arange(128.0)) * 1e-3
    fit(state, 1, wave, wave.reshape(-1, 1).copy(), 0.05, 1e-3, 1)
    step(state, 1, 1e-3, np.ones(1), 0.05, 1e-3, True)
    probabilities(state, 1, np.empty(3))
