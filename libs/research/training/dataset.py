"""Bars into what is learnt from: features, labels of the bar that follows, and which rows may be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.core.bars.sessions import usual_calendar
from libs.core.features import FeatureSet
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.grid import grid_of
from libs.core.types import SECOND, Nanos

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

NEUTRAL: float = 0.43
"""Half width of the neutral class in EWMA deviations: a normal return falls into each class a third of the time."""

NO_LABEL: int = -1
LEVEL_UNITS = frozenset({"quote currency", "base units"})
"""Units that carry a price or volume level: what was learnt at one level does not hold at another."""


class DataProblem(ValueError):
    """Data from which nothing can be learnt; one line for people."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Consecutive bars of one series with features and labels, row t about what follows bar t.

    Attributes:
        bars: the columns; volume in base units.
        names: features in the order of `x` (T, F); NaN where a feature has no value.
        returns: (T,) log return of each bar on the bar before; NaN for the first and after a hole.
        next_return: (T,) log return of the bar after; NaN for the last, before a hole, and where the next is flagged.
        sigma: (T,) EWMA deviation known at bar t.
        y3: (T,) 0 down, 1 neutral, 2 up, NO_LABEL. y2: (T,) 0 down, 1 up, NO_LABEL for ties.
        usable: (T,) past the warm-up, labelled, and not flagged.
        span_end: (T,) index of the last bar that the label looks at; purging goes by it.
    """

    venue: str
    symbol: str
    interval_s: int
    bars: Bars
    set_hash: str
    names: tuple[str, ...]
    x: Floats
    returns: Floats
    next_return: Floats
    sigma: Floats
    y3: Ints
    y2: Ints
    usable: Mask
    span_end: Ints

    def __len__(self) -> int:
        return len(self.x)

    @property
    def ohlcv(self) -> Floats:
        """(T, 5) open, high, low, close, volume."""
        bars = self.bars
        return np.column_stack([bars.open, bars.high, bars.low, bars.close, bars.volume])

    def end_of(self, row: int) -> Nanos:
        """When bar `row` was known, ns UTC."""
        return int(self.bars.open_time[row]) + self.interval_s * SECOND

    def hash_of(self, rows: slice) -> str:
        """SHA-256 of the bars of these rows."""
        digest = hashlib.sha256()
        for column in (self.bars.open_time, *self.ohlcv.T):
            digest.update(np.ascontiguousarray(column[rows]).tobytes())
        return digest.hexdigest()

    def columns(self, names: Sequence[str]) -> Floats:
        """(T, len(names)) of x. Raises KeyError for a feature that is not there."""
        index = {name: i for i, name in enumerate(self.names)}
        return self.x[:, [index[name] for name in names]]


def stationary(features: FeatureSet) -> tuple[str, ...]:
    """Names of the features that bars alone give and that carry no level of price or volume."""
    return tuple(f.name for f in features.features if not f.needs and f.unit not in LEVEL_UNITS and f.memory >= 0)


def make_dataset(
    venue: str,
    symbol: str,
    interval_s: int,
    bars: Bars,
    features: FeatureSet,
    *,
    flagged: Mask | None = None,
    extras: Floats | None = None,
    neutral: float = NEUTRAL,
) -> Dataset:
    """Features and next-bar labels of these bars.

    `flagged`: bars with missing or refilled data, which nothing is learnt from (see `bars.quality.trainable`).

    Raises:
        DataProblem: too few bars, or a price that never moves.
    """
    if len(bars) < features.warmup + 200:
        raise DataProblem(
            f"{symbol}: {len(bars)} bars are too few; the features alone need {features.warmup}, then at least 200"
        )
    if len(np.unique(bars.close[-200:])) < 3:
        raise DataProblem(f"{symbol}: the price does not move; there is nothing to learn")
    matrix = FeatureEngine(venue, symbol, interval_s, features).batch(bars, extras)
    returns = np.full(len(bars), np.nan)
    returns[1:] = np.diff(np.log(bars.close))
    numbers, _, _ = grid_of(usual_calendar(venue, symbol), interval_s).places(bars.open_time)
    returns[1:][np.diff(numbers) != 1] = np.nan
    if flagged is not None:
        returns[flagged] = np.nan
    following = np.full(len(bars), np.nan)
    following[:-1] = returns[1:]
    sigma = matrix.values[:, features.index("ewma_vol")].copy()
    y3, y2 = next_bar_labels(following, sigma, neutral)
    warm = np.arange(len(bars)) >= features.warmup
    usable = warm & matrix.taken & (y3 != NO_LABEL)
    if flagged is not None:
        usable &= ~flagged
    if not usable.any():
        raise DataProblem(
            f"{symbol}: no bar is past the warm-up with a next bar that moves; more or other data is needed"
        )
    return Dataset(
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        bars=bars,
        set_hash=features.hash,
        names=features.names,
        x=matrix.values,
        returns=returns,
        next_return=following,
        sigma=sigma,
        y3=y3,
        y2=y2,
        usable=usable,
        span_end=np.minimum(np.arange(len(bars)) + 1, len(bars) - 1),
    )


def next_bar_labels(following: Floats, sigma: Floats, neutral: float = NEUTRAL) -> tuple[Ints, Ints]:
    """Three classes (neutral: within `neutral` deviations) and two (ties dropped) of the next return."""
    known = np.isfinite(following) & np.isfinite(sigma) & (sigma > 0.0)
    y3 = np.full(len(following), NO_LABEL, dtype=np.int64)
    edge = neutral * sigma
    with np.errstate(invalid="ignore"):
        y3[known] = np.where(following > edge, 2, np.where(following < -edge, 0, 1))[known]
    y2 = np.full(len(following), NO_LABEL, dtype=np.int64)
    moved = known & (following != 0.0)
    y2[moved] = (following[moved] > 0.0).astype(np.int64)
    return y3, y2


def triple_barrier_labels(
    bars: Bars, sigma: Floats, horizon: int, up: float = 1.0, down: float = 1.0
) -> tuple[Ints, Ints]:
    """First touch of close (1 + up sigma), close (1 - down sigma) or `horizon` bars: 2, 0 or 1, and the bar of it.

    Highs and lows decide; an open beyond a barrier touches it; both barriers inside one bar count as the adverse one,
    for a position in the direction of the bar's move so far. López de Prado 2018, chapter 3.
    """
    n = len(bars)
    labels = np.full(n, NO_LABEL, dtype=np.int64)
    ends = np.minimum(np.arange(n) + horizon, n - 1)
    for t in range(n - 1):
        if not sigma[t] > 0.0:
            continue
        upper, lower = bars.close[t] * (1.0 + up * sigma[t]), bars.close[t] * (1.0 - down * sigma[t])
        stop = t + horizon
        for k in range(t + 1, min(stop, n - 1) + 1):
            high, low = bars.high[k] >= upper, bars.low[k] <= lower
            if high or low:
                adverse = 0 if bars.close[k - 1] >= bars.close[t] else 2
                labels[t] = adverse if high and low else 2 if high else 0
                ends[t] = k
                break
        else:
            if stop < n:
                labels[t] = 1
    return labels, ends


def uniqueness(span_end: Ints) -> Floats:
    """Average uniqueness of each label: mean over its span of 1 / labels alive. López de Prado 2018, chapter 4."""
    n = len(span_end)
    start = np.arange(n) + 1
    alive = np.zeros(n + 2)
    np.add.at(alive, np.minimum(start, n), 1.0)
    np.add.at(alive, np.minimum(span_end + 1, n + 1), -1.0)
    concurrency = np.maximum(np.cumsum(alive)[: n + 1], 1.0)
    total = np.concatenate([[0.0], np.cumsum(1.0 / concurrency)])
    length = np.maximum(span_end - start + 1, 1)
    weights: Floats = (total[span_end + 1] - total[np.minimum(start, n)]) / length
    return weights
