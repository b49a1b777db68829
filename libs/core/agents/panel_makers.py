"""Which agents there are, and what makes those that learn online."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from libs.core.agents.base import OnlineAgent
from libs.core.agents.council_config import OnlineConfig
from libs.core.agents.direction import DirectionAgent
from libs.core.agents.regime import RegimeAgent
from libs.core.agents.sentiment import SentimentAgent
from libs.core.agents.volatility import VolatilityAgent
from libs.core.features import FeatureSet

_MAKERS: Final[dict[str, Callable[[FeatureSet, OnlineConfig], OnlineAgent | None]]] = {
    "volatility": lambda features, config: VolatilityAgent(features),
    "direction": lambda features, config: DirectionAgent(features, config.learning_rate, config.l2),
    "regime": lambda features, config: RegimeAgent(features),
    "sentiment": lambda features, config: SentimentAgent(
        config.half_life_s, config.stale_after_s, config.tilt, config.min_score
    ),
    "trend": lambda features, config: None,
    "pattern": lambda features, config: None,
    "boosting": lambda features, config: None,
    "digits": lambda features, config: None,
}


def make_agents(names: Sequence[str], features: FeatureSet, config: OnlineConfig) -> dict[str, OnlineAgent | None]:
    """The agents of these names, in this order; None for one that only a trained model can be.

    Raises:
        ValueError: there is no such agent; the text lists those there are.
    """
    unknown = [name for name in names if name not in _MAKERS]
    if unknown:
        raise ValueError(f"no agent {unknown[0]!r}; there are {', '.join(_MAKERS)}")
    return {name: _MAKERS[name](features, config) for name in names}
