"""Features beside the libraries that people would take instead: talipp, TA-Lib and polars, on what both have.

Streaming: bars a second from Python, one call after another, values read after each bar. What ours gives is an array of
all values of the shared subset; the others' objects are each called with the prices that they take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from talib import stream
from talipp import indicators as talipp
from talipp.ohlcv import OHLCV

from libs.core.features import warm_kernels
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.sets import make_set
from libs.core.types import Bar
from tests.bench import feature_batch
from tests.bench.feature_step import history
from tests.bench.harness import REPEATS, Line, compared, interleaved
from tests.bench.sandbox import BenchError

BARS: Final = 6_000
HISTORY: Final = 400
AGREES: Final = 1e-6
"""Both must compute the same: checked on the last bar, in prices and indicators that all define alike."""

SHARED: Final = (
    *(f"sma(n={n})" for n in (10, 20, 50, 200)),
    *("ema(n=12)", "ema(n=26)", "macd", "rsi(n=14)", "adx(n=14)", "directional_index(n=14)"),
    *("stochastic", "williams(n=14)", "roc(n=10)"),
    *("bollinger(n=20)", "atr(n=14)", "donchian(n=20)"),
    *("obv", "ad_line"),
)
"""What all three have; where one of them gives more of an indicator at once, it does so here."""

POLARS: Final[dict[str, pl.Expr]] = {
    **{f"sma_{n}": pl.col("close").rolling_mean(n) for n in (10, 20, 50, 200)},
    "z_price_20": (pl.col("close") - pl.col("close").rolling_mean(20)) / pl.col("close").rolling_std(20),
    **{f"donchian_high_{n}": pl.col("high").rolling_max(n) for n in (20, 55)},
    **{f"donchian_low_{n}": pl.col("low").rolling_min(n) for n in (20, 55)},
}
POLARS_SET: Final = (
    *(f"sma(n={n})" for n in (10, 20, 50, 200)),
    *("z_price(n=20)", "donchian(n=20)", "donchian(n=55)"),
)


def talib_objects(bars: Sequence[Bar]) -> dict[str, list[Callable[..., Any]]]:
    """`update` of each incremental object, filled with `bars`, by the prices that it takes."""
    c, h, low, v = (np.array([getattr(bar, name) for bar in bars]) for name in ("close", "high", "low", "volume"))
    closes = [
        *(stream.SMA(c, n) for n in (10, 20, 50, 200)),
        *(stream.EMA(c, 12), stream.EMA(c, 26), stream.MACD(c, 12, 26, 9), stream.RSI(c, 14)),
        *(stream.ROC(c, 10), stream.BBANDS(c, 20, 2.0, 2.0)),
    ]
    ranges = [
        *(stream.ADX(h, low, c, 14), stream.PLUS_DI(h, low, c, 14), stream.MINUS_DI(h, low, c, 14)),
        stream.DX(h, low, c, 14),
        *(stream.STOCH(h, low, c, 14, 3, 0, 3, 0), stream.WILLR(h, low, c, 14)),
        *(stream.ATR(h, low, c, 14), stream.NATR(h, low, c, 14)),
    ]
    return {
        "close": [each.update for each in closes],
        "high": [stream.MAX(h, 20).update],
        "low": [stream.MIN(low, 20).update],
        "range": [each.update for each in ranges],
        "close, volume": [stream.OBV(c, v).update],
        "all": [stream.AD(h, low, c, v).update],
    }


def talib_steps(objects: dict[str, list[Callable[..., Any]]], bars: Sequence[Bar]) -> Any:
    """Every bar through every object; what the last one of the closes said at the end."""
    closes, ranges = objects["close"], objects["range"]
    (top,), (bottom,), (obv,), (ad,) = (objects[name] for name in ("high", "low", "close, volume", "all"))
    said: Any = None
    for bar in bars:
        h, low, c, v = bar.high, bar.low, bar.close, bar.volume
        for update in closes:
            said = update(c)
        top(h)
        bottom(low)
        for update in ranges:
            update(h, low, c)
        obv(c, v)
        ad(h, low, c, v)
    return said


def talipp_objects() -> tuple[list[Any], list[Any]]:
    """Indicators that take closes, and those that take whole bars."""
    closes = [
        *(talipp.SMA(n) for n in (10, 20, 50, 200)),
        *(talipp.EMA(12), talipp.EMA(26), talipp.MACD(12, 26, 9), talipp.RSI(14), talipp.ROC(10), talipp.BB(20, 2.0)),
    ]
    whole = [
        *(talipp.ADX(14, 14), talipp.Stoch(14, 3), talipp.Williams(14), talipp.ATR(14), talipp.NATR(14)),
        *(talipp.DonchianChannels(20), talipp.OBV(), talipp.AccuDist()),
    ]
    return closes, whole


def talipp_steps(closes: list[Any], whole: list[Any], bars: Sequence[Bar]) -> Any:
    """Every bar into every indicator; Bollinger's bands at the end."""
    for bar in bars:
        for each in closes:
            each.add(bar.close)
        prices = OHLCV(bar.open, bar.high, bar.low, bar.close, bar.volume)
        for each in whole:
            each.add(prices)
    return closes[-1][-1].ub


