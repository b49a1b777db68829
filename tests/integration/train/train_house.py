"""A bus, an ingest that answers for history, and train services that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from libs.common.bus import Bus
from libs.common.clock import DataClocks
from libs.common.models import AgentRoles, RoleKey, Roles
from libs.common.settings import Settings
from libs.core.types import SECOND, Bar, HistoryRequest
from services.train.app import TrainApp

START = 1_790_000_000
BARS = 3000
KEY = RoleKey("boosting", "deriv", "WALK", 1)


def settings(var: Path, **training: Any) -> Settings:
    return Settings.model_validate(
        {
            "features": {"set": "core20"},
            "data": {"venues": [{"name": "deriv", "symbols": [{"symbol": "WALK", "trade_intervals": ["1s"]}]}]},
            "trading": {"accounts": [{"id": "deriv-paper", "venue": "deriv", "currency": "USD"}]},
            "training": {"agents": ["boosting"], "preset": "quick", "bars": BARS, **training},
            "platform": {"var": str(var)},
        }
    )


def walk(count: int = BARS, symbol: str = "WALK") -> list[Bar]:
    rng = np.random.default_rng(5)
    steps = rng.normal(0.0, 1e-3, (count, 4))
    closes = 100.0 * np.exp(np.cumsum(steps.sum(axis=1)))
    bars = []
    for i, close in enumerate(closes.tolist()):
        opened = 100.0 if i == 0 else closes[i - 1]
        path = opened * np.exp(np.cumsum(steps[i]))
        bars.append(
            Bar(
                id=f"{symbol}-{i}",
                ts_event=(START + i + 1) * SECOND,
                venue="deriv",
                symbol=symbol,
                interval_s=1,
                open_time=(START + i) * SECOND,
                open=float(opened),
                high=float(max(opened, path.max())),
                low=float(min(opened, path.min())),
                close=close,
                volume=float(1 + i % 7),
            )
        )
    return bars


class StubChassis:
    """What TrainApp asks of its chassis, without HTTP and signals."""

    def __init__(self, configured: Settings, bus: Bus) -> None:
        self.settings, self.bus = configured, bus
        self.var = configured.platform.var
        self.log = structlog.get_logger("test")
        self.clocks = DataClocks()
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def secret(self, name: str) -> str | None:
        return None

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.get_running_loop().create_task(coro, name=name))
        return self.tasks[-1]


async def serve_history(bus: Bus, bars: list[Bar]) -> None:
    async def answer(request: Any) -> list[Any]:
        assert isinstance(request, HistoryRequest)
        known = [bar for bar in bars if not request.end or bar.ts_event <= request.end]
        return list(known[-request.count :])

    await bus.serve("req.history.deriv", answer)


class House:
    """`async with` starts a service; leaving drains it."""

    def __init__(self, bus: Bus, configured: Settings) -> None:
        self.bus = bus
        self.chassis = StubChassis(configured, bus)
        self.app = TrainApp(self.chassis)  # type: ignore[arg-type]

    async def __aenter__(self) -> House:
        await self.app.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.drain()
        for task in self.chassis.tasks:
            task.cancel()
        await asyncio.gather(*self.chassis.tasks, return_exceptions=True)

    async def roles(self) -> AgentRoles:
        return await Roles(self.bus).get(KEY)
