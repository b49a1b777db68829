"""Batches into the store: a plain binary COPY and the numbers reached in one transaction, staged only on a conflict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import asyncpg

from libs.common.store.captured import UPSERT
from libs.common.store.levels import UNLIMITED
from libs.common.store.migrate import Connection
from libs.common.store.rows import Batch, Row
from libs.common.store.tables import Table

SLICE: Final = 2_500
"""Values encoded before other tasks of the process get a turn: about half a millisecond."""


class Writer:
    """Writes batches. `staged` counts those that met rows which were there already."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.staged = 0

    async def write(self, batch: Batch) -> None:
        """All of the batch, or nothing. What is stored already stays as it is.

        Raises:
            asyncpg.PostgresError, OSError, ValueError: nothing was written; `errors.explained` says what follows.
        """
        try:
            await self._transaction(batch, staged=False)
        except (asyncpg.UniqueViolationError, asyncpg.ConfigurationLimitExceededError):
            # The second: a compressed chunk would have to be opened further than a plain COPY may.
            self.staged += 1
            await self._transaction(batch, staged=True)

    async def _transaction(self, batch: Batch, *, staged: bool) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            if staged:
                await connection.execute(UNLIMITED)
            for table, rows in batch.rows.items():
                if not rows:
                    continue
                if staged and table.unique:
                    await _through_staging(connection, table, rows)
                else:
                    await _copy(connection, table.name, table.columns, rows)
            for projection, rows in batch.upserts.items():
                await connection.executemany(projection.upsert(), rows)
            if captured := batch.captured():
                await connection.execute(UPSERT, *map(list, zip(*captured, strict=True)))


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


async def _through_staging(connection: Connection, table: Table, rows: list[Row]) -> None:
    stage, columns = f"stage_{table.name}", ", ".join(f'"{column}"' for column in table.columns)
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS "
        f"AS SELECT {columns} FROM {table.name} LIMIT 0"
    )
    await _copy(connection, stage, table.columns, rows)
    # Where a row may be replaced, one statement may not meet it twice: of equal ones in the batch the first goes in.
    key = ", ".join(table.key)
    first = f"DISTINCT ON ({key}) {columns} FROM {stage} ORDER BY {key}, ctid" if key else f"{columns} FROM {stage}"
    await connection.execute(f"INSERT INTO {table.name} ({columns}) SELECT {first} {table.on_conflict}")
