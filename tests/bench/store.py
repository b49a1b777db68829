"""Rows a second into PostgreSQL: the store's paths against a bare COPY of the same rows into an identical table."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import asyncpg
import numpy as np

from libs.common.bus import Received
from libs.common.store import Batch, Store, StoreUnreachable
from libs.common.store.tables import BARS, FEATURES, TICKS, Table
from libs.core.types import SECOND, Bar, Event, Features, Ticks, Trade, stable_id, subject_of
from tests.bench.harness import REPEATS, Line, compared, interleaved
from tests.bench.sandbox import START_S, BenchError, Sandbox

TICK_ROWS: Final = 100_000
BAR_ROWS: Final = 50_000
VECTOR_ROWS: Final = 5_000
VALUES: Final = 250
"""Of a vector: about what the full feature set has."""

BATCH: Final = 5_000
"""Rows of a COPY: the default of features.archive_batch_rows."""

PER_MESSAGE: Final = 10
SYMBOLS: Final = 20
REPEATED: Final = 0.1
"""Share of a batch's rows that are stored already, on the repair path: what is read again after a crash."""

START: Final = 1_700_000_000 * SECOND


def ticks(at: int) -> Ticks:
    """Ten prints as ingest publishes them; `at` is the number of the first."""
    stamp = START + at * 1_000_000
    items = tuple(Trade(stamp + i, 61_837.5 + i, 0.01 * (i + 1), 1, at + i + 1) for i in range(PER_MESSAGE))
    symbol = f"B{at // PER_MESSAGE % SYMBOLS:02d}USDT"
    return Ticks(id=stable_id("bench", at), ts_event=stamp, venue="binance", symbol=symbol, ts_recv=stamp, items=items)


def bar(at: int) -> Bar:
    """A bar of one second of one of the symbols."""
    stamp = START + at // SYMBOLS * SECOND
    return Bar(
        id=str(at), ts_event=stamp + SECOND, venue="binance", symbol=f"B{at % SYMBOLS:02d}USDT", interval_s=1,
        open_time=stamp, open=61_837.5, high=61_840.25, low=61_830.0, close=61_839.0 + at % 7, volume=1.25 + at % 11,
        buy_volume=0.5, trades=17, flags=0, last_seq=at + 1, ts_recv=stamp,
    )  # fmt: skip


def vector(at: int) -> Features:
    """A vector of that bar."""
    of = bar(at)
    values = np.random.default_rng(at % 97).normal(size=VALUES).astype("<f8").tobytes()
    return Features(
        id=str(at), ts_event=of.ts_event, venue=of.venue, symbol=of.symbol, interval_s=1, bar_time=of.open_time,
        set_hash="bench", values=values, open=of.open, high=of.high, low=of.low, close=of.close, volume=of.volume,
        warm=True,
    )  # fmt: skip


def batches_of(table: Table, first: int, rows: int) -> list[Batch]:
    """Messages from number `first` on, as the archive gathers them."""
    made, batch = [], Batch()
    step = PER_MESSAGE if table is TICKS else 1
    for at in range(first, first + rows, step):
        event: Event = ticks(at) if table is TICKS else bar(at) if table is BARS else vector(at)
        batch.add(Received(subject_of(event), event, 1, at + 1, at + 1, "", START, START))
        if len(batch.rows[table]) >= BATCH:
            made.append(batch)
            batch = Batch()
    return made


class Writers:
    """Both ways into the same database; every measurement starts on empty tables."""

    def __init__(self, store: Store, plain: asyncpg.Connection, table: Table, rows: int, repair: bool) -> None:
        self._store, self._plain, self._table = store, plain, table
        self.rows, self.repair = rows, repair
        self._first = 0

    async def _batches(self) -> list[Batch]:
        """The batches of a measurement; on the repair path a part of each is there already."""
        self._first += self.rows
        await self._plain.execute(f"TRUNCATE {self._table.name}, bare_{self._table.name}, captured")
        batches = batches_of(self._table, self._first, self.rows)
        if self.repair:
            for batch in batches:
                known = batch.rows[self._table][: int(BATCH * REPEATED)]
                await self._plain.copy_records_to_table(self._table.name, records=known, columns=self._table.columns)
        return batches

    async def ours(self) -> float:
        """`Store.write`: plain COPY with the numbers reached in one transaction; staged where rows are there."""
        batches = await self._batches()
        begun = time.perf_counter()
        for batch in batches:
            await self._store.write(batch)
        return self.rows / (time.perf_counter() - begun)

    async def bare(self) -> float:
        """asyncpg's COPY, each batch committed, and nothing in its way."""
        rows = [batch.rows[self._table] for batch in await self._batches()]
        begun = time.perf_counter()
        for records in rows:
            await self._plain.copy_records_to_table(
                f"bare_{self._table.name}", records=records, columns=self._table.columns
            )
        return self.rows / (time.perf_counter() - begun)


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines `store_ticks`, `store_bars`, `store_vectors` and those of the repair path."""
    lines = []
    async with Sandbox("store") as box:
        url = await box.postgres()
        store = await _opened(url)
        plain = await asyncpg.connect(url)
        try:
            for name, table, rows in (
                ("store_ticks", TICKS, TICK_ROWS),
                ("store_bars", BARS, BAR_ROWS),
                ("store_vectors", FEATURES, VECTOR_ROWS),
            ):
                await plain.execute(f"CREATE TABLE bare_{table.name} (LIKE {table.name} INCLUDING ALL)")
                for repair in (False, True):
                    writers = Writers(store, plain, table, rows, repair)
                    lines.append(await _line(name, writers, store, repeats))
        finally:
            await plain.close()
            await store.close()
    return lines


async def _opened(url: str) -> Store:
    """A server listens a moment before it lets anyone in."""
    store, deadline = Store(url), time.monotonic() + START_S
    while True:
        try:
            await store.open()
        except StoreUnreachable as err:
            if time.monotonic() > deadline:
                raise BenchError(str(err)) from None
            await asyncio.sleep(0.1)
        else:
            return store


async def _line(name: str, writers: Writers, store: Store, repeats: int) -> Line:
    await interleaved(writers.ours, writers.bare, 1)
    before = store.staged
    pairs = await interleaved(writers.ours, writers.bare, repeats)
    rows, batches = writers.rows, repeats * writers.rows // BATCH
    what = f"{rows:,} rows in batches of {BATCH:,}, {store.staged - before} of {batches} batches staged"
    if writers.repair:
        return compared(f"{name}_repair", pairs, unit="rows/s", what=what, at_least=0.45)
    return compared(name, pairs, unit="rows/s", what=what, at_least=0.70)
