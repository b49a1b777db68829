"""Numbered SQL migrations, applied in order under an advisory lock, forward only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from libs.common.store.errors import StoreMismatch

LOCK: Final = 0x636F_6E63_6C61_7665
"""Key of the advisory lock ("conclave")."""

Connection = asyncpg.Connection | PoolConnectionProxy
"""A connection of one's own, or lent by a pool."""

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.blake2b(self.sql.encode(), digest_size=16).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """The files that came with this program, in order."""
    found = []
    for file in files("libs.common.store").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda m: m.number))


async def migrate(connection: Connection, steps: tuple[Migration, ...] | None = None) -> list[int]:
    """Apply what is missing, each in its own transaction; returns the numbers applied.

    Raises:
        StoreMismatch: an applied file has changed since, or the database is newer than this program.
    """
    known = migrations() if steps is None else steps
    async with locked(connection):
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, "
            "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["number"]: row["checksum"] for row in await connection.fetch("TABLE schema_migrations")}
        _check(known, applied)
        missing = [step for step in known if step.number not in applied]
        for step in missing:
            async with connection.transaction():
                await connection.execute(step.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                    step.number,
                    step.name,
                    step.checksum,
                )
        return [step.number for step in missing]


@asynccontextmanager
async def locked(connection: Connection) -> AsyncIterator[None]:
    """One program at a time changes the schema; the same connection may take the lock again."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


def _check(known: tuple[Migration, ...], applied: dict[int, str]) -> None:
    by_number = {step.number: step for step in known}
    for number, checksum in sorted(applied.items()):
        if number not in by_number:
            raise StoreMismatch(
                f"the database has migration {number:04d}, which this program does not know; update the program"
            )
        if by_number[number].checksum != checksum:
            raise StoreMismatch(
                f"migration {number:04d}_{by_number[number].name}.sql differs from the one applied to the database; "
                "restore the file and put the change into a new migration"
            )
