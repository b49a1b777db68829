"""Sources as live feeds and history on a schedule: only what is new travels, and what fails is told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog

from libs.common.bus import NatsBus
from libs.common.chassis import FatalError
from libs.common.settings import Settings
from libs.common.settings.sources import HistorySettings, PollerSettings
from libs.common.store import Store
from libs.core.history import Kind, Page, of_rows, rows_in
from libs.core.types import SECOND, Bar, BarFlag, FeedHealth, FeedState, Reading
from libs.research.tables import place_of
from libs.research.tables.download import download
from libs.research.tables.manifest import What
from libs.research.tables.read import read_table
from libs.venues.errors import VenueRefused
from services.ingest.outgoing import Outgoing
from services.ingest.pollers import Poller, Pollers
from services.ingest.schedule import HistorySchedule
from services.ingest.sources import open_source
from services.ingest.updates import Updated, update, update_all
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions

Until = Callable[[Callable[[], object], str], Awaitable[None]]
MINUTE = 60


class Feed:
    """A CSV file that somebody keeps writing, and a poller of it on a real bus."""

    def __init__(self, bus: NatsBus, path: Path, interval: str) -> None:
        self.bus, self.path = bus, path
        self.settings = PollerSettings(source="file", symbol=str(path), interval=interval, every_s=1)
        self.out = Outgoing(bus)
        self.running = asyncio.create_task(self.out.run())
        self.poller = self.started()

    def started(self) -> Poller:
        source = open_source("file", self.path.parent)
        return Poller(self.settings, source, self.bus, self.out, random.Random(1))

    async def poll(self) -> int:
        count = await self.poller.poll()
        await self.out.flushed()
        return count

    async def published(self, kind: type, count: int) -> list[Any]:
        """What the stream has got, once it is so much."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = [r.event async for r in self.bus.read(["md.>"]) if isinstance(r.event, kind)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"never so many: {count} {kind.__name__}")


@pytest.fixture
async def bus(nats_server: Any) -> AsyncIterator[NatsBus]:
    connected = await NatsBus.connect(nats_server.url, "test")
    yield connected
    await connected.close()


@pytest.fixture
async def feed(bus: NatsBus, tmp_path: Path) -> AsyncIterator[Feed]:
    made = Feed(bus, tmp_path / "bars.csv", "1m")
    yield made
    made.running.cancel()


def write_bars(path: Path, first: int, count: int) -> None:
    rows = [f"{first + i * MINUTE},{1 + i},{2 + i},{0.5 + i},{1.5 + i},{i}" for i in range(count)]
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))


