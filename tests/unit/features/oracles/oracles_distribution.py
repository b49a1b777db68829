"""Shape, order and dependence of returns against pandas, scipy and statsmodels; the Hurst exponents against numpy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats
from statsmodels.tsa.stattools import acf, pacf

from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle

SAMPLED = "asked at every 8th bar: it takes its time"


def returns(columns: Columns) -> Floats:
    return np.diff(np.log(columns["close"]))


def lead(width: int, values: Floats) -> Floats:
    """`values` behind `width` bars without one."""
    return np.concatenate([np.full(width, np.nan), values])


def windows(columns: Columns, n: int) -> Floats:
    """The last n returns of every bar that has them; the first of these bars is bar n."""
    return sliding_window_view(returns(columns), n)


@oracle("ret_mean_{n}", "ret_std_{n}", kernel="moments", by="pandas rolling")
def mean_and_deviation(columns: Columns, n: int) -> Values:
    rolling = pd.Series(lead(1, returns(columns))).rolling(n)
    return {f"ret_mean_{n}": rolling.mean().to_numpy(), f"ret_std_{n}": rolling.std().to_numpy()}


@oracle("skew_{n}", "kurt_{n}", kernel="moments", by="scipy.stats, bias=False")
def shape(columns: Columns, n: int) -> Values:
    each = windows(columns, n)
    return {
        f"skew_{n}": lead(n, stats.skew(each, axis=1, bias=False)),
        f"kurt_{n}": lead(n, stats.kurtosis(each, axis=1, bias=False)),
    }


@oracle(kernel="sign_entropy", by="scipy.stats.entropy")
def sign_entropy(columns: Columns, n: int) -> Values:
    signs = np.sign(windows(columns, n))
    counts = np.stack([(signs == sign).sum(axis=1) for sign in (-1, 0, 1)])
    return {f"sign_entropy_{n}": lead(n, stats.entropy(counts, base=2, axis=0))}


@oracle(
    "ret_q10_{n}", "ret_q25_{n}", "ret_q50_{n}", "ret_q75_{n}", "ret_q90_{n}", kernel="quantiles", by="numpy.quantile"
)
def quantiles(columns: Columns, n: int) -> Values:
    shares = (10, 25, 50, 75, 90)
    values = np.quantile(windows(columns, n), [share / 100 for share in shares], axis=1)
    return {f"ret_q{share}_{n}": lead(n, line) for share, line in zip(shares, values, strict=True)}


@oracle("ret_rank_{n}", kernel="quantiles", by="scipy.stats.percentileofscore")
def rank(columns: Columns, n: int) -> Values:
    shares = [stats.percentileofscore(each[:-1], each[-1], kind="mean") / 100 for each in windows(columns, n)]
    return {f"ret_rank_{n}": lead(n, np.array(shares))}


@oracle(kernel="autocorrelation", by="statsmodels acf, pacf(ywm)", absent=0.88, reason=SAMPLED)
def autocorrelation(columns: Columns, n: int) -> Values:
    each = windows(columns, n)[::8]
    lines = np.full((20, len(columns["close"])), np.nan)
    for k, window in enumerate(each):
        lines[:10, n + 8 * k] = acf(window, nlags=10, fft=False, adjusted=False)[1:]
        lines[10:, n + 8 * k] = pacf(window, nlags=10, method="ywm")[1:] if n > 20 else _pacf(window)
    names = [f"{which}_{lag}_{n}" for which in ("acf", "pacf") for lag in range(1, 11)]
    return dict(zip(names, lines, strict=True))


def _pacf(window: Floats) -> Floats:
    """statsmodels refuses as many lags as half the window: the last coefficient of each order's Yule-Walker system."""
    rho = acf(window, nlags=10, fft=False, adjusted=False)
    orders = [np.array([[rho[abs(a - b)] for a in range(k)] for b in range(k)]) for k in range(1, 11)]
    return np.array([np.linalg.solve(system, rho[1 : len(system) + 1])[-1] for system in orders])


@oracle(kernel="hurst_vt", by="numpy.var, numpy.polyfit")
def hurst_variance(columns: Columns) -> Values:
    price, spans = np.log(columns["close"]), (1, 2, 4, 8, 16)
    logs = []
    for k in spans:
        changes = sliding_window_view(price[k:] - price[:-k], 257 - k)
        logs.append(np.log(changes.var(axis=1, ddof=1)))
    slopes = np.polyfit(np.log(spans), np.array(logs), 1)[0]
    return {"hurst_vt": lead(256, slopes / 2)}


@oracle(kernel="hurst_rs", by="numpy.polyfit on scipy.special.gamma")
def hurst_rescaled(columns: Columns) -> Values:
    each, blocks = windows(columns, 256), np.array([8, 16, 32, 64, 128])
    logs = []
    for n in blocks:
        block = each.reshape(len(each), 256 // n, n)
        level = np.cumsum(block - block.mean(axis=2, keepdims=True), axis=2)
        spread = np.maximum(level.max(axis=2), 0) - np.minimum(level.min(axis=2), 0)
        expected = math.gamma((n - 1) / 2) / math.gamma(n / 2) / math.sqrt(math.pi)
        expected *= sum(math.sqrt((n - r) / r) for r in range(1, n))
        logs.append(np.log((spread / block.std(axis=2)).mean(axis=1)) - np.log(expected))
    every_bar = 0.5 + np.polyfit(np.log(blocks), np.array(logs), 1)[0]
    # It is made anew at the first bar and at bars whose number is a multiple of 16, and stands in between.
    bars = np.arange(256, len(columns["close"]))
    numbers = columns["open_time"][256:] // (columns["interval_s"][256:] * 1_000_000_000)
    made = np.maximum(bars - numbers % 16, 256)
    return {"hurst_rs": lead(256, every_bar[made - 256])}
