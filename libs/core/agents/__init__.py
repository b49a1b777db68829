"""Agents forecast the next bar or abstain with a reason; this front door imports no numba."""

from libs.core.agents.base import Agent, History, Hold, Needs, OnlineAgent, Series, Windows
from libs.core.agents.meta import MetaAgent

__all__ = [
    "Agent",
    "History",
    "Hold",
    "MetaAgent",
    "Needs",
    "OnlineAgent",
    "Series",
    "Windows",
    "warm_kernels",
]


def warm_kernels() -> None:
    """Compile every agent kernel into numba's cache, or load it from there; `make setup` calls it."""
    from libs.core.agents import (
        direction_kernels,
        garch_family,
        har_kernels,
        hmm_kernels,
        regime_kernels,
        volatility_kernels,
    )

    volatility_kernels.warm()
    regime_kernels.warm()
    direction_kernels.warm()
    garch_family.warm()
    har_kernels.warm()
    hmm_kernels.warm()
