"""Bars of one symbol and interval as columns, and longer ones put together from shorter ones, digit for digit."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from libs.core.bars.forming import SIZE_DIGITS
from libs.core.bars.sessions import SessionCalendar, bar_span, calendar_named, sessions_between
from libs.core.types import DAY_S, SECOND, WEEK_S, is_bar_length

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

LARGEST_SUM: Final = 2.0**62


class BarColumns(Protocol):
    """Anything that has the columns of bars: open times int64 ns UTC, the rest float64, all of one length."""

    @property
    def open_time(self) -> Times: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Floats: ...


class Columns(NamedTuple):
    """Columns of bars: open times in ns UTC, prices in quote currency, volume in base units."""

    open_time: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Joined(NamedTuple):
    """Longer bars, and for each whether a shorter one that belongs to it is missing."""

    bars: Columns
    incomplete: NDArray[np.bool_]


def join(bars: BarColumns, interval_s: int, longer_s: int, calendar: SessionCalendar | None = None) -> Joined:
    """Bars of `longer_s` seconds from bars of `interval_s`, oldest first and each time once.

    Volumes are summed in decimal steps, so that they equal the venue's own to the last digit; shorter bars outside
    every session belong to no 1d or 1w bar. `calendar`: always open.

    Raises:
        ValueError: `longer_s` is no bar's length or no multiple of `interval_s`, or times do not rise.
    """
    if not (is_bar_length(longer_s) and is_bar_length(interval_s)) or longer_s % interval_s:
        raise ValueError(f"bars of {longer_s} s cannot be put together from bars of {interval_s} s")
    times = np.asarray(bars.open_time, np.int64)
    if len(times) > 1 and not (np.diff(times) > 0).all():
        raise ValueError("join takes bars whose times rise; sort them and drop repeated ones first")
    starts, ends = _spans(times, longer_s, calendar or calendar_named("always"))
    inside = np.flatnonzero(starts >= 0)
    opens = starts[inside]
    first = np.flatnonzero(np.diff(opens, prepend=-1))
    if not len(first):
        empty = np.empty(0)
        none = Columns(times[:0], empty, empty, empty, empty, empty)
        return Joined(none, np.empty(0, np.bool_))
    last = np.append(first[1:], len(inside)) - 1
    present = last - first + 1
    wanted = (ends[inside][first] - opens[first]) // (interval_s * SECOND)
    columns = Columns(
        opens[first],
        bars.open[inside][first],
        np.maximum.reduceat(bars.high[inside], first),
        np.minimum.reduceat(bars.low[inside], first),
        bars.close[inside][last],
        exact_sums(bars.volume[inside], first),
    )
    return Joined(columns, present < wanted)


def exact_sums(values: Floats, first: NDArray[np.intp]) -> Floats:
    """The sums of `values` (zero or more) from each index in `first` to the next, in decimal steps where they have any.

    A run with a value that is no multiple of 10^-8, or too large to be counted so, is summed as floats.
    """
    sums: Floats = np.add.reduceat(values, first)
    scale = 10.0**SIZE_DIGITS
    steps = np.rint(values * scale)
    counted = np.isfinite(values) & (steps / scale == values) & (np.abs(sums).max(initial=0.0) * scale < LARGEST_SUM)
    exact = np.logical_and.reduceat(counted, first)
    whole = np.add.reduceat(np.where(counted, steps, 0.0).astype(np.int64), first)
    return np.where(exact, whole / scale, sums)


def _spans(times: Times, longer_s: int, calendar: SessionCalendar) -> tuple[Times, Times]:
    """Beginning and end of the longer bar of each time; -1 where it belongs to none."""
    if longer_s < DAY_S:
        length = longer_s * SECOND
        starts = times - times % length
        return starts, starts + length
    sessions = sessions_between(calendar, int(times[0]), int(times[-1]) + 1) if len(times) else []
    if not sessions:
        return np.full_like(times, -1), np.full_like(times, -1)
    table = np.array(sessions, np.int64)
    at = np.searchsorted(table[:, 0], times, side="right") - 1
    inside = (at >= 0) & (times < table[np.maximum(at, 0), 1])
    if longer_s == WEEK_S:
        table = np.array([bar_span(calendar, WEEK_S, start) for start, _ in sessions], np.int64)
    spans = np.where(inside[:, None], table[np.maximum(at, 0)], -1)
    return spans[:, 0], spans[:, 1]
