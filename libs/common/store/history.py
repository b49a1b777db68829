"""History in bulk: columns of bars, trades and readings into the store, and bars back out as columns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import asyncpg
import numpy as np
from numpy.typing import NDArray

from libs.common.store.binary import Columns, packed, unpacked
from libs.common.store.levels import UNLIMITED
from libs.common.store.migrate import Connection
from libs.common.store.tables import BARS
from libs.core.types import BarFlag, Nanos

SLICE: Final = 200_000
"""Rows of one transaction: a second or two."""

PIECE: Final = 1024 * 1024
"""Bytes that asyncpg is handed at once."""

Given = Mapping[str, NDArray[Any]]

BAR_FIELDS: Final = (
    ("open_time", "i8"),
    *((name, "f8") for name in ("open", "high", "low", "close", "volume", "buy_volume")),
    ("trades", "i8"),
    ("flags", "i4"),
    ("last_seq", "i8"),
)
TICK_FIELDS: Final = (("ts_event", "i8"), ("seq", "i8"), ("price", "f8"), ("size", "f8"), ("side", "i2"))
READING_FIELDS: Final = (("ts_event", "i8"), ("period", "i8"), ("value", "f8"))
_SQL: Final = {"i8": "bigint", "i4": "integer", "i2": "smallint", "f8": "double precision"}

_BAR_VALUES: Final = ("open", "high", "low", "close", "volume", "buy_volume", "trades", "last_seq")

_HISTORY: Final = BarFlag.HISTORY.value
_DIFFERS: Final = (
    f"({', '.join(f'bars.{name}' for name in _BAR_VALUES)}) IS DISTINCT FROM "
    f"({', '.join(f'{{0}}.{name}' for name in _BAR_VALUES)})"
)
# A later answer of the same history corrects an earlier one; otherwise as for the live stream.
_CORRECTS: Final = f"(bars.flags & {_HISTORY} <> 0 AND bar_rank({{0}}.flags) = bar_rank(bars.flags) AND {_DIFFERS})"
# Rows that would change nothing are left out first: an upsert writes to the row that it meets, even to leave it alone.
_WRITE_BARS: Final = f"""
INSERT INTO bars (venue, symbol, interval_s, open_time, {", ".join(_BAR_VALUES)}, flags, ts_recv)
SELECT $1, $2, $3::integer, open_time, {", ".join(_BAR_VALUES)}, flags, 0
FROM incoming i
WHERE NOT EXISTS (
    SELECT FROM bars WHERE venue = $1 AND symbol = $2 AND interval_s = $3::integer AND open_time = i.open_time
        AND open_time BETWEEN $4 AND $5
        AND NOT (bar_rank(i.flags) > bar_rank(bars.flags) OR {_CORRECTS.format("i")})
)
{BARS.on_conflict} OR {_CORRECTS.format("excluded")}
"""
_KIND: Final = "CASE WHEN size > 0 THEN 'trade' ELSE 'price' END"
_WRITE_TICKS: Final = (
    f"""
INSERT INTO ticks (venue, symbol, ts_event, seq, price, size, side, kind, ts_recv)
SELECT $1, $2, ts_event, seq, price, size, side, {_KIND}, 0 FROM incoming WHERE seq <> 0 ON CONFLICT DO NOTHING
""",
    # Without a number nothing is unique by itself: what was stored before the first of these is what is there already.
    f"""
INSERT INTO ticks (venue, symbol, ts_event, seq, price, size, side, kind, ts_recv)
SELECT $1, $2, i.ts_event, NULL, i.price, i.size, i.side, {_KIND.replace("size", "i.size")}, 0
FROM (SELECT *, row_number() OVER (PARTITION BY ts_event, price, size, side) AS copy FROM incoming WHERE seq = 0) i
LEFT JOIN (
    SELECT ts_event, price, size, side, count(*) AS copies FROM ticks
    WHERE venue = $1 AND symbol = $2 AND seq IS NULL
        AND ts_event BETWEEN (SELECT min(ts_event) FROM incoming) AND (SELECT max(ts_event) FROM incoming)
    GROUP BY ts_event, price, size, side
) t USING (ts_event, price, size, side)
WHERE i.copy > coalesce(t.copies, 0)
""",
)
_WRITE_READINGS: Final = """
INSERT INTO readings (source, series, ts_event, period, value)
SELECT DISTINCT ON (ts_event, period) $1, $2, ts_event, period, value FROM incoming ORDER BY ts_event, period, ctid DESC
ON CONFLICT (source, series, ts_event, period) DO UPDATE SET value = excluded.value, stored_at = now()
WHERE readings.value IS DISTINCT FROM excluded.value
"""
_READ_BARS: Final = f"""
SELECT {", ".join(name for name, _ in BAR_FIELDS)} FROM bars
WHERE venue = $1 AND symbol = $2 AND interval_s = $3 AND open_time >= $4 AND open_time < $5
UNION ALL
SELECT {", ".join(f"r.{name}" for name, _ in BAR_FIELDS)} FROM bars_rollup r
WHERE r.venue = $1 AND r.symbol = $2 AND r.interval_s = $3 AND r.open_time >= $4 AND r.open_time < $5
    AND NOT EXISTS (
        SELECT FROM bars b
        WHERE b.venue = $1 AND b.symbol = $2 AND b.interval_s = $3 AND b.open_time = r.open_time
    )
    AND (r.open_time + r.interval_s * 1000000000::bigint <= (
        SELECT b.open_time + b.interval_s * 1000000000::bigint FROM bars b
        WHERE b.venue = $1 AND b.symbol = $2 AND b.interval_s = r.source_s ORDER BY b.open_time DESC LIMIT 1
    )) IS NOT FALSE