async def test_only_new_bars_travel_and_a_restart_repeats_none(feed: Feed) -> None:
    first = int(time.time()) // MINUTE * MINUTE - 100 * MINUTE
    write_bars(feed.path, first, 90)
    assert await feed.poll() == 3, "of the past only a few"
    assert await feed.poll() == 0
    write_bars(feed.path, first, 92)
    assert await feed.poll() == 2
    await feed.published(Bar, 5)
    feed.poller = feed.started()
    assert await feed.poll() == 0
    write_bars(feed.path, first, 95)
    assert await feed.poll() == 3
    bars: list[Bar] = await feed.published(Bar, 8)
    assert [(bar.open_time // SECOND - first) // MINUTE for bar in bars] == list(range(87, 95))
    assert {(bar.venue, bar.symbol, bar.interval_s, bar.flags) for bar in bars} == {
        ("file", str(feed.path), 60, BarFlag.VENUE)
    }
    assert bars[0].ts_event == bars[0].open_time + MINUTE * SECOND


async def test_health_tells_how_late_the_data_is(feed: Feed) -> None:
    first = int(time.time()) // MINUTE * MINUTE - 10 * MINUTE
    write_bars(feed.path, first, 5)
    await feed.poll()
    write_bars(feed.path, first, 10)
    await feed.poll()
    late, fresh = await feed.published(FeedHealth, 2)
    assert (late.score, late.state, late.event) == (0.0, FeedState.DOWN, "stale")
    assert 240 <= late.staleness_s <= 400
    assert (fresh.score, fresh.state, fresh.event, fresh.delay_s) == (1.0, FeedState.OPEN, "", 0.0)


async def test_a_source_that_is_away_is_told_once_and_so_is_its_return(feed: Feed) -> None:
    for _ in range(2):
        assert await feed.poll() == 0
    assert feed.poller.failures == 2
    write_bars(feed.path, int(time.time()) // MINUTE * MINUTE - 5 * MINUTE, 5)
    assert await feed.poll() == 3
    told: list[FeedHealth] = await feed.published(FeedHealth, 3)
    assert [health.event for health in told] == ["unreachable", "", "reconnect"]
    assert "does not exist" in told[0].detail
    assert [health.score for health in told] == [0.0, 0.0, 1.0]


async def test_of_a_series_the_newest_value_travels_and_then_each_new_one(bus: NatsBus, tmp_path: Path) -> None:
    feed = Feed(bus, tmp_path / "series.csv", "readings")
    days = [f"{int(time.time()) - age * 86_400},{age / 2}" for age in (40, 30, 20, 10)]
    feed.path.write_text("\n".join(["published,value", *days[:3]]))
    assert await feed.poll() == 1
    feed.path.write_text("\n".join(["published,value", *days]))
    assert await feed.poll() == 1
    assert await feed.poll() == 0
    readings: list[Reading] = await feed.published(Reading, 2)
    assert [(reading.source, reading.series, reading.value) for reading in readings] == [
        ("file", str(feed.path), 10.0),
        ("file", str(feed.path), 5.0),
    ]
    assert {health.score for health in await feed.published(FeedHealth, 3)} == {1.0}
    feed.running.cancel()


# --- ingest's part ----------------------------------------------------------------------------------------------------


class StubChassis:
    """The chassis as pollers and the schedule see it."""

    def __init__(self, settings: Settings, bus: Any, var: Path) -> None:
        self.settings, self.bus, self.var = settings, bus, var
        self.log = structlog.get_logger("test")

    def spawn(self, coro: Any, name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(coro, name=name)


def settings_with(**data: Any) -> Settings:
    venue = {"name": "binance", "symbols": [{"symbol": "BTCUSDT"}]}
    account = {"id": "a", "venue": "binance", "currency": "USDT"}
    return Settings.model_validate({"data": {"venues": [venue], **data}, "trading": {"accounts": [account]}})


async def test_pollers_of_the_configuration_run_until_they_are_closed(
    bus: NatsBus, tmp_path: Path, until: Until
) -> None:
    path = tmp_path / "bars.csv"
    write_bars(path, int(time.time()) // MINUTE * MINUTE - 5 * MINUTE, 5)
    out = Outgoing(bus)
    running = asyncio.create_task(out.run())
    row = {"source": "file", "symbol": str(path), "interval": "1m", "every_s": 1}
    pollers = Pollers(StubChassis(settings_with(pollers=[row]), bus, tmp_path), out)  # type: ignore[arg-type]
    await pollers.start()
    name = f"file {path} 1m"
    await until(lambda: pollers.info()[name]["published"] == 3, "the bars are published")
    await pollers.aclose()
    await out.flushed()
    running.cancel()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"source": "fred", "symbol": "DGS10", "interval": "readings"}, "data.pollers: fred: no key; set FRED_API_KEY"),
        ({"source": "nowhere", "symbol": "X", "interval": "1m"}, "source 'nowhere' is unknown"),
        ({"source": "binance", "symbol": "X", "interval": "7m"}, "binance has no 7m"),
    ],
)
async def test_a_poller_that_cannot_be_ends_the_start(
    bus: NatsBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Any, says: str
) -> None:
    monkeypatch.delenv("FRED_API_KEY", raising=False)
    pollers = Pollers(StubChassis(settings_with(pollers=[row]), bus, tmp_path), Outgoing(bus))  # type: ignore[arg-type]
    with pytest.raises(FatalError, match=says):
        await pollers.start()
    await pollers.aclose()


def schedule_of(tmp_path: Path, work: Any, when: str = "0 0 1 1 *", trigger: Any = None) -> HistorySchedule:
    row = {"source": "file", "symbol": "x.csv", "interval": "1d"}
    chassis = StubChassis(settings_with(history=[row], history_at=when), None, tmp_path)
    return HistorySchedule(chassis, work, trigger)  # type: ignore[arg-type]


async def test_history_is_updated_when_its_hour_comes(tmp_path: Path, until: Until) -> None:
    from apscheduler.triggers.interval import IntervalTrigger

    done = [Updated("a", place_of("a.csv"), rows=5, new=2), Updated("b", place_of("b.csv"), problem="no key")]

    async def work() -> list[Updated]:
        return done

    schedule = schedule_of(tmp_path, work, trigger=IntervalTrigger(seconds=0.05))
    schedule.start()
    await until(lambda: schedule.runs >= 2, "it ran twice")
    assert schedule.info() == {"a": "5 rows, 2 new", "b": "no key"}
    await schedule.aclose()


async def test_a_shutdown_ends_an_update_without_a_noise(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    from apscheduler.triggers.date import DateTrigger

    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> list[Updated]:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return []

    schedule = schedule_of(tmp_path, work, trigger=DateTrigger())
    schedule.start()
    await asyncio.wait_for(begun.wait(), 5)
    await asyncio.wait_for(schedule.aclose(), 5)
    assert ended.is_set()
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR", "CRITICAL")] == []


async def test_what_fails_in_an_update_does_not_end_the_schedule(tmp_path: Path) -> None:
    async def work() -> list[Updated]:
        raise RuntimeError("disk gone")

    schedule = schedule_of(tmp_path, work)
    await schedule.run_once()
    await schedule.run_once()
    assert schedule.runs == 0


@pytest.mark.parametrize("when", ["99 * * * *", "a b c d e"])
def test_an_hour_that_is_none_ends_the_start(tmp_path: Path, when: str) -> None:
    with pytest.raises(FatalError, match="is no crontab line"):
        schedule_of(tmp_path, None, when).start()


# --- Deriv's terms ----------------------------------------------------------------------------------------------------


async def test_raw_ticks_go_when_their_hours_are_over_but_those_that_an_order_cites(
    tmp_path: Path, database: str
) -> None:
    simulator = Simulator(SimulatorOptions(seed=7, state_dir=tmp_path / "run" / "simulator"))
    await simulator.start()
    store = Store(database, connections=1)
    await store.open()
    try:
        entry = HistorySettings(source="deriv", symbol="R_100", interval="ticks", start="2d", endpoint="simulator")
        first = await update(entry, hours(2.0), tmp_path, store)
        assert (first.problem, first.dropped) == ("", 0)
        assert 3590 <= first.rows <= 3605, "two hours of a tick each other second, whatever start says"
        columns = read_table(first.place, kind=Kind.TRADES).columns
        cited = int(columns["ts_event"][10])
        await cite(database, cited)
        second = await update(entry, hours(1.0), tmp_path, store)
        left = read_table(first.place, kind=Kind.TRADES).columns["ts_event"]
        assert second.problem == ""
        assert 1790 <= second.dropped <= 1810
        assert left[0] == cited
        assert rows_in({"ts_event": left}) == second.rows
        assert left[1] >= left[-1] - 3605 * SECOND
        assert second.new <= 30, "what went is not fetched again"
    finally:
        await store.close()
        await simulator.stop()


async def test_ticks_that_somebody_downloaded_by_hand_go_as_well(tmp_path: Path) -> None:
    now = time.time_ns()
    place = place_of(str(tmp_path / "data" / "mine.csv"))
    what = What(source="deriv", symbol="R_100", interval="ticks", kind=Kind.TRADES, keep_s=86_400.0)

    async def fetch(start: int, end: int, after: str) -> AsyncIterator[Page]:
        yield Page(of_rows(Kind.TRADES, [(now - age * 3600 * SECOND, 1.0, 0.0, 0, age) for age in (30, 20, 1)]), "all")

    await download(place, what, now - 40 * 3600 * SECOND, now, now, fetch)
    (row,) = await update_all(hours(24.0), tmp_path)
    assert (row.dropped, row.rows, row.problem) == (1, 2, "")
    assert rows_in(read_table(place).columns) == 2
    assert await update_all(hours(24.0), tmp_path) == []


def hours(keep: float) -> Settings:
    plain = settings_with().model_dump()
    plain["features"]["deriv_ticks_hours"] = keep
    return Settings.model_validate(plain)


async def cite(database: str, ts_event: int) -> None:
    body = f'{{"venue": "deriv", "symbol": "R_100", "items": [["t", {ts_event}, 1.0, 0.0, 0, 1]]}}'
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO cited VALUES ('intent', 'message', $1, $2)", ts_event, body)
    await connection.close()


def test_a_source_at_the_simulator_wants_one_that_runs(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no simulator runs under"):
        open_source("deriv", tmp_path, endpoint="simulator")
    with pytest.raises(VenueRefused, match="fred has no simulator"):
        open_source("fred", tmp_path, endpoint="simulator")
