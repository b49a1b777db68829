"""The truth record: every tick, trade, bar and order the simulator made, one JSON line each."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any, Final

import msgspec

FLUSH_SECONDS: Final = 0.1
FLUSH_BYTES: Final = 1 << 16

Series = tuple[str, str, str, str]


class _Head(msgspec.Struct):
    """The part of a line that says which series it belongs to."""

    venue: str
    kind: str
    symbol: str
    seq: int
    interval: str = ""


class Record:
    """Appends what the simulator sent, so that a store can be compared with it afterwards.

    A line holds venue, kind, symbol, seq, ts (nanoseconds UTC) and the fields of its kind: `tick` (seq = epoch
    second, price as text), `trade` (seq = trade id, price, qty as text, side), `bar` (seq = open time in
    nanoseconds, interval, o, h, l, c, v as text), `buy`, `sell`, `cancel`, `settle` (seq = transaction id; amount,
    balance, contract_id, and how it ended: status, reason), `cash` (money without a contract: action), `limits` (the
    limit orders of a contract after a change). Of Binance's accounts: `order` (seq = order id), `fill` and `cancel`
    (seq = execution id, `counter` is the order on the other side, -1 the market), `transfer` (symbol = asset, signed
    amount, why): transfers, the opening money among them, fills and fees make every balance. A sequence is written
    once per series, across restarts too. What a kill -9 can lose is the last FLUSH_SECONDS of what no journal keeps.
    """

    def __init__(self, path: Path | None) -> None:
        """Open `path` for appending, or keep nothing when it is None. Raises OSError when it cannot be written."""
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._last: dict[Series, int] = {}
        self._file: int | None = None
        self.lines = 0
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._read_back(path)

    def _read_back(self, path: Path) -> None:
        decoder = msgspec.json.Decoder(_Head)
        kept = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                kept += len(line)
                with contextlib.suppress(msgspec.DecodeError):
                    head = decoder.decode(line)
                    self._remember((head.venue, head.kind, head.symbol, head.interval), head.seq)
        if self._file is not None:
            os.ftruncate(self._file, kept)  # a line torn by kill -9 would spoil the one appended after it

    def _remember(self, series: Series, seq: int) -> bool:
        if seq <= self._last.get(series, -1):
            return False
        self._last[series] = seq
        return True

    def last(self, venue: str, kind: str, symbol: str, interval: str = "") -> int | None:
        """Return the newest sequence written of a series, or None."""
        return self._last.get((venue, kind, symbol, interval))

    def write(self, venue: str, kind: str, symbol: str, seq: int, ts_ns: int, **fields: Any) -> bool:
        """Append one line unless this series already reached `seq`; returns whether it was new."""
        if not self._remember((venue, kind, symbol, str(fields.get("interval", ""))), seq):
            return False
        self.lines += 1
        if self._file is None:
            return True
        line = {"venue": venue, "kind": kind, "symbol": symbol, "seq": seq, "ts": ts_ns, **fields}
        self._encoder.encode_into(line, self._buffer, len(self._buffer))
        self._buffer += b"\n"
        if len(self._buffer) >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._schedule()
        return True

    def _schedule(self) -> None:
        try:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        except RuntimeError:  # no event loop to come back in: nothing else would write it
            self.flush()

    def flush(self) -> None:
        """Hand everything buffered to the operating system. Raises OSError (disk full)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None and self._buffer:
            written = os.write(self._file, self._buffer)
            del self._buffer[:written]
            if self._buffer:
                self._schedule()

    def close(self) -> None:
        """Flush and close the file; safe to call twice."""
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None
