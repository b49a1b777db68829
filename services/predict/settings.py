"""Predict's part of the configuration, as the stage's own config."""

from __future__ import annotations

from typing import Final

from libs.common.settings import ConfigError, Settings
from libs.core.agents.council_config import CouncilConfig, OnlineConfig
from libs.core.stages.predict_config import PredictConfig, SeriesConfig, StrategyConfig
from libs.core.strategies import ParamsError, check_params
from libs.core.types import interval_seconds

DERIV_COMMISSION_BPS: Final = 3.6
"""A multiplier's commission on a 100 % volatility index, once per round trip; on calmer indices it is less."""


def predict_config(settings: Settings) -> PredictConfig:
    """What the stage is built from.

    Raises:
        ConfigError: a strategy's settings are wrong; each line gives the key path and what is allowed.
    """
    strategies, problems = [], []
    for i, strategy in enumerate(settings.trading.strategies):
        try:
            checked = check_params(strategy.name, strategy.params)
        except ParamsError as err:
            problems += [f"trading.strategies[{i}].params: {line}" for line in str(err).splitlines()]
            continue
        if strategy.enabled:
            strategies.append(
                StrategyConfig(
                    name=strategy.name,
                    params=checked.model_dump(mode="json"),
                    symbols=strategy.symbols,
                    intervals_s=tuple(interval_seconds(text) for text in strategy.intervals),
                )
            )
    if problems:
        raise ConfigError(problems)
    return PredictConfig(
        series=tuple(
            SeriesConfig(venue=venue.name, symbol=symbol.symbol, interval_s=interval_seconds(text))
            for venue in settings.data.venues
            for symbol in venue.symbols
            for text in symbol.trade_intervals
        ),
        feature_set=settings.features.set,
        feature_entries=settings.features.entries,
        feature_files=settings.features.paths,
        agents=settings.model.agents,
        min_confidence=settings.model.min_confidence,
        max_disagreement=settings.model.max_disagreement,
        min_health=settings.model.min_health,
        stale_after_s=settings.data.stale_after_s,
        min_bars=settings.training.min_bars,
        council=council_config(settings),
        online=OnlineConfig(
            learning_rate=settings.training.learning_rate,
            l2=settings.training.l2,
            half_life_s=settings.model.sentiment.half_life_s,
            stale_after_s=settings.model.sentiment.stale_after_s,
            tilt=settings.model.sentiment.tilt,
            min_score=settings.model.sentiment.min_score,
        ),
        strategies=tuple(strategies),
        cost_bps={venue.name: round_trip_bps(settings, venue.name) for venue in settings.data.venues},
    )


def council_config(settings: Settings) -> CouncilConfig:
    """How trained models are judged."""
    council = settings.model.council
    return CouncilConfig(
        window_bars=council.window_bars,
        calibration_bars=council.calibration_bars,
        edge_z=council.edge_z,
        max_ece=council.max_ece,
        combine=council.combine,
        conflict=council.conflict,
        foreign_models=council.foreign_models,
        challengers=council.challengers,
        false_promotion=council.false_promotion,
    )


def round_trip_bps(settings: Settings, venue: str) -> float:
    """What a round trip at a venue costs in basis points: two fees, two slippages, one spread, the commission."""
    paper = settings.trading.paper
    fees = float(2 * (paper.fee_bps.get(venue, 0) + paper.slippage_bps) + paper.spread_bps)
    return fees + (DERIV_COMMISSION_BPS if venue == "deriv" else 0.0)