async def streaming(repeats: int) -> list[Line]:
    """Bars a second against talipp and against TA-Lib's incremental objects."""
    bars = history(BARS + HISTORY)
    before, after = bars[:HISTORY], bars[HISTORY:]
    features = make_set("shared", SHARED)
    upper = features.index("bb_upper_20")
    ends: list[float] = []

    async def ours() -> float:
        engine = FeatureEngine("binance", "B00USDT", 1, features)
        for bar in before:
            engine.take(bar)
        take = engine.take
        begun = time.process_time()
        for bar in after:
            take(bar)
            values = engine.values
        spent = time.process_time() - begun
        ends.append(float(values[upper]))
        return len(after) / spent

    async def of_talib() -> float:
        objects = talib_objects(before)
        begun = time.process_time()
        said = talib_steps(objects, after)
        spent = time.process_time() - begun
        ends.append(float(said[0]))
        return len(after) / spent

    async def of_talipp() -> float:
        closes, whole = talipp_objects()
        talipp_steps(closes, whole, before)
        begun = time.process_time()
        said = talipp_steps(closes, whole, after)
        spent = time.process_time() - begun
        ends.append(float(said))
        return len(after) / spent

    lines = []
    for name, reference, title, bound in (
        ("feature_stream_talib", of_talib, "TA-Lib's incremental objects", 4.0),
        ("feature_stream_talipp", of_talipp, "talipp", 30.0),
    ):
        await interleaved(ours, reference, 1)
        pairs = await interleaved(ours, reference, repeats)
        what = f"bars a second of {len(features)} values of indicators that both have; reference: {title}"
        lines.append(compared(name, pairs, unit="bars/s", what=what, at_least=bound))
    if max(ends) - min(ends) > AGREES * max(ends):
        raise BenchError(f"Bollinger's band does not end alike: {min(ends)} to {max(ends)}")
    return lines


async def batch(repeats: int) -> list[Line]:
    """A million bars: the indicator that fares worst against TA-Lib, and a set of windows against polars."""
    bars = feature_batch.history()
    costs = [feature_batch.cost(entry, bars, repeats) for entry in feature_batch.TALIB]
    worst = max((cost for cost in costs if cost.ratio is not None), key=lambda cost: cost.ratio or 0.0)
    again = [feature_batch.cost(worst.entry, bars, 3) for _ in range(repeats)]
    pairs = [(cost.ours_ms, cost.talib_ms or 0.0) for cost in again]
    what = f"{feature_batch.BARS:,} bars, the worst of {len(costs)} kernels that TA-Lib has, too: {worst.entry}"
    return [
        compared("feature_batch_talib", pairs, unit="ms", what=what, at_most=feature_batch.ALLOWED),
        await _polars(bars, repeats),
    ]


async def _polars(bars: dict[str, Any], repeats: int) -> Line:
    count = len(bars["close"])
    columns = Bars(open_time=(np.arange(count) + 28_000_000) * 60_000_000_000, **bars)
    engine = FeatureEngine("binance", "B00USDT", 60, make_set("windows", POLARS_SET))
    frame = pl.DataFrame(bars).lazy()

    async def ours() -> float:
        begun = time.process_time()
        engine.batch(columns)
        return (time.process_time() - begun) * 1e3

    async def theirs() -> float:
        begun = time.process_time()
        frame.select(**POLARS).collect()
        return (time.process_time() - begun) * 1e3

    await interleaved(ours, theirs, 1)
    pairs = await interleaved(ours, theirs, repeats)
    what = f"{count:,} bars: means, a standard score, highest and lowest, processor time; reference: polars"
    return compared("feature_batch_polars", pairs, unit="ms", what=what)


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines against other libraries."""
    warm_kernels()
    return [*await streaming(repeats), *await batch(repeats)]
