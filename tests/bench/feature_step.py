"""Cost of one bar in the feature engine: the whole catalogue, from Python."""

from __future__ import annotations

import random
import time
from typing import Final

from libs.core.features import warm_kernels
from libs.core.features.engine import FeatureEngine
from libs.core.features.sets import FULL
from libs.core.types import SECOND, Bar, stable_id
from tests.bench.harness import REPEATS, Line, absolute

BARS: Final = 20_000
HISTORY: Final = 1_100


def history(count: int) -> list[Bar]:
    """A seeded random walk of 1 s bars."""
    rng = random.Random(7)
    close, bars = 100.0, []
    for number in range(count):
        first = close
        close *= 1.0 + rng.gauss(0.0, 1e-4)
        open_time = (1_700_000_000 + number) * SECOND
        bars.append(
            Bar(
                id=stable_id("bench", number),
                ts_event=open_time + SECOND,
                venue="binance",
                symbol="B00USDT",
                interval_s=1,
                open_time=open_time,
                open=first,
                high=max(first, close) * 1.00001,
                low=min(first, close) * 0.99999,
                close=close,
                volume=rng.uniform(1.0, 5.0),
            )
        )
    return bars


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `feature_step`."""
    warm_kernels()
    bars = history(BARS + HISTORY)

    def measured() -> float:
        engine = FeatureEngine("binance", "B00USDT", 1, FULL)
        engine.extras[:] = 1.0  # so that what reads prints and books has work to do
        for bar in bars[:HISTORY]:
            engine.take(bar)
        begun = time.process_time()
        for bar in bars[HISTORY:]:
            engine.update(bar)
        return (time.process_time() - begun) / BARS * 1e6

    measured()
    values = [measured() for _ in range(repeats)]
    what = f"one bar to a vector of all {len(FULL)} features and its message, from Python"
    return [absolute("feature_step", values, unit="us", what=what, at_most=15.0)]
