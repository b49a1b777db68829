"""The direction agent: down, neutral or up for the next bar, by a logistic model that learns from every bar."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from libs.core.agents import direction_kernels as kernels
from libs.core.agents.base import Floats, History, Needs
from libs.core.agents.packed import PackedAgent, abstention
from libs.core.features import FeatureSet
from libs.core.types import Abstention

FEATURES: Final = (
    "rsi_14",
    "bb_pct_b_20",
    "bb_width_20",
    "donchian_pos_20",
    "ret_1",
    "ret_5",
    "ret_20",
    "rv_10",
    "rv_60",
    "ewma_vol",
    "z_price_20",
    "z_volume_60",
)
"""The features of core20 without a price level: what was learnt at one price holds at another."""

EPOCHS: Final = 10
MIN_SCORED: Final = 30
MIN_SKILL_T: Final = 1.0
"""Its log loss must have beaten climatology by one standard error over about the last 200 bars; else no_edge."""


class DirectionAgent(PackedAgent):
    """P(down, neutral, up) of the next bar, neutral meaning |r| <= 0.43 sigma; it votes in the meta-agent.

    Memory: fitted once, on the warm-up history, or on the first `min_bars` bars where the venue has none; after that
    every bar moves it one step and nothing older is kept. Confidence is the larger of P(up) and P(down) renormalised
    without neutral. It abstains with no_edge until its own forecasts have beaten climatology.
    """

    name = "direction"
    version = 1
    _unfitted = "too few complete feature vectors to fit on"
    directional = True

    def __init__(self, features: FeatureSet, learning_rate: float, l2: float) -> None:
        """`learning_rate`: step of one bar; `l2`: ridge on all weights but the intercepts."""
        k = len(FEATURES)
        settings = (learning_rate, l2, EPOCHS)
        super().__init__(features, Needs(features=FEATURES), kernels.state_size(k), settings)
        self._k = k
        self._rate = learning_rate
        self._l2 = l2
        self._p = np.empty(3)

    def _fit(self, state: Floats, history: History) -> bool:
        rows = np.ascontiguousarray(history.rows[:, self._columns])
        returns = np.ascontiguousarray(history.returns[-len(rows) :])
        kernels.fit(state, self._k, returns, rows, self._rate, self._l2, EPOCHS)
        return bool(state[kernels.FITTED])

    def _step(self, state: Floats, log_return: float, row: Floats) -> None:
        kernels.step(state, self._k, log_return, row[self._columns], self._rate, self._l2, True)

    def _say(self, state: Floats) -> dict[str, Any]:
        t = skill_t(state)
        if state[kernels.SCORED] < MIN_SCORED or t <= MIN_SKILL_T:
            return abstention(Abstention.NO_EDGE, f"skill over climatology t = {t:.1f}, needs {MIN_SKILL_T:g}")
        kernels.probabilities(state, self._k, self._p)
        down, neutral, up = self._p.tolist()
        return {
            "p_down": down,
            "p_neutral": neutral,
            "p_up": up,
            "confidence": max(down, up) / (down + up),
        }


def skill_t(state: Floats) -> float:
    """t value of the decayed mean gain in log loss over climatology; 0 before anything was judged."""
    decay = kernels.SKILL_DECAY
    weight: float = 1.0 - decay ** int(state[kernels.SCORED])
    if weight <= 0.0:
        return 0.0
    mean = float(state[kernels.SKILL]) / weight
    variance = max(float(state[kernels.SKILL2]) / weight - mean * mean, 1e-12)
    effective = (1.0 + decay) / (1.0 - decay) * weight
    return mean / math.sqrt(variance / effective)
