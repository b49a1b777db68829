"""Features under attack: one subject per kernel, alone in its engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from libs.core.features.catalogue import FeatureSet
from libs.core.features.engine import FeatureEngine
from libs.core.features.sets import make_set
from libs.core.types import SECOND, Bar
from libs.research.leak.attack import Value
from libs.research.leak.series import History

Floats = NDArray[np.float64]

VENUE, SYMBOL = "binance", "BTCUSDT"


class FeatureSubject:
    """The features of a set as a subject of the attack."""

    def __init__(self, features: FeatureSet) -> None:
        """Raises ValueError when a kernel is not loaded or does not compile."""
        self.name = features.name
        self.values = tuple(
            Value(
                name=feature.name,
                memory=feature.memory,
                warmup=feature.warmup,
                low=feature.low,
                high=feature.high,
                fed=bool(feature.needs),
            )
            for feature in features.features
        )
        self._features = features

    def rows(self, history: History) -> Floats:
        """The batch."""
        return self._engine(history).batch(history.bars, history.extras).values

    def steps(self, history: History, restarts: Sequence[int]) -> Floats:
        """The stream."""
        engine = self._engine(history)
        again = set(restarts)
        rows = np.full((len(history), len(self.values)), np.nan)
        extras = np.ascontiguousarray(history.extras.T)
        for i, bar in enumerate(bars_of(history)):
            if i in again:
                snapshot = engine.snapshot()
                engine = self._engine(history)
                engine.restore(snapshot)
            engine.extras[:] = extras[i]
            made = engine.update(bar)
            if made is not None:
                rows[i] = made.unpack()
        return rows

    def _engine(self, history: History) -> FeatureEngine:
        return FeatureEngine(VENUE, SYMBOL, history.interval_s, self._features)


def subjects_of(features: FeatureSet) -> list[FeatureSubject]:
    """One subject per kernel of a set, at all of its parameters there, so that none hides behind another's window."""
    by_kernel: dict[str, list[str]] = {}
    for entry in features.entries:
        by_kernel.setdefault(entry.split(":")[0].split("(")[0].strip(), []).append(entry)
    return [FeatureSubject(make_set(kernel, entries)) for kernel, entries in by_kernel.items()]


def bars_of(history: History) -> Iterable[Bar]:
    """The bars of a history as they would arrive."""
    bars, interval = history.bars, history.interval_s * SECOND
    columns = (bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    for at, first, high, low, close, volume in zip(*(column.tolist() for column in columns), strict=True):
        yield Bar(
            id=f"bar-{at}",
            ts_event=at + interval,
            venue=VENUE,
            symbol=SYMBOL,
            interval_s=history.interval_s,
            open_time=at,
            open=first,
            high=high,
            low=low,
            close=close,
            volume=volume,
        )
