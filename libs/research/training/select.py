"""Which features a model reads: decided on its training rows alone."""

from __future__ import annotations

import numpy as np

from libs.core.features.sets import FULL
from libs.research.training.dataset import DataProblem, Dataset, Ints, stationary

MOST_MISSING = 0.2
"""A feature that lacks a value in more of the training rows than this is left out."""

SAMPLE = 20_000


def usable_features(data: Dataset, train: Ints) -> tuple[str, ...]:
    """Names of the level-free features that bars alone give, that vary, and that are nearly always there.

    Raises:
        DataProblem: there are none.
    """
    candidates = [name for name in stationary(FULL) if name in set(data.names)]
    rows = data.columns(candidates)[train[:: max(1, len(train) // SAMPLE)]]
    known = np.isfinite(rows)
    with np.errstate(invalid="ignore"):
        top = np.where(known, rows, -np.inf).max(axis=0)
        bottom = np.where(known, rows, np.inf).min(axis=0)
    kept = (known.mean(axis=0) >= 1.0 - MOST_MISSING) & (top > bottom)
    names = tuple(name for name, keep in zip(candidates, kept, strict=True) if keep)
    if not names:
        raise DataProblem(f"{data.symbol}: no feature varies over the training part")
    return names


def strongest(data: Dataset, train: Ints, names: tuple[str, ...], most: int) -> tuple[str, ...]:
    """At most `most` of these features, in their order: those that tell most of the next bar's class.

    Judged by the F statistic of the class means on the training rows; of two features correlated above 0.95 the
    weaker one is left out.
    """
    rows = train[:: max(1, len(train) // SAMPLE)]
    x = data.columns(names)[rows]
    x = np.where(np.isfinite(x), x, np.nanmean(np.where(np.isfinite(x), x, np.nan), axis=0))
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    z = np.clip(z, -5.0, 5.0)
    y = data.y3[rows]
    between = sum(np.count_nonzero(y == k) * z[y == k].mean(axis=0) ** 2 for k in np.unique(y))
    order = np.argsort(-np.asarray(between), kind="stable")
    chosen: list[int] = []
    for i in order:
        if len(chosen) == most:
            break
        near = [abs(float(z[:, i] @ z[:, j])) / len(z) for j in chosen]
        if all(r < 0.95 for r in near):
            chosen.append(int(i))
    return tuple(names[i] for i in sorted(chosen))
