"""Times of strangers, whatever their unit or spelling, as ns UTC."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.research.tables.place import TableError

UNITS: Final = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (9.2e18, 1))
"""Numbers below the first are so many ns each: s, ms, us, ns, told apart where one of a column lies after 1973."""

FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%d %H%M%S",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d",
    "%Y.%m.%d %H:%M:%S%.f",
    "%Y.%m.%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y",
)
"""Day and month in an order that nobody can mistake; times without a zone are UTC."""

ZONED: Final = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
TURNED: Final = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M")
"""Believed where all rows together fit only one of them."""


def nanos_of(column: Any, name: str, zone: str = "UTC") -> NDArray[np.int64]:
    """A polars Series of numbers, dates, times or text as ns UTC; dates and times that name no zone are of `zone`.

    Raises:
        TableError: with the first that is no time.
    """
    import polars as pl

    if column.null_count():
        raise TableError(f"column {name}: row {column.is_null().arg_true()[0] + 1} has no time")
    if column.dtype == pl.Date:
        return _whole(column.cast(pl.Datetime("ns")), name, zone)
    if column.dtype == pl.Datetime:
        return _whole(column.dt.cast_time_unit("ns"), name, zone)
    if column.dtype.is_numeric():
        return _numbers(column.to_numpy(), name)
    if column.dtype != pl.String:
        raise TableError(f"column {name} holds {column.dtype}, no times")
    numbers = column.cast(pl.Float64, strict=False)
    if not numbers.null_count() and not column.str.len_chars().eq(8).all():
        whole = column.cast(pl.Int64, strict=False)
        return _numbers((numbers if whole.null_count() else whole).to_numpy(), name)
    return _texts(column, name, zone)


def _whole(times: Any, name: str, zone: str) -> NDArray[np.int64]:
    """Polars times as ns UTC; of an hour that the clocks strike twice the first is meant."""
    import polars as pl

    if times.dtype.time_zone is None and zone != "UTC":
        try:
            times = times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        except pl.exceptions.PolarsError:
            raise TableError(f"zone {zone!r} is unknown; write for example America/New_York") from None
        if times.null_count():
            raise TableError(f"column {name}: row {times.is_null().arg_true()[0] + 1} is an hour that {zone} left out")
    return np.asarray(times.cast(pl.Int64).to_numpy(), dtype=np.int64)


def _numbers(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    if not len(values):
        return np.zeros(0, np.int64)
    largest = float(np.abs(values).max())
    factor = next((factor for below, factor in UNITS if largest < below), 0)
    if not factor:
        raise TableError(f"column {name}: {largest:g} is no time in s, ms, us or ns")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise TableError(f"column {name} holds numbers that are no times")
        # A float bears the microseconds of this century and no more.
        return np.round(values.astype(np.float64) * (factor / 1000)).astype(np.int64) * 1000
    return values.astype(np.int64) * np.int64(factor)


def _texts(column: Any, name: str, zone: str) -> NDArray[np.int64]:
    text = column.str.strip_chars().str.replace(r"(\d)T(\d)", "${1} ${2}")
    utc = text.str.contains(r" ?(Z|UTC|GMT)$").all()
    text = text.str.replace(r" ?(Z|UTC|GMT)$", "").str.replace(r"( \d\d:.*[+-]\d\d)$", "${1}00")
    found = [parsed for form in FORMATS if not (parsed := _parsed(text, form)).null_count()]
    if not found:
        found = [parsed for form in ZONED if not (parsed := _parsed(text, form, "UTC")).null_count()]
    if not found and len(found := [p for form in TURNED if not (p := _parsed(text, form)).null_count()]) > 1:
        raise TableError(f"column {name}: day and month of {text[0]!r} cannot be told apart; write 2024-08-05")
    if not found:
        bad = text.filter(_parsed(text, FORMATS[0]).is_null())
        raise TableError(f"column {name}: {bad[0]!r} is no time that can be read; write 2024-08-05 00:00:00")
    return _whole(found[0], name, "UTC" if utc else zone)


def _parsed(text: Any, form: str, zone: str | None = None) -> Any:
    return text.str.to_datetime(form, time_unit="ns", time_zone=zone, strict=False)
