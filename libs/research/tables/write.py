"""Writing a table: a file appears under its name when it is complete, a table in a data base within one transaction."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from libs.core.history import FIELDS, Columns, Kind
from libs.research.tables.names import TIME
from libs.research.tables.place import Format, Place, TableError

MS: Final = 1_000_000
CHUNK: Final = 1 << 20


def write_table(place: Place, kind: Kind, columns: Columns, names: Mapping[str, str] | None = None) -> str:
    """Write `columns` (ordered) and return the sha256 of the file; of an SQLite table that of its rows.

    `names`: our name to the one it shall have. The time is called ts unless they say otherwise: milliseconds for bars,
    as everywhere in the house, nanoseconds for prints and readings.

    Raises:
        TableError: it cannot be written.
    """
    frame, place = _frame(kind, columns, names or {}), place.named()
    try:
        place.path.parent.mkdir(parents=True, exist_ok=True)
        if place.format is Format.SQLITE:
            return _into_sqlite(place, frame)
        draft = place.path.with_name(f".{place.path.name}.draft")
        if place.format is Format.PARQUET:
            frame.write_parquet(draft, compression="zstd", statistics=True)
        elif place.path.suffix == ".gz":
            _gzip(draft, frame)
        else:
            frame.write_csv(draft)
        digest = digest_of(draft)
        _settle(draft)
        draft.replace(place.path)
        _settle(place.path.parent)
    except (OSError, sqlite3.Error) as err:
        raise TableError(f"{place} cannot be written: {err}") from None
    return digest


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    total = hashlib.sha256()
    with path.open("rb") as source:
        while part := source.read(CHUNK):
            total.update(part)
    return total.hexdigest()


def digest_of_rows(columns: Columns) -> str:
    """The sha256 of what a table holds, wherever it is stored."""
    total = hashlib.sha256()
    for name, values in columns.items():
        total.update(name.encode())
        total.update(values.tobytes())
    return total.hexdigest()


def _frame(kind: Kind, columns: Columns, names: Mapping[str, str]) -> Any:
    try:
        import polars as pl
    except ImportError as err:
        raise TableError(f"tables need a library that is missing ({err}); make setup") from None
    out: dict[str, Any] = {}
    for i, name in enumerate(FIELDS[kind]):
        values = columns[name]
        if i == 0:
            out[names.get(TIME, "ts")] = values // MS if kind is Kind.BARS else values
        else:
            out[names.get(name, name)] = values
    if len(out) != len(FIELDS[kind]):
        raise TableError("--columns gives two columns the same name")
    return pl.DataFrame(out)


def _into_sqlite(place: Place, frame: Any) -> str:
    table = place.table.replace('"', '""')
    kinds = ["INTEGER" if dtype.is_integer() else "REAL" for dtype in frame.dtypes]
    escaped = ['"' + name.replace('"', '""') + '"' for name in frame.columns]
    shape = ", ".join(f"{name} {kind}" for name, kind in zip(escaped, kinds, strict=True))
    with closing(sqlite3.connect(place.path, isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        base.execute(f'DROP TABLE IF EXISTS "{table}"')
        base.execute(f'CREATE TABLE "{table}" ({shape})')
        marks = ", ".join("?" * len(escaped))
        base.executemany(f'INSERT INTO "{table}" VALUES ({marks})', frame.iter_rows())
        base.execute("COMMIT")
    return digest_of_rows({name: frame[name].to_numpy() for name in frame.columns})


def _gzip(path: Path, frame: Any) -> None:
    import gzip

    # Neither name nor time in the header: the same rows give the same bytes.
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as out:
        frame.write_csv(out)


def _settle(path: Path) -> None:
    """Have it on the disk before the next step."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
