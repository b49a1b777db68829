"""Rows on their way into a table: kept as they come, so that whoever was killed goes on where he was."""

from __future__ import annotations

import fcntl
import zlib
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import numpy as np

from libs.core.history import FIELDS, Columns, Page, rows_in
from libs.core.types import Nanos
from libs.research.tables.manifest import What, beside, write_whole
from libs.research.tables.place import Place, TableError

PIECE: Final = 1 << 22


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a download of [start, end) has come. `rows`, `crc`: of the part file; `after`: see `Page`."""

    what: What
    start: Nanos
    end: Nanos
    rows: int
    crc: int
    after: str


class Spool:
    """The two files beside a table while it is downloaded: NAME.part (rows) and NAME.cursor (how far it has come).

    One process at a time: the part file is locked until `close`.
    """

    def __init__(self, place: Place, what: What) -> None:
        """Raises TableError when another process downloads into the same table."""
        self._what = what
        self._dtype = np.dtype([(name, kind) for name, kind in FIELDS[what.kind].items()])
        self._path, self._at = beside(place, "part"), beside(place, "cursor")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(self._path, place)
        self.cursor = self._resume()

    def _resume(self) -> Cursor | None:
        """The cursor of an earlier run, when its rows are all there; else everything of it is dropped."""
        try:
            cursor = msgspec.json.decode(self._at.read_bytes(), type=Cursor)
        except (OSError, msgspec.DecodeError):
            cursor = None
        size = cursor.rows * self._dtype.itemsize if cursor is not None else 0
        if cursor is None or cursor.what != self._what or _crc(self._file, size) != cursor.crc:
            self._at.unlink(missing_ok=True)
            self._file.truncate(0)
            return None
        self._file.truncate(size)
        self._file.seek(0, 2)
        return cursor

    def begin(self, start: Nanos, end: Nanos) -> None:
        """A new download of [start, end)."""
        self._file.truncate(0)
        self._file.seek(0)
        self._save(Cursor(what=self._what, start=start, end=end, rows=0, crc=0, after=""))

    def append(self, page: Page) -> None:
        """Keep the rows of a page. The cursor follows them: what it does not know is cut off at the next start."""
        if self.cursor is None:
            raise RuntimeError("begin first")
        records = np.empty(rows_in(page.columns), self._dtype)
        for name in self._dtype.names or ():
            records[name] = page.columns[name]
        content = records.tobytes()
        self._file.write(content)
        self._file.flush()
        crc, rows = zlib.crc32(content, self.cursor.crc), self.cursor.rows + len(records)
        self._save(msgspec.structs.replace(self.cursor, rows=rows, crc=crc, after=page.after))

    def _save(self, cursor: Cursor) -> None:
        # What a power cut damages is found by its checksum, and begun anew.
        write_whole(self._at, msgspec.json.encode(cursor), durable=False)
        self.cursor = cursor

    def columns(self) -> Columns:
        """Every row so far, in the order in which they came."""
        self._file.seek(0)
        records = np.frombuffer(self._file.read(), self._dtype)
        return {name: np.ascontiguousarray(records[name]) for name in FIELDS[self._what.kind]}

    def done(self) -> None:
        """The rows are in the table: forget them."""
        self._at.unlink(missing_ok=True)
        self._file.truncate(0)
        self._file.seek(0)
        self.cursor = None

    def close(self) -> None:
        """Let others in; where nothing has come of a span, nothing stays."""
        if self.cursor is None or (not self.cursor.after and self.cursor.start < self.cursor.end):
            self._at.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)
        self._file.close()


def _locked(path: Path, place: Place) -> BinaryIO:
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise TableError(f"another process downloads into {place} now") from None
    return file


def _crc(file: BinaryIO, size: int) -> int | None:
    """Of the first `size` bytes; None when there are fewer."""
    file.seek(0)
    crc = 0
    while size:
        content = file.read(min(size, PIECE))
        if not content:
            return None
        crc = zlib.crc32(content, crc)
        size -= len(content)
    return crc
