"""Detectors of drift: ADWIN and Page-Hinkley on a stream of losses, the population stability index on inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS: Final = 10
MOST_FEATURES: Final = 32


class Adwin(msgspec.Struct, array_like=True):
    """A window that drops its older part once that has another mean (Bifet and Gavaldà 2007, ADWIN2).

    Values are kept in buckets of 1, 2, 4, ... of them, at most `MOST_BUCKETS` of a size, so that memory is logarithmic.
    The cut is looked for at every `CLOCK`-th value.
    """

    CLOCK = 32
    MOST_BUCKETS = 5
    SHORTEST = 5
    GRACE = 10

    delta: float = 0.002
    ticks: int = 0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    # Per size, newest bucket first: (sum, squared deviations).
    buckets: list[list[tuple[float, float]]] = msgspec.field(default_factory=lambda: [[]])

    def take(self, value: float) -> float:
        """Add a value; by how much the mean changed when the older part was just dropped, else 0."""
        if self.count:
            self.squares += self.count * (value - self.total / self.count) ** 2 / (self.count + 1)
        self.count += 1
        self.total += value
        self.buckets[0].insert(0, (value, 0.0))
        self._merge()
        self.ticks += 1
        change = 0.0
        if self.ticks % self.CLOCK == 0 and self.count > self.GRACE:
            while (cut := self._cut()) != 0.0:
                change += cut
                self._drop()
        return change

    def _merge(self) -> None:
        for level, row in enumerate(self.buckets):
            if len(row) <= self.MOST_BUCKETS:
                return
            if level + 1 == len(self.buckets):
                self.buckets.append([])
            (sum_b, dev_b), (sum_a, dev_a) = row.pop(), row.pop()
            n = 1 << level
            joined = dev_a + dev_b + (sum_a - sum_b) ** 2 / (2.0 * n)
            self.buckets[level + 1].insert(0, (sum_a + sum_b, joined))

    def _cut(self) -> float:
        """Newer mean less older mean at a split where they differ too much for chance, else 0."""
        old_n, old_sum = 0, 0.0
        variance = self.squares / self.count
        bound = math.log(2.0 * math.log(self.count) / self.delta)
        for level in range(len(self.buckets) - 1, -1, -1):
            for total, _ in reversed(self.buckets[level]):
                old_n += 1 << level
                old_sum += total
                new_n = self.count - old_n
                if new_n < self.SHORTEST:
                    return 0.0
                if old_n < self.SHORTEST:
                    continue
                change = (self.total - old_sum) / new_n - old_sum / old_n
                m = 1.0 / (old_n - self.SHORTEST + 1) + 1.0 / (new_n - self.SHORTEST + 1)
                if abs(change) > math.sqrt(2.0 * m * variance * bound) + 2.0 / 3.0 * bound * m:
                    return change
        return 0.0

    def _drop(self) -> None:
        level = len(self.buckets) - 1
        total, deviations = self.buckets[level].pop()
        n = 1 << level
        self.count -= n
        self.total -= total
        gap = total / n - self.total / self.count
        self.squares -= deviations + n * self.count * gap * gap / (n + self.count)
        self.squares = max(self.squares, 0.0)
        while len(self.buckets) > 1 and not self.buckets[-1]:
            self.buckets.pop()


class PageHinkley(msgspec.Struct, array_like=True):
    """Cumulative excess of values over their running mean plus an allowance (Page 1954, Hinkley 1971): upwards only.

    With values of deviation 1 the excess over its minimum is exponential with mean 1 / (2 x allowance) while nothing
    drifts, so an allowance of 0.1 crosses 50 in about one of 20,000 bars; a rise of 0.3 crosses it in 250.
    """

    allowance: float = 0.1
    threshold: float = 50.0
    fade: float = 0.9999
    shortest: int = 30
    count: int = 0
    mean: float = 0.0
    excess: float = 0.0
    lowest: float = math.inf

    def take(self, value: float) -> float:
        """Add a value; the statistic when it just crossed the threshold (it begins anew then), else 0."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        self.excess = self.fade * self.excess + (value - self.mean - self.allowance)
        self.lowest = min(self.lowest, self.excess)
        statistic = self.excess - self.lowest
        if self.count < self.shortest or statistic <= self.threshold:
            return 0.0
        self.count, self.mean, self.excess, self.lowest = 0, 0.0, 0.0, math.inf
        return statistic


