"""Volatility and regime beside the libraries that people would take: a GARCH fit and arch, a regime step and hmmlearn.

Both sides are checked to say the same before they are timed.
"""

from __future__ import annotations

import math
import time
from typing import Final

import numpy as np
from arch import arch_model
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray

from libs.core.agents import hmm_kernels
from libs.core.features import garch_likelihood as garch
from tests.bench.harness import REPEATS, Line, compared, interleaved
from tests.bench.sandbox import BenchError

RETURNS: Final = 1_000
FITS: Final = 20
STEPS: Final = 2_000
AGREES: Final = 0.01
"""Log likelihoods of both fits, in nats."""

WINDOW: Final = 100
"""Bars that hmmlearn looks at anew for each step: it carries no filter."""


def returns(seed: int = 4) -> NDArray[np.float64]:
    """Percent, with clusters of volatility."""
    rng, h, out = np.random.default_rng(seed), 0.5, np.empty(RETURNS)
    for t in range(RETURNS):
        out[t] = math.sqrt(h) * rng.standard_normal()
        h = 0.02 + 0.08 * out[t] ** 2 + 0.88 * h
    return out


async def fits(repeats: int) -> Line:
    """Milliseconds a fit of GARCH(1,1) with a mean."""
    x = returns()
    slots = np.zeros(garch.FIT_SLOTS)
    backcast = float(np.mean((x - x.mean()) ** 2))
    found = [0.0, 0.0]

    async def ours() -> float:
        begun = time.process_time()
        for _ in range(FITS):
            garch.fit(x, 0, RETURNS, slots, 1e-9)
        spent = time.process_time() - begun
        found[0] = -float(slots[garch.LOSS])
        return 1e3 * spent / FITS

    async def theirs() -> float:
        begun = time.process_time()
        for _ in range(FITS):
            model = arch_model(x, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
            fitted = model.fit(disp="off", backcast=backcast, show_warning=False)
        spent = time.process_time() - begun
        found[1] = float(fitted.loglikelihood)
        return 1e3 * spent / FITS

    await interleaved(ours, theirs, 1)
    if found[0] < found[1] - AGREES:
        raise BenchError(f"a GARCH fit ends below that of arch: {found[0]:.4f} and {found[1]:.4f}")
    pairs = await interleaved(ours, theirs, repeats)
    what = f"a fit of GARCH(1,1) with a mean on {RETURNS:,} returns; reference: arch"
    return compared("garch_fit", pairs, unit="ms", what=what, at_most=0.5)


async def steps(repeats: int) -> Line:
    """Microseconds a bar of three states, called from Python bar by bar."""
    x = returns(5)
    mean, variance = np.array([0.05, 0.0, -0.1]), np.array([0.1, 0.5, 2.0])
    chain = np.array([[0.97, 0.02, 0.01], [0.02, 0.96, 0.02], [0.01, 0.04, 0.95]])
    model = GaussianHMM(3, covariance_type="diag")
    model.startprob_, model.transmat_ = np.full(3, 1.0 / 3.0), chain
    model.means_, model.covars_ = mean[:, np.newaxis], variance[:, np.newaxis]
    ends: list[NDArray[np.float64]] = [np.empty(0), np.empty(0)]

    async def ours() -> float:
        p, scratch = np.full(3, 1.0 / 3.0), np.empty((2, 3))
        begun = time.process_time()
        for k in range(STEPS):
            hmm_kernels.step(p, x[k % RETURNS], mean, variance, chain, scratch)
        spent = time.process_time() - begun
        ends[0] = p
        return 1e6 * spent / STEPS

    async def theirs() -> float:
        count = STEPS // 10
        begun = time.process_time()
        for k in range(count):
            first = STEPS - count + k + 1 - WINDOW
            window = x[np.arange(first, first + WINDOW) % RETURNS, np.newaxis]
            ends[1] = model.predict_proba(window)[-1]
        spent = time.process_time() - begun
        return 1e6 * spent / count

    await interleaved(ours, theirs, 1)
    if np.abs(ends[0] - ends[1]).max() > 1e-6:
        raise BenchError(f"a regime step does not end where hmmlearn does: {ends[0]} and {ends[1]}")
    pairs = await interleaved(ours, theirs, repeats)
    what = f"a bar of a filter of 3 states; reference: hmmlearn over the newest {WINDOW} bars, as it carries no filter"
    return compared("hmm_step", pairs, unit="us", what=what, at_most=0.1)


async def run(repeats: int = REPEATS) -> list[Line]:
    """Both lines."""
    return [await fits(repeats), await steps(repeats)]
