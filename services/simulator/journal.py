"""What a venue must not forget, on disk: one JSON line for each event, and the same again after a kill."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Journal(Generic[T]):
    """Append-only JSON lines; an event is handed to the operating system before anybody hears of it."""

    def __init__(self, path: Path | None, kind: Any) -> None:
        """Keep events of the type `kind` in `path`; with None nothing outlives the process."""
        self._path = path
        self._file: int | None = None
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()

    def replay(self) -> Iterator[T]:
        """Yield the events written so far and stand ready to append; a line torn by a kill is cut off.

        Raises OSError when the file cannot be opened, msgspec.DecodeError when a whole line is damaged.
        """
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        kept = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                kept += len(line)
                yield self._decoder.decode(line)
        os.ftruncate(self._file, kept)

    def append(self, event: T) -> None:
        """Write one event in a single call. Raises OSError, after which nothing more is written or may be believed."""
        if self._path is None:
            return
        if self._file is None:
            raise OSError(errno.EIO, "the journal is closed or has failed", str(self._path))
        self._encoder.encode_into(event, self._buffer)
        self._buffer += b"\n"
        written = os.write(self._file, self._buffer)
        if written < len(self._buffer):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            self.close()
            raise OSError(errno.ENOSPC, "the journal could not be written whole", str(self._path))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
