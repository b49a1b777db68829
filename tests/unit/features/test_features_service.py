"""The features service on an in-memory bus: warm-up, live bars, snapshots, and what makes it not ready."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
import pytest
import structlog

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.chassis import FatalError
from libs.common.clock import DataClocks
from libs.common.settings import Settings
from libs.core.features.engine import FeatureEngine
from libs.core.features.sets import CORE20
from libs.core.types import (
    SECOND,
    Applied,
    Bar,
    Event,
    Features,
    FeedHealth,
    HistoryRequest,
    Inline,
    Order,
    Ref,
    Restored,
    Started,
    Ticks,
    Warmup,
    decode,
)
from services.features.app import App
from services.features.citations import RECENT, Citations
from services.features.settings import archive_settings, stage_config

HISTORY = 200


def bar(number: int, symbol: str = "R_100") -> Bar:
    close = 100.0 + (number * 7919 % 101) / 50
    return Bar(
        id=f"{symbol}-{number}",
        ts_event=(number + 1) * SECOND,
        venue="deriv",
        symbol=symbol,
        interval_s=1,
        open_time=number * SECOND,
        open=close,
        high=close + 0.5,
        low=close - 0.5,
        close=close,
        volume=1.0,
        ts_recv=time.time_ns(),
    )


def settings(**features: Any) -> Settings:
    return Settings.model_validate(
        {
            "data": {
                "venues": [{"name": "deriv", "symbols": [{"symbol": "R_100", "trade_intervals": ["1s"]}]}],
                "warmup_bars": 150,
            },
            "features": {"archive": False, "set": "core20"} | features,
            "trading": {"accounts": [{"id": "d", "venue": "deriv", "currency": "USD"}]},
        }
    )


class Chassis:
    """What an App needs of the real one."""

    def __init__(self, bus: MemoryBus, chosen: Settings) -> None:
        self.settings, self.bus = chosen, bus
        self.clocks = DataClocks()
        self.log = structlog.get_logger("features")
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.create_task(coro, name=name))
        return self.tasks[-1]


class World:
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.ingest = MemoryBus(self.broker)
        self.asked: list[HistoryRequest] = []
        self.history = list(range(HISTORY))
        self.vectors: list[Features] = []
        self.app: App | None = None
        self.chassis: Chassis | None = None

    async def answer(self, request: Event) -> list[Event]:
        assert isinstance(request, HistoryRequest)
        self.asked.append(request)
        return [bar(n) for n in self.history[-request.count :]]

    async def serve(self) -> None:
        await self.ingest.serve("req.history.deriv", self.answer)

    async def listen(self) -> None:
        async def keep(received: Any) -> None:
            self.vectors.append(received.event)

        await self.ingest.subscribe(["feat.>"], keep, None)

    async def start(self, chosen: Settings | None = None) -> App:
        self.chassis = Chassis(MemoryBus(self.broker), chosen or settings())
        self.app = App(self.chassis)  # type: ignore[arg-type]
        await self.app.start()
        return self.app

    async def stop(self) -> None:
        assert self.app is not None
        assert self.chassis is not None
        await self.app.drain()
        for task in self.chassis.tasks:
            task.cancel()
        await asyncio.gather(*self.chassis.tasks, return_exceptions=True)
        self.app = None

    async def until(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if check():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"not within 10 s: {what}")

    async def ready(self) -> None:
        app = self.app
        assert app is not None
        await self.until(lambda: not app.not_ready(), "ready")

    async def journal(self) -> list[Event | Ref]:
        found: list[Event | Ref] = []
        async for received in self.ingest.read(["applied.features"]):
            assert isinstance(received.event, Applied)
            for entry in received.event.entries:
                found.append(decode(entry.payload) if isinstance(entry, Inline) else entry)
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.listen()
    yield made
    if made.app is not None:
        await made.stop()


def straight(first: int, numbers: range) -> list[bytes]:
    """Vectors of an engine that saw every bar from `first` on."""
    engine = FeatureEngine("deriv", "R_100", 1)
    for n in range(first, numbers[0]):
        engine.take(bar(n))
    made = [engine.update(bar(n)) for n in numbers]
    return [m.values for m in made if m is not None]


async def test_history_is_silent_and_live_bars_give_warm_vectors(world: World) -> None:
    await world.serve()
    await world.start()
    await world.ready()
    for n in range(HISTORY, HISTORY + 5):
        await world.ingest.publish(bar(n))
    await world.until(lambda: len(world.vectors) == 5, "five vectors")
    assert [v.values for v in world.vectors] == straight(HISTORY - 150, range(HISTORY, HISTORY + 5))
    assert all(v.warm and v.ts_init for v in world.vectors)
    assert [(r.symbol, r.interval_s, r.count) for r in world.asked] == [("R_100", 1, 150)]


async def test_until_history_is_loaded_it_says_what_it_waits_for(world: World) -> None:
    app = await world.start()
    await world.until(lambda: any("nobody serves" in reason for reason in app.not_ready()), "the reason is said")
    assert any("R_100 1 s" in reason for reason in app.not_ready())
    await world.serve()
    await world.ready()


async def test_bars_that_arrive_while_history_loads_are_not_lost(world: World) -> None:
    await world.start()
    await world.ingest.publish(bar(HISTORY))
    await world.serve()
    await world.ready()
    await world.until(lambda: len(world.vectors) == 1, "the vector of the early bar")
    assert [v.values for v in world.vectors] == straight(HISTORY - 150, range(HISTORY, HISTORY + 1))


async def test_less_history_than_asked_for_is_no_obstacle(world: World) -> None:
    world.history = list(range(HISTORY - 10, HISTORY))
    await world.serve()
    await world.start()
    await world.ready()
    await world.ingest.publish(bar(HISTORY))
    await world.until(lambda: len(world.vectors) == 1, "one vector")
    assert not world.vectors[0].warm


async def test_after_a_restart_the_snapshot_is_taken_up_and_the_hole_filled_from_history(world: World) -> None:
    await world.serve()
    await world.start()
    await world.ready()
    for n in range(HISTORY, HISTORY + 50):
        await world.ingest.publish(bar(n))
    await world.until(lambda: len(world.vectors) == 50, "fifty vectors")
    await world.stop()
    world.history = list(range(HISTORY + 60))
    await world.start()
    await world.ready()
    await world.ingest.publish(bar(HISTORY + 60))
    await world.until(lambda: world.vectors[-1].bar_time == (HISTORY + 60) * SECOND, "the vector after the restart")
    # From the first start of the first run on: only a state that was carried over can give these bits.
    assert world.vectors[-1].values == straight(HISTORY - 150, range(HISTORY + 60, HISTORY + 61))[0]


@pytest.mark.parametrize("snapshot", [b"", b"\x81\xa1x", b"damaged"])
async def test_a_snapshot_that_does_not_fit_is_left_aside(world: World, snapshot: bytes) -> None:
    await world.ingest.kv_put("snapshots", "features", snapshot)
    await world.serve()
    await world.start()
    await world.ready()
    await world.ingest.publish(bar(HISTORY))
    await world.until(lambda: len(world.vectors) == 1, "one vector")
    assert world.vectors[0].warm


async def test_the_journal_holds_all_that_a_replay_needs(world: World) -> None:
    await world.serve()
    await world.start()
    await world.ready()
    await world.ingest.publish(bar(HISTORY))
    await world.until(lambda: len(world.vectors) == 1, "one vector")
    await world.stop()
    await world.start()
    await world.ready()
    await world.stop()
    entries = await world.journal()
    kinds = [type(entry) for entry in entries]
    assert kinds[:6] == [Started, Warmup, Ref, Started, Restored, Warmup]
    started, ref = entries[0], entries[2]
    assert isinstance(started, Started)
    assert msgspec.json.decode(started.config)["set"] == CORE20.name
    assert isinstance(ref, Ref)
    assert ref.subject == "md.bar.1s.deriv.R_100"


async def test_while_paused_bars_wait(world: World) -> None:
    await world.serve()
    await world.start()
    await world.ready()
    assert world.chassis is not None
    for callback in world.chassis.on_pause:
        callback(True)
    await world.ingest.publish(bar(HISTORY))
    await asyncio.sleep(0.1)
    assert world.vectors == []
    for callback in world.chassis.on_pause:
        callback(False)
    await world.until(lambda: len(world.vectors) == 1, "the bar that waited")


async def test_an_archive_without_a_store_is_refused_in_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    chosen = settings(archive=True)
    chosen = chosen.model_copy(update={"platform": chosen.platform.model_copy(update={"var": tmp_path})})
    with pytest.raises(FatalError, match="DATABASE_URL"):
        await world.start(chosen)
    with contextlib.suppress(AttributeError):
        world.app = None


def test_every_trade_interval_of_every_symbol_is_configured_once() -> None:
    chosen = Settings.model_validate(
        {
            "data": {
                "venues": [
                    {"name": "deriv", "symbols": [{"symbol": "R_100", "trade_intervals": ["5s", "1m", "60s"]}]},
                    {"name": "binance", "api": "spot", "symbols": [{"symbol": "BTCUSDT"}]},
                ]
            },
            "features": {"retention_days": 3, "archive_batch_rows": 700, "archive_flush_s": 2},
        }
    )
    config = stage_config(chosen)
    assert [(s.venue, s.symbol, s.intervals_s) for s in config.symbols] == [
        ("deriv", "R_100", (5, 60)),
        ("binance", "BTCUSDT", (1, 5)),
    ]
    archive = archive_settings(chosen)
    assert (archive.rows, archive.flush_s, archive.keep.decisions.days) == (700, 2.0, 3)
    assert {venue: term.total_seconds() / 3600 for venue, term in archive.keep.raw.items()} == {"deriv": 24.0}


def tick(name: str) -> Ticks:
    return Ticks(id=name, ts_event=0, venue="deriv", symbol="R_100", items=())


def order(*cited: str) -> Order:
    return msgspec.convert(
        {
            "type": "order.v1",
            "id": "o",
            "ts_event": 0,
            "intent_id": "intent",
            "revision": 0,
            "state": "planned",
            "mode": "paper",
            "venue": "deriv",
            "account": "a",
            "symbol": "R_100",
            "strategy": "s",
            "side": "buy",
            "action": "enter",
            "quantity": "1",
            "worst_price": "1",
            "position_id": "intent",
            "reason": "entry",
            "ticks": cited,
        },
        Order,
    )


def test_citations_are_found_in_either_order_and_once() -> None:
    citations = Citations()
    citations.remember(tick("before"))
    assert [(i, e.id) for i, e in citations.found(order("before", "after"))] == [("intent", "before")]
    citations.remember(tick("after"))
    assert [(i, e.id) for i, e in citations.found(tick("after"))] == [("intent", "after")]
    assert list(citations.found(tick("after"))) == []
    assert list(citations.found(FeedHealth(id="h", ts_event=0, venue="d", symbol="s", score=1.0))) == []


def test_citations_forget_what_is_long_ago() -> None:
    citations = Citations()
    citations.remember(tick("first"))
    for n in range(RECENT):
        citations.remember(tick(str(n)))
    assert list(citations.found(order("first"))) == []
