"""Train's part of the configuration: which agents of which series have models."""

from __future__ import annotations

from libs.common.models import RoleKey
from libs.common.settings import Settings
from libs.core.types import interval_seconds


def trained_keys(settings: Settings) -> list[RoleKey]:
    """Every trained agent of every traded series."""
    series = [
        (venue.name, entry.symbol, interval_seconds(text))
        for venue in settings.data.venues
        for entry in venue.symbols
        for text in entry.trade_intervals
    ]
    return [RoleKey(agent, *one) for one in series for agent in settings.training.agents]
