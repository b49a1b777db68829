"""The service's part of the configuration, as the core stage and the archive want it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from libs.common.settings import Settings
from libs.common.settings.learning import FeaturesSettings
from libs.common.store import Keep
from libs.core.features.flow import FlowConfig
from libs.core.stages.features import FeaturesConfig, FeaturesSymbol
from libs.core.types import interval_seconds


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the archive writes: at most `rows` a batch, at least every `flush_s` seconds; `keep`: how long rows live."""

    rows: int = 5_000
    flush_s: float = 0.5
    keep: Keep = Keep.everything(timedelta(days=30))


def stage_config(settings: Settings) -> FeaturesConfig:
    """Vectors for every symbol on the intervals on which strategies run."""
    chosen = settings.features
    return FeaturesConfig(
        set=chosen.set,
        entries=chosen.entries,
        files=chosen.paths,
        flow=FlowConfig(
            leader=dict(chosen.leader), outside=chosen.outside, funding=dict(chosen.funding), basis=dict(chosen.basis)
        ),
        symbols=tuple(
            FeaturesSymbol(
                venue=venue.name,
                symbol=entry.symbol,
                intervals_s=tuple(sorted({interval_seconds(text) for text in entry.trade_intervals})),
                calendar=entry.calendar,
            )
            for venue in settings.data.venues
            for entry in venue.symbols
        ),
    )


def archive_settings(settings: Settings) -> ArchiveSettings:
    """The archive's settings."""
    chosen = settings.features
    return ArchiveSettings(
        rows=chosen.archive_batch_rows,
        flush_s=chosen.archive_flush_s,
        keep=_keep(chosen),
    )


def _keep(chosen: FeaturesSettings) -> Keep:
    days = chosen.retention
    return Keep(
        ticks=timedelta(days=days.ticks_days),
        book=timedelta(days=days.book_days),
        bars=timedelta(days=days.bars_days),
        features=timedelta(days=days.features_days),
        decisions=timedelta(days=chosen.retention_days),
        rollups=timedelta(days=days.rollups_days),
        raw={"deriv": timedelta(hours=chosen.deriv_ticks_hours)},
    )
