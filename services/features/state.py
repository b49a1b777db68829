"""What the service must remember: the stage's snapshot, in the bus's key-value bucket, whatever its size."""

from __future__ import annotations

import structlog

from libs.common.bus import Bus, get_large, put_large
from libs.core.stages.features import FeaturesConfig, FeaturesStage

log = structlog.get_logger(__name__)

BUCKET, KEY = "snapshots", "features"


async def load(bus: Bus, config: FeaturesConfig) -> bytes | None:
    """The snapshot of the last run if this configuration can take it up, else None."""
    snapshot = await get_large(bus, BUCKET, KEY)
    if snapshot is None:
        return None
    try:
        FeaturesStage(config).restore(snapshot)
    except ValueError as err:
        log.warning("the snapshot is left aside, history will warm the features", reason=str(err))
        return None
    return snapshot


async def save(bus: Bus, stage: FeaturesStage) -> None:
    """Keep the state as it is now. One call at a time."""
    await put_large(bus, BUCKET, KEY, stage.snapshot())
