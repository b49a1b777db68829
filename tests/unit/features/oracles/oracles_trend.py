"""Trend, momentum and channels against TA-Lib, statsmodels and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib
from numpy.lib.stride_tricks import sliding_window_view
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle


def _lead(width: int, values: Floats) -> Floats:
    return np.concatenate([np.full(width, np.nan), values])


def _prices(columns: Columns) -> tuple[Floats, Floats, Floats]:
    return columns["high"], columns["low"], columns["close"]


@oracle("rsi_flat_{n}", kernel="rsi", by="pandas ewm")
def rsi_flat(columns: Columns, n: int) -> Values:
    moves = pd.Series(columns["close"]).diff().abs().ewm(alpha=1.0 / n).mean()
    return {f"rsi_flat_{n}": (moves.to_numpy() <= 1e-12 * columns["close"]).astype(float)}


@oracle(kernel="stochastic", by="talib.STOCH")
def stochastic(columns: Columns, n: int, smooth: int, signal: int) -> Values:
    lines = talib.STOCH(*_prices(columns), n, smooth, 0, signal, 0)
    return dict(zip((f"stoch_k_{n}", f"stoch_d_{n}"), lines, strict=True))


@oracle(kernel="williams", by="talib.WILLR")
def williams(columns: Columns, n: int) -> Values:
    return {f"willr_{n}": talib.WILLR(*_prices(columns), n)}


@oracle(kernel="roc", by="talib.ROC")
def roc(columns: Columns, n: int) -> Values:
    return {f"roc_{n}": talib.ROC(columns["close"], n)}


@oracle(kernel="momentum", by="pandas ewm")
def momentum(columns: Columns, n: int, decay: float, seed: int) -> Values:
    logs = np.log(columns["close"])
    squares = np.diff(logs) ** 2
    seeded = np.concatenate([[squares[:seed].mean()], squares[seed:]])
    variance = _lead(seed, pd.Series(seeded).ewm(alpha=1.0 - decay, adjust=False).mean().to_numpy())
    return {f"mom_{n}": _lead(n, logs[n:] - logs[:-n]) / np.sqrt(variance * n)}


@oracle(kernel="directional", by="talib.PLUS_DM, talib.MINUS_DM, talib.TRANGE")
def directional(columns: Columns) -> Values:
    high, low, close = _prices(columns)
    return {
        "plus_dm": talib.PLUS_DM(high, low, 1),
        "minus_dm": talib.MINUS_DM(high, low, 1),
        "true_range": talib.TRANGE(high, low, close),
    }


@oracle(kernel="directional_index", by="talib.PLUS_DI, talib.MINUS_DI, talib.DX")
def directional_index(columns: Columns, n: int) -> Values:
    prices = _prices(columns)
    return {
        f"plus_di_{n}": talib.PLUS_DI(*prices, n),
        f"minus_di_{n}": talib.MINUS_DI(*prices, n),
        f"dx_{n}": talib.DX(*prices, n),
    }


@oracle(kernel="adx", by="talib.ADX")
def adx(columns: Columns, n: int) -> Values:
    return {f"adx_{n}": talib.ADX(*_prices(columns), n)}


@oracle(kernel="trend_strength", by="numpy least squares, statsmodels OLS")
def trend_strength(columns: Columns, n: int) -> Values:
    time = add_constant(np.arange(n, dtype=float))
    windows = sliding_window_view(np.log(columns["close"]), n)
    # All windows share one regressor: statsmodels' own inverse of it, applied to every window at once, and its own
    # answer for some of them.
    model = OLS(windows[0], time)
    weights = np.linalg.pinv(time)
    coefficients = windows @ weights.T
    residuals = windows - coefficients @ time.T
    error = np.sqrt((residuals**2).sum(axis=1) / model.df_resid * model.fit().normalized_cov_params[1, 1])
    values = coefficients[:, 1] / error
    for at in range(0, len(windows), 100):
        values[at] = OLS(windows[at], time).fit().tvalues[1]
    return {f"trend_t_{n}": _lead(n - 1, values)}


@oracle(kernel="efficiency", by="pandas rolling")
def efficiency(columns: Columns, n: int) -> Values:
    close = pd.Series(columns["close"])
    return {f"efficiency_{n}": (close.diff(n).abs() / close.diff().abs().rolling(n).sum()).to_numpy()}


@oracle(kernel="breakout", by="talib.MAX, talib.MIN")
def breakout(columns: Columns, n: int) -> Values:
    high, low, close = _prices(columns)
    top, bottom = _lead(1, talib.MAX(high, n)[:-1]), _lead(1, talib.MIN(low, n)[:-1])
    return {f"donchian_break_{n}": np.where(np.isnan(top), np.nan, 1.0 * (close > top) - 1.0 * (close < bottom))}


@oracle(kernel="narrow_range", by="pandas rolling")
def narrow_range(columns: Columns, n: int) -> Values:
    width = pd.Series(columns["high"] - columns["low"])
    before = width.shift().rolling(n - 1).min()
    return {f"nr{n}": np.where(before.isna(), np.nan, 1.0 * (width < before))}
