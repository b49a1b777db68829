"""Each feature against TA-Lib or plain numpy on five thousand bars: a seeded walk, and real hours where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from libs.core.features.sets import CORE20
from libs.core.features.engine import Bars, FeatureEngine, FeatureMatrix

Floats = NDArray[np.float64]

BARS = Path(__file__).parents[3].parent / "shared" / "data" / "bars" / "binance_BTCUSDT_1h.parquet"
COUNT = 5_000


def walk() -> Bars:
    rng = np.random.default_rng(20)
    close = 60_000.0 * np.exp(np.cumsum(rng.standard_t(4, COUNT) * 3e-3))
    first = np.concatenate([[60_000.0], close[:-1]])
    spans = np.abs(rng.normal(0, 2e-3, (2, COUNT)))
    return Bars(
        open_time=(np.arange(COUNT) + 400_000) * 3600 * 1_000_000_000,
        open=first,
        high=np.maximum(first, close) * (1 + spans[0]),
        low=np.minimum(first, close) / (1 + spans[1]),
        close=close,
        volume=rng.lognormal(5, 1, COUNT),
    )


@pytest.fixture(scope="module", params=["walk", "real"])
def bars(request: pytest.FixtureRequest) -> Bars:
    if request.param == "walk":
        return walk()
    if not BARS.exists():
        pytest.skip("the real hourly bars are not on this machine")
    frame = pl.read_parquet(BARS).tail(COUNT)
    return Bars(
        open_time=frame["ts"].cast(pl.Int64).to_numpy() * 1_000_000,
        **{name: frame[name].cast(pl.Float64).to_numpy().copy() for name in ("open", "high", "low", "close", "volume")},
    )


@pytest.fixture(scope="module")
def matrix(bars: Bars) -> FeatureMatrix:
    return FeatureEngine("binance", "BTCUSDT", 3600).batch(bars)


def lead(width: int, values: Floats) -> Floats:
    return np.concatenate([np.full(width, np.nan), values])


def ret(bars: Bars, n: int) -> Floats:
    return lead(n, np.log(bars.close[n:] / bars.close[:-n]))


def realised(bars: Bars, n: int) -> Floats:
    squares = np.diff(np.log(bars.close)) ** 2
    return lead(n, np.sqrt(sliding_window_view(squares, n).sum(axis=1)))


def ewma(bars: Bars) -> Floats:
    r = np.diff(np.log(bars.close))
    v = float(np.mean(r[:30] ** 2))
    out = []
    for x in r[30:]:
        v = 0.94 * v + 0.06 * x * x
        out.append(v**0.5)
    return lead(31, np.array(out))


def z(values: Floats, n: int) -> Floats:
    windows = sliding_window_view(values, n)
    return lead(n - 1, (values[n - 1 :] - windows.mean(axis=1)) / windows.std(axis=1, ddof=1))


def bands(bars: Bars) -> tuple[Floats, Floats, Floats]:
    upper, middle, lower = talib.BBANDS(bars.close, 20, 2.0, 2.0, 0)
    return upper, middle, lower


def percent_b(bars: Bars) -> Floats:
    upper, _, lower = bands(bars)
    return (bars.close - lower) / (upper - lower)


def width(bars: Bars) -> Floats:
    upper, middle, lower = bands(bars)
    return (upper - lower) / middle


def position(bars: Bars) -> Floats:
    top, bottom = talib.MAX(bars.high, 20), talib.MIN(bars.low, 20)
    return (bars.close - bottom) / (top - bottom)


ORACLES: dict[str, Callable[[Bars], Floats]] = {
    "ema_12": lambda b: talib.EMA(b.close, 12),
    "ema_26": lambda b: talib.EMA(b.close, 26),
    "rsi_14": lambda b: talib.RSI(b.close, 14),
    "macd_line": lambda b: talib.MACD(b.close, 12, 26, 9)[0],
    "macd_signal": lambda b: talib.MACD(b.close, 12, 26, 9)[1],
    "macd_hist": lambda b: talib.MACD(b.close, 12, 26, 9)[2],
    "atr_14": lambda b: talib.ATR(b.high, b.low, b.close, 14),
    "bb_pct_b_20": percent_b,
    "bb_width_20": width,
    "donchian_high_20": lambda b: talib.MAX(b.high, 20),
    "donchian_low_20": lambda b: talib.MIN(b.low, 20),
    "donchian_pos_20": position,
    "ret_1": lambda b: ret(b, 1),
    "ret_5": lambda b: ret(b, 5),
    "ret_20": lambda b: ret(b, 20),
    "rv_10": lambda b: realised(b, 10),
    "rv_60": lambda b: realised(b, 60),
    "ewma_vol": ewma,
    "z_price_20": lambda b: z(b.close, 20),
    "z_volume_60": lambda b: z(np.log1p(b.volume), 60),
}
# Differences of near-equal numbers lose digits in any implementation: what is exact there is their size in prices.
ABSOLUTE = {"macd_line": 1e-7, "macd_signal": 1e-7, "macd_hist": 1e-7, "bb_pct_b_20": 1e-9, "z_price_20": 1e-9}


def test_every_feature_of_the_set_has_an_oracle() -> None:
    assert set(ORACLES) == set(CORE20.names)


@pytest.mark.parametrize("name", CORE20.names)
def test_a_feature_agrees_with_its_oracle(name: str, bars: Bars, matrix: FeatureMatrix) -> None:
    expected = ORACLES[name](bars)
    ours = matrix.values[:, CORE20.index(name)]
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=ABSOLUTE.get(name, 0.0), equal_nan=True)


@pytest.mark.parametrize("feature", CORE20.features, ids=lambda f: f.name)
def test_a_feature_has_no_value_before_its_warm_up_and_always_after(feature, matrix: FeatureMatrix) -> None:
    column = matrix.values[:, CORE20.index(feature.name)]
    assert np.isnan(column[: feature.warmup]).all()
    assert np.isfinite(column[feature.warmup :]).all()
