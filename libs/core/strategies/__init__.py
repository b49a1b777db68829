"""Strategies turn features and forecasts of one series into entries and exits, each with its reason."""

from libs.core.strategies.base import Forecasts, RuleStrategy, Strategy
from libs.core.strategies.registry import (
    STRATEGIES,
    ParamsError,
    check_params,
    make_strategy,
    params_hash,
    params_schema,
)

__all__ = [
    "STRATEGIES",
    "Forecasts",
    "ParamsError",
    "RuleStrategy",
    "Strategy",
    "check_params",
    "make_strategy",
    "params_hash",
    "params_schema",
]
