"""Volume, profile and what trading costs, against TA-Lib, pandas, statsmodels and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import talib
from numpy.lib.stride_tricks import sliding_window_view
from statsmodels.regression.rolling import RollingOLS

from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle

DAY_NS = 86_400 * 1_000_000_000


def _lead(width: int, values: Floats) -> Floats:
    return np.concatenate([np.full(width, np.nan), values])


def _typical(columns: Columns) -> pd.Series:
    return pd.Series((columns["high"] + columns["low"] + columns["close"]) / 3.0)


@oracle(kernel="vwap_session", by="pandas groupby cumsum")
def vwap_session(columns: Columns) -> Values:
    volume, day = pd.Series(columns["volume"]), columns["open_time"] // DAY_NS
    money = _typical(columns) * volume
    return {"vwap_session": (money.groupby(day).cumsum() / volume.groupby(day).cumsum()).to_numpy()}


@oracle(kernel="vwap", by="pandas rolling")
def vwap(columns: Columns, n: int) -> Values:
    volume = pd.Series(columns["volume"])
    money = _typical(columns) * volume
    return {f"vwap_{n}": (money.rolling(n).sum() / volume.rolling(n).sum()).to_numpy()}


@oracle(kernel="obv", by="talib.OBV")
def obv(columns: Columns) -> Values:
    return {"obv": talib.OBV(columns["close"], columns["volume"])}


@oracle(kernel="obv_slope", by="talib.OBV, numpy.polyfit")
def obv_slope(columns: Columns, n: int) -> Values:
    levels = sliding_window_view(talib.OBV(columns["close"], columns["volume"]), n)
    slopes = np.polyfit(np.arange(n), (levels - levels[:, :1]).T, 1)[0]
    return {f"obv_slope_{n}": _lead(n - 1, slopes / sliding_window_view(columns["volume"], n).sum(axis=1))}


@oracle(kernel="ad_line", by="talib.AD")
def ad_line(columns: Columns) -> Values:
    return {"ad_line": talib.AD(columns["high"], columns["low"], columns["close"], columns["volume"])}


@oracle(kernel="delta_proxy", by="formula in numpy")
def delta_proxy(columns: Columns) -> Values:
    high, low, close = columns["high"], columns["low"], columns["close"]
    return {"delta_proxy": ((close - low) - (high - close)) / (high - low) * columns["volume"]}


@oracle(kernel="cumulative_delta", by="numpy cumsum")
def cumulative_delta(columns: Columns) -> Values:
    return {"cum_delta": np.cumsum(columns["buy_volume"] - columns["sell_volume"])}


@oracle(kernel="volume_profile", by="brute force over the whole window at each bar")
def volume_profile(columns: Columns, n: int, bins: int, share: float) -> Values:
    count = len(columns["close"])
    highs, lows, volumes = np.log(columns["high"]), np.log(columns["low"]), columns["volume"]
    found = np.full((3, count), np.nan)
    for i in range(n - 1, count):
        part = slice(i - n + 1, i + 1)
        floor, ceiling = lows[part].min(), highs[part].max()
        scale = bins / (ceiling - floor)
        first = np.clip(((lows[part] - floor) * scale).astype(int), 0, bins - 1)
        last = np.clip(((highs[part] - floor) * scale).astype(int), 0, bins - 1)
        each = volumes[part] / (last - first + 1)
        steps = np.bincount(first, each, bins + 1) - np.bincount(last + 1, each, bins + 1)
        profile = np.cumsum(steps)[:bins]
        # Bins through which the same bars went are equal but for rounding: the lowest of them is meant.
        point = int(np.flatnonzero(profile >= profile.max() * (1.0 - 1e-9))[0])
        wanted = share * profile.sum()
        below = np.concatenate([[0.0], np.cumsum(profile)])
        begins, ends = np.meshgrid(np.arange(point + 1), np.arange(point, bins), indexing="ij")
        held = below[ends + 1] - below[begins]
        enough = held >= wanted * (1.0 - 1e-12)
        shortest = enough & (ends - begins == (ends - begins)[enough].min())
        fullest = shortest & (held >= held[shortest].max() * (1.0 - 1e-12))
        begin, end = begins[fullest][0], ends[fullest][0]
        edges = floor + np.array([point + 0.5, begin, end + 1.0]) / scale
        found[:, i] = np.exp(edges)
    return dict(zip((f"vp_poc_{n}", f"vp_low_{n}", f"vp_high_{n}"), found, strict=True))


@oracle(kernel="amihud", by="pandas rolling")
def amihud(columns: Columns, n: int) -> Values:
    returns = pd.Series(np.log(columns["close"])).diff().abs()
    money = pd.Series(columns["close"] * columns["volume"])
    return {f"amihud_{n}": (1e6 * (returns / money.where(money > 0.0)).rolling(n).mean()).to_numpy()}


@oracle(kernel="kyle", by="statsmodels RollingOLS without constant")
def kyle(columns: Columns, n: int) -> Values:
    model = RollingOLS(columns["mid_change"], columns["signed_volume"][:, None], window=n)
    return {f"kyle_{n}": model.fit(params_only=True).params[:, 0]}


@oracle(kernel="roll", by="numpy.cov")
def roll(columns: Columns, n: int) -> Values:
    changes = np.diff(columns["close"])
    pairs = zip(sliding_window_view(changes[1:], n), sliding_window_view(changes[:-1], n), strict=True)
    covariance = np.array([np.cov(now, before, ddof=1)[0, 1] for now, before in pairs])
    return {
        f"roll_{n}": _lead(n + 1, 2.0 * np.sqrt(np.maximum(-covariance, 0.0))),
        f"roll_flag_{n}": _lead(n + 1, 1.0 * (covariance >= 0.0)),
    }


@oracle(kernel="corwin_schultz", by="formula in numpy")
def corwin_schultz(columns: Columns) -> Values:
    high, low = columns["high"], columns["low"]
    single = np.log(high / low) ** 2
    beta = single[1:] + single[:-1]
    gamma = np.log(np.maximum(high[1:], high[:-1]) / np.minimum(low[1:], low[:-1])) ** 2
    base = 3.0 - 2.0 * np.sqrt(2.0)
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / base - np.sqrt(gamma / base)
    spread = 2.0 * (np.exp(alpha) - 1.0) / (1.0 + np.exp(alpha))
    return {"corwin_schultz": _lead(1, np.maximum(spread, 0.0))}
