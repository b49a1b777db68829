"""What a council must beat: forecasters of one line each, fitted on the same training range."""

from __future__ import annotations

from typing import Final

import numpy as np

from libs.research.training.dataset import Dataset, Floats, Ints
from libs.research.training.exam import Voice, range_variance
from libs.research.training.manifests import Scaling
from libs.research.training.select import usable_features

FADE: Final = "fade the last bar"
LOGISTIC: Final = "logistic regression"
LOG_HAR: Final = "log-HAR"
MOST_ROWS: Final = 30_000
MIN_ROWS: Final = 500
WINDOWS: Final = (1, 6, 24, 120)
"""Bars over which log-HAR averages the range variance."""


def baselines(data: Dataset, fit: Ints, rows: Ints) -> dict[str, Voice]:
    """Forecasts of `rows` by what was learnt on `fit`, all of which must lie before them; none of too few bars."""
    if len(fit) < MIN_ROWS:
        return {}
    fit = fit[-MOST_ROWS:]
    return {
        FADE: _fade(data, fit, rows),
        LOGISTIC: _logistic(data, fit, rows),
        LOG_HAR: _log_har(data, fit, rows),
    }


def rows_before(data: Dataset, moment_ns: int) -> Ints:
    """Usable rows whose label was known before a moment."""
    known = np.flatnonzero(data.usable)
    ends = data.bars.open_time[data.span_end[known]] + data.interval_s * 1_000_000_000
    return known[ends <= moment_ns]


def _fade(data: Dataset, fit: Ints, rows: Ints) -> Voice:
    """How often the next bar turned, stood still or went on after a bar that moved, mirrored for down and up."""
    last = np.sign(np.nan_to_num(data.returns)).astype(int)
    move = last[fit] != 0
    turned = np.bincount(np.where(last[fit] > 0, data.y3[fit], 2 - data.y3[fit])[move], minlength=3) / max(
        move.sum(), 1
    )
    standing = np.bincount(data.y3[fit], minlength=3) / len(fit)
    by_side = {1: turned, -1: turned[::-1], 0: (standing + standing[::-1]) / 2.0}
    p = np.array([by_side[int(side)] for side in (-1, 0, 1)])[last[rows] + 1]
    return Voice(p, np.ones(len(rows), dtype=bool))


def _logistic(data: Dataset, fit: Ints, rows: Ints) -> Voice:
    from sklearn.linear_model import LogisticRegression

    names = usable_features(data, fit)
    x = data.columns(names)
    scaling = Scaling.of(x[fit])
    model = LogisticRegression(C=0.001, max_iter=300).fit(scaling.apply(x[fit], 5.0), data.y3[fit])
    p = np.zeros((len(rows), 3))
    p[:, model.classes_] = model.predict_proba(scaling.apply(x[rows], 5.0))
    return Voice(p, np.ones(len(rows), dtype=bool))


def _log_har(data: Dataset, fit: Ints, rows: Ints) -> Voice:
    """Least squares of the next bar's log variance on the logs of its means over several windows.

    Corsi 2009, in logs; the level is brought to that of squared returns on the same rows.
    """
    ahead = range_variance(data)
    own = np.concatenate([[np.nan], ahead[:-1]])
    x = np.column_stack([np.ones(len(data)), *(np.log(_mean_of(own, window)) for window in WINDOWS)])
    known = fit[np.isfinite(x[fit]).all(axis=1) & np.isfinite(ahead[fit])]
    nothing = Voice(np.empty((0, 3)), np.zeros(len(rows), dtype=bool), np.full(len(rows), np.nan))
    if len(known) < MIN_ROWS:
        return nothing
    beta = np.linalg.lstsq(x[known], np.log(ahead[known]), rcond=None)[0]
    raw = np.exp(x @ beta)
    level = float((data.next_return[known] ** 2).sum() / raw[known].sum())
    sigma = np.sqrt(level * raw[rows])
    return Voice(np.empty((0, 3)), np.isfinite(sigma), sigma)


def _mean_of(values: Floats, window: int) -> Floats:
    """(T,) mean of the newest `window` known values; NaN where there is none."""
    known = np.isfinite(values)
    total = np.concatenate([np.zeros(1), np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([np.zeros(1), np.cumsum(known)])
    begin = np.maximum(np.arange(len(values)) + 1 - window, 0)
    end = np.arange(len(values)) + 1
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = (total[end] - total[begin]) / (count[end] - count[begin])
    return np.where(mean > 0.0, mean, np.nan)
