"""Higher bars from stored lower ones: touched buckets again, and never one that retention has taken a part of.

At community level the server keeps them (continuous aggregates) and is told which ranges to refresh; at the other
levels they are rows of `rollups`, computed here rung by rung: 1m from bars, 5m from 1m, up to 1d.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Final

import asyncpg

from libs.common.store.levels import ROLLUPS, Level, aggregate_name
from libs.common.store.migrate import Connection
from libs.common.store.windows import Range, refresh_windows
from libs.core.types import SECOND

LOCK: Final = 0x726F_6C6C_7570
"""Key of the advisory lock ("rollup"): who does not get it leaves the work to the other."""

MARGIN_MINUTES: Final = 5
"""Rows bear the beginning of the transaction that stored them; none lasts this long."""

TIMEOUT_S: Final = 3_600.0
"""The first pass over a store that is full takes its time."""

_SAME: Final = ("high", "low", "volume", "buy_volume", "trades", "flags", "last_seq", "parts", "open", "close")


def _statement(interval_s: int, source: str, source_s: str, parts: str, touched: str, rung: str) -> str:
    """Compute buckets of `interval_s` anew: `touched` selects the rows that changed, `rung` what they are made of.

    Each bucket is looked up by itself: in a join the planner, with old statistics, lets all of them meet all bars.
    """
    width = interval_s * SECOND
    sets = ", ".join(f"{name} = excluded.{name}" for name in _SAME)
    wanted = (
        "NOT EXISTS (SELECT FROM dropped d WHERE d.name = 'bars' AND d.venue = t.venue AND d.symbol = t.symbol "
        f"AND d.ranges && int8range(t.bucket, t.bucket + {width}))"
        if source == "bars"
        else "true"
    )
    ours, theirs = (", ".join(f"{whose}.{name}" for name in _SAME) for whose in ("rollups", "excluded"))
    return f"""
INSERT INTO rollups (venue, symbol, interval_s, open_time, source_s, {", ".join(_SAME)})
SELECT t.venue, t.symbol, {interval_s}, t.bucket, t.source_s, made.*
FROM (
    SELECT DISTINCT venue, symbol, {source_s} AS source_s, open_time - open_time % {width} AS bucket
    FROM {source} WHERE {touched}
) t
CROSS JOIN LATERAL (
    SELECT max(high), min(low), sum(volume), sum(buy_volume), sum(trades)::bigint, bit_or(flags), max(last_seq),
        sum({parts})::bigint, (array_agg(open ORDER BY open_time))[1], (array_agg(close ORDER BY open_time DESC))[1]
    FROM {source}
    WHERE venue = t.venue AND symbol = t.symbol AND {source_s} = t.source_s
        AND open_time >= t.bucket AND open_time < t.bucket + {width}{rung}
) made
WHERE {wanted}
ON CONFLICT (venue, symbol, interval_s, open_time, source_s) DO UPDATE SET {sets}, stored_at = now()
WHERE ({ours}) IS DISTINCT FROM ({theirs})
"""


def _statements() -> tuple[str, ...]:
    """From bars where no lower rung is made of them, else from the rung below; `$1`: since when bars have changed."""
    found = []
    for below, interval_s in pairwise((0, *ROLLUPS)):
        divides = f"interval_s < {interval_s} AND {interval_s} % interval_s = 0"
        has_rung = f"AND NOT (interval_s < {below} AND {below} % interval_s = 0)" if below else ""
        direct = f"stored_at >= $1 AND {divides} {has_rung}"
        found.append(_statement(interval_s, "bars", "interval_s", "1", direct, ""))
        if below:
            again = f"interval_s = {below} AND stored_at = now() AND $1::timestamptz IS NOT NULL"
            rung = f" AND interval_s = {below}"
            found.append(_statement(interval_s, "rollups", "source_s", "parts", again, rung))
    return tuple(found)


STATEMENTS: Final = _statements()


async def roll_up(pool: asyncpg.Pool, level: Level, *, last: bool = False) -> None:
    """Bring roll-ups up to date with the bars that were stored since it was called before.

    `last`: retention follows, so that buckets which are not complete yet are computed as well (community level; the
    other levels always do).
    """
    if level is Level.COMMUNITY:
        await _refresh(pool, last=last)
        return
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            await _compute(connection)


async def _compute(connection: Connection) -> None:
    since = await connection.fetchval(
        f"SELECT coalesce((SELECT rolled_to - interval '{MARGIN_MINUTES} minutes' FROM rollup_state), '-infinity')"
    )
    for statement in STATEMENTS:
        await connection.execute(statement, since, timeout=TIMEOUT_S)
    await connection.execute(
        "INSERT INTO rollup_state (rolled_to) VALUES (now()) ON CONFLICT (one) DO UPDATE SET rolled_to = now()"
    )


async def _refresh(pool: asyncpg.Pool, *, last: bool) -> None:
    """Outside a transaction: CALL refresh_continuous_aggregate commits on its way."""
    until = None if last else time.time_ns()
    present = [
        (row["range_start_integer"], row["range_end_integer"])
        for row in await pool.fetch(
            "SELECT range_start_integer, range_end_integer FROM timescaledb_information.chunks "
            "WHERE hypertable_schema = current_schema() AND hypertable_name = 'bars'"
        )
    ]
    taken = await dropped_ranges(pool)
    for interval_s in ROLLUPS:
        for first, end in refresh_windows(present, taken, interval_s * SECOND, until):
            await pool.execute(
                "CALL refresh_continuous_aggregate($1::regclass, $2::bigint, $3::bigint)",
                *(aggregate_name(interval_s), first, end),
                timeout=TIMEOUT_S,
            )


async def dropped_ranges(pool: asyncpg.Pool) -> list[Range]:
    """Data time of which retention has taken bars of any symbol: a refresh reaches them all."""
    rows = await pool.fetch("SELECT range_agg(r) AS ranges FROM dropped, unnest(ranges) AS r WHERE name = 'bars'")
    return [(one.lower, one.upper) for one in rows[0]["ranges"] or ()]
