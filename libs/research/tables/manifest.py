"""What is known of a downloaded table, in a JSON file beside it: where it is from, how far it reaches, its checksum."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from libs.core.history import Kind
from libs.core.types import Nanos
from libs.research.tables.place import Format, Place, TableError


class What(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a table. `interval_s` 0 where they are no bars; `keep_s` 0 = may be kept as long as one likes."""

    source: str
    symbol: str
    interval: str
    kind: Kind
    interval_s: int = 0
    keep_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.source} {self.symbol} {self.interval}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it was written.

    Attributes:
        start, end: everything that `what` has in [start, end) is in it, ns UTC; first, last: times of its rows.
        names: our column to the name that it has in the table, where they differ.
        sha256: of the file; of a table in an SQLite data base, of its rows.
    """

    what: What
    start: Nanos
    end: Nanos
    rows: int
    first: Nanos
    last: Nanos
    names: dict[str, str]
    sha256: str


def beside(place: Place, ending: str) -> Path:
    """A file next to a table: bars.parquet.json, base.sqlite.trades.json."""
    table = f".{place.table}" if place.format is Format.SQLITE and place.table else ""
    return place.path.with_name(f"{place.path.name}{table}.{ending}")


def load_manifest(place: Place) -> Manifest | None:
    """What is known of the table at `place`; None when nothing is.

    Raises:
        TableError: the file cannot be read.
    """
    path = beside(place, "json")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as err:
        raise TableError(f"{path} cannot be read: {err}; delete it together with {place} to begin anew") from None


def save_manifest(place: Place, manifest: Manifest) -> None:
    """Write it whole or not at all. Raises OSError."""
    write_whole(beside(place, "json"), msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def write_whole(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a small file in one step; `durable`: it also survives a power cut. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as out:
        out.write(content)
        out.flush()
        if durable:
            os.fsync(out.fileno())
    draft.replace(path)
