"""A broker, an ingest that answers for history, and predict services that come and go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.clock import DataClocks
from libs.common.settings import Settings
from libs.core.features.engine import FeatureEngine
from libs.core.types import SECOND, Bar, Event, Features, FeedHealth, Forecast, HistoryRequest, VenueClock, decode
from services.predict.app import PredictApp
from services.simulator.deriv.processes import price_path
from services.simulator.deriv.symbols import SYMBOLS

START = 1_790_000_000
WARM = 600


def settings(**venue: Any) -> Settings:
    return Settings.model_validate(
        {
            "features": {"set": "core20"},
            "data": {
                "venues": [
                    {"name": "deriv", "symbols": [{"symbol": "PLANTED", "trade_intervals": ["1s"]}], **venue},
                ]
            },
            "trading": {"accounts": [{"id": "deriv-paper", "venue": "deriv", "currency": "USD"}]},
        }
    )


def planted_bars(count: int) -> list[Bar]:
    prices = price_path(1, SYMBOLS["PLANTED"], START).prices(START, START + count - 1)
    return [
        Bar(
            id=f"bar-{i}",
            ts_event=(START + i + 1) * SECOND,
            venue="deriv",
            symbol="PLANTED",
            interval_s=1,
            open_time=(START + i) * SECOND,
            open=price,
            high=price,
            low=price,
            close=price,
        )
        for i, price in enumerate(np.asarray(prices).tolist())
    ]


BARS = planted_bars(WARM + 200)


def vectors() -> list[Features]:
    engine = FeatureEngine("deriv", "PLANTED", 1)
    return [vector for bar in BARS if (vector := engine.update(bar)) is not None]


VECTORS = vectors()


class StubChassis:
    """What PredictApp asks of its chassis, without HTTP and signals."""

    def __init__(self, configured: Settings, bus: MemoryBus, var: Path) -> None:
        self.settings, self.bus, self.var = configured, bus, var
        self.log = structlog.get_logger("test")
        self.clocks = DataClocks()
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def secret(self, name: str) -> str | None:
        return None

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.get_running_loop().create_task(coro, name=name))
        return self.tasks[-1]


class House:
    """A broker, an ingest that answers for history, and predict services that come and go."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.broker = MemoryBroker()
        self.venue = MemoryBus(self.broker)
        self.history: list[Bar] = BARS[:WARM]
        self.running: list[tuple[PredictApp, StubChassis]] = []

    async def open_market(self) -> None:
        async def answer(request: Event) -> list[Event]:
            assert isinstance(request, HistoryRequest)
            return list(self.history[-request.count :])

        await self.venue.serve("req.history.deriv", answer)

    async def tick_clock(self, at_s: int) -> None:
        await self.venue.publish(
            VenueClock(
                id=f"clock-{at_s}-{time.monotonic_ns()}",
                ts_event=at_s * SECOND,
                venue="deriv",
                ts_machine=0,
                extrapolate=False,
            )
        )

    async def start(self, clock_s: int | None = START + WARM, configured: Settings | None = None) -> PredictApp:
        chassis = StubChassis(configured or settings(), MemoryBus(self.broker), self.var)
        predict = PredictApp(chassis)  # type: ignore[arg-type]
        self.running.append((predict, chassis))
        await predict.start()
        if clock_s is not None:
            await self.tick_clock(clock_s)
        return predict

    async def ready(self, predict: PredictApp) -> None:
        await until(lambda: not predict.not_ready())

    async def kill(self) -> None:
        """As kill -9: tasks gone, nothing saved on the way."""
        for _, chassis in self.running:
            for task in chassis.tasks:
                task.cancel()
            await asyncio.wait(chassis.tasks)
            await chassis.bus.close()
        self.running.clear()

    async def live(self, first: int, last: int) -> None:
        """Publish healthy feed and the vectors first...last - 1, and wait for the joint forecasts."""
        for vector in VECTORS[first:last]:
            await self.venue.publish(
                FeedHealth(
                    id=f"health-{vector.bar_time}", ts_event=vector.ts_event, venue="deriv", symbol="PLANTED", score=1.0
                )
            )
            await asyncio.sleep(0)
            await self.venue.publish(vector)
        await until(lambda: self.said("meta", VECTORS[last - 1]) is not None)

    def events(self, kind: type[Any]) -> list[Any]:
        decoded = [decode(m[1]) for stream in list(self.broker.messages) for m in self.broker.messages[stream]]
        return [event for event in decoded if isinstance(event, kind)]

    def said(self, agent: str, vector: Features) -> Forecast | None:
        found = (f for f in self.events(Forecast) if f.agent == agent and f.bar_time == vector.bar_time)
        return next(found, None)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not reached in time"
        await asyncio.sleep(0.005)
