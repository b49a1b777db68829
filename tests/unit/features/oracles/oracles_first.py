"""Averages, momentum, bands, volatility and scores against TA-Lib and plain numpy."""

from __future__ import annotations

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle


def lead(width: int, values: Floats) -> Floats:
    """`values` behind `width` bars without one."""
    return np.concatenate([np.full(width, np.nan), values])


def log_returns(columns: Columns) -> Floats:
    return np.diff(np.log(columns["close"]))


@oracle(kernel="sma", by="talib.SMA")
def sma(columns: Columns, n: int) -> Values:
    return {f"sma_{n}": talib.SMA(columns["close"], n)}


@oracle(kernel="ema", by="talib.EMA")
def ema(columns: Columns, n: int) -> Values:
    return {f"ema_{n}": talib.EMA(columns["close"], n)}


@oracle(kernel="macd", by="talib.MACD")
def macd(columns: Columns, fast: int, slow: int, signal: int) -> Values:
    lines = talib.MACD(columns["close"], fast, slow, signal)
    return dict(zip(("macd_line", "macd_signal", "macd_hist"), lines, strict=True))


@oracle("rsi_{n}", kernel="rsi", by="talib.RSI")
def rsi(columns: Columns, n: int) -> Values:
    return {f"rsi_{n}": talib.RSI(columns["close"], n)}


@oracle(kernel="log_return", by="numpy")
def log_return(columns: Columns, n: int) -> Values:
    close = columns["close"]
    return {f"ret_{n}": lead(n, np.log(close[n:] / close[:-n]))}


@oracle("bb_mid_{n}", "bb_upper_{n}", "bb_lower_{n}", kernel="bollinger", by="talib.BBANDS")
def bollinger_bands(columns: Columns, n: int, k: float) -> Values:
    upper, middle, lower = talib.BBANDS(columns["close"], n, k, k, 0)
    return {f"bb_mid_{n}": middle, f"bb_upper_{n}": upper, f"bb_lower_{n}": lower}


# TA-Lib's deviation comes from sums of squares, whose cancellation shows in narrow bands: windows of numpy do not.
@oracle("bb_pct_b_{n}", "bb_width_{n}", kernel="bollinger", by="numpy windows")
def bollinger_shares(columns: Columns, n: int, k: float) -> Values:
    windows = sliding_window_view(columns["close"], n)
    middle, band = windows.mean(axis=1), k * windows.std(axis=1)
    share = (columns["close"][n - 1 :] - middle + band) / (2.0 * band)
    return {f"bb_pct_b_{n}": lead(n - 1, share), f"bb_width_{n}": lead(n - 1, 2.0 * band / middle)}


@oracle(kernel="donchian", by="talib.MAX, talib.MIN")
def donchian(columns: Columns, n: int) -> Values:
    top, bottom = talib.MAX(columns["high"], n), talib.MIN(columns["low"], n)
    return {
        f"donchian_high_{n}": top,
        f"donchian_low_{n}": bottom,
        f"donchian_pos_{n}": (columns["close"] - bottom) / (top - bottom),
    }


@oracle(kernel="atr", by="talib.ATR, talib.NATR")
def atr(columns: Columns, n: int) -> Values:
    prices = columns["high"], columns["low"], columns["close"]
    return {f"atr_{n}": talib.ATR(*prices, n), f"natr_{n}": talib.NATR(*prices, n)}


@oracle("rv_{n}", kernel="realised_vol", by="numpy")
def realised_vol(columns: Columns, n: int) -> Values:
    return {f"rv_{n}": lead(n, np.sqrt(sliding_window_view(log_returns(columns) ** 2, n).sum(axis=1)))}


@oracle(kernel="ewma_vol", by="recursion in Python")
def ewma_vol(columns: Columns, decay: float, seed: int) -> Values:
    r = log_returns(columns)
    value = float(np.mean(r[:seed] ** 2))
    made = []
    for x in r[seed:]:
        value = decay * value + (1.0 - decay) * x * x
        made.append(value**0.5)
    return {"ewma_vol": lead(seed + 1, np.array(made))}


def _scores(values: Floats, n: int) -> Floats:
    windows = sliding_window_view(values, n)
    return lead(n - 1, (values[n - 1 :] - windows.mean(axis=1)) / windows.std(axis=1, ddof=1))


@oracle(kernel="z_price", by="numpy windows")
def z_price(columns: Columns, n: int) -> Values:
    return {f"z_price_{n}": _scores(columns["close"], n)}


@oracle(kernel="z_volume", by="numpy windows")
def z_volume(columns: Columns, n: int) -> Values:
    return {f"z_volume_{n}": _scores(np.log1p(columns["volume"]), n)}
