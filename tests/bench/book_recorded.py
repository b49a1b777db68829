"""Book updates a second on a recorded session, beside two sortedcontainers.SortedDict that do the same."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from sortedcontainers import SortedDict

from libs.venues.binance.book import LocalBook
from libs.venues.binance.codec import DepthUpdate, Snapshot
from tests.bench.harness import REPEATS, ROOT, Line, compared, interleaved
from tests.bench.sandbox import BenchError

SESSIONS: Final = ROOT.parent / "shared" / "data" / "binance-ws"
SYMBOL: Final = "btcusdt"


class _Frame(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


def session(path: Path) -> tuple[Snapshot, list[DepthUpdate]]:
    """The snapshot of a recording and the updates that follow it."""
    frames = msgspec.json.Decoder(_Frame)
    updates_of, snapshots = (msgspec.json.Decoder(kind, strict=False) for kind in (DepthUpdate, Snapshot))
    snapshot: Snapshot | None = None
    updates: list[DepthUpdate] = []
    with gzip.open(path, "rb") as lines:
        for line in lines:
            body = line.partition(b" ")[2]
            frame = frames.decode(body)
            if "@depth" in frame.stream:
                updates.append(updates_of.decode(frame.data))
            elif not frame.stream and b"lastUpdateId" in body[:40]:
                snapshot = snapshots.decode(body)
    if snapshot is None:
        raise BenchError(f"{path.name} has no snapshot of its book")
    return snapshot, [update for update in updates if update.u > snapshot.lastUpdateId]


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `book_recorded_sorteddict`; none where the recording is not on this machine."""
    path = SESSIONS / f"binance_spot_{SYMBOL}_20240808.jsonl.gz"
    if not path.exists():
        return []
    snapshot, updates = session(path)
    ends: set[tuple[float, float]] = set()

    async def ours() -> float:
        book = LocalBook()
        book.seed(snapshot)
        begun = time.process_time()
        for update in updates:
            book.apply(update)
            bids, asks = book.top(1)
        spent = time.process_time() - begun
        ends.add((bids[0][0], asks[0][0]))
        return len(updates) / spent

    async def theirs() -> float:
        bids: Any = SortedDict(dict(snapshot.bids))
        asks: Any = SortedDict(dict(snapshot.asks))
        begun = time.process_time()
        for update in updates:
            for side, levels in ((bids, update.b), (asks, update.a)):
                for price, size in levels:
                    if size:
                        side[price] = size
                    else:
                        side.pop(price, None)
            best = bids.peekitem(-1)[0], asks.peekitem(0)[0]
        spent = time.process_time() - begun
        ends.add(best)
        return len(updates) / spent

    await interleaved(ours, theirs, 1)
    pairs = await interleaved(ours, theirs, repeats)
    if len(ends) != 1:
        raise BenchError(f"the books do not end alike: {sorted(ends)}")
    changes = sum(len(update.b) + len(update.a) for update in updates) / len(updates)
    what = f"{len(updates):,} recorded updates of {changes:.0f} levels and the best of each side; reference: SortedDict"
    return [compared("book_recorded_sorteddict", pairs, unit="updates/s", what=what, at_least=1.0)]
