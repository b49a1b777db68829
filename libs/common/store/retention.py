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
    """Remove what was stored longer ago than `keep`; per archive table, the rows removed."""
    if await has_timescale(pool):
        return {table.name: await _drop_chunks(pool, table.name, keep) for table in ARCHIVE}
    return {table.name: await _delete(pool, table.name, keep) for table in ARCHIVE}


async def _drop_chunks(pool: asyncpg.Pool, table: str, keep: timedelta) -> int:
    """A chunk holds a day of data time, and may have been written to long after it was made: it goes as a whole only
    when all of it is old, else its old rows go. (A row's ctid tells it apart within its chunk alone.)"""
    chunks = await pool.fetch(
        "SELECT format('%I.%I', chunk_schema, chunk_name) AS name, range_start_integer AS first, "
        "range_end_integer AS last FROM timescaledb_information.chunks WHERE hypertable_name = $1 "
        "AND hypertable_schema = current_schema() ORDER BY range_start_integer",
        table,
    )
    removed = 0
    for chunk in chunks:
        name = chunk["name"]
        if await pool.fetchval(f"SELECT EXISTS (SELECT FROM {name} WHERE stored_at >= now() - $1::interval)", keep):
            removed += await _delete(pool, name, keep)
            continue
        removed += await pool.fetchval(f"SELECT count(*) FROM {name}")
        await pool.execute(
            "SELECT drop_chunks($1::regclass, older_than => $2::bigint, newer_than => $3::bigint)",
            *(table, chunk["last"], chunk["first"]),
        )
    return removed


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
