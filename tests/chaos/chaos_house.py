"""The embedded stack in a test's hands: what flows, kill a process at a telling moment, wait until all is well."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.demo import demo_config
from libs.common.bus import NatsBus, Received
from libs.common.embedded.stack import Stack, StackOptions
from libs.common.settings import load_settings
from libs.core.types import SECOND, Bar, Features, Forecast, Nanos

ROOT = Path(__file__).parents[2]
PLANTED = "PLANTED"
FILTERS = ("md.tick.>", "md.bar.>", "feat.>", "forecast.>", "signal.>", "permit.>", "order.>", "fill.>")
Wanted = Callable[[Any], bool]


async def until(condition: Callable[[], object], what: str, timeout_s: float = 45.0) -> None:
    """Poll until `condition` holds; fails with `what` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never happened within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Flow:
    """What has been seen on the bus; `newest` data time per kind in the planted symbol's 1 s series."""

    newest: dict[str, Nanos] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    waiting: list[tuple[Wanted, asyncio.Future[Any]]] = field(default_factory=list)

    async def take(self, received: Received) -> None:
        event = received.event
        if isinstance(event, Bar | Features | Forecast) and event.symbol == PLANTED and event.interval_s == 1:
            kind = type(event).__name__
            self.newest[kind] = max(self.newest.get(kind, 0), event.ts_event)
        self.events.append(event)
        for wanted, future in self.waiting:
            if not future.done() and wanted(event):
                future.set_result(event)

    async def next(self, wanted: Wanted, what: str, timeout_s: float = 90.0) -> Any:
        """The next event that is `wanted`."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((wanted, future))
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise AssertionError(f"never happened within {timeout_s:g} s: {what}") from None
        finally:
            self.waiting.remove((wanted, future))


class House:
    """A running stack on simulated markets."""

    def __init__(self, var: Path) -> None:
        self.var = var
        config = demo_config(ROOT / "config.example.yaml", var, None)
        self.settings = load_settings(config)
        self.stack = Stack(self.settings, StackOptions(config, var, ROOT, simulator={}))
        self.flow = Flow()
        self.started_ns: Nanos = 0
        self.bus: NatsBus

    async def start(self) -> None:
        self.started_ns = time.time_ns()
        await self.stack.start()
        self.bus = await NatsBus.connect(self.stack.nats_url, "chaos")
        await self.bus.subscribe(FILTERS, self.flow.take, self.started_ns)

    async def stop(self) -> None:
        if hasattr(self, "bus"):
            await self.bus.close()
        await self.stack.stop()

    async def kill(self, name: str) -> None:
        """kill -9, then wait until the process is back, all are ready and data flows to its end."""
        child = self.stack.children[name]
        pid = child.pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        await until(lambda: child.pid not in (None, pid), f"{name} is started again")
        await self.all_ready(name)
        seen = dict(self.flow.newest)
        await until(
            lambda: self._flows_beyond(seen), f"bars, features and forecasts flow again after {name} was killed"
        )

    def _flows_beyond(self, seen: dict[str, Nanos]) -> bool:
        kinds = ("Bar", "Features", "Forecast")
        return all(self.flow.newest.get(kind, 0) > seen.get(kind, 0) + SECOND for kind in kinds)

    async def all_ready(self, killed: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            reasons = {name: why for name, why in (await self.stack.readiness()).items() if why}
            if not reasons:
                return
            assert time.monotonic() < deadline, f"not ready {timeout_s:g} s after {killed} was killed: {reasons}"
            await asyncio.sleep(0.1)
