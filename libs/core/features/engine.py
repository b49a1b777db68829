"""The feature engine of one symbol and interval: bar by bar, or a whole history at once, bit for bit the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.bars.sessions import usual_calendar
from libs.core.features import driver, parts
from libs.core.features.catalogue import FeatureSet
from libs.core.features.grid import grid_of
from libs.core.features.inputs import COLUMNS, EXTRA
from libs.core.features.plan import plan_of
from libs.core.features.sets import CORE20
from libs.core.types import Bar, BarFlag, Features, Nanos, stable_id

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

    def __len__(self) -> int:
        return len(self.open_time)


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
    last: Nanos | None
    state: bytes


_VERSION = 3
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)
_step = driver.step
_open_step = driver.open_step
_NO_EXTRAS: Floats = np.full(len(EXTRA), np.nan)
_NO_EXTRA_ROWS: Floats = np.empty((len(EXTRA), 0))


class FeatureEngine:
    """Features of a set for one symbol and interval.

    Values are NaN until their window is full, and where an input they need does not exist. Missing bars count as flat
    ones at the last close (the next vector carries the flag GAP); after more than `driver.MAX_FILL` missing bars the
    engine starts over.

    Attributes:
        values: values at the last bar taken, in the order of the set; the next bar overwrites them.
        ignored: bars not taken because they were at or before the last one.
        rejected: bars not taken because a price or volume cannot be.
    """

    def __init__(
        self, venue: str, symbol: str, interval_s: int, features: FeatureSet = CORE20, calendar: str = ""
    ) -> None:
        """`calendar`: name of the symbol's trading calendar; "" = its usual one.

        Raises ValueError when a feature's kernel is not loaded or does not compile, or there is no such calendar.
        """
        self.venue = venue
        self.symbol = symbol
        self.interval_s = interval_s
        self.features = features
        self.ignored = 0
        self.rejected = 0
        self._extras: Floats = np.full(len(EXTRA), np.nan)
        self._hash = features.hash
        self._grid = grid_of(calendar or usual_calendar(venue, symbol), interval_s)
        self._last: Nanos | None = None
        self._warmup = features.warmup
        self._plan = plan_of(features)
        self._head, self._state, self._window = driver.state_of(self._plan.keep, self._plan.slots)
        self._controls = np.zeros(parts.CONTROLS, dtype=np.int64)
        self._out = np.full(self._plan.outputs, np.nan)
        self.values: Floats = self._out if self._plan.whole else np.full(len(features), np.nan)
        self._held = driver.Machine(
            plan=self._plan.table,
            params=self._plan.params,
            head=self._head,
            s=self._state,
            x=self._window,
            keep=self._plan.keep,
            derived=self._plan.derived,
            e=self._extras,
            nothing=_NO_EXTRAS,
            c=self._controls,
            out=self._out,
            columns=self._plan.columns.astype(np.int64),
            chosen=self.values,
            seconds=interval_s,
        )
        self._machine = driver.packed(self._held)

    @property
    def extras(self) -> Floats:
        """The extra inputs of the bar to come, in the order of `inputs.EXTRA`; whoever feeds them writes into it."""
        return self._extras

    @property
    def last_open_time(self) -> Nanos | None:
        """Open time of the last bar taken, ns; None before the first."""
        return self._last if self._head[driver.COUNT] else None

    @property
    def warm(self) -> bool:
        """Every feature that bars alone give has a value."""
        return bool(self._head[driver.COUNT] > self._warmup)

    def reset(self) -> None:
        """Forget every bar."""
        self._head[driver.COUNT] = 0
        self._state[:] = 0.0

    def take(self, bar: Bar) -> bool:
        """Take a bar without building its vector; False when it is old, repeated or impossible."""
        return self._taken(bar) < driver.STALE

    def update(self, bar: Bar, ts_init: Nanos = 0) -> Features | None:
        """The vector known at the close of `bar`; None when the bar is old, repeated or impossible."""
        status = self._taken(bar)
        if status >= driver.STALE:
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
            values=self.values.astype("<f8", copy=False).tobytes(),
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            flags=bar.flags if status == driver.TAKEN else bar.flags | BarFlag.GAP.value,
            warm=self.warm,
            ts_recv=bar.ts_recv,
        )

    def batch(self, bars: Bars, extras: Floats | None = None) -> FeatureMatrix:
        """What `update` would give from a fresh start, row by row and bit for bit; the engine's own state stays.

        `extras`: extra inputs x bars in the order of `inputs.EXTRA`; None = bars alone.
        """
        plan = self._plan
        values = np.full((plan.outputs, len(bars)), np.nan)
        numbers, sessions, ends = self._grid.places(bars.open_time)
        columns = np.ascontiguousarray([bars.open, bars.high, bars.low, bars.close, bars.volume], dtype=np.float64)
        statuses = driver.run(
            plan.table,
            plan.params,
            plan.slots,
            plan.keep,
            plan.derived,
            _NO_EXTRA_ROWS if extras is None else np.ascontiguousarray(extras, dtype=np.float64),
            numbers,
            columns,
            sessions,
            ends,
            self.interval_s,
            values,
        )
        return FeatureMatrix(
            set_hash=self._hash,
            open_time=bars.open_time,
            values=(values if plan.whole else values[plan.columns]).T,
            taken=statuses < driver.STALE,
        )

    def snapshot(self) -> bytes:
        """The whole state; an engine restored from it continues bit for bit."""
        keep, at = self._plan.keep, int(self._head[driver.AT])
        window = self._window[:, max(0, at + 1 - keep) : at + 1]
        head = self._head.copy()
        head[driver.AT] = window.shape[1] - 1
        parts = (head.astype("<i8"), self._state.astype("<f8"), window.astype("<f8"))
        state = zlib.compress(b"".join(part.tobytes() for part in parts), 1)
        return _encoder.encode(
            _Snapshot(version=_VERSION, set_hash=self._hash, interval_s=self.interval_s, last=self._last, state=state)
        )

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot.

        Raises:
            ValueError: it is no snapshot, or of another version, feature set or interval; the state stays as it was.
        """
        try:
            taken = _decoder.decode(snapshot)
            if (taken.version, taken.set_hash, taken.interval_s) != (_VERSION, self._hash, self.interval_s):
                raise ValueError("snapshot of another version, feature set or interval")
            state = zlib.decompress(taken.state)
        except (msgspec.DecodeError, zlib.error) as err:
            raise ValueError(f"not a feature engine's snapshot: {err}") from err
        plan = self._plan
        if len(state) != 8 * (driver.HEAD + plan.slots + COLUMNS * plan.keep):
            raise ValueError("not a feature engine's snapshot: its length is wrong")
        self._last = taken.last
        self._head[:] = np.frombuffer(state, dtype="<i8", count=driver.HEAD)
        values = np.frombuffer(state, dtype="<f8", offset=8 * driver.HEAD)
        self._state[:] = values[: plan.slots]
        self._window[:, : plan.keep] = values[plan.slots :].reshape(COLUMNS, plan.keep)

    def _taken(self, bar: Bar) -> int:
        if self._grid.closes:
            number, session, end = self._grid.place(bar.open_time)
            status = _step(self._machine, number, session, end, bar.open, bar.high, bar.low, bar.close, bar.volume)
        else:
            status = _open_step(self._machine, bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume)
        if status < driver.STALE:
            self._last = bar.open_time
        elif status == driver.STALE:
            self.ignored += 1
        else:
            self.rejected += 1
        return status
