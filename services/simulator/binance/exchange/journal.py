"""The engine's memory on disk: one line for each step, with every value that the step has changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.simulator.binance.exchange.orders import Amendment, Fact, Fill, Order, OrderList, Prevented


class Line(msgspec.Struct, omit_defaults=True):
    """After-images: what a step left behind, so that reading a line twice or stopping after any line is harmless.

    balances: account, asset, free, locked; ids: symbol and the last execution, trade and prevented match id.
    """

    ms: int
    orders: list[Order] = []
    balances: list[tuple[int, str, int, int]] = []
    fills: list[Fill] = []
    prevented: list[Prevented] = []
    amendments: list[Amendment] = []
    lists: list[OrderList] = []
    facts: list[Fact] = []
    ids: list[tuple[str, int, int, int]] = []


class Journal:
    """Append-only JSON lines; a step is handed to the operating system before anybody hears of it."""

    def __init__(self, path: Path | None) -> None:
        """Keep the lines in `path`; with None nothing outlives the process."""
        self._path = path
        self._file: int | None = None
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()

    def open(self) -> Iterator[Line]:
        """Yield the lines written so far and stand ready to append; a line torn by a kill is cut off.

        Raises OSError when the file cannot be opened, msgspec.DecodeError when a whole line is damaged.
        """
        if self._path is None:
            return
        decoder = msgspec.json.Decoder(Line)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        kept = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                kept += len(line)
                yield decoder.decode(line)
        os.ftruncate(self._file, kept)

    def append(self, line: Line) -> None:
        """Write one step in a single call. Raises OSError, after which nothing more is written or may be believed."""
        if self._path is None:
            return
        if self._file is None:
            raise OSError(errno.EIO, "the journal of the exchange is closed or has failed", str(self._path))
        self._encoder.encode_into(line, self._buffer)
        self._buffer += b"\n"
        written = os.write(self._file, self._buffer)
        if written < len(self._buffer):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            self.close()
            raise OSError(errno.ENOSPC, "the journal of the exchange could not be written whole", str(self._path))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
