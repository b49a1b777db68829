"""Checks of a configuration that need more than its schema: strategies and their parameters."""

from __future__ import annotations

from pathlib import Path

from libs.common.settings import Settings
from libs.core.strategies import registry


def check_strategies(settings: Settings, file: Path | None) -> list[str]:
    """One line per strategy whose parameters are wrong."""
    problems = []
    for index, strategy in enumerate(settings.trading.strategies):
        try:
            registry.check_params(strategy.name, strategy.params)
        except ValueError as err:
            problems.append(f"{file or 'configuration'}: trading.strategies[{index}].params: {err}")
    return problems
