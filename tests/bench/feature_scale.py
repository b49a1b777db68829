"""The full set at scale: five hundred symbols of one-second bars on one core, and a million bars in the same memory."""

from __future__ import annotations

import gc
import time
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

from libs.core.features import warm_kernels
from libs.core.features.engine import FeatureEngine
from libs.core.features.sets import FULL
from libs.core.types import SECOND, Bar
from tests.bench.feature_step import history
from tests.bench.harness import REPEATS, Line, absolute

SYMBOLS: Final = 500
WARM: Final = 1_100
"""Bars of each symbol before it counts: every window is full, every fit has been made."""

SECONDS: Final = 20
MANY: Final = 1_000_000
SETTLED: Final = 50_000
"""Bars after which the memory of one symbol is taken for the first time."""


async def symbols(repeats: int) -> Line:
    """Processor time for one bar of each of 500 symbols, of a second of data."""
    bars = history(WARM + SECONDS * repeats)
    engines = [FeatureEngine("binance", f"B{number:03d}USDT", 1, FULL) for number in range(SYMBOLS)]
    for engine in engines:
        engine.extras[:] = 1.0
        for bar in bars[:WARM]:
            engine.take(bar)
    values = []
    for repeat in range(repeats):
        first = WARM + repeat * SECONDS
        begun = time.process_time()
        for bar in bars[first : first + SECONDS]:
            for engine in engines:
                engine.update(bar)
        values.append((time.process_time() - begun) / SECONDS * 1e3)
    what = f"a bar of each of {SYMBOLS} symbols to vectors of {len(FULL)} features: of 1,000 ms that a second has"
    return absolute("feature_500_symbols", values, unit="ms", what=what, at_most=1000.0)


async def memory() -> Line:
    """Growth of the process while one symbol takes a million bars."""
    walk = history(2_000)
    engine = FeatureEngine("binance", "B00USDT", 1, FULL)
    start = walk[0].open_time

    def feed(first: int, end: int) -> None:
        for number in range(first, end):
            like = walk[number % len(walk)]
            open_time = start + number * SECOND
            engine.take(
                Bar(
                    id="",
                    ts_event=open_time + SECOND,
                    venue="binance",
                    symbol="B00USDT",
                    interval_s=1,
                    open_time=open_time,
                    open=like.open,
                    high=like.high,
                    low=like.low,
                    close=like.close,
                    volume=like.volume,
                )
            )

    process = psutil.Process()
    feed(0, SETTLED)
    gc.collect()
    before = process.memory_info().rss
    parts = 4
    values = []
    for part in range(parts):
        feed(SETTLED + part * MANY // parts, SETTLED + (part + 1) * MANY // parts)
        gc.collect()
        values.append((process.memory_info().rss - before) / 1e6)
    what = f"growth of the process over {MANY:,} bars of one symbol, {len(FULL)} features, at each quarter"
    return absolute("feature_memory", values, unit="MB", what=what, at_most=1.0)


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines of scale."""
    warm_kernels()
    return [await symbols(repeats), await memory()]
