"""Bands, and volatility of closes and ranges, against TA-Lib and numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib
from numpy.lib.stride_tricks import sliding_window_view

from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle


def _lead(width: int, values: Floats) -> Floats:
    return np.concatenate([np.full(width, np.nan), values])


def _returns(columns: Columns) -> Floats:
    return np.diff(np.log(columns["close"]))


def _sums(values: Floats, n: int) -> Floats:
    """Sum of each window of n, added up anew for each."""
    return sliding_window_view(values, n).sum(axis=1)


@oracle(kernel="keltner", by="talib.EMA, talib.ATR")
def keltner(columns: Columns, n: int, m: int, k: float) -> Values:
    middle = talib.EMA(columns["close"], n)
    band = k * talib.ATR(columns["high"], columns["low"], columns["close"], m)
    return {f"keltner_mid_{n}": middle, f"keltner_upper_{n}": middle + band, f"keltner_lower_{n}": middle - band}


@oracle(kernel="squeeze", by="talib.BBANDS, talib.ATR")
def squeeze(columns: Columns, n: int, k: float, ranges: float) -> Values:
    upper, middle, _ = talib.BBANDS(columns["close"], n, k, k, 0)
    width = talib.ATR(columns["high"], columns["low"], columns["close"], n)
    return {f"squeeze_{n}": np.where(np.isnan(width), np.nan, 1.0 * (upper - middle < ranges * width))}


@oracle("rv_year_{n}", kernel="realised_vol", by="numpy")
def realised_vol_of_a_year(columns: Columns, n: int) -> Values:
    bars_a_year = 365 * 86_400 / columns["interval_s"][0]
    return {f"rv_year_{n}": _lead(n, np.sqrt(_sums(_returns(columns) ** 2, n) * bars_a_year / n))}


@oracle(kernel="bipower", by="numpy")
def bipower(columns: Columns, n: int) -> Values:
    r = _returns(columns)
    variation = np.pi / 2.0 * _sums(np.abs(r[1:]) * np.abs(r[:-1]), n)
    realised = _sums(r**2, n)[1:]
    return {
        f"bipower_{n}": _lead(n + 1, variation),
        f"jump_{n}": _lead(n + 1, np.maximum(0.0, 1.0 - variation / realised)),
    }


@oracle(kernel="vol_ratio", by="numpy")
def vol_ratio(columns: Columns, short: int, long: int) -> Values:
    squares = _returns(columns) ** 2
    quick, calm = np.sqrt(_sums(squares, short) / short), np.sqrt(_sums(squares, long) / long)
    return {f"vol_ratio_{short}_{long}": _lead(long, np.log(quick[long - short :] / calm))}


@oracle(kernel="parkinson", by="formula in numpy")
def parkinson(columns: Columns, n: int) -> Values:
    squares = np.log(columns["high"] / columns["low"]) ** 2
    return {f"parkinson_{n}": _lead(n - 1, np.sqrt(_sums(squares, n) / (4.0 * np.log(2.0) * n)))}


@oracle(kernel="garman_klass", by="formula in pandas")
def garman_klass(columns: Columns, n: int) -> Values:
    spans = pd.Series(np.log(columns["high"] / columns["low"]) ** 2)
    bodies = pd.Series(np.log(columns["close"] / columns["open"]) ** 2)
    terms = (0.5 * spans - (2.0 * np.log(2.0) - 1.0) * bodies).to_numpy()
    return {f"garman_klass_{n}": _lead(n - 1, np.sqrt(np.maximum(_sums(terms, n) / n, 0.0)))}
