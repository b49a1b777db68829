"""Rows a second into PostgreSQL: the store's fast path against a bare COPY of the same rows into an identical table."""

from __future__ import annotations

import time
from typing import Final

import asyncpg

from libs.common.bus import Received
from libs.common.store import Batch, Store
from libs.common.store.tables import TICKS
from libs.core.types import SECOND, Ticks, Trade, stable_id
from tests.bench.harness import REPEATS, Line, compared, interleaved
from tests.bench.sandbox import Sandbox

ROWS: Final = 100_000
BATCH: Final = 5_000
"""Rows of a COPY: the default of features.archive_batch_rows."""

PER_MESSAGE: Final = 10
SYMBOLS: Final = 20


def messages(first: int, rows: int) -> list[Received]:
    """Ticks as ingest publishes them; print numbers go on from `first`."""
    start = 1_700_000_000 * SECOND
    found = []
    for at in range(first, first + rows, PER_MESSAGE):
        symbol = f"B{at // PER_MESSAGE % SYMBOLS:02d}USDT"
        stamp = start + at * 1_000_000
        items = tuple(Trade(stamp + i, 61_837.5 + i, 0.01 * (i + 1), 1, at + i + 1) for i in range(PER_MESSAGE))
        ticks = Ticks(
            id=stable_id("bench", at), ts_event=stamp, venue="binance", symbol=symbol, ts_recv=stamp, items=items
        )
        found.append(Received(f"md.tick.binance.{symbol}", ticks, 1, at + 1, at + 1, "", stamp, stamp))
    return found


class Writers:
    """Both ways into the same database; every measurement starts on empty tables."""

    def __init__(self, store: Store, plain: asyncpg.Connection) -> None:
        self._store, self._plain = store, plain
        self._first = 0

    async def _batches(self) -> list[Batch]:
        self._first += ROWS
        await self._plain.execute("TRUNCATE ticks, bare_ticks")
        batches = []
        for at in range(self._first, self._first + ROWS, BATCH):
            batch = Batch()
            for message in messages(at, BATCH):
                batch.add(message)
            batches.append(batch)
        return batches

    async def ours(self) -> float:
        """`Store.write`: plain COPY with the numbers reached in one transaction."""
        batches = await self._batches()
        begun = time.perf_counter()
        for batch in batches:
            await self._store.write(batch)
        return ROWS / (time.perf_counter() - begun)

    async def bare(self) -> float:
        """asyncpg's COPY, each batch committed."""
        rows = [batch.rows[TICKS] for batch in await self._batches()]
        begun = time.perf_counter()
        for records in rows:
            await self._plain.copy_records_to_table("bare_ticks", records=records, columns=TICKS.columns)
        return ROWS / (time.perf_counter() - begun)


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `store_rows`."""
    async with Sandbox("store") as box:
        url = await box.postgres()
        store = Store(url)
        await store.open()
        plain = await asyncpg.connect(url)
        try:
            await plain.execute("CREATE TABLE bare_ticks (LIKE ticks INCLUDING ALL)")
            writers = Writers(store, plain)
            await interleaved(writers.ours, writers.bare, 1)
            pairs = await interleaved(writers.ours, writers.bare, repeats)
            staged = store.staged
        finally:
            await plain.close()
            await store.close()
    what = f"{ROWS:,} ticks in batches of {BATCH:,}, {staged} batches staged"
    return [compared("store_rows", pairs, unit="rows/s", what=what, at_least=0.70)]
