"""Bars from a table as a series to train on or to be examined on: in order, each once, nothing impossible in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from libs.core.bars.quality import trainable
from libs.core.features.engine import Bars
from libs.core.features.sets import FULL
from libs.core.history import Columns, Kind, joined, rows_in
from libs.core.types import SECOND
from libs.core.types.subjects import interval_token
from libs.research.tables.place import Format, Place, TableError, place_of
from libs.research.tables.read import interval_of, read_bars
from libs.research.training.dataset import DataProblem, Dataset, Mask, make_dataset

if TYPE_CHECKING:
    from libs.core.features import FeatureSet

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Series:
    """Bars of one symbol. `flagged`: of bars with missing or refilled data, from which nothing is learnt."""

    venue: str
    symbol: str
    interval_s: int
    bars: Bars
    flagged: Mask

    @property
    def holes(self) -> tuple[int, int]:
        """How many holes there are, and how many bars they lack together."""
        steps = np.diff(self.bars.open_time) // (self.interval_s * SECOND) - 1
        return int(np.count_nonzero(steps)), int(steps.sum())

    @property
    def said(self) -> str:
        """What it is, in one line for people."""
        first, last = (moment(int(self.bars.open_time[i])) for i in (0, -1))
        line = f"{self.symbol} {interval_token(self.interval_s)}: {len(self.bars):,} bars, {first} to {last}"
        count, lost = self.holes
        if count:
            line += f"; {count} holes of {lost:,} bars in all, nothing is learnt across them"
        if self.flagged.any():
            line += f"; {int(self.flagged.sum()):,} flagged bars left out"
        return line

    def dataset(self, features: FeatureSet = FULL) -> Dataset:
        """Features and labels. Raises DataProblem: too few bars, or a price that does not move."""
        return make_dataset(self.venue, self.symbol, self.interval_s, self.bars, features, flagged=self.flagged)


def read_series(data: str, symbol: str, *, venue: str, interval_s: int = 0) -> Series:
    """The bars of a Parquet, CSV or SQLite table of any column names; a column `flags` holds `BarFlag`s.

    `interval_s`: what they must be, 0 = as they are.

    Raises:
        DataProblem: no such table, prices that are none, or bars of another length.
    """
    try:
        place = place_of(data)
        columns = read_bars(data)
        flags = _flags(place, rows_in(columns))
    except TableError as err:
        raise DataProblem(str(err)) from None
    found = interval_of(columns)
    if found <= 0:
        raise DataProblem(f"{data} holds too few bars to tell their interval")
    if interval_s and interval_s != found:
        theirs, wanted = interval_token(found), interval_token(interval_s)
        raise DataProblem(f"{data} holds bars of {theirs}, not of {wanted}; give that interval, or other bars")
    _refuse_impossible(data, columns)
    bad = ~trainable(flags)
    flagged_at = np.unique(columns["open_time"][bad])
    columns = joined(Kind.BARS, [columns])
    at = columns["open_time"]
    bars = Bars(open_time=at, **{name: columns[name].astype("f8") for name in (*PRICES, "volume")})
    return Series(venue, symbol, found, bars, np.isin(at, flagged_at))


def moment(at: int) -> str:
    """A time in ns UTC, to the minute."""
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def _flags(place: Place, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The column `flags`, where a file has one."""
    import polars as pl

    none = np.zeros(rows, dtype=np.int64)
    if place.format is Format.PARQUET:
        frame = pl.scan_parquet(place.path)
    elif place.format is Format.CSV:
        frame = pl.scan_csv(place.path)
    else:
        return none
    if "flags" not in frame.collect_schema().names():
        return none
    return np.asarray(frame.select(pl.col("flags").cast(pl.Int64).fill_null(0)).collect()["flags"].to_numpy())


def _refuse_impossible(data: str, columns: Columns) -> None:
    def wrong(names: Iterable[str], what: str, bad: Mask) -> None:
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            where = f"row {i + 1} ({moment(int(columns['open_time'][i]))} UTC)"
            numbers = ", ".join(f"{name} {columns[name][i]:g}" for name in names)
            raise DataProblem(
                f"{data}, {where}: {numbers}: {what} ({int(bad.sum()):,} such rows); "
                f"conclave data check lists them, leave them out"
            )

    for name in PRICES:
        values = columns[name]
        wrong([name], "no price", ~(np.isfinite(values) & (values > 0.0)))
    low = np.minimum.reduce([columns[name] for name in PRICES])
    high = np.maximum.reduce([columns[name] for name in PRICES])
    wrong(PRICES, "high and low do not hold open and close", (columns["high"] < high) | (columns["low"] > low))
    wrong(["volume"], "no volume", ~(np.isfinite(columns["volume"]) & (columns["volume"] >= 0.0)))