ORDER BY open_time
"""


async def write_bars(pool: asyncpg.Pool, venue: str, symbol: str, interval_s: int, columns: Given) -> int:
    """See `Store.write_history_bars`."""
    count = len(columns["open_time"])
    flags = np.asarray(columns.get("flags", np.zeros(count, "i4"))) | _HISTORY
    numbers = columns.get("last_seq", np.zeros(count, "i8"))
    fixed = {"interval_s": np.full(count, interval_s, "i4"), "ts_recv": np.zeros(count, "i8")}
    whole = _once({**columns, "flags": flags, "last_seq": numbers, **fixed}, "open_time")
    written = 0
    for at in range(0, len(whole["open_time"]), SLICE):
        part = {name: values[at : at + SLICE] for name, values in whole.items()}
        stream = packed(
            (("interval_s", "i4"), *BAR_FIELDS, ("ts_recv", "i8")), part, {"venue": venue, "symbol": symbol}
        )
        try:
            async with pool.acquire() as connection, connection.transaction():
                await _copy(connection, stream, "bars", BARS.columns)
            written += len(part["open_time"])
        except (asyncpg.UniqueViolationError, asyncpg.ConfigurationLimitExceededError):
            span = int(part["open_time"][0]), int(part["open_time"][-1])
            written += await _write(pool, BAR_FIELDS, part, (_WRITE_BARS,), (venue, symbol, interval_s, *span))
    return written


def _once(columns: Given, key: str) -> Given:
    """Rows in the order of `key`, each value of it once: the last row that has it."""
    times = columns[key]
    if len(times) < 2 or (times[1:] > times[:-1]).all():
        return columns
    if len({len(values) for values in columns.values()}) != 1:
        raise ValueError("columns of different lengths")
    _, last = np.unique(times[::-1], return_index=True)
    return {name: values[::-1][last] for name, values in columns.items()}


async def write_ticks(pool: asyncpg.Pool, venue: str, symbol: str, columns: Given) -> int:
    """See `Store.write_history_ticks`."""
    return await _write(pool, TICK_FIELDS, columns, _WRITE_TICKS, (venue, symbol))


async def write_readings(pool: asyncpg.Pool, source: str, series: str, columns: Given) -> int:
    """See `Store.write_readings`."""
    return await _write(pool, READING_FIELDS, columns, (_WRITE_READINGS,), (source, series))


async def read_bars(pool: asyncpg.Pool, venue: str, symbol: str, interval_s: int, start: Nanos, end: Nanos) -> Columns:
    """See `Store.read_bars`."""
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        pieces.append(piece)

    async with pool.acquire() as connection:
        await connection.copy_from_query(
            _READ_BARS, venue, symbol, interval_s, start, end, output=keep, format="binary"
        )
    return unpacked(BAR_FIELDS, b"".join(pieces))


async def _write(
    pool: asyncpg.Pool,
    fields: Sequence[tuple[str, str]],
    columns: Given,
    statements: Sequence[str],
    names: Sequence[object],
) -> int:
    """Slices of the columns through a temporary table; returns the rows that are new or changed."""
    count, written = len(columns[fields[0][0]]), 0
    made = ", ".join(f"{name} {_SQL[kind]} NOT NULL" for name, kind in fields)
    for at in range(0, count, SLICE):
        stream = packed(fields, {name: columns[name][at : at + SLICE] for name, _ in fields})
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(UNLIMITED)
            await connection.execute(f"CREATE TEMPORARY TABLE incoming ({made}) ON COMMIT DROP")
            await _copy(connection, stream, "incoming", [name for name, _ in fields])
            await connection.execute("ANALYZE incoming")
            for statement in statements:
                status = await connection.execute(statement, *names)
                written += int(status.rsplit(" ", 1)[-1])
    return written


async def _copy(connection: Connection, stream: bytes, table: str, columns: Sequence[str]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(stream), PIECE):
            yield stream[at : at + PIECE]

    await connection.copy_to_table(table, source=pieces(), columns=columns, format="binary")
