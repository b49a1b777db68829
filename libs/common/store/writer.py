"""Batches into the store: a plain binary COPY and the numbers reached in one transaction; with care after a clash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Final

import asyncpg

from libs.common.store.captured import UPSERT
from libs.common.store.levels import UNLIMITED
from libs.common.store.migrate import Connection
from libs.common.store.rows import Batch, Row
from libs.common.store.tables import Table

SLICE: Final = 2_500
"""Values encoded before other tasks of the process get a turn: about half a millisecond."""

STORED: Final = 20_000
"""Stored rows of one series that are looked at before a batch: a late row may span years of them."""

CONFLICTS: Final = (asyncpg.UniqueViolationError, asyncpg.ConfigurationLimitExceededError)
"""A row is there already; the second: to know it, a compressed chunk would be opened further than a COPY may."""

Put = Callable[[Connection, Table, list[Row]], Awaitable[int]]
"""Writes rows of a table; returns how many were there already, as far as it knows."""


class Writer:
    """Writes batches. `staged` counts those that met rows which were there already."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._met = False
        self.staged = 0

    async def write(self, batch: Batch) -> None:
        """All of the batch, or nothing. What is stored already stays as it is, or is replaced by what is better.

        Raises:
            asyncpg.PostgresError, OSError, ValueError: nothing was written; `errors.explained` says what follows.
        """
        # After a conflict the next batch is likely to meet stored rows too: it does not run into them first.
        if not self._met:
            try:
                await self._transaction(batch, _plain)
            except CONFLICTS:
                pass
            else:
                return
        try:
            self._met = await self._transaction(batch, _new_ones) > 0
        except CONFLICTS:
            self._met = await self._transaction(batch, _staged) > 0
        self.staged += self._met

    async def _transaction(self, batch: Batch, put: Put) -> int:
        met = 0
        async with self._pool.acquire() as connection, connection.transaction():
            if put is not _plain:
                await connection.execute(UNLIMITED)
            for table, rows in batch.rows.items():
                if rows:
                    met += await (put if table.unique else _plain)(connection, table, rows)
            for projection, rows in batch.upserts.items():
                await connection.executemany(projection.upsert(), rows)
            if captured := batch.captured():
                await connection.execute(UPSERT, *map(list, zip(*captured, strict=True)))
        return met


async def _plain(connection: Connection, table: Table, rows: list[Row]) -> int:
    await _copy(connection, table.name, table.columns, rows)
    return 0


async def _new_ones(connection: Connection, table: Table, rows: list[Row]) -> int:
    """COPY those that are not there; only where a row may replace another do those that are there go the long way."""
    if not table.series:
        return await _staged(connection, table, rows)
    key = itemgetter(*(table.columns.index(column) for column in table.key))
    seen = await _stored(connection, table, rows)
    known, new = [], []
    for row in rows:
        of_row = key(row)
        if of_row in seen:
            known.append(row)
            continue
        new.append(row)
        if None not in of_row:  # to a unique index no two NULLs are equal
            seen.add(of_row)
    if new:
        await _copy(connection, table.name, table.columns, new)
    if known and table.better:
        await _staged(connection, table, known)
    return len(known)


async def _stored(connection: Connection, table: Table, rows: list[Row]) -> set[Row]:
    """Keys of the rows that lie in the batch's span of time, series by series."""
    series = itemgetter(*(table.columns.index(column) for column in table.series))
    clock = table.columns.index(table.clock)
    spans: dict[Row, tuple[int, int]] = {}
    for row in rows:
        name, at = series(row), row[clock]
        first, last = spans.get(name, (at, at))
        spans[name] = min(first, at), max(last, at)
    types = ["integer" if column == "interval_s" else "text" for column in table.series]
    arrays = ", ".join(f"${i + 1}::{kind}[]" for i, kind in enumerate([*types, "bigint", "bigint"]))
    same = " AND ".join(f"t.{column} = s.{column}" for column in table.series)
    found = await connection.fetch(
        f"SELECT stored.* FROM unnest({arrays}) AS s ({', '.join(table.series)}, first, last) CROSS JOIN LATERAL ("
        f"SELECT {', '.join(table.key)} FROM {table.name} t WHERE {same} "
        f"AND t.{table.clock} BETWEEN s.first AND s.last LIMIT {STORED}) stored",
        *map(list, zip(*((*name, *span) for name, span in spans.items()), strict=True)),
    )
    return {tuple(row) for row in found}


async def _staged(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Through a temporary table, whatever is there and whoever else writes."""
    stage, columns = f"stage_{table.name}", ", ".join(f'"{column}"' for column in table.columns)
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS "
        f"AS SELECT {columns} FROM {table.name} LIMIT 0"
    )
    await _copy(connection, stage, table.columns, rows)
    # Where a row may be replaced, one statement may not meet it twice: of equal ones in the batch the first goes in.
    key = ", ".join(table.key) if table.better else ""
    first = f"DISTINCT ON ({key}) {columns} FROM {stage} ORDER BY {key}, ctid" if key else f"{columns} FROM {stage}"
    status = await connection.execute(f"INSERT INTO {table.name} ({columns}) SELECT {first} {table.on_conflict}")
    return len(rows) - int(status.rsplit(" ", 1)[-1])


async def _copy(connection: Connection, name: str, columns: Sequence[str], rows: list[Row]) -> None:
    values = sum(len(value) if isinstance(value, list) else 1 for value in rows[0])
    together = max(SLICE // values, 1)
    records = rows if len(rows) <= together else _in_slices(rows, together)
    await connection.copy_records_to_table(name, records=records, columns=columns)


async def _in_slices(rows: list[Row], together: int) -> AsyncIterator[Row]:
    for i, row in enumerate(rows):
        if i % together == 0:
            await asyncio.sleep(0)
        yield row
