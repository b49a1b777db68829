"""Cost of one bar in the feature engine, beside TA-Lib's own incremental objects for the indicators that both have."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from talib import stream

from libs.core.features import warm_kernels
from libs.core.features.engine import FeatureEngine
from libs.core.types import SECOND, Bar, stable_id
from tests.bench.harness import REPEATS, Line, absolute, interleaved

BARS: Final = 20_000
HISTORY: Final = 200


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


def talib_steps(bars: list[Bar]) -> list[tuple[Callable[..., Any], str]]:
    """`update` of each incremental object, filled with `bars`, and which prices it takes."""
    closes, highs, lows = (np.array([getattr(bar, name) for bar in bars]) for name in ("close", "high", "low"))
    return [
        (stream.EMA(closes, 12).update, "close"),
        (stream.EMA(closes, 26).update, "close"),
        (stream.RSI(closes, 14).update, "close"),
        (stream.MACD(closes, 12, 26, 9).update, "close"),
        (stream.ATR(highs, lows, closes, 14).update, "all"),
        (stream.BBANDS(closes, 20, 2.0, 2.0).update, "close"),
        (stream.MAX(highs, 20).update, "high"),
        (stream.MIN(lows, 20).update, "low"),
        (stream.STDDEV(closes, 20, 1.0).update, "close"),
    ]


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `feature_step`."""
    warm_kernels()
    bars = history(BARS + HISTORY)

    async def ours() -> float:
        engine = FeatureEngine("binance", "B00USDT", 1)
        for bar in bars[:HISTORY]:
            engine.take(bar)
        begun = time.perf_counter()
        for bar in bars[HISTORY:]:
            engine.update(bar)
        return (time.perf_counter() - begun) / BARS * 1e6

    async def theirs() -> float:
        steps = talib_steps(bars[:HISTORY])
        begun = time.perf_counter()
        for bar in bars[HISTORY:]:
            prices: dict[str, tuple[float, ...]] = {"close": (bar.close,), "high": (bar.high,), "low": (bar.low,)}
            prices["all"] = (bar.high, bar.low, bar.close)
            for update, wanted in steps:
                update(*prices[wanted])
        return (time.perf_counter() - begun) / BARS * 1e6

    await interleaved(ours, theirs, 1)
    pairs = await interleaved(ours, theirs, repeats)
    what = f"one bar to a vector of 20 features and its message; reference: {len(talib_steps(bars))} TA-Lib streams"
    values, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [absolute("feature_step", values, unit="us", what=what, at_most=15.0, references=references)]
