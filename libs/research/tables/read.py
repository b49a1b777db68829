"""Reading a table of any column names: what it holds is told by its columns, times are brought to ns UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from libs.core.history import FIELDS, Columns, Kind, made, rows_in
from libs.research.tables.names import DATE, TIME, ZONE, assign, canonical
from libs.research.tables.place import Format, Place, TableError, place_of
from libs.research.tables.times import nanos_of

TRUE: Final = frozenset({"true", "1", "sell", "s", "-1", "ask"})
MISSING: Final = ("", ".", "NA", "N/A", "nan", "NaN", "null")
FALSE: Final = frozenset({"false", "0", "buy", "b", "bid", ""})


class Table(NamedTuple):
    """What a table holds, in its own order: nothing sorted, nothing left out."""

    kind: Kind
    columns: Columns


def read_table(where: str | Place, columns: Mapping[str, str] | None = None, kind: Kind | None = None) -> Table:
    """Read a CSV, Parquet or SQLite table. `columns`: our name to theirs where the names do not tell.

    Raises:
        TableError: it is not there, or not such a table; one line.
    """
    place = place_of(where) if isinstance(where, str) else where
    if not place.path.is_file():
        raise TableError(f"{place.path} does not exist")
    frame, headless = _frame(place)
    try:
        given = columns or {}
        times = [name for name in frame.columns if frame[name].dtype.is_temporal()]
        found, names = assign(frame.columns, given, kind, times=times, headless=headless)
        if found is Kind.READINGS:
            frame = _told(frame, names["value"])
        zone = given.get(ZONE, "UTC")
        values = {canonical(found, n): _values(frame, n, names, found, zone) for n in names if n != DATE}
        return Table(found, made(found, values))
    except ValueError as err:
        raise TableError(f"{place}: {err}") from None


def read_bars(where: str | Place, columns: Mapping[str, str] | None = None) -> Columns:
    """The bars of a table, as `FIELDS[Kind.BARS]`.

    Raises:
        TableError: as `read_table`, and where it holds no bars.
    """
    table = read_table(where, columns, Kind.BARS)
    if not rows_in(table.columns):
        raise TableError(f"{where} holds no bars")
    return table.columns


def interval_of(columns: Columns) -> int:
    """Length of bars in seconds: the distance at which most of them follow each other; 0 of fewer than two."""
    steps = np.diff(np.unique(columns["open_time"]))
    if not len(steps):
        return 0
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()] // 1_000_000_000)


def is_there(place: Place) -> bool:
    """Whether there is a table at `place`, whatever it holds. Raises TableError: the data base cannot be read."""
    if place.format is not Format.SQLITE or not place.path.exists():
        return place.path.exists()
    try:
        with closing(_opened(place)) as base:
            return place.table in _tables(base)
    except sqlite3.Error as err:
        raise TableError(f"{place} cannot be read as {place.format}: {err}") from None


def _frame(place: Place) -> tuple[Any, bool]:
    """The table as text and numbers, and whether it has no header."""
    try:
        import polars as pl
    except ImportError as err:
        raise TableError(f"tables need a library that is missing ({err}); make setup") from None
    try:
        if place.format is Format.SQLITE:
            return _sqlite(place), False
        if place.format is Format.PARQUET:
            return pl.read_parquet(place.path), False
        head = pl.read_csv(place.path, n_rows=1, has_header=False, infer_schema=False, separator=_separator(place))
        headless = bool(head.height) and all(_is_number(text) for text in head.row(0))
        options: dict[str, Any] = {"has_header": not headless, "separator": _separator(place)}
        return pl.read_csv(place.path, infer_schema_length=None, try_parse_dates=False, **options), headless
    except (pl.exceptions.PolarsError, sqlite3.Error, OSError, UnicodeDecodeError) as err:
        first = (str(err).splitlines() or [type(err).__name__])[0]
        raise TableError(f"{place} cannot be read as {place.format}: {first}") from None


def _sqlite(place: Place) -> Any:
    import polars as pl

    with closing(_opened(place)) as base:
        tables = _tables(base)
        if (place.table or len(tables) != 1) and place.table not in tables:
            raise TableError(f"{place.path}: name a table with #TABLE; there are: {', '.join(tables) or 'none'}")
        cursor = base.execute(f'SELECT * FROM "{(place.table or tables[0]).replace(chr(34), chr(34) * 2)}"')
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def _opened(place: Place) -> sqlite3.Connection:
    return sqlite3.connect(f"{place.path.absolute().as_uri()}?mode=ro", uri=True)


def _tables(base: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
    return [row[0] for row in base.execute(query)]


def _separator(place: Place) -> str:
    import gzip

    opener = gzip.open if place.path.suffix == ".gz" else open
    with opener(place.path, "rt", encoding="utf-8") as source:
        line = source.readline()
    return max((",", ";", "\t"), key=line.count)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "x")
    except ValueError:
        return False
    return True


def _values(frame: Any, name: str, names: Mapping[str, str], kind: Kind, zone: str) -> NDArray[Any]:
    header = names[name]
    column = frame[header]
    if name == TIME:
        return nanos_of(_with_day(frame, column, names), header, zone)
    if name == "period":
        return nanos_of(column, header, zone)
    if name == "side":
        return _sides(column, header)
    return _numbers(column, header, FIELDS[kind][name])


def _told(frame: Any, value: str) -> Any:
    """Only rows with a value: series mark days without one by a full stop or leave them empty."""
    import polars as pl

    column = frame[value]
    if column.dtype == pl.String:
        return frame.filter(~column.str.strip_chars().is_in(MISSING) & column.is_not_null())
    return frame.filter(column.is_not_null() & (column.is_not_nan() if column.dtype.is_float() else True))


def _with_day(frame: Any, column: Any, names: Mapping[str, str]) -> Any:
    """Date and hour from two columns, where they are apart."""
    import polars as pl

    if DATE not in names or column.dtype != pl.String or not column.str.contains(r"^\d{1,2}:\d\d").all():
        return column
    day = frame[names[DATE]].cast(pl.String)
    return day + " " + column


def _numbers(column: Any, header: str, dtype: str) -> NDArray[Any]:
    import polars as pl

    numbers = column.cast(pl.Int64 if dtype == "i8" else pl.Float64, strict=False)
    bad = numbers.is_null()
    if bad.any():
        at = int(bad.arg_true()[0])
        raise TableError(f"column {header}: {column[at]!r} in row {at + 1} is no number")
    return np.asarray(numbers.to_numpy(), dtype=dtype)


def _sides(column: Any, header: str) -> NDArray[Any]:
    """+1 where the aggressor bought, -1 where he sold: from such numbers, buy and sell, or "buyer is maker"."""
    import polars as pl

    if column.dtype.is_integer() and column.is_in([-1, 0, 1]).all() and (column == -1).any():
        return np.asarray(column.to_numpy(), dtype=np.int64)
    plain = header.lower().replace("_", "")
    maker = column.dtype == pl.Boolean or "maker" in plain or plain == "m"
    if not maker and column.dtype.is_integer():
        return np.asarray(column.to_numpy(), dtype=np.int64)
    words = [str(value).strip().lower() for value in column]
    known = TRUE | FALSE
    if strange := next((word for word in words if word not in known), None):
        raise TableError(f"column {header}: {strange!r} is neither buy nor sell")
    return np.array([0 if not word else -1 if word in TRUE else 1 for word in words], dtype=np.int64)
