"""What the predict stage is built from, as JSON in the journal."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.core.agents.council_config import CouncilConfig, OnlineConfig


class SeriesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol on one bar length, in seconds, that is forecast and traded."""

    venue: str
    symbol: str
    interval_s: int


class StrategyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy with its settings; empty `symbols` and `intervals_s` mean all that are configured."""

    name: str
    params: dict[str, Any] = {}
    symbols: tuple[str, ...] = ()
    intervals_s: tuple[int, ...] = ()

    def covers(self, series: SeriesConfig) -> bool:
        """Whether it trades this series."""
        return (not self.symbols or series.symbol in self.symbols) and (
            not self.intervals_s or series.interval_s in self.intervals_s
        )


class PredictConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the stage is built from; JSON of it rebuilds the same stage in a replay.

    Attributes:
        feature_set, feature_entries, feature_files: see `libs.core.features.feature_set`.
        cost_bps: one round trip per venue, in basis points of the price.
        stale_after_s: a bar older than this at its venue's data clock is stale (its own interval if that is longer).
        min_health: below this feed score agents abstain.
        council: how trained models are judged. online: settings of the agents that learn online.
    """

    series: tuple[SeriesConfig, ...]
    feature_set: str = "core20"
    feature_entries: tuple[str, ...] = ()
    feature_files: tuple[str, ...] = ()
    agents: tuple[str, ...] = ("volatility", "direction", "regime")
    min_confidence: float = 0.55
    max_disagreement: float = 0.40
    min_health: float = 0.7
    stale_after_s: float = 10.0
    min_bars: int = 200
    council: CouncilConfig = CouncilConfig()
    online: OnlineConfig = OnlineConfig()
    strategies: tuple[StrategyConfig, ...] = ()
    cost_bps: dict[str, float] = {}
