"""Reading recorded stream sessions: `<receive ns> <json>` lines, plain or gzipped."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from services.simulator.binance.book import Book
from services.simulator.binance.decimals import parse8
from services.simulator.binance.feed import DataError, stream_symbol
from services.simulator.binance.wire import Level

log = logging.getLogger(__name__)

_SCANNED_LINES: Final = 5_000
_FUTURES_NAMES: Final = ("usdm", "coinm", "futures")

Texts = list[tuple[str, str]]


class Snapshot(msgspec.Struct):
    """A REST depth answer inside a recording."""

    lastUpdateId: int
    bids: Texts
    asks: Texts


class DepthUpdate(msgspec.Struct):
    """`<s>@depth` as recorded."""

    E: int
    U: int
    u: int
    b: Texts
    a: Texts


class TradeEvent(msgspec.Struct):
    """`<s>@trade` as recorded."""

    E: int
    t: int
    p: str
    q: str
    T: int
    m: bool


class Stamped(msgspec.Struct):
    """What tells time and kind in any payload: only futures have `pu`, or an `e` in a book ticker."""

    e: str = ""
    E: int = 0
    T: int = 0
    pu: int | None = None
    U: int = 0
    u: int = 0


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


class Message(msgspec.Struct, frozen=True, gc=False):
    """One recorded line: when it was received, its stream ("" for a REST snapshot) and the payload's exact text."""

    receive_ns: int
    stream: str
    payload: bytes


@dataclass
class Recording:
    """One file of a spot session and what its beginning says about it.

    `last_ids` holds the newest book id of each symbol near the start, by which a nameless snapshot finds its symbol.
    """

    path: Path
    first_event_ms: int = 0
    streams: set[str] = field(default_factory=set)
    last_ids: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @property
    def symbols(self) -> list[str]:
        """Symbols in the file, upper case, sorted."""
        return sorted({symbol for stream in self.streams if (symbol := stream_symbol(stream))})

    def owner(self, snapshot: Snapshot) -> str:
        """Return the symbol whose book ids are nearest to the snapshot's; "" when the file has no book."""
        return min(self.last_ids, key=lambda symbol: abs(self.last_ids[symbol] - snapshot.lastUpdateId), default="")

    def messages(self) -> Iterator[Message]:
        """Read the file line by line; a line that is no message is passed over. Raises DataError when unreadable."""
        decode = msgspec.json.Decoder(_Envelope).decode
        broken = 0
        with gzip.open(self.path, "rb") if self.path.suffix == ".gz" else self.path.open("rb") as lines:
            try:
                for line in lines:
                    stamp, _, text = line.strip().partition(b" ")
                    try:
                        envelope = decode(text)
                        receive_ns = int(stamp)
                    except (msgspec.DecodeError, ValueError):
                        broken += 1
                        continue
                    payload = bytes(envelope.data) if envelope.stream else text
                    yield Message(receive_ns, envelope.stream, payload)
            except (EOFError, OSError) as error:
                log.warning("binance simulator: %s ends early: %s", self.path.name, error)
        if broken:
            log.warning("binance simulator: %s: %d lines are no recorded messages and were skipped", self.path, broken)


def to_levels(texts: Texts) -> list[Level]:
    """Read recorded levels. Raises ValueError when one is no decimal."""
    return [(parse8(price), parse8(qty)) for price, qty in texts]


def to_book(snapshot: Snapshot) -> Book:
    """Make a book of a recorded snapshot."""
    return Book(snapshot.lastUpdateId, to_levels(snapshot.bids), to_levels(snapshot.asks))


def scan(path: Path) -> Recording | None:
    """Look at the beginning of a file; None, with one log line, when it is not a Binance spot recording."""
    recording = Recording(path)
    loose: list[Snapshot] = []
    if any(name in path.name.lower() for name in _FUTURES_NAMES):
        _log_skip(path, "its name says futures")
        return None
    for message in islice(recording.messages(), _SCANNED_LINES):
        try:
            if not message.stream:
                loose.append(msgspec.json.decode(message.payload, type=Snapshot))
                continue
            stamped = msgspec.json.decode(message.payload, type=Stamped)
        except msgspec.DecodeError:
            continue
        if stamped.pu is not None or stamped.e == "bookTicker" or (stamped.e == "depthUpdate" and stamped.T):
            _log_skip(path, "it is a futures recording")
            return None
        recording.streams.add(message.stream)
        recording.first_event_ms = recording.first_event_ms or stamped.E
        if stamped.e == "depthUpdate" and not loose:
            recording.last_ids[stream_symbol(message.stream)] = stamped.u
        elif stamped.e == "depthUpdate":
            recording.last_ids.setdefault(stream_symbol(message.stream), stamped.U)
    if not recording.symbols:
        _log_skip(path, "it has no market streams")
        return None
    for snapshot in loose:
        recording.snapshots.setdefault(recording.owner(snapshot), snapshot)
    return recording


def _log_skip(path: Path, reason: str) -> None:
    log.warning("binance simulator: %s skipped: not a spot recording (%s)", path.name, reason)


def open_recordings(data: Path) -> list[Recording]:
    """Find the spot recordings in a file or folder. Raises DataError when there are none."""
    paths = sorted(path for path in data.iterdir() if is_recording(path)) if data.is_dir() else [data]
    try:
        found = [recording for path in paths if (recording := scan(path)) is not None]
    except OSError as error:
        raise DataError(f"cannot read {data}: {error.strerror or error}; check the path and its permissions") from error
    if not found:
        raise DataError(
            f"{data} holds no Binance spot recording: expected *.jsonl or *.jsonl.gz with lines "
            '`<receive ns> {"stream":...,"data":...}`, or one FILE.parquet of bars'
        )
    return found


def is_recording(path: Path) -> bool:
    """Tell by the name whether a file may be a recording."""
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def timeline(recordings: list[Recording]) -> Iterator[tuple[Recording, Message]]:
    """Merge all files by receive stamp into one stream."""

    def tagged(recording: Recording) -> Iterator[tuple[int, Recording, Message]]:
        for message in recording.messages():
            yield message.receive_ns, recording, message

    for _, recording, message in merge(*map(tagged, recordings), key=lambda row: row[0]):
        yield recording, message
