"""How rows are taught to a net: which decide when to stop, and how much each weighs."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.research.training.dataset import DataProblem, Dataset, Ints, uniqueness
from libs.research.training.folds import Fold

MIN_ROWS: Final = 1000
VALIDATION: Final = 0.15
"""Share of the training rows, at their end, that decides when to stop; the calibration slice stays unseen."""

EMBARGO: Final = 60


def sampling_of(fold: Fold, train: Ints) -> str:
    """In words."""
    rows = "all" if len(train) == len(fold.train) else f"newest {len(train)} rows"
    return f"{rows}; the last {VALIDATION:.0%} of them decide when to stop"


def parted(data: Dataset, train: Ints) -> tuple[Ints, Ints]:
    """Rows to fit on and rows, after them and an embargo, to decide on when to stop."""
    cut = int(train[int(len(train) * (1.0 - VALIDATION))])
    return train[(train < cut - EMBARGO) & (data.span_end[train] < cut)], train[train >= cut]


def taught_weights(data: Dataset, rows: Ints) -> NDArray[np.float32]:
    """(T,) 0 but for these rows: each weighs as much as it is unique, falls and rises as much in all.

    Raises:
        DataProblem: they do not hold a fall and a rise.
    """
    y = data.y3[rows]
    if not ((y == 0).any() and (y == 2).any()):
        raise DataProblem(f"{data.symbol}: one class only in the training part; there is nothing to learn")
    each = np.maximum(uniqueness(data.span_end)[rows], 0.0)
    # Which side was more frequent is the past trend, not what comes next.
    sides = each[y == 0].sum(), each[y == 2].sum()
    for side, share in zip((0, 2), sides, strict=True):
        each[y == side] *= sum(sides) / (2.0 * share)
    weight = np.zeros(len(data), dtype=np.float32)
    weight[rows] = each
    return weight
