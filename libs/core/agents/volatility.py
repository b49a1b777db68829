"""The volatility agent: how far the next bar may move, by EWMA or GARCH, whichever has been nearer of late."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from libs.core.agents import volatility_kernels as kernels
from libs.core.agents.base import Floats, History, Needs
from libs.core.agents.packed import PackedAgent
from libs.core.features import FeatureSet

FIT_BARS: Final = 600
"""GARCH is fitted on the newest 600 returns at most, and anew about every 600 bars: its whole memory."""


class VolatilityAgent(PackedAgent):
    """Forecasts sigma, the standard deviation of the next bar's log return; it has no direction vote.

    It speaks by EWMA (lambda 0.94) or by GARCH(1,1), whichever had the smaller decayed Gaussian loss over about the
    last 50 bars. Confidence is how near the two are: 1 when equal.
    """

    name = "volatility"
    version = 1
    _unfitted = "too few bars, or the price did not move in them"

    def __init__(self, features: FeatureSet) -> None:
        needs = Needs(returns=FIT_BARS, refit_bars=FIT_BARS)
        super().__init__(features, needs, kernels.STATE_SIZE, (FIT_BARS,))

    def _fit(self, state: Floats, history: History) -> bool:
        returns = history.returns[-FIT_BARS:]
        kernels.fit(state, np.ascontiguousarray(returns[~np.isnan(returns)]))
        return bool(state[kernels.FITTED])

    def _step(self, state: Floats, log_return: float, row: Floats) -> None:
        kernels.step(state, log_return)

    def _say(self, state: Floats) -> dict[str, Any]:
        ewma = math.sqrt(state[kernels.EWMA])
        garch = math.sqrt(state[kernels.GARCH])
        chosen = garch if state[kernels.GARCH_LOSS] < state[kernels.EWMA_LOSS] else ewma
        return {"sigma": chosen, "confidence": 1.0 - abs(ewma - garch) / (ewma + garch)}
