"""Opening the store: migrations by several at once, schemas that do not fit, and what a person reads when it fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import numpy as np
import pytest

from libs.common.embedded.ports import free_port
from libs.common.store import Level, Store, StoreFull, StoreMismatch, StoreRefused, StoreUnreachable
from libs.common.store.errors import explained
from libs.common.store.levels import statements
from libs.common.store.migrate import Migration, migrate, migrations
from libs.core.types import SECOND

TABLES = (
    *("ticks", "bars", "features", "forecasts", "signals", "verdicts", "equity", "orders", "fills"),
    *("positions", "models", "bots", "accounts", "audit", "captured", "book_stats", "readings"),
    *("headlines", "rollups", "dropped"),
)


async def test_services_that_start_together_migrate_once(database_url: str) -> None:
    stores = [Store(database_url) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    applied = await stores[0].pool.fetch("SELECT number FROM schema_migrations ORDER BY number")
    assert [row["number"] for row in applied] == [step.number for step in migrations()]
    for table in TABLES:
        assert await stores[0].pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    await asyncio.gather(*(store.close() for store in stores))


async def test_opening_again_changes_nothing(store: Store) -> None:
    async with store.pool.acquire() as connection:
        assert await migrate(connection) == []
    await store.open()
    await store.ping()


async def test_a_failing_migration_leaves_no_trace_and_can_be_corrected(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    good = Migration(1, "good", "CREATE TABLE good (a int)")
    broken = Migration(2, "broken", "CREATE TABLE half (a int); SELECT nonsense")
    with pytest.raises(asyncpg.PostgresError):
        await migrate(connection, (good, broken))
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    corrected = replace(broken, sql="CREATE TABLE half (a int)")
    assert await migrate(connection, (good, corrected)) == [2]
    await connection.close()


async def test_a_changed_or_unknown_migration_is_refused_in_one_line(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    first, second = Migration(1, "first", "SELECT 1"), Migration(2, "second", "SELECT 2")
    await migrate(connection, (first, second))
    with pytest.raises(StoreMismatch, match=r"0001_first.sql differs"):
        await migrate(connection, (replace(first, sql="SELECT 3"), second))
    with pytest.raises(StoreMismatch, match="0002, which this program does not know"):
        await migrate(connection, (first,))
    await connection.close()


async def test_a_wrong_password_is_one_line_that_names_the_setting(database_url: str) -> None:
    with pytest.raises(StoreRefused) as caught:
        await Store(database_url.replace(":secret@", ":wrong@")).open()
    assert "refused the login of user conclave" in str(caught.value)
    assert "platform.database_url" in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_missing_database_is_said_to_be_missing(database_url: str) -> None:
    with pytest.raises(StoreRefused, match="no such database"):
        await Store(database_url + "x").open()


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://h:notaport/d"])
def test_what_is_no_url_of_postgresql_is_said_so(url: str) -> None:
    with pytest.raises(StoreRefused, match="no PostgreSQL URL"):
        Store(url)


async def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        await Store(f"postgresql://conclave:secret@127.0.0.1:{free_port()}/conclave").open()


def test_a_full_disk_is_told_from_an_outage() -> None:
    full = explained(asyncpg.DiskFullError("could not extend file: No space left on device"), "postgresql://h:1/d")
    assert isinstance(full, StoreFull)
    assert "make room" in str(full)


@pytest.mark.parametrize("level", [Level.APACHE, Level.COMMUNITY])
async def test_every_server_can_parse_the_statements_of_the_levels_above_it(store: Store, level: Level) -> None:
    """What the server has no function for it says so; a word in the wrong place would be a syntax error."""
    for statement in statements(level):
        async with store.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(statement)
            except asyncpg.PostgresSyntaxError as err:
                raise AssertionError(f"{err}: {statement}") from None
            except asyncpg.PostgresError:
                continue
            finally:
                await transaction.rollback()


async def test_a_store_of_plain_tables_becomes_one_of_the_servers_level_with_all_that_it_holds(store: Store) -> None:
    await store.pool.execute("DELETE FROM schema_level")
    given = {"open_time": [0, 60], "open": [1.0, 2.0], "high": [3.0, 3.0], "low": [1.0, 1.0], "close": [2.0, 2.5]}
    columns = {name: np.array(values) for name, values in given.items()}
    columns["open_time"] = columns["open_time"] * SECOND
    columns |= {name: np.zeros(2) for name in ("volume", "buy_volume")} | {"trades": np.zeros(2, "i8")}
    await store.write_history_bars("v", "s", 60, columns)
    await store.open()
    await store.roll_up()
    rows = await store.pool.fetch("SELECT open, high, low, close, parts FROM bars_rollup WHERE interval_s = 300")
    assert [tuple(row) for row in rows] == [(1.0, 3.0, 1.0, 2.5, 2)]
    assert await store.pool.fetchval("SELECT level FROM schema_level") == store.level
