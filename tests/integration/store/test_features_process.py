"""The features service as a process, on a real bus and a real store: killed, drained, and its bus killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.common.bus import NatsBus, Received
from libs.common.embedded.nats import nats_spec
from libs.common.embedded.ports import free_port
from libs.core.features.engine import FeatureEngine
from libs.core.features.sets import CORE20
from libs.core.types import SECOND, Bar, BarFlag, Event, Features, HistoryRequest, Ticks, Trade, stable_id

ROOT = Path(__file__).parents[3]
START = 1_723_161_600
HISTORY = 300

CONFIG = """
data:
  venues:
    - name: deriv
      symbols: [{symbol: R_100, trade_intervals: [1s]}]
  warmup_bars: 300
features: {set: core20, archive_batch_rows: 500, archive_flush_s: 0.1}
trading: {accounts: [{id: d, venue: deriv, currency: USD}]}
platform: {var: VAR, log_level: debug}
"""


def bar(number: int) -> Bar:
    close = 100.0 + math.sin(number / 7.0) + (number * 7919 % 101) / 500
    return Bar(
        id=stable_id("bar", number),
        ts_event=(START + number + 1) * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        open_time=(START + number) * SECOND,
        open=close,
        high=close + 0.2,
        low=close - 0.2,
        close=close,
        volume=float(number % 5),
    )


def ticks(number: int) -> Ticks:
    at = (START + number) * SECOND
    items = tuple(Trade(at + i, 100.0, 0.0, 0, number * 5 + i + 1) for i in range(5))
    return Ticks(id=stable_id("ticks", number), ts_event=at, venue="deriv", symbol="R_100", items=items)


class Nats:
    """A server that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.spec = nats_spec(folder, free_port(), "user", "secret")
        self.url = f"nats://user:secret@127.0.0.1:{self.spec.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.spec.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.spec.port), 0.5).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nats-server does not listen")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Service:
    """python -m services.features."""

    def __init__(self, folder: Path, nats: Nats, database_url: str) -> None:
        self.var = folder / "var"
        config = folder / "config.yaml"
        config.write_text(CONFIG.replace("VAR", str(self.var)))
        self.port = free_port()
        self.env = {
            **os.environ,
            "CONFIG_PATH": str(config),
            "NATS_URL": nats.url,
            "DATABASE_URL": database_url,
            "HTTP_PORT": str(self.port),
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "services.features"]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: int) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=15)
        return self.process.returncode, said

    def ready(self) -> tuple[bool, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return True, answer.read().decode()
        except urllib.error.HTTPError as err:
            with err:
                return False, err.read().decode()
        except OSError as err:
            return False, str(err)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
            return str(answer.read().decode())


class World:
    """The bus, a stand-in for ingest, and what came out."""

    def __init__(self, nats: Nats, service: Service, bus: NatsBus, url: str) -> None:
        self.nats, self.service, self.bus, self.url = nats, service, bus, url
        self.published = HISTORY
        self.vectors: list[Features] = []

    async def history(self, request: Event) -> list[Event]:
        assert isinstance(request, HistoryRequest)
        return [bar(n) for n in range(self.published - request.count, self.published)]

    async def on_features(self, received: Received) -> None:
        self.vectors.append(received.event)

    async def publish(self, count: int) -> None:
        for _ in range(count):
            self.published += 1
            await self.bus.publish(ticks(self.published - 1))
            await self.bus.publish(bar(self.published - 1))
            await asyncio.sleep(0.002)

    async def until(self, check: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if check():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {what}; {await asyncio.to_thread(self.service.ready)}")

    async def until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if (await asyncio.to_thread(self.service.ready))[0]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not ready: {self.service.ready()}")

    async def count(self, what: str) -> int:
        connection = await asyncpg.connect(self.url)
        try:
            return int(await connection.fetchval(f"SELECT count({what}"))
        finally:
            await connection.close()

    async def stored(self, first: int) -> None:
        """Wait until every tick and bar from `first` on is in the store, once."""
        bars, deadline = self.published - first, time.monotonic() + 30
        counts: tuple[int, ...] = ()
        while time.monotonic() < deadline:
            counts = tuple(
                [await self.count(f"{what}") for what in ("*) FROM bars", "*) FROM ticks", "DISTINCT seq) FROM ticks")]
            )
            if counts == (bars, bars * 5, bars * 5):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"stored {counts}, published {bars} bars")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    server = Nats(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@contextlib.asynccontextmanager
async def running(nats: Nats, folder: Path, database_url: str) -> AsyncIterator[World]:
    service = Service(folder, nats, database_url)
    bus = await NatsBus.connect(nats.url, "ingest")
    made = World(nats, service, bus, database_url)
    await bus.serve("req.history.deriv", made.history)
    await bus.subscribe(["feat.>"], made.on_features, None)
    service.start()
    try:
        yield made
    finally:
        if service.process is not None and service.process.poll() is None:
            service.end(signal.SIGKILL)
        await bus.close()


@pytest.fixture
async def world(nats: Nats, tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    async with running(nats, tmp_path, database_url) as made:
        yield made


@pytest.fixture
async def world_on_own_store(nats: Nats, tmp_path: Path, own_url: str) -> AsyncIterator[World]:
    async with running(nats, tmp_path, own_url) as made:
        yield made


def expected(numbers: range) -> list[bytes]:
    """Vectors of an engine that was never interrupted."""
    engine = FeatureEngine("deriv", "R_100", 1)
    vectors = {}
    for n in range(numbers[-1] + 1):
        made = engine.update(bar(n))
        assert made is not None
        vectors[n] = made.values
    return [vectors[n] for n in numbers]


async def test_it_warms_up_publishes_stores_drains_and_takes_up_where_it_was(world: World) -> None:
    await world.until_ready()
    await world.publish(50)
    await world.until(lambda: len(world.vectors) == 50, "50 vectors")
    assert all(v.warm for v in world.vectors)
    assert [v.values for v in world.vectors] == expected(range(HISTORY, HISTORY + 50))
    await world.stored(HISTORY)
    assert await world.count("*) FROM features") == 50
    info = json.loads(world.service.get("/info"))
    assert info["feature_set"]["hash"] == CORE20.hash
    assert "secret" not in json.dumps(info)
    assert "conclave_features_store_rows_total" in world.service.get("/metrics")

    begun = time.monotonic()
    code, said = await asyncio.to_thread(world.service.end, signal.SIGTERM)
    assert (code, said) == (0, "")
    assert time.monotonic() - begun < 10
    await world.publish(10)

    world.service.start()
    await world.until_ready()
    await world.publish(20)
    await world.until(lambda: world.vectors[-1].bar_time == bar(world.published - 1).open_time, "the newest vector")
    made = [v.values for v in world.vectors[-20:]]
    assert made == expected(range(world.published - 20, world.published))
    await world.stored(HISTORY)


async def test_killed_it_comes_back_and_the_store_is_complete(world: World) -> None:
    await world.until_ready()
    for _ in range(2):
        publishing = asyncio.create_task(world.publish(300))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(world.service.end, signal.SIGKILL)
        await publishing
        world.service.start()
        await world.until_ready()
    await world.publish(5)
    await world.until(lambda: world.vectors[-1].bar_time == bar(world.published - 1).open_time, "the newest vector")
    assert len({v.id for v in world.vectors}) == len(world.vectors)
    await world.stored(HISTORY)


async def test_with_the_bus_killed_it_goes_on_afterwards_and_nothing_is_missing(world: World) -> None:
    await world.until_ready()
    publishing = asyncio.create_task(world.publish(600))
    await asyncio.sleep(0.4)
    await asyncio.to_thread(world.nats.kill)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(world.nats.start)
    await publishing
    newest = bar(world.published - 1).open_time
    await world.until(lambda: world.vectors[-1].bar_time == newest, "the newest vector")
    assert world.service.process is not None
    assert world.service.process.poll() is None
    numbers = [v.bar_time // SECOND - START for v in world.vectors]
    assert numbers == list(range(HISTORY, world.published))
    assert [v.values for v in world.vectors] == expected(range(HISTORY, world.published))
    assert not any(v.flags & BarFlag.GAP for v in world.vectors)
    await world.stored(HISTORY)


async def test_with_the_store_killed_bars_go_on_and_the_store_catches_up(
    own_cluster: Any, world_on_own_store: World
) -> None:
    world = world_on_own_store
    await world.until_ready()
    publishing = asyncio.create_task(world.publish(1_500))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_cluster.stop, signal.SIGKILL)
    await publishing
    await world.until(lambda: len(world.vectors) == 1_500, "vectors while the store is down")
    ready, reasons = await asyncio.to_thread(world.service.ready)
    assert not ready
    assert "store" in reasons
    assert "conclave_features_store_up 0.0" in world.service.get("/metrics")
    await asyncio.to_thread(own_cluster.start)
    await world.until_ready()
    await world.stored(HISTORY)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("postgresql://conclave:wrong@127.0.0.1:PORT/postgres", "refused the login of user conclave"),
        ("nonsense", "no PostgreSQL URL"),
    ],
)
async def test_a_store_that_refuses_ends_it_with_one_line(
    nats: Nats, tmp_path: Path, shared_cluster: Any, url: str, line: str
) -> None:
    service = Service(tmp_path, nats, url.replace("PORT", str(shared_cluster.port)))
    service.start()
    assert service.process is not None
    _, said = await asyncio.to_thread(service.process.communicate, None, 20)
    assert service.process.returncode == 1
    assert line in said
    assert len(said.strip().splitlines()) == 1
    assert "wrong" not in said
