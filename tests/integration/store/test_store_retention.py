"""What retention takes and what it leaves, on every server: raw Deriv prices go, what an order cites stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from libs.common.bus.base import Received
from libs.common.store import Batch, Keep, Level, Store
from libs.common.store.tables import ARCHIVE
from libs.core.types import SECOND, Bar, Event, Quote, Ticks, Trade, subject_of

NOW = 1_723_161_600 * SECOND
DAY = 86_400 * SECOND
MONTH = Keep.everything(timedelta(days=30))
TERMS = replace(MONTH, raw={"deriv": timedelta(hours=24)})


def batch_of(*events: Event, epoch: int = 1) -> Batch:
    batch = Batch()
    for i, event in enumerate(events):
        batch.add(Received(subject_of(event), event, epoch, i + 1, i + 1, "", 0, NOW))
    return batch


def bar(number: int) -> Bar:
    return Bar(
        id=f"b{number}",
        ts_event=NOW + (number + 1) * 5 * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        open_time=NOW + number * 5 * SECOND,
        open=99.0,
        high=101.0,
        low=98.5,
        close=100.0,
    )


def ticks(number: int, venue: str = "deriv", at: int = NOW) -> Ticks:
    items = (
        Trade(at + number, 1.0 + number, 0.0, 0, number),
        Quote(at + number * SECOND, 1.0, 0.0, 2.0, 0.0, number),
    )
    return Ticks(id=f"{venue}-{number}-{at}", ts_event=at, venue=venue, symbol="S", items=items)


async def count(store: Store, table: str, where: str = "true") -> int:
    return int(await store.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {where}"))


async def age(store: Store, table: str, interval: str, where: str = "true") -> None:
    await store.pool.execute(f"UPDATE {table} SET stored_at = now() - interval '{interval}' WHERE {where}")


async def test_retention_counts_from_the_day_of_storing_not_from_the_day_of_trading(store: Store) -> None:
    await store.write(batch_of(*(bar(n) for n in range(10))))
    assert set((await store.drop_old(MONTH)).values()) == {0}
    await age(store, "bars", "31 days", f"open_time < {bar(4).open_time}")
    assert (await store.drop_old(MONTH))["bars"] == 4
    assert await count(store, "bars") == 6
    assert await count(store, "captured") == 1


async def test_a_day_of_ticks_goes_as_a_whole_once_all_of_it_is_old(store: Store) -> None:
    await store.write(batch_of(*(ticks(n, at=NOW + day * DAY) for day in range(3) for n in (1, 2))))
    first, second = f"ts_event < {NOW + DAY}", f"ts_event = {NOW + DAY + 1}"
    await age(store, "ticks", "31 days", f"{first} OR {second}")
    removed = await store.drop_old(MONTH)
    assert (removed["ticks"], removed["quotes"]) == (3, 0)
    left = [row[0] - NOW for row in await store.pool.fetch("SELECT ts_event FROM ticks ORDER BY ts_event")]
    assert left == [DAY + 2, 2 * DAY + 1, 2 * DAY + 2]
    if store.level is not Level.PLAIN:
        chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'ticks'"
        assert await store.pool.fetchval(chunks) == 2


async def test_each_kind_is_kept_for_its_own_time(store: Store) -> None:
    await store.write(batch_of(bar(0), ticks(1, "binance")))
    for table in ("bars", "ticks", "quotes"):
        await age(store, table, "10 days")
    removed = await store.drop_old(replace(MONTH, ticks=timedelta(days=7)))
    assert {name: gone for name, gone in removed.items() if gone} == {"ticks": 1, "quotes": 1}
    assert await count(store, "bars") == 1


async def test_raw_deriv_prices_go_after_a_day_and_what_an_order_cites_stays(store: Store) -> None:
    batch = batch_of(*(ticks(n, venue) for venue in ("deriv", "binance") for n in range(1, 11)), bar(0))
    batch.cite("intent-1", ticks(3))
    await store.write(batch)
    assert (await store.drop_old(TERMS))["ticks"] == 0
    for table in ("ticks", "quotes", "bars"):
        await age(store, table, "25 hours")
    removed = await store.drop_old(TERMS)
    assert {name: gone for name, gone in removed.items() if gone} == {"ticks": 10, "quotes": 10}
    for table in ("ticks", "quotes"):
        assert await count(store, table, "venue = 'binance'") == 10
        assert await count(store, table) == 10
    assert await count(store, "bars") == 1
    assert await store.pool.fetchval("SELECT body->'items'->0->>1 FROM cited") == str(NOW + 3)


def test_rows_with_a_term_go_before_it_and_never_at_once() -> None:
    sooner = TERMS.sooner(timedelta(minutes=10))
    assert sooner.raw == {"deriv": timedelta(hours=23, minutes=50)}
    assert replace(sooner, raw={}) == replace(TERMS, raw={})
    short = replace(TERMS, raw={"deriv": timedelta(minutes=15)}).sooner(timedelta(minutes=10))
    assert short.raw == {"deriv": timedelta(minutes=10)}


async def test_the_archive_lies_in_hypertables_where_the_server_has_them(store: Store) -> None:
    if store.level is Level.PLAIN:
        pytest.skip("this server is plain PostgreSQL")
    rows = await store.pool.fetch("SELECT hypertable_name FROM timescaledb_information.hypertables")
    assert {row["hypertable_name"] for row in rows} == {table.name for table in ARCHIVE} | {"rollups"}


class TestCompressed:
    """Chunks that the community edition has compressed are written to, read and cut like the others."""

    @pytest.fixture(autouse=True)
    async def compressed(self, store: Store) -> None:
        if store.level is not Level.COMMUNITY:
            pytest.skip("this server compresses nothing")
        both = [ticks(n, venue) for venue in ("deriv", "binance") for n in range(1, 1_001)]
        await store.write(batch_of(*both, *(bar(n) for n in range(1_000))))
        await store.drop_old(TERMS)
        assert await self.chunks(store) == 0
        for table in ("ticks", "quotes", "bars"):
            await age(store, table, "3 days")
        await store.drop_old(MONTH)
        assert await self.chunks(store) == 3
        assert await count(store, "ticks") == 2_000

    async def chunks(self, store: Store) -> int:
        return await count(store, "timescaledb_information.chunks", "is_compressed")

    async def test_what_comes_again_is_stored_once(self, store: Store) -> None:
        await store.write(batch_of(*(ticks(n) for n in range(990, 1_011)), bar(999), bar(1_000), epoch=2))
        assert store.staged == 1
        assert await count(store, "ticks") == 2_010
        assert await count(store, "bars") == 1_001

    async def test_raw_deriv_prices_leave_it(self, store: Store) -> None:
        removed = await store.drop_old(TERMS)
        assert (removed["ticks"], removed["bars"]) == (1_000, 0)
        assert await count(store, "ticks", "venue = 'deriv'") == 0
        assert await count(store, "ticks") == 1_000

    async def test_it_goes_as_a_whole_once_all_of_it_is_old(self, store: Store) -> None:
        assert (await store.drop_old(MONTH))["bars"] == 0
        assert (await store.drop_old(Keep.everything(timedelta(days=2))))["bars"] == 1_000
        assert await self.chunks(store) == 0
        assert await count(store, "bars_rollup", "interval_s = 3600") > 0
