"""What the levels of a book say at one moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from libs.core.types import BookStats

Level = tuple[float, float]

NEAR_BP: Final = 5.0
"""Distance from the mid at which a level weighs 1/e in the pressure."""

IMBALANCE_LEVELS: Final = (1, 5, 10)


def imbalance(bids: Sequence[Level], asks: Sequence[Level], levels: int) -> float:
    """(bids - asks) / (bids + asks) over the best `levels`; 0 of nothing, NaN when fewer levels are known."""
    if len(bids) < levels or len(asks) < levels:
        return math.nan
    bid = sum(size for _, size in bids[:levels])
    ask = sum(size for _, size in asks[:levels])
    return (bid - ask) / (bid + ask) if bid + ask > 0.0 else 0.0


def pressure(bids: Sequence[Level], asks: Sequence[Level]) -> float:
    """(bids - asks) / (bids + asks) over all levels given, weighted by exp(-distance from the mid in bp / NEAR_BP)."""
    mid = 0.5 * (bids[0][0] + asks[0][0])
    scale = 1e4 / (NEAR_BP * mid)
    bid = sum(size * math.exp((price - mid) * scale) for price, size in bids)
    ask = sum(size * math.exp((mid - price) * scale) for price, size in asks)
    return (bid - ask) / (bid + ask) if bid + ask > 0.0 else 0.0


def book_columns(stats: BookStats) -> tuple[float, ...]:
    """imbalance_1, _5, _10, pressure, depth_bid_1 ... depth_ask_25 of `inputs.EXTRA`."""
    bids, asks = stats.bids, stats.asks
    if not bids or not asks:
        return (math.nan,) * 12
    unknown = (math.nan,) * 4
    return (
        *(imbalance(bids, asks, levels) for levels in IMBALANCE_LEVELS),
        pressure(bids, asks),
        *(stats.depth_bids or unknown),
        *(stats.depth_asks or unknown),
    )
