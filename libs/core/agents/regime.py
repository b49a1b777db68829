"""The regime agent: whether the market is in its calm or its wild state, by a two-state filter."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from libs.core.agents import regime_kernels as kernels
from libs.core.agents.base import Floats, History, Needs
from libs.core.agents.packed import PackedAgent, abstention
from libs.core.features import FeatureSet
from libs.core.types import Abstention

FIT_BARS: Final = 600
"""Fitted on the newest 600 returns at most, and anew about every 600 bars: its whole memory."""

EM_STEPS: Final = 30
"""On 600 hourly or 5-minute BTC returns thirty steps reach the maximum likelihood to 0.1; still prices take longer."""

MAX_DISTANCE: Final = 8.0
"""A return this many deviations from both states is none of them: out of distribution."""


class RegimeAgent(PackedAgent):
    """Filtered probabilities of a calm (0) and a wild (1) state, ordered by their sigma; it has no direction vote.

    It abstains with no_edge where one Gaussian explains the history as well (BIC), and with out_of_distribution on a
    bar that neither state explains.
    """

    name = "regime"
    version = 1
    _unfitted = "too few bars, or the price did not move in them"

    def __init__(self, features: FeatureSet) -> None:
        needs = Needs(returns=FIT_BARS, refit_bars=FIT_BARS)
        super().__init__(features, needs, kernels.STATE_SIZE, (FIT_BARS, EM_STEPS))

    def _fit(self, state: Floats, history: History) -> bool:
        returns = history.returns[-FIT_BARS:]
        kernels.fit(state, np.ascontiguousarray(returns[~np.isnan(returns)]), EM_STEPS)
        return bool(state[kernels.FITTED])

    def _step(self, state: Floats, log_return: float, row: Floats) -> None:
        kernels.filter_step(state, log_return)

    def _say(self, state: Floats) -> dict[str, Any]:
        if state[kernels.GAIN] <= 0.0:
            return abstention(Abstention.NO_EDGE, "one regime explains the history as well as two")
        if state[kernels.DISTANCE] > MAX_DISTANCE:
            return abstention(
                Abstention.OUT_OF_DISTRIBUTION, f"return {state[kernels.DISTANCE]:.1f} deviations from both regimes"
            )
        calm = float(state[kernels.CALM])
        return {
            "state": 0 if calm >= 0.5 else 1,
            "p_state": (calm, 1.0 - calm),
            "confidence": max(calm, 1.0 - calm),
        }
