"""The store: one pool of connections that outlives a restart of the server, and what is read back from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import asyncpg
from numpy.typing import NDArray

from libs.common.store import history
from libs.common.store.binary import Columns
from libs.common.store.captured import Captured
from libs.common.store.errors import StoreError, StoreUnreachable, checked, explained
from libs.common.store.levels import Level, reach_level
from libs.common.store.migrate import Connection, locked, migrate
from libs.common.store.retention import Keep, drop_old
from libs.common.store.rollup import roll_up
from libs.common.store.rows import Batch
from libs.common.store.writer import Writer
from libs.core.types import SECOND, Bar, BarFlag, Nanos, stable_id

T = TypeVar("T")

CONNECT_S: Final = 5.0
COMMAND_S: Final = 60.0

FAILURES: Final = (
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
    ValueError,
    TypeError,
    OverflowError,
)
"""What asyncpg and the network may raise; `explained` turns each into a StoreError."""


class Store:
    """PostgreSQL, with or without TimescaleDB. Every method raises a StoreError that says what follows from it.

    `level`: what the server can do, known once the store is open.
    """

    def __init__(self, url: str, connections: int = 3) -> None:
        """Raises StoreRefused when `url` is no PostgreSQL URL."""
        checked(url)
        self.url = url
        self._connections = connections
        self._pool: asyncpg.Pool | None = None
        self._writer: Writer | None = None
        self._server_started: datetime | None = None
        self.level = Level.PLAIN

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool of an open store."""
        if self._pool is None:
            raise StoreError("the store is not open")
        return self._pool

    @property
    def staged(self) -> int:
        """Batches that met rows which were there already."""
        return self._writer.staged if self._writer else 0

    async def open(self) -> None:
        """Connect and bring the schema up to date; may be called again after it failed.

        Raises:
            StoreUnreachable: try again later. StoreRefused, StoreMismatch: a person must act. StoreFull.
        """
        try:
            if self._pool is None:
                self._server_started = None
                pool = await asyncpg.create_pool(
                    self.url,
                    min_size=1,
                    max_size=self._connections,
                    timeout=CONNECT_S,
                    command_timeout=COMMAND_S,
                    server_settings={"application_name": "conclave"},
                    init=self._meet,
                )
                self._pool, self._writer = pool, Writer(pool)
            async with self.pool.acquire() as connection, locked(connection):
                await migrate(connection)
                self.level = await reach_level(connection)
        except FAILURES as err:
            raise explained(err, self.url) from err

    async def _meet(self, connection: Connection) -> None:
        """Refuse a server that was started after the pool was opened: it may have lost its last commits.

        Between two batches nobody would notice: the pool connects anew in silence. So whoever writes has to open the
        store again, and asks it how far it has got.
        """
        started = await connection.fetchval("SELECT pg_postmaster_start_time()")
        self._server_started = self._server_started or started
        if started != self._server_started:
            raise ConnectionResetError("the server was started anew and may have lost its last commits")

    async def close(self) -> None:
        """Give all connections back; waits two seconds for what is under way."""
        pool, self._pool, self._writer = self._pool, None, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), 2.0)
        except FAILURES:
            pool.terminate()

    def _abandon(self) -> None:
        """Give up every connection: after one broke, asyncpg's pool may hand out others that are in no usable state."""
        if self._pool is not None:
            self._pool.terminate()
        self._pool, self._writer = None, None

    async def ping(self) -> None:
        """One round trip."""
        try:
            await self.pool.fetchval("SELECT 1", timeout=CONNECT_S)
        except FAILURES as err:
            raise explained(err, self.url) from err

    async def write(self, batch: Batch) -> None:
        """All of a batch with the numbers it reaches, or nothing."""
        try:
            if self._writer is None:
                raise StoreError("the store is not open")
            await self._writer.write(batch)
        except FAILURES as err:
            failure = explained(err, self.url)
            if isinstance(failure, StoreUnreachable):
                self._abandon()
            raise failure from err

    async def captured(self) -> Captured:
        """How far the store has got."""
        try:
            return await Captured.load(self.pool)
        except FAILURES as err:
            raise explained(err, self.url) from err

    async def roll_up(self) -> None:
        """Bring the higher bars (`bars_rollup`) up to date with the bars stored since the last time."""
        await self._with_pool(lambda pool: roll_up(pool, self.level))

    async def drop_old(self, keep: Keep) -> dict[str, int]:
        """Remove archive rows that were stored longer ago than `keep` says; per table what was removed."""
        return await self._with_pool(lambda pool: drop_old(pool, self.level, keep))

    async def write_history_bars(
        self, venue: str, symbol: str, interval_s: int, columns: Mapping[str, NDArray[Any]]
    ) -> int:
        """Bars of a source's history, flagged HISTORY; returns how many are new or changed. Again: none.

        A bar that was seen live stays, unless it has a hole (GAP); one from history is corrected.

        Args:
            columns: as `BAR_FIELDS` names them (open_time in ns UTC, prices in quote currency, volumes in base units);
                flags and last_seq may be absent, others are ignored.
        """
        return await self._with_pool(lambda pool: history.write_bars(pool, venue, symbol, interval_s, columns))

    async def write_history_ticks(self, venue: str, symbol: str, columns: Mapping[str, NDArray[Any]]) -> int:
        """Trades, or prices where size is 0; returns how many are new. Again: none.

        Args:
            columns: ts_event (ns UTC), price, size, side, seq (0 = the venue gives no number); others are ignored.
        """
        return await self._with_pool(lambda pool: history.write_ticks(pool, venue, symbol, columns))

    async def write_readings(self, source: str, series: str, columns: Mapping[str, NDArray[Any]]) -> int:
        """Values of an outside series: ts_event, period (ns UTC), value; returns how many are new or changed."""
        return await self._with_pool(lambda pool: history.write_readings(pool, source, series, columns))

    async def read_bars(self, venue: str, symbol: str, interval_s: int, start: Nanos, end: Nanos) -> Columns:
        """Stored bars that open in [start, end), oldest first, as columns named and typed as `BAR_FIELDS`.

        Where bars of this interval are not stored themselves, those rolled up from shorter ones stand in (1m, 5m, 15m,
        1h, 1d; in UTC), once a later bar shows that they are closed.
        """
        return await self._with_pool(lambda pool: history.read_bars(pool, venue, symbol, interval_s, start, end))

    async def _with_pool(self, work: Callable[[asyncpg.Pool], Awaitable[T]]) -> T:
        try:
            return await work(self.pool)
        except FAILURES as err:
            raise explained(err, self.url) from err

    async def bars(self, venue: str, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """The newest `count` stored bars that end at or before `end` (0 = no bound), oldest first."""
        last_open = end - interval_s * SECOND if end else 2**62
        try:
            rows = await self.pool.fetch(
                "SELECT * FROM bars WHERE venue = $1 AND symbol = $2 AND interval_s = $3 AND open_time <= $4 "
                "ORDER BY open_time DESC LIMIT $5",
                *(venue, symbol, interval_s, last_open, count),
            )
        except FAILURES as err:
            raise explained(err, self.url) from err
        return [_bar(row) for row in reversed(rows)]


def _bar(row: asyncpg.Record) -> Bar:
    key = (row["venue"], row["symbol"], row["interval_s"], row["open_time"])
    return Bar(
        id=stable_id("stored-bar", *key),
        ts_event=row["open_time"] + row["interval_s"] * SECOND,
        venue=row["venue"],
        symbol=row["symbol"],
        interval_s=row["interval_s"],
        open_time=row["open_time"],
        open=row["open"],
        high=row["high"],
        low=row["low"],
        close=row["close"],
        volume=row["volume"],
        buy_volume=row["buy_volume"],
        trades=row["trades"],
        flags=row["flags"] | BarFlag.HISTORY.value,
        last_seq=row["last_seq"],
    )
