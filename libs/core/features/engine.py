"""The feature engine of one symbol and interval: bar by bar, or a whole history at once, bit for bit the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.features import kernels
from libs.core.features.catalogue import CORE20, FeatureSet
from libs.core.types import SECOND, Bar, BarFlag, Features, Nanos, stable_id

Floats = NDArray[np.float64]


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of bars of one symbol and interval: open times in ns UTC, quote currency, volume in base units."""

    open_time: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, bars: Iterable[Bar]) -> Self:
        """The columns of these bars, in their order."""
        listed = list(bars)

        def column(name: str) -> Floats:
            return np.array([getattr(bar, name) for bar in listed], dtype=np.float64)

        return cls(
            open_time=np.array([bar.open_time for bar in listed], dtype=np.int64),
            open=column("open"),
            high=column("high"),
            low=column("low"),
            close=column("close"),
            volume=column("volume"),
        )


class FeatureMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """Features of a history: `values` is bars x features; rows of bars that were not taken (`taken` False) are NaN."""

    set_hash: str
    open_time: NDArray[np.int64]
    values: Floats
    taken: NDArray[np.bool_]


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    set_hash: str
    interval_s: int
    state: bytes


_VERSION = 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


class FeatureEngine:
    """Features of the set core20 for one symbol and interval.

    Values are NaN until their window is full. Missing bars count as flat ones at the last close (the next vector
    carries the flag GAP); after more than `kernels.MAX_FILL` missing bars the engine starts over.

    Attributes:
        ignored: bars not taken because they were at or before the last one.
        rejected: bars not taken because a price or volume cannot be.
    """

    def __init__(self, venue: str, symbol: str, interval_s: int, features: FeatureSet = CORE20) -> None:
        """Raises ValueError when no kernels exist for `features`."""
        if features.hash != CORE20.hash:
            raise ValueError(f"no kernels for feature set {features.name!r}")
        self.venue = venue
        self.symbol = symbol
        self.interval_s = interval_s
        self.features = features
        self.ignored = 0
        self.rejected = 0
        self._hash = features.hash
        self._interval = interval_s * SECOND
        self._warmup = features.warmup
        self._state = np.zeros(kernels.STATE_SIZE)
        self._out = np.full(kernels.FEATURES, np.nan)

    @property
    def last_open_time(self) -> Nanos | None:
        """Open time of the last bar taken, ns; None before the first."""
        return int(self._state[kernels.LAST]) * self._interval if self._state[kernels.COUNT] else None

    @property
    def warm(self) -> bool:
        """Every feature of the set has a value."""
        return bool(self._state[kernels.COUNT] > self._warmup)

    def reset(self) -> None:
        """Forget every bar."""
        self._state[:] = 0.0

    def take(self, bar: Bar) -> bool:
        """Take a bar without building its vector; False when it is old, repeated or impossible."""
        return self._advance(bar) < kernels.STALE

    def update(self, bar: Bar, ts_init: Nanos = 0) -> Features | None:
        """The vector known at the close of `bar`; None when the bar is old, repeated or impossible."""
        status = self._advance(bar)
        if status >= kernels.STALE:
            return None
        return Features(
            id=stable_id("features", self.venue, self.symbol, self.interval_s, bar.open_time, self._hash),
            cause=(bar.id,),
            ts_event=bar.ts_event,
            ts_init=ts_init,
            venue=self.venue,
            symbol=self.symbol,
            interval_s=self.interval_s,
            bar_time=bar.open_time,
            set_hash=self._hash,
            values=self._out.astype("<f8", copy=False).tobytes(),
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            flags=bar.flags if status == kernels.TAKEN else bar.flags | BarFlag.GAP.value,
            warm=self.warm,
            ts_recv=bar.ts_recv,
        )

    def batch(self, bars: Bars) -> FeatureMatrix:
        """What `update` would give from a fresh start, row by row and bit for bit; the engine's own state stays."""
        state = np.zeros(kernels.STATE_SIZE)
        values = np.full((len(bars.open_time), kernels.FEATURES), np.nan)
        aligned = bars.open_time % self._interval == 0
        numbers = np.where(aligned, bars.open_time // self._interval, np.int64(-1))
        statuses = kernels.run(state, numbers, bars.open, bars.high, bars.low, bars.close, bars.volume, values)
        return FeatureMatrix(
            set_hash=self._hash, open_time=bars.open_time, values=values, taken=statuses < kernels.STALE
        )

    def snapshot(self) -> bytes:
        """The whole state; an engine restored from it continues bit for bit."""
        state = self._state.astype("<f8", copy=False).tobytes()
        return _encoder.encode(
            _Snapshot(version=_VERSION, set_hash=self._hash, interval_s=self.interval_s, state=state)
        )

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot.

        Raises:
            ValueError: it is no snapshot, or of another version, feature set or interval; the state stays as it was.
        """
        try:
            taken = _decoder.decode(snapshot)
        except msgspec.DecodeError as err:
            raise ValueError(f"not a feature engine's snapshot: {err}") from err
        expected = (_VERSION, self._hash, self.interval_s, 8 * kernels.STATE_SIZE)
        if (taken.version, taken.set_hash, taken.interval_s, len(taken.state)) != expected:
            raise ValueError("snapshot of another version, feature set or interval")
        self._state = np.frombuffer(taken.state, dtype="<f8").astype(np.float64)

    def _advance(self, bar: Bar) -> int:
        number, beside = divmod(bar.open_time, self._interval)
        if beside:
            self.rejected += 1
            return kernels.INVALID
        status = kernels.advance(self._state, number, bar.open, bar.high, bar.low, bar.close, bar.volume, self._out)
        if status == kernels.STALE:
            self.ignored += 1
        elif status == kernels.INVALID:
            self.rejected += 1
        return status
