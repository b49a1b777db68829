"""Old rows go: whole chunks where TimescaleDB keeps them, else small deletes along the block-range index."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import asyncpg

from libs.common.store.tables import ARCHIVE

DELETE_ROWS: Final = 20_000
"""Rows per delete: short transactions, so that the writer never waits for retention."""


async def has_timescale(pool: asyncpg.Pool) -> bool:
    """Whether the tables are hypertables."""
    return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"))


async def drop_old(pool: asyncpg.Pool, keep: timedelta) -> dict[str, int]:
    """Remove what was stored longer ago than `keep`; per archive table, the rows (or chunks) removed."""
    if await has_timescale(pool):
        return {table.name: await _drop_chunks(pool, table.name, keep) for table in ARCHIVE}
    return {table.name: await _delete(pool, table.name, keep) for table in ARCHIVE}


async def _drop_chunks(pool: asyncpg.Pool, table: str, keep: timedelta) -> int:
    rows = await pool.fetch("SELECT drop_chunks($1::regclass, created_before => now() - $2::interval)", table, keep)
    return len(rows)


async def _delete(pool: asyncpg.Pool, table: str, keep: timedelta) -> int:
    statement = (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table} WHERE stored_at < now() - $1::interval LIMIT {DELETE_ROWS}))"
    )
    removed = 0
    while True:
        status = await pool.execute(statement, keep)
        count = int(status.rsplit(" ", 1)[-1])
        removed += count
        if count < DELETE_ROWS:
            return removed
