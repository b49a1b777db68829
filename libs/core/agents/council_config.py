"""Settings of the council: how models are judged and what follows, and of the agents that learn online."""

from __future__ import annotations

from typing import Literal

import msgspec


class CouncilConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What decides who may speak, with which weight, and who is replaced.

    Attributes:
        row_bars: feature vectors kept per series, for models to look at and to start from.
        bars: bars and log returns kept per series, for the same.
        window_bars: skill is a mean over about so many newest bars, older ones fading.
        calibration_bars: the same for the calibration error.
        min_scored: scored bars before an agent's live record says anything.
        edge_z: a direction speaks when its skill less so many standard errors is above zero.
        max_ece: a calibrator is in force up to this error, beyond what chance alone makes of so few bars.
        combine: how the meta-agent joins votes. simple = equal weights; confidence = confidence x trust; learned = the
            stacked model where one is seated, else confidence.
        conflict: what too much disagreement leads to. abstain, or best = the most trusted voter speaks alone.
        foreign_models: a model of another symbol or bar length may serve.
        challengers: most models that may forecast in shadow, per agent and series.
        false_promotion: chance at most of ever promoting a challenger that is not better.
        drift_memory: bars that a reference of the loss is taken from where the manifest gives none.
        drift_pause: bars between two steps of the drift ladder. drift_recover: bars without alarm that end it.
        psi_bars: bars counted for one population stability index.
        psi_limit: median index, beyond chance, that is drift.
    """

    row_bars: int = 256
    bars: int = 1024
    window_bars: int = 5000
    calibration_bars: int = 1000
    min_scored: int = 100
    edge_z: float = 1.645
    max_ece: float = 0.02
    combine: Literal["simple", "confidence", "learned"] = "learned"
    conflict: Literal["abstain", "best"] = "abstain"
    foreign_models: bool = False
    challengers: int = 3
    false_promotion: float = 0.05
    drift_memory: int = 200
    drift_pause: int = 100
    drift_recover: int = 300
    psi_bars: int = 500
    psi_limit: float = 0.25


class OnlineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the agents that learn online.

    learning_rate, l2: of the direction agent. The rest: of the sentiment agent, see there.
    """

    learning_rate: float = 0.05
    l2: float = 1e-3
    half_life_s: float = 3600.0
    stale_after_s: float = 21600.0
    tilt: float = 0.5
    min_score: float = 0.05
