"""Where a table lies: a CSV or Parquet file, or a table in an SQLite data base."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple


class TableError(ValueError):
    """A table cannot be read or written; the text is one line for people: what is wrong and what to do."""


class Format(StrEnum):
    """How a table is stored."""

    CSV = "csv"
    PARQUET = "parquet"
    SQLITE = "sqlite"


SUFFIXES: Final = {
    ".csv": Format.CSV,
    ".txt": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".sqlite": Format.SQLITE,
    ".sqlite3": Format.SQLITE,
    ".db": Format.SQLITE,
}
SQLITE: Final = "sqlite:"
USUAL: Final = "history"


class Place(NamedTuple):
    """`table`: of an SQLite data base, "" = the only one it has."""

    format: Format
    path: Path
    table: str = ""

    def __str__(self) -> str:
        return f"{self.path}#{self.table}" if self.table else str(self.path)

    def named(self) -> Place:
        """To write to: a data base in which no table was named gets one called history."""
        return self._replace(table=USUAL) if self.format is Format.SQLITE and not self.table else self


def place_of(text: str) -> Place:
    """Of a path such as bars.parquet, bars.csv (also .csv.gz), sqlite:FILE#TABLE or FILE.sqlite#TABLE.

    Raises:
        TableError: neither.
    """
    rest, _, table = text.removeprefix(SQLITE).partition("#")
    path = Path(rest)
    if text.startswith(SQLITE):
        return Place(Format.SQLITE, path, table)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    found = SUFFIXES.get(suffix.lower())
    if found is None or (table and found is not Format.SQLITE) or (path.suffix == ".gz" and found is not Format.CSV):
        raise TableError(f"{text}: name a .csv, .csv.gz or .parquet file, or sqlite:FILE#TABLE")
    return Place(found, path, table)
