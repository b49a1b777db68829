"""Purged, embargoed walk-forward folds, and the part at the end that is looked at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from libs.research.training.dataset import DataProblem, Dataset, Ints, Mask

HELD_OUT: float = 0.2
"""Share of the data at its end that nothing is fitted, tuned or calibrated on."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows of one fold: fit on `train`, calibrate on `calibrate`, judge on `test`; each ends before the next begins."""

    train: Ints
    calibrate: Ints
    test: Ints


def walk_forward(
    dataset: Dataset, *, blocks: int = 6, embargo: int = 60, first: float = 0.4, calibrate: float = 0.15
) -> list[Fold]:
    """Expanding folds over usable rows: test blocks of equal length after the `first` share of the rows.

    The last `calibrate` share before each test block is the calibration slice. Rows whose label reaches into a later
    part are purged, and `embargo` rows are left out between the parts.

    Raises:
        DataProblem: too few rows for that many blocks.
    """
    n = len(dataset)
    edges = np.linspace(int(n * first), n, blocks + 1).astype(int)
    folds = []
    for begin, end in itertools.pairwise(edges.tolist()):
        middle = int(begin * (1.0 - calibrate))
        folds.append(
            Fold(
                train=purged(dataset, 0, middle, embargo),
                calibrate=purged(dataset, middle, int(begin), embargo),
                test=np.flatnonzero(dataset.usable[begin:end]) + begin,
            )
        )
    if min(min(len(f.train), len(f.calibrate), len(f.test)) for f in folds) < 50:
        raise DataProblem(f"{dataset.symbol}: {n} bars are too few for {blocks} walk-forward blocks")
    return folds


def purged(dataset: Dataset, begin: int, end: int, embargo: int) -> Ints:
    """Usable rows of [begin, end) whose label ends before `end`, less the last `embargo` of them."""
    rows = np.arange(begin, max(begin, end - embargo))
    kept: Mask = dataset.usable[rows] & (dataset.span_end[rows] < end)
    return rows[kept]


def final_split(dataset: Dataset, *, embargo: int = 60, calibrate: float = 0.15) -> Fold:
    """The fold of the model that serves: fitted and calibrated on the first part, the held-out end is the test."""
    begin = int(len(dataset) * (1.0 - HELD_OUT))
    middle = int(begin * (1.0 - calibrate))
    return Fold(
        train=purged(dataset, 0, middle, embargo),
        calibrate=purged(dataset, middle, begin, embargo),
        test=np.flatnonzero(dataset.usable[begin:]) + begin,
    )
