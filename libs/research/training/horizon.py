"""Labels of a later bar than the next: rise or fall over N bars, of time or of prints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from libs.research.training.dataset import NEUTRAL, DataProblem, Dataset, next_bar_labels

MOST_BARS = 60
"""The embargo between the parts of a fold, which a label must not reach across."""


def over(data: Dataset, bars: int) -> Dataset:
    """The same bars and features, with the return over the next `bars` bars as what is to be forecast.

    Neutral is within NEUTRAL deviations times the root of `bars`. Rows before a hole or the end have no label.

    Raises:
        DataProblem: a horizon below 1 or beyond the embargo.
    """
    if not 1 <= bars <= MOST_BARS:
        raise DataProblem(f"a horizon of {bars} bars; from 1 to {MOST_BARS} can be learnt without looking across folds")
    n = len(data)
    total = np.full(n, np.nan)
    if n > bars:
        total[: n - bars] = np.lib.stride_tricks.sliding_window_view(data.next_return, bars)[: n - bars].sum(axis=1)
    y3, y2 = next_bar_labels(total, data.sigma * np.sqrt(bars), NEUTRAL)
    return replace(
        data,
        next_return=total,
        sigma=data.sigma * np.sqrt(bars),
        y3=y3,
        y2=y2,
        usable=data.usable & (y3 >= 0),
        span_end=np.minimum(np.arange(n) + bars, n - 1),
    )
