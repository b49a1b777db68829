"""Forecasts of volatility: GARCH against arch at the same parameters, HAR against least squares of statsmodels."""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
from arch.univariate import GARCH

from libs.core.features import garch_likelihood as likelihood
from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle


def fits(columns: Columns, first: int, every: int, phase: int) -> list[tuple[int, int]]:
    """Bars at which a model is fitted, each with the bar before the next fit."""
    numbers = columns["open_time"] // (columns["interval_s"] * 1_000_000_000)
    at = [first, *(int(i) for i in np.flatnonzero(numbers % every == phase) if i > first)]
    return list(zip(at, [*(i - 1 for i in at[1:]), len(numbers) - 1], strict=True))


def returns(columns: Columns) -> Floats:
    """The return of each bar, in the order of the bars; none at bar 0."""
    return np.concatenate([[np.nan], np.diff(np.log(columns["close"]))])


@oracle(kernel="garch", by="arch GARCH.compute_variance at the same parameters")
def garch(columns: Columns, n: int) -> Values:
    r, process, wide = returns(columns), GARCH(), np.array([0.0, 1e9])
    forecast = np.full(len(r), np.nan)
    slots = np.zeros(likelihood.FIT_SLOTS)
    day = min(max(86_400 // int(columns["interval_s"][0]), 24), 1440)
    for start, end in fits(columns, n, day, 0):
        window = np.ascontiguousarray(r[start - n + 1 : start + 1])
        assert likelihood.fit(window, 0, n, slots, 1e-10)
        errors = np.append(r[start - n + 1 : end + 1] - slots[likelihood.MU], 0.0)
        variance = np.zeros(len(errors))
        process.compute_variance(
            slots[[likelihood.OMEGA, likelihood.ALPHA, likelihood.BETA]],
            errors,
            variance,
            float(np.mean(errors[:n] ** 2)),
            np.tile(wide, (len(errors), 1)),
        )
        forecast[start : end + 1] = np.sqrt(variance[n:])
    return {"garch_vol": forecast}


@oracle(kernel="har", by="statsmodels OLS, its prior as further rows")
def har(columns: Columns, n: int, rows: int, weight: float) -> Values:
    total = np.concatenate([[0.0], np.cumsum(returns(columns)[1:] ** 2)])
    spans = (n, 7 * n, 30 * n)
    means = np.full((len(total), 3), np.nan)
    for k, span in enumerate(spans):
        means[span:, k] = (total[span:] - total[:-span]) * n / span
    logs = np.log(np.maximum(means, 1e-4 * means[:, 2:]))
    forecast = np.full(len(total), np.nan)
    for start, end in fits(columns, 31 * n + rows - 1, 60, 30):
        pairs = np.arange(start - n - rows + 1, start - n + 1)
        target, middle = logs[pairs + n, 0], logs[pairs].mean(axis=0)
        known = logs[pairs] - middle
        pull = np.sqrt(weight * n / rows * (known**2).sum() / 3)
        inputs = np.vstack([sm.add_constant(known), np.column_stack([np.zeros(3), pull * np.eye(3)])])
        model = sm.OLS(np.append(target, pull * np.array([0.4, 0.3, 0.2])), inputs).fit()
        now = np.arange(start, end + 1)
        level = model.predict(sm.add_constant(logs[now] - middle, has_constant="add"))
        level += np.log(np.exp(model.resid[:rows]).mean())
        forecast[now] = np.exp(np.clip(level, target.min(), target.max()) / 2)
    return {f"har_vol_{n}": forecast}
