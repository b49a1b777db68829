"""Sharpe ratio, drawdown and the clock against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.unit.features.oracles.registry import Columns, Values, oracle


@oracle(kernel="sharpe", by="pandas rolling")
def sharpe(columns: Columns, n: int) -> Values:
    rolling = pd.Series(np.log(columns["close"])).diff().rolling(n)
    year = 365 * 86_400 / columns["interval_s"][0]
    return {f"sharpe_{n}": (rolling.mean() / rolling.std() * np.sqrt(year)).to_numpy()}


@oracle(kernel="drawdown", by="pandas rolling max")
def drawdown(columns: Columns, n: int) -> Values:
    close = pd.Series(columns["close"])
    return {f"drawdown_{n}": (1.0 - close / close.rolling(n).max()).to_numpy()}


@oracle(kernel="calendar", by="pandas.Timestamp")
def calendar(columns: Columns) -> Values:
    close = pd.to_datetime(columns["open_time"] + columns["interval_s"] * 1_000_000_000, unit="ns", utc=True)
    hour = 2 * np.pi * (close - close.normalize()).total_seconds() / 86_400
    weekday = 2 * np.pi * close.day_of_week / 7
    return {
        "hour_sin": np.sin(hour).to_numpy(),
        "hour_cos": np.cos(hour).to_numpy(),
        "weekday_sin": np.sin(weekday).to_numpy(),
        "weekday_cos": np.cos(weekday).to_numpy(),
        "weekend": np.asarray(close.day_name().isin(["Saturday", "Sunday"]), dtype=np.float64),
        "funding_minutes": ((close.ceil("8h") - close).total_seconds() / 60).to_numpy(),
    }
