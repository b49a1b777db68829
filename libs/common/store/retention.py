"""Old rows go: whole chunks where TimescaleDB keeps them, else small deletes along the block-range index.

Age is machine time since a row was stored, at every level: recorded sessions and downloaded history are years old on
the day they are stored, and a retention policy over data time would drop them at once. Roll-ups alone go by data time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import asyncpg

from libs.common.store.levels import DAY, ROLLUPS, SEGMENTS, UNLIMITED, Level, aggregate_name
from libs.common.store.rollup import roll_up
from libs.common.store.tables import ARCHIVE, BARS, QUOTES, TICKS, Table
from libs.core.types import SECOND, Nanos

DELETE_ROWS: Final = 20_000
"""Rows per delete: short transactions, so that the writer never waits for retention."""

DROP_TIMEOUT_S: Final = 600.0

COMPRESS_AFTER: Final = timedelta(days=2)
"""A chunk is compressed once nothing has been stored in it for this long. A policy would go by data time: it would
compress a recorded session while it is being stored, and again for each part of a download."""

RAW: Final = (TICKS, QUOTES)
"""Tables of a venue's raw prices, which its terms may allow to be kept for a short time only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long rows are kept after they were stored.

    Attributes:
        ticks: ticks and quotes. book: top of the book. bars, features: what they say.
        decisions: forecasts, signals, verdicts, equity.
        raw: venue to how long its raw ticks and quotes may be kept, where that is shorter than `ticks`.
        rollups: data time, counted from the bar's opening.
    """

    ticks: timedelta
    book: timedelta
    bars: timedelta
    features: timedelta
    decisions: timedelta
    rollups: timedelta = timedelta(days=3_650)
    raw: Mapping[str, timedelta] = field(default_factory=dict)

    @classmethod
    def everything(cls, keep: timedelta) -> Keep:
        """The same for every table of the archive."""
        return cls(ticks=keep, book=keep, bars=keep, features=keep, decisions=keep)

    def sooner(self, margin: timedelta) -> Keep:
        """The same with every venue's term for raw prices shorter by `margin`, the time between two runs."""
        return replace(self, raw={venue: max(term - margin, margin) for venue, term in self.raw.items()})

    def of(self, table: Table) -> timedelta:
        """How long the rows of a table are kept."""
        found: timedelta = getattr(self, table.kept)
        return found


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: str
    first: Nanos
    last: Nanos
    compressed: bool


async def drop_old(pool: asyncpg.Pool, level: Level, keep: Keep) -> dict[str, int]:
    """Remove what has been kept long enough; per archive table, the rows removed.

    Roll-ups are brought up to date first, so that no bar goes without having been part of its higher ones.
    """
    await roll_up(pool, level, last=True)
    removed = {table.name: 0 for table in ARCHIVE}
    for table in RAW:
        for venue, term in keep.raw.items():
            if term < keep.of(table):
                removed[table.name] += await _drop_of_venue(pool, level, table, venue, term)
    for table in ARCHIVE:
        drop = _delete if level is Level.PLAIN else _drop_chunks
        removed[table.name] += await drop(pool, table, keep.of(table))
    await _cut_rollups(pool, level, keep.rollups)
    if level is Level.COMMUNITY:
        for table in SEGMENTS:
            await _compress(pool, table)
    return removed


async def _chunks(pool: asyncpg.Pool, table: str) -> list[_Chunk]:
    rows = await pool.fetch(
        "SELECT format('%I.%I', chunk_schema, chunk_name) AS name, range_start_integer AS first, "
        "range_end_integer AS last, coalesce(is_compressed, false) AS compressed "
        "FROM timescaledb_information.chunks WHERE hypertable_name = $1 "
        "AND hypertable_schema = current_schema() ORDER BY range_start_integer",
        table,
    )
    return [_Chunk(*row) for row in rows]


async def _drop_chunks(pool: asyncpg.Pool, table: Table, keep: timedelta) -> int:
    """A chunk holds a range of data time, and may have been written to long after it was made: it goes as a whole only
    when all of it is old, else its old rows go. (A row's ctid tells it apart within its chunk alone, and a compressed
    row has none: a compressed chunk waits until all of it is old.)"""
    removed = 0
    for chunk in await _chunks(pool, table.name):
        fresh = f"SELECT EXISTS (SELECT FROM {chunk.name} WHERE stored_at >= now() - $1::interval)"
        if await pool.fetchval(fresh, keep):
            if not chunk.compressed:
                removed += await _delete(pool, table, keep, place=chunk.name)
            continue
        async with pool.acquire() as connection, connection.transaction():
            if table is BARS:
                await connection.execute(_note(chunk.name), timeout=DROP_TIMEOUT_S)
            removed += await connection.fetchval(f"SELECT count(*) FROM {chunk.name}", timeout=DROP_TIMEOUT_S)
            await connection.execute(
                "SELECT drop_chunks($1::regclass, older_than => $2::bigint, newer_than => $3::bigint)",
                *(table.name, chunk.last, chunk.first),
            )
    return removed


