"""What is wrong with a table of bars: holes, repeats, impossible prices and prices that no neighbour confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.bars.columns import BarColumns, Floats, Times
from libs.core.bars.sessions import SessionCalendar, bar_span, calendar_named, sessions_between
from libs.core.types import DAY_S, SECOND, Nanos, interval_token, is_bar_length

Mask = NDArray[np.bool_]

OUTLIER_K: Final = 25.0
"""Robust deviations of one bar's return. Ten pairs of a venue's own bars over eight years show a few in 10,000 rows."""

OUTLIER_FLOOR: Final = 0.005
"""A smaller excursion is never called an outlier, however quiet the market, as a fraction of the price."""

BLOCK: Final = 64
WINDOW: Final = 240
"""The scale of returns is estimated for BLOCK rows at a time from the WINDOW rows before them."""

NORMAL: Final = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""

MOST_OF_A_KIND: Final = 200
"""Findings of one kind that are told one by one; the counts are complete."""

MOST_RANGES: Final = 10_000


class Flaw(StrEnum):
    """What a finding is about."""

    MISSING = "missing"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    OFF_GRID = "off_grid"
    IMPOSSIBLE = "impossible"
    OUTLIER = "outlier"
    ZERO_VOLUME = "zero_volume"
    FLAT = "flat"


NOTES: Final = frozenset({Flaw.OUTLIER, Flaw.ZERO_VOLUME, Flaw.FLAT})
"""What may well be true of the market itself."""


class MissingRange(msgspec.Struct, frozen=True):
    """Bars that are not there: opening time of the first, end of the last (ns UTC), how many."""

    start: Nanos
    end: Nanos
    bars: int


class Finding(msgspec.Struct, frozen=True):
    """One thing found: its time (ns UTC), its kind, a line for people, and whether the data is at fault."""

    time: Nanos
    flaw: Flaw
    text: str
    matters: bool


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a table of bars is worth.

    Attributes:
        interval_s: the length that was checked. rows: as many as there are. first, last: opening times, ns UTC; 0
            without rows.
        missing: holes inside sessions, oldest first (MOST_RANGES at most); missing_bars: bars missing in all of them.
        duplicates: rows whose time was there before. out_of_order: rows older than the one before.
        off_grid: rows that do not open where a bar can. impossible: rows whose prices or volume cannot be.
        zero_volume, flat: rows without volume, without any move of the price. outliers: rows whose high or low no
            neighbour comes near.
        score: the share of expected bars that are there and sound, 0 to 1.
        findings: by time, MOST_OF_A_KIND of each kind.
    """

    interval_s: int
    rows: int
    first: Nanos
    last: Nanos
    missing: tuple[MissingRange, ...]
    missing_bars: int
    duplicates: int
    out_of_order: int
    off_grid: int
    impossible: int
    zero_volume: int
    flat: int
    outliers: int
    score: float
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was found that matters."""
        return not any(finding.matters for finding in self.findings)


def audit(
    bars: BarColumns, interval_s: int, calendar: SessionCalendar | None = None, *, outlier_k: float = OUTLIER_K
) -> AuditReport:
    """Check a whole table of bars of `interval_s` seconds. `calendar`: always open.

    Raises:
        ValueError: columns of different lengths, or `interval_s` is no bar's length.
    """
    if not is_bar_length(interval_s):
        raise ValueError(f"{interval_s} s is no length of a bar")
    times = np.asarray(bars.open_time, np.int64)
    if any(len(column) != len(times) for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)):
        raise ValueError("the columns of bars are not of one length")
    hours = calendar or calendar_named("always")
    order = np.argsort(times, kind="stable")
    repeated = np.zeros(len(times), np.bool_)
    repeated[order[1:]] = times[order[1:]] == times[order[:-1]]
    backwards = np.diff(times, prepend=times[:1]) < 0
    off_grid = _off_grid(times, interval_s, hours)
    impossible = _impossible(bars)
    series = order[~(repeated | impossible)[order]]
    outlier = np.zeros(len(times), np.bool_)
    outlier[series] = _outliers(bars, series, outlier_k)
    quiet = np.asarray(bars.volume == 0.0)
    flat = np.asarray(bars.high == bars.low) & ~quiet
    on_grid = times[order[~(repeated | off_grid)[order]]]
    missing = list(_missing(on_grid, interval_s, hours))
    missing_bars = sum(hole.bars for hole in missing)
    unsound = int((off_grid | impossible | outlier).sum())
    expected = len(on_grid) + missing_bars
    findings = [
        *(
            Finding(hole.start, Flaw.MISSING, _hole(hole, interval_s), matters=True)
            for hole in missing[:MOST_OF_A_KIND]
        ),
        *_told(times, repeated, Flaw.DUPLICATE, lambda row: "this time was there before"),
        *_told(times, backwards, Flaw.OUT_OF_ORDER, lambda row: f"comes after {_utc(int(times[row - 1]))}"),
        *_told(times, off_grid, Flaw.OFF_GRID, lambda row: f"no {interval_token(interval_s)} bar opens here"),
        *_told(times, impossible, Flaw.IMPOSSIBLE, lambda row: _prices(bars, row)),
        *_told(times, outlier, Flaw.OUTLIER, lambda row: f"far from both neighbours: {_prices(bars, row)}"),
        *_runs(times, quiet, Flaw.ZERO_VOLUME, "no volume"),
        *_runs(times, flat, Flaw.FLAT, "volume without any move of the price"),
    ]
    return AuditReport(
        interval_s=interval_s,
        rows=len(times),
        first=int(times.min()) if len(times) else 0,
        last=int(times.max()) if len(times) else 0,
        missing=tuple(missing[:MOST_RANGES]),
        missing_bars=missing_bars,
        duplicates=int(repeated.sum()),
        out_of_order=int(backwards.sum()),
        off_grid=int(off_grid.sum()),
        impossible=int(impossible.sum()),
        zero_volume=int(quiet.sum()),
        flat=int(flat.sum()),
        outliers=int(outlier.sum()),
        score=round(max(0.0, 1.0 - (missing_bars + unsound) / expected), 6) if expected else 0.0,
        findings=tuple(sorted(findings, key=lambda finding: finding.time)),
    )


def _off_grid(times: Times, interval_s: int, calendar: SessionCalendar) -> Mask:
    if interval_s < DAY_S:
        return np.asarray(times % (interval_s * SECOND) != 0)
    starts = [bar_span(calendar, interval_s, int(at)) for at in times]
    return np.array([span is None or span[0] != at for span, at in zip(starts, times, strict=True)], np.bool_)


def _impossible(bars: BarColumns) -> Mask:
    with np.errstate(invalid="ignore"):
        sound = (
            (bars.low > 0.0)
            & (bars.high < np.inf)
            & (bars.low <= np.minimum(bars.open, bars.close))
            & (bars.high >= np.maximum(bars.open, bars.close))
            & (bars.volume >= 0.0)
            & (bars.volume < np.inf)
        )
    return np.asarray(~sound)


def _outliers(bars: BarColumns, rows: NDArray[np.intp], k: float) -> Mask:
    """Rows whose high or low lies far beyond their own open and the closes before and after."""
    if len(rows) < 3:
        return np.zeros(len(rows), np.bool_)
    close, start = np.log(bars.close[rows]), np.log(bars.open[rows])
    before, after = np.append(close[:1], close[:-1]), np.append(close[1:], close[-1:])
    above = np.log(bars.high[rows]) - np.maximum(np.maximum(before, after), start)
    below = np.minimum(np.minimum(before, after), start) - np.log(bars.low[rows])
    limit = np.maximum(k * _scale(np.diff(close, prepend=close[0])), OUTLIER_FLOOR)
    return np.asarray(np.maximum(above, below) > limit)


def _scale(returns: Floats) -> Floats:
    """Robust standard deviation of the returns before each row, one value for each BLOCK of them."""
    padded = np.concatenate([np.resize(returns[: min(WINDOW, len(returns))], WINDOW), returns])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(returns) : BLOCK]
    middle = np.median(windows, axis=1, keepdims=True)
    deviation = np.median(np.abs(windows - middle), axis=1) * NORMAL
    return np.asarray(np.repeat(deviation, BLOCK)[: len(returns)])


def _missing(times: Times, interval_s: int, calendar: SessionCalendar) -> Iterator[MissingRange]:
    """Holes between bars that are on the grid, oldest first; closed hours are none."""
    if interval_s >= DAY_S:
        yield from _missing_spans(times, interval_s, calendar)
        return
    step = interval_s * SECOND
    for at in np.flatnonzero(np.diff(times) > step):
        start, end = int(times[at]) + step, int(times[at + 1])
        if calendar.name == "always":
            yield MissingRange(start, end, (end - start) // step)
            continue
        for first, last in sessions_between(calendar, start, end):
            begin, stop = max(start, first - first % step), min(end, last + -last % step)
            if begin < stop:
                yield MissingRange(begin, stop, (stop - begin) // step)
                start = stop


def _missing_spans(times: Times, interval_s: int, calendar: SessionCalendar) -> Iterator[MissingRange]:
    if not len(times):
        return
    there = set(times.tolist())
    hole: MissingRange | None = None
    for start, _ in sessions_between(calendar, int(times[0]), int(times[-1])):
        span = bar_span(calendar, interval_s, start)
        if span is None or span[0] != start:
            continue
        if start in there:
            if hole is not None:
                yield hole
            hole = None
        else:
            hole = MissingRange(hole.start if hole else start, span[1], hole.bars + 1 if hole else 1)
    if hole is not None:
        yield hole


def _told(times: Times, rows: Mask, flaw: Flaw, text: Callable[[int], str]) -> Iterator[Finding]:
    for row in np.flatnonzero(rows)[:MOST_OF_A_KIND].tolist():
        yield Finding(int(times[row]), flaw, text(row), matters=flaw not in NOTES)


def _runs(times: Times, rows: Mask, flaw: Flaw, text: str) -> Iterator[Finding]:
    """One finding for each run of neighbouring rows."""
    at = np.flatnonzero(rows)
    begins = at[np.diff(at, prepend=-2) > 1]
    ends = at[np.diff(at, append=len(rows) + 1) > 1]
    for begin, end in list(zip(begins.tolist(), ends.tolist(), strict=True))[:MOST_OF_A_KIND]:
        until = f" until {_utc(int(times[end]))} ({end - begin + 1} bars)" if end > begin else ""
        yield Finding(int(times[begin]), flaw, text + until, matters=flaw not in NOTES)


def _hole(hole: MissingRange, interval_s: int) -> str:
    bars = f"{hole.bars} {interval_token(interval_s)} bar{'s' if hole.bars > 1 else ''}"
    return f"{bars} missing until {_utc(hole.end)}"


def _prices(bars: BarColumns, row: int) -> str:
    names = ("open", "high", "low", "close", "volume")
    return ", ".join(f"{name} {float(getattr(bars, name)[row]):g}" for name in names)


def _utc(at: Nanos) -> str:
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}"
