"""What follows from each failure of the store, and that no password is ever shown."""

from __future__ import annotations

import asyncpg
import pytest

from libs.common.store import (
    RowRefused,
    Store,
    StoreError,
    StoreFull,
    StoreMismatch,
    StoreRefused,
    StoreUnreachable,
)
from libs.common.store.errors import explained, place
from libs.common.store.migrate import migrations
from libs.common.store.tables import ACCOUNTS, ARCHIVE, FILLS, ORDERS

URL = "postgresql://trader:hunter2@db.example:6543/conclave"


@pytest.mark.parametrize(
    ("raised", "follows"),
    [
        (ConnectionRefusedError(111, "refused"), StoreUnreachable),
        (TimeoutError(), StoreUnreachable),
        (asyncpg.ConnectionDoesNotExistError("connection was closed"), StoreUnreachable),
        (asyncpg.CannotConnectNowError("the database system is starting up"), StoreUnreachable),
        (asyncpg.AdminShutdownError("terminating connection"), StoreUnreachable),
        (asyncpg.CrashShutdownError("terminating connection"), StoreUnreachable),
        (asyncpg.TooManyConnectionsError("sorry"), StoreUnreachable),
        (asyncpg.InterfaceError("pool is closed"), StoreUnreachable),
        (asyncpg.InternalClientError("another operation is in progress"), StoreUnreachable),
        (asyncpg.InvalidPasswordError("password authentication failed"), StoreRefused),
        (asyncpg.InvalidCatalogNameError("database does not exist"), StoreRefused),
        (asyncpg.InsufficientPrivilegeError("permission denied"), StoreRefused),
        (asyncpg.DiskFullError("No space left on device"), StoreFull),
        (asyncpg.NotNullViolationError("null value"), RowRefused),
        (asyncpg.CharacterNotInRepertoireError("invalid byte sequence"), RowRefused),
        (asyncpg.DataError("invalid input for query argument"), RowRefused),
        (OverflowError("value out of int64 range"), RowRefused),
        (asyncpg.UndefinedTableError('relation "ticks" does not exist'), StoreError),
        (StoreMismatch("as it was"), StoreMismatch),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_what_follows_from_a_failure(raised: BaseException, follows: type[StoreError]) -> None:
    error = explained(raised, URL)
    assert type(error) is follows
    assert "\n" not in str(error)
    assert "hunter2" not in str(error)
    assert str(error)


def test_the_place_is_named_without_the_login() -> None:
    assert place(URL) == "db.example:6543/conclave"
    assert place("postgresql:///conclave") == "localhost:5432/conclave"


async def test_a_store_that_is_not_open_says_so() -> None:
    with pytest.raises(StoreError, match="not open"):
        await Store(URL).captured()
    await Store(URL).close()


def test_migrations_are_numbered_without_holes() -> None:
    numbers = [step.number for step in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_column_of_a_table_is_named_once() -> None:
    for table in (*ARCHIVE, ORDERS, FILLS, ACCOUNTS):
        assert len(set(table.columns)) == len(table.columns)


def test_a_revision_only_moves_forward_and_the_first_time_stays() -> None:
    statement = ORDERS.upsert()
    assert "WHERE orders.revision < excluded.revision" in statement
    assert "created = excluded.created" not in statement
    assert FILLS.upsert().endswith("DO NOTHING")
