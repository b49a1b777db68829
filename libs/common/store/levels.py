"""What the server can do beyond tables, and the statements that make use of it: PostgreSQL, or TimescaleDB's editions.

The numbered migrations are the same everywhere. What follows here differs: hypertables need TimescaleDB, continuous
aggregates, compression and policies need its community licence. Statements can be repeated, are executed one by one and
outside a transaction: CREATE MATERIALIZED VIEW ... WITH (timescaledb.continuous) takes part in none (2.0 and later)
unless it is made WITH NO DATA, and a string of several statements is a transaction.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from libs.common.store.errors import StoreMismatch
from libs.common.store.migrate import Connection
from libs.common.store.tables import ARCHIVE, BARS, BOOK_STATS, FEATURES, QUOTES, TICKS, Table
from libs.core.types import SECOND

DAY: Final = 86_400 * SECOND
ROLLUPS: Final = (60, 300, 900, 3_600, 86_400)
"""Seconds of the bars that are rolled up from stored shorter ones; each divides the next."""

CHUNK: Final = {BARS.name: 30 * DAY, "rollups": 360 * DAY}
"""Length of a chunk where it is not a day: years of downloaded bars shall not make a thousand chunks."""

UNLIMITED: Final = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
"""Lets a transaction change compressed chunks however many rows that takes (100,000 unless told; since 2.11). Any
PostgreSQL accepts it: a setting with a dot in its name may be anything."""

SEGMENTS: Final[dict[Table, str]] = {
    TICKS: "venue, symbol",
    QUOTES: "venue, symbol",
    BOOK_STATS: "venue, symbol",
    BARS: "venue, symbol, interval_s",
    FEATURES: "venue, symbol, interval_s, set_hash",
}
"""The large tables and the columns by which they are asked for, the time aside."""

_VALUES: Final = "open, high, low, close, volume, buy_volume, trades, flags, last_seq"
_COLUMNS: Final = f"venue, symbol, interval_s, open_time, source_s, {_VALUES}, parts"


class Level(StrEnum):
    """Each can all that the one before can."""

    PLAIN = "plain"
    APACHE = "apache"
    COMMUNITY = "community"


_ORDER: Final = tuple(Level)


async def present_level(connection: Connection) -> Level:
    """What this database's server can do, by the extension and its licence."""
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"):
        return Level.PLAIN
    licence = await connection.fetchval("SHOW timescaledb.license")
    return Level.COMMUNITY if licence == "timescale" else Level.APACHE


async def reach_level(connection: Connection) -> Level:
    """Bring the tables to what the server can do; call it under the lock of the migrations.

    Raises:
        StoreMismatch: the tables were made for more than the server can do now.
    """
    level = await present_level(connection)
    made = await connection.fetchrow("SELECT level, checksum FROM schema_level")
    if made is not None and _ORDER.index(Level(made["level"])) > _ORDER.index(level):
        raise StoreMismatch(
            f"the database was made for TimescaleDB at {made['level']} level and the server is at {level} level; "
            "set timescaledb.license back, or begin with an empty database"
        )
    wanted = statements(level)
    checksum = hashlib.blake2b("\n".join(wanted).encode(), digest_size=16).hexdigest()
    if made is not None and (made["level"], made["checksum"]) == (level, checksum):
        return level
    for statement in wanted:
        await connection.execute(statement)
    await connection.execute(
        "INSERT INTO schema_level (level, checksum) VALUES ($1, $2) "
        "ON CONFLICT (one) DO UPDATE SET level = excluded.level, checksum = excluded.checksum, applied_at = now()",
        *(level.value, checksum),
    )
    return level


def statements(level: Level) -> tuple[str, ...]:
    """What makes the tables of a migrated database those of `level`, in order; each can be repeated."""
    found = []
    if level is not Level.PLAIN:
        for table, clock in [(table.name, table.clock) for table in ARCHIVE] + [("rollups", "open_time")]:
            found += _hypertable(table, clock)
    if level is Level.COMMUNITY:
        found += _community()
    found.append(_rollup_view("SELECT {0} FROM rollups", level))
    return tuple(found)


def aggregate_name(interval_s: int) -> str:
    """The continuous aggregate that makes bars of `interval_s`."""
    return f"rollup_{interval_s}"


def _hypertable(table: str, clock: str) -> list[str]:
    length = CHUNK.get(table, DAY)
    return [
        f"SELECT create_hypertable('{table}', '{clock}', chunk_time_interval => {length}::bigint, "
        "create_default_indexes => false, migrate_data => true, if_not_exists => true)",
        f"SELECT set_chunk_time_interval('{table}', {length}::bigint)",
    ]


def _community() -> list[str]:
    found = [
        # Continuous aggregates over a bigint clock, and policies on them, ask a stable function for the present.
        "CREATE OR REPLACE FUNCTION ns_now() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS "
        "$$ SELECT (extract(epoch FROM now()) * 1000000000)::bigint $$",
        f"SELECT set_integer_now_func('{BARS.name}', 'ns_now', replace_if_exists => true)",
    ]
    for table, segments in SEGMENTS.items():
        found += [
            f"ALTER TABLE {table.name} SET (timescaledb.compress, timescaledb.compress_segmentby = '{segments}', "
            f"timescaledb.compress_orderby = '{table.clock}')",
        ]
    return found + [_aggregate(interval_s) for interval_s in ROLLUPS]


def _aggregate(interval_s: int) -> str:
    """Flat over bars: each may be stored at any length that divides this one. There is no refresh policy: its window
    would know nothing of what retention has dropped (`rollup.refresh` does). What is not refreshed yet is computed when
    it is asked for (materialized_only = false; true is the default since 2.13)."""
    width = interval_s * SECOND
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {aggregate_name(interval_s)} "
        "WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS "
        f"SELECT venue, symbol, interval_s AS source_s, time_bucket({width}::bigint, open_time) AS bucket, "
        "first(open, open_time) AS open, max(high) AS high, min(low) AS low, last(close, open_time) AS close, "
        "sum(volume) AS volume, sum(buy_volume) AS buy_volume, sum(trades)::bigint AS trades, bit_or(flags) AS flags, "
        "max(last_seq) AS last_seq, count(*) AS parts "
        f"FROM bars WHERE interval_s < {interval_s} AND {interval_s} % interval_s = 0 "
        "GROUP BY venue, symbol, source_s, bucket WITH NO DATA"
    )


def _rollup_view(source: str, level: Level) -> str:
    """The one name by which roll-ups are read at every level: per bucket the best covered source, then the finest."""
    sources = [source.format(_COLUMNS)]
    if level is Level.COMMUNITY:
        sources += [
            f"SELECT venue, symbol, {interval_s}, bucket, source_s, {_VALUES}, parts FROM {aggregate_name(interval_s)}"
            for interval_s in ROLLUPS
        ]
    return (
        "CREATE OR REPLACE VIEW bars_rollup AS "
        f"SELECT DISTINCT ON (venue, symbol, interval_s, open_time) {_COLUMNS} "
        f"FROM ({' UNION ALL '.join(sources)}) AS every_source "
        "ORDER BY venue, symbol, interval_s, open_time, parts * source_s DESC, source_s"
    )