async def _delete(
    pool: asyncpg.Pool, table: Table, keep: timedelta, *, place: str = "", venue: str | None = None
) -> int:
    """Delete old rows of a table or of one chunk (`place`), of one venue if given, a few at a time."""
    name = place or table.name
    only = " AND venue = $2" if venue is not None else ""
    chosen = (
        f"DELETE FROM {name} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {name} WHERE stored_at < now() - $1::interval{only} LIMIT {DELETE_ROWS}))"
    )
    if table is BARS:
        gone = f"gone AS ({chosen} RETURNING venue, symbol, interval_s, open_time)"
        chosen = f"WITH {gone}, noted AS ({_note('gone')}) SELECT count(*) FROM gone"
    else:
        chosen = f"WITH gone AS ({chosen} RETURNING 1) SELECT count(*) FROM gone"
    arguments = (keep,) if venue is None else (keep, venue)
    removed = 0
    while True:
        count = int(await pool.fetchval(chosen, *arguments))
        removed += count
        if count < DELETE_ROWS:
            return removed


def _note(source: str) -> str:
    """Remember the data time of bars that go, per symbol: what they were part of is not computed again."""
    return (
        "INSERT INTO dropped (name, venue, symbol, ranges) "
        f"SELECT 'bars', venue, symbol, range_agg(int8range(open_time, open_time + interval_s * {SECOND}::bigint)) "
        f"FROM {source} GROUP BY venue, symbol "
        "ON CONFLICT (name, venue, symbol) DO UPDATE SET ranges = dropped.ranges + excluded.ranges"
    )


async def _drop_of_venue(pool: asyncpg.Pool, level: Level, table: Table, venue: str, keep: timedelta) -> int:
    if level is Level.PLAIN:
        return await _delete(pool, table, keep, venue=venue)
    removed = 0
    for chunk in await _chunks(pool, table.name):
        if not chunk.compressed:
            removed += await _delete(pool, table, keep, place=chunk.name, venue=venue)
            continue
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(UNLIMITED)
            status = await connection.execute(
                f"DELETE FROM {table.name} WHERE venue = $1 AND stored_at < now() - $2::interval "
                f"AND {table.clock} >= $3 AND {table.clock} < $4",
                *(venue, keep, chunk.first, chunk.last),
                timeout=DROP_TIMEOUT_S,
            )
            removed += int(status.rsplit(" ", 1)[-1])
    return removed


async def _compress(pool: asyncpg.Pool, table: Table) -> None:
    for chunk in await _chunks(pool, table.name):
        fresh = f"SELECT EXISTS (SELECT FROM {chunk.name} WHERE stored_at >= now() - $1::interval)"
        if not chunk.compressed and not await pool.fetchval(fresh, COMPRESS_AFTER):
            compress = "SELECT compress_chunk($1::regclass, if_not_compressed => true)"
            await pool.execute(compress, chunk.name, timeout=DROP_TIMEOUT_S)


async def _cut_rollups(pool: asyncpg.Pool, level: Level, keep: timedelta) -> None:
    """Roll-ups go by the day, so that each day's bars of every length go together."""
    length = int(keep.total_seconds()) * SECOND
    cutoff = (time.time_ns() - length) // DAY * DAY
    await pool.execute("DELETE FROM rollups WHERE open_time < $1", cutoff, timeout=DROP_TIMEOUT_S)
    if level is not Level.COMMUNITY:
        return
    policies = await pool.fetch(
        "SELECT c.view_name AS name, (j.config->>'drop_after')::bigint AS length FROM timescaledb_information.jobs j "
        "JOIN timescaledb_information.continuous_aggregates c "
        "ON j.hypertable_name IN (c.materialization_hypertable_name, c.view_name) "
        "WHERE j.proc_name = 'policy_retention' AND c.view_schema = current_schema()"
    )
    kept = {row["name"]: row["length"] for row in policies}
    for interval_s in ROLLUPS:
        name = aggregate_name(interval_s)
        if kept.get(name) != length:
            await pool.execute("SELECT remove_retention_policy($1::regclass, if_exists => true)", name)
            await pool.execute("SELECT add_retention_policy($1::regclass, drop_after => $2::bigint)", name, length)
