"""The execute service in one process on a bus in memory: a stand-in chassis, and a process that can be killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.clock import DataClocks
from libs.common.keys import Signer, keys_folder, make_keys
from libs.common.settings import Settings, load_settings
from libs.core.types import Event, Fill, decode
from libs.venues.base import Trading
from services.execute import lease
from services.execute.app import ExecuteApp

ROOT = Path(__file__).parents[3]


class Process:
    """One life of the service. `die_at`: number of the publish at which it is killed; `reached`: whether the server
    has that last message."""

    def __init__(
        self,
        broker: MemoryBroker,
        settings: Settings,
        var: Path,
        *,
        die_at: int = 0,
        reached: bool = False,
        tradings: dict[str, Trading] | None = None,
    ) -> None:
        self.bus = MortalBus(broker, die_at, reached)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failed: list[BaseException] = []
        self.chassis: Any = SimpleNamespace(
            name="execute",
            settings=settings,
            bus=self.bus,
            log=structlog.get_logger("execute"),
            clocks=DataClocks(),
            var=var,
            on_pause=[],
            spawn=self.spawn,
        )
        self.app = ExecuteApp(self.chassis, tradings or {})

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """As the chassis does it."""
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            self.failed.append(err)

    async def kill(self) -> None:
        """No goodbye: every task of it ends where it stands."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.bus.broker.wakers.clear()

    async def stop(self) -> None:
        """SIGTERM."""
        await self.app.drain()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.bus.close()


class MortalBus(MemoryBus):
    """A bus whose process is killed at its n-th publish; from then on nothing leaves it."""

    def __init__(self, broker: MemoryBroker, die_at: int, reached: bool) -> None:
        super().__init__(broker)
        self.die_at, self.reached = die_at, reached
        self.published = 0
        self.dead = False
        self.fills: list[str] = []

    async def publish(self, event: Event, trace: str = "") -> tuple[int, int]:
        self.published += 1
        dies = self.published == self.die_at
        if self.dead or (dies and not self.reached):
            self.dead = True
            await asyncio.Future()
        if isinstance(event, Fill):
            self.fills.append(event.id)
        numbers = await super().publish(event, trace)
        if dies:
            self.dead = True
            await asyncio.Future()
        return numbers


def next_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process number stays, the process is another one."""
    monkeypatch.setattr(lease, "RUN", f"run-{time.monotonic_ns()}")


def example_settings(**trading: Any) -> Settings:
    """The example configuration with changes to its trading section."""
    settings = load_settings(ROOT / "config.example.yaml")
    return settings.model_copy(update={"trading": settings.trading.model_copy(update=trading)})


def signer_in(var: Path) -> Signer:
    """A fresh key pair of the risk service."""
    make_keys(keys_folder(var))
    return Signer.load(keys_folder(var) / "risk.key")


def ledger(broker: MemoryBroker, kind: type[Any], stream: str = "ORDERS") -> list[Any]:
    """Everything of one type in a stream, which is the ledger unless said."""
    events = (decode(message[1]) for message in broker.messages[stream])
    return [event for event in events if isinstance(event, kind)]


async def until(condition: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
    """Poll."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.002)