def reference_bins(rows: Floats, names: Sequence[str]) -> dict[str, Any]:
    """What a manifest's `params["psi"]` holds: inner decile edges of the training rows (n, features).

    At most MOST_FEATURES of them, evenly spread over the list; a feature with ties at its deciles is left out.
    """
    kept_names, edges = [], []
    for j in np.unique(np.linspace(0, len(names) - 1, MOST_FEATURES).astype(int)).tolist() if len(names) else []:
        column = rows[:, j]
        column = column[np.isfinite(column)]
        if len(column) < 20 * BINS:
            continue
        inner = np.quantile(column, np.arange(1, BINS) / BINS)
        if (np.diff(inner) > 0.0).all():
            kept_names.append(names[j])
            edges.append([float(edge) for edge in inner])
    return {"names": kept_names, "edges": edges, "rows": len(rows)}


class Stability:
    """The population stability index of inputs against the training rows, once every so many bars.

    PSI = sum over bins of (live - training) ln(live / training), half a count added to each bin. While nothing drifted
    its mean is about (bins - 1)(1 / n + 1 / N) (Yurdakul 2018), which is taken off. The median over the features is
    told: single features come and go with the market.
    """

    def __init__(self, names: Sequence[str], reference: dict[str, Any]) -> None:
        """`names`: of the features of a row; `reference`: as `reference_bins` makes it. Raises ValueError."""
        try:
            positions = [list(names).index(name) for name in reference["names"]]
            self._edges = np.array(reference["edges"], dtype=np.float64).reshape(len(positions), BINS - 1)
            self._rows = max(int(reference["rows"]), 1)
        except (KeyError, TypeError, ValueError) as err:
            raise ValueError(f"its reference of inputs cannot be read: {err}") from None
        self._columns = np.array(positions, dtype=np.intp)
        self._at = np.arange(len(positions))
        self.counts = np.zeros((len(positions), BINS), dtype=np.int64)
        self.bars = 0

    def take(self, row: Floats, length: int) -> float | None:
        """Count a row of features; the index when `length` bars are full, which begins the next count."""
        if not len(self._columns):
            return None
        values = row[self._columns]
        known = np.isfinite(values)
        bins = (values[:, np.newaxis] > self._edges).sum(axis=1)
        self.counts[self._at[known], bins[known]] += 1
        self.bars += 1
        if self.bars < length:
            return None
        index = self._index()
        self.counts[:] = 0
        self.bars = 0
        return index

    def _index(self) -> float:
        n = self.counts.sum(axis=1)
        known = n > 0
        if not known.any():
            return 0.0
        share = (self.counts[known] + 0.5) / (n[known] + 0.5 * BINS)[:, np.newaxis]
        index = ((share - 1.0 / BINS) * np.log(share * BINS)).sum(axis=1)
        chance = (BINS - 1) * (1.0 / n[known] + 1.0 / self._rows)
        return float(max(0.0, np.median(index - chance)))

    def snapshot(self) -> bytes:
        """Its counts."""
        return msgspec.msgpack.encode((self.bars, self.counts.astype("<i8").tobytes()))

    def restore(self, snapshot: bytes) -> None:
        """Take up counts. Raises ValueError when they are of another reference."""
        self.bars, counts = msgspec.msgpack.decode(snapshot, type=tuple[int, bytes])
        self.counts = np.frombuffer(counts, dtype="<i8").astype(np.int64).reshape(self.counts.shape)
