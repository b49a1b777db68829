"""The archive against a real PostgreSQL: nothing lost and nothing doubled, whoever is killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.store import Keep, Store, StoreRefused
from libs.core.types import (
    SECOND,
    Action,
    Bar,
    BookStats,
    FeedHealth,
    Headline,
    Mode,
    Order,
    OrderState,
    Quote,
    Reading,
    Side,
    Ticks,
    Trade,
)
from services.features import archive as archive_module
from services.features.archive import Archive
from services.features.settings import ArchiveSettings

NOW = 1_723_161_600 * SECOND
QUICK = ArchiveSettings(rows=200, flush_s=0.05)


def ticks(first: int, count: int = 10, symbol: str = "BTCUSDT") -> Ticks:
    items = tuple(Trade(NOW + n, 60_000.0 + n, 0.1, 1, n) for n in range(first, first + count))
    return Ticks(id=f"{symbol}-{first}", ts_event=NOW + first, venue="binance", symbol=symbol, items=items)


def bar(number: int, symbol: str = "R_100") -> Bar:
    return Bar(
        id=f"{symbol}-{number}",
        ts_event=NOW + (number + 1) * SECOND,
        venue="deriv",
        symbol=symbol,
        interval_s=1,
        open_time=NOW + number * SECOND,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0 + number,
    )


def order(revision: int, *cited: str) -> Order:
    return Order(
        id=f"o{revision}",
        ts_event=NOW,
        intent_id="intent",
        revision=revision,
        state=OrderState.PLANNED,
        mode=Mode.PAPER,
        venue="binance",
        account="binance-paper",
        symbol="BTCUSDT",
        strategy="s",
        side=Side.BUY,
        action=Action.ENTER,
        quantity=Decimal(1),
        worst_price=Decimal(1),
        position_id="intent",
        reason="entry",
        ticks=cited,
    )


async def eventually(check: Callable[[], Awaitable[bool]], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if await check():
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class World:
    """A publisher, a broker, a database, and archives that come and go."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker = MemoryBroker()
        self.publisher = MemoryBus(self.broker)
        self.archive: Archive | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self, settings: ArchiveSettings = QUICK) -> Archive:
        self.archive = Archive(MemoryBus(self.broker), Store(self.url), settings)
        self.task = asyncio.create_task(self.archive.run())
        return self.archive

    async def crash(self) -> None:
        """As a kill would: nothing is flushed."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        assert self.archive is not None
        await self.archive._store.close()

    async def drain(self) -> None:
        assert self.archive is not None
        assert self.task is not None
        self.archive.drain()
        await asyncio.wait_for(self.task, 10)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def has(self, query: str, expected: object) -> None:
        async def check() -> bool:
            return (await self.rows(query))[0][0] == expected

        await eventually(check, f"{query} = {expected}")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    made = World(database_url)
    yield made
    if made.task is not None and not made.task.done():
        await made.crash()


async def test_what_was_published_before_and_after_the_start_is_stored(world: World) -> None:
    for n in range(5):
        await world.publisher.publish(ticks(n * 10 + 1))
    archive = world.start()
    for n in range(5, 10):
        await world.publisher.publish(ticks(n * 10 + 1))
        await world.publisher.publish(bar(n))
    await world.has("SELECT count(*) FROM ticks", 100)
    await world.has("SELECT count(*) FROM bars", 5)
    assert archive.problem == ""
    assert archive.lag_seconds == 0.0


async def test_draining_writes_what_is_in_hand(world: World) -> None:
    archive = world.start(ArchiveSettings(rows=100_000, flush_s=3600.0))
    await eventually(lambda: _true(archive.problem == ""), "store open")
    for n in range(50):
        await world.publisher.publish(bar(n))
    await eventually(lambda: _true(archive.lag_seconds > 0), "bars in hand")
    await asyncio.sleep(0.2)
    assert await world.rows("SELECT count(*) FROM bars") == [(0,)]
    await world.drain()
    assert await world.rows("SELECT count(*) FROM bars") == [(50,)]


async def test_a_crash_between_batches_loses_and_doubles_nothing(world: World) -> None:
    published = 0
    for _ in range(4):
        world.start(ArchiveSettings(rows=30, flush_s=0.01))
        for _ in range(40):
            await world.publisher.publish(ticks(published * 10 + 1))
            await world.publisher.publish(bar(published))
            published += 1
            await asyncio.sleep(0)
        await world.has("SELECT count(*) > 0 FROM ticks", True)
        await world.crash()
    archive = world.start()
    await world.has("SELECT count(*) FROM ticks", published * 10)
    await world.has("SELECT count(*) FROM bars", published)
    assert archive._store.staged == 0
    assert await world.rows("SELECT count(DISTINCT seq), min(seq), max(seq) FROM ticks") == [
        (published * 10, 1, published * 10)
    ]


async def test_a_new_publisher_numbers_from_one_again_and_is_stored(world: World) -> None:
    world.start()
    await world.publisher.publish(bar(0))
    await world.has("SELECT count(*) FROM bars", 1)
    second = MemoryBus(world.broker)
    await second.publish(bar(1))
    await second.publish(bar(0, symbol="R_50"))
    await world.has("SELECT count(*) FROM bars", 3)


async def test_what_ingest_publishes_again_after_a_restart_is_stored_once(world: World) -> None:
    world.start()
    await world.publisher.publish(ticks(1, 20))
    await world.has("SELECT count(*) FROM ticks", 20)
    second = MemoryBus(world.broker)
    refill = ticks(11, 20)
    await second.publish(refill)
    await world.has("SELECT count(*) FROM ticks", 30)


async def test_a_message_that_fits_no_column_is_put_aside_and_the_rest_is_stored(world: World) -> None:
    letters: list[Any] = []

    async def keep(received: Any) -> None:
        letters.append(received.event)

    await world.publisher.subscribe(["dlq.>"], keep, 0)
    for n in range(20):
        await world.publisher.publish(bar(n))
    await world.publisher.publish(ticks(2**63, 1))
    for n in range(20, 40):
        await world.publisher.publish(bar(n))
    archive = world.start()
    await world.has("SELECT count(*) FROM bars", 40)
    await eventually(lambda: _true(len(letters) == 1), "one dead letter")
    assert letters[0].subject == "md.tick.binance.BTCUSDT"
    assert "refused a row" in letters[0].reason
    await world.publisher.publish(ticks(5))
    await world.has("SELECT count(*) FROM ticks", 10)
    assert archive.problem == ""


async def test_an_order_keeps_the_messages_that_it_cites_whichever_comes_first(world: World) -> None:
    world.start()
    health = FeedHealth(id="health-1", ts_event=NOW, venue="binance", symbol="BTCUSDT", score=0.9)
    await world.publisher.publish(ticks(1))
    await world.publisher.publish(ticks(11))
    await world.publisher.publish(order(0, "BTCUSDT-11", "health-1", "never-seen"))
    await world.publisher.publish(health)
    await world.has("SELECT count(*) FROM cited", 2)
    found = await world.rows("SELECT message_id, body->>'score' FROM cited ORDER BY 1")
    assert found == [("BTCUSDT-11", None), ("health-1", "0.9")]


async def test_quotes_are_thinned_but_not_trades(world: World) -> None:
    world.start()
    items = tuple(Quote(NOW + n * SECOND // 100, 1.0, 1.0, 2.0, 1.0, n) for n in range(1, 31))
    await world.publisher.publish(Ticks(id="q", ts_event=NOW, venue="binance", symbol="BTCUSDT", items=items))
    await world.publisher.publish(ticks(1, 30))
    await world.has("SELECT count(*) FROM ticks", 30)
    assert await world.rows("SELECT count(*) FROM quotes") == [(4,)]


async def test_books_outside_series_and_headlines_are_stored_too(world: World) -> None:
    world.start()
    stats = {"venue": "binance", "symbol": "BTCUSDT", "first_id": 1, "last_id": 5}
    await world.publisher.publish(BookStats(id="b", ts_event=NOW, bids=((1.0, 2.0),), asks=((1.5, 3.0),), **stats))
    await world.publisher.publish(Reading(id="r", ts_event=NOW, source="fred", series="DGS10", period=0, value=4.5))
    await world.publisher.publish(Headline(id="h", ts_event=NOW, source="rss", source_id="1", title="Rates hold"))
    await world.has("SELECT sum(bid_depth + ask_depth) FROM book_stats", 5.0)
    await world.has("SELECT max(value) FROM readings", 4.5)
    await world.has("SELECT max(title) FROM headlines", "Rates hold")


async def test_while_it_runs_bars_are_rolled_up_and_what_is_too_old_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "ROLLUP_S", 0.05)
    monkeypatch.setattr(archive_module, "RETENTION_S", 0.05)
    keep = replace(Keep.everything(timedelta(days=30)), raw={"deriv": timedelta(hours=24)})
    archive = world.start(ArchiveSettings(rows=200, flush_s=0.05, keep=keep))
    for n in range(90):
        await world.publisher.publish(bar(n))
    await world.publisher.publish(ticks(1))
    raw = Ticks(id="d", ts_event=NOW, venue="deriv", symbol="R_100", items=(Trade(NOW, 1.0, 0.0, 0, 1),))
    await world.publisher.publish(raw)
    await world.has("SELECT count(*) FROM ticks", 11)
    await world.rows("UPDATE ticks SET stored_at = now() - interval '24 hours' RETURNING 1")
    retention = asyncio.create_task(archive.run_retention())
    await world.has("SELECT count(*) FROM ticks", 10)
    await world.has("SELECT count(*) FROM bars_rollup WHERE interval_s = 60", 2)
    await world.publisher.publish(bar(120))
    await world.has("SELECT count(*) FROM bars_rollup WHERE interval_s = 60", 3)
    retention.cancel()
    await asyncio.wait({retention})


async def test_a_refused_login_at_the_start_ends_it_with_one_line(database_url: str) -> None:
    world = World(database_url.replace(":secret@", ":wrong@"))
    world.start()
    assert world.task is not None
    with pytest.raises(StoreRefused, match="refused the login"):
        await asyncio.wait_for(world.task, 10)


async def test_a_store_that_starts_late_gets_everything(own_cluster: Any, own_url: str) -> None:
    world = World(own_url)
    own_cluster.stop()
    archive = world.start()
    await eventually(lambda: _true("cannot be reached" in archive.problem), "the problem is said")
    for n in range(30):
        await world.publisher.publish(bar(n))
    assert archive.lag_seconds > 0
    await asyncio.to_thread(own_cluster.start)
    await world.has("SELECT count(*) FROM bars", 30)
    await eventually(lambda: _true(archive.problem == "" and archive.lag_seconds == 0), "all is well again")
    await world.drain()


async def test_after_kills_the_store_is_complete_even_if_commits_were_lost(own_cluster: Any, own_url: str) -> None:
    world = World(own_url)
    archive = world.start(ArchiveSettings(rows=50, flush_s=0.01))
    published = 0

    async def publish_on(stop: asyncio.Event) -> None:
        nonlocal published
        while not stop.is_set():
            await world.publisher.publish(ticks(published * 10 + 1))
            await world.publisher.publish(bar(published))
            published += 1
            await asyncio.sleep(0.002)

    stop = asyncio.Event()
    publishing = asyncio.create_task(publish_on(stop))
    for _ in range(2):
        before = archive.stored
        await eventually(lambda before=before: _true(archive.stored > before + 200), "rows flow")
        await asyncio.to_thread(own_cluster.stop, signal.SIGKILL)
        await eventually(lambda: _true(archive.problem != ""), "the outage is noticed")
        await asyncio.to_thread(own_cluster.start)
        await eventually(lambda: _true(archive.problem == ""), "the store is back")
    stop.set()
    await publishing
    await world.has("SELECT count(*) FROM ticks", published * 10)
    await world.has("SELECT count(DISTINCT seq) FROM ticks", published * 10)
    await world.has("SELECT count(*) FROM bars", published)
    await world.drain()


async def _true(value: bool) -> bool:
    return value
