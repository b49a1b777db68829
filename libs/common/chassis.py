"""What every service stands on: settings, bus, logs, HTTP, clocks, signals; one way to start and one way to drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, Protocol

import structlog
import uvloop
from fastapi import APIRouter

from libs.common import runtime, vitals
from libs.common.bus import Bus, BusError, NatsBus, Received
from libs.common.clock import DataClocks
from libs.common.http import make_api, make_server
from libs.common.logs import configure_logs, set_level
from libs.common.secrets import SecretError, read_secret
from libs.common.settings import ConfigError, Settings, load_settings
from libs.core.types import Control, ControlKind, stable_id

DRAIN_S = 8.0
VERSION = "0.1.0"


class FatalError(Exception):
    """A service cannot start or go on; the text is one line that says what is wrong and what to do."""


class App(Protocol):
    """What a service adds to the chassis."""

    async def start(self) -> None:
        """Wire handlers and begin; may raise FatalError."""

    def not_ready(self) -> list[str]:
        """Why it is not ready; empty when it is."""

    async def drain(self) -> None:
        """Stop consuming, finish, flush, snapshot."""

    def routes(self) -> APIRouter | None:
        """Further admin routes."""

    def info(self) -> dict[str, Any]:
        """Further facts for /info, without secrets."""


class Chassis:
    """Handed to an App: everything shared."""

    def __init__(self, name: str, settings: Settings, bus: Bus) -> None:
        self.name, self.settings, self.bus = name, settings, bus
        self.log = structlog.get_logger(name)
        self.clocks = DataClocks()
        self.var: Path = settings.platform.var
        self.admin_token = runtime.admin_token(self.var)
        self.started = time.time()
        self.paused = asyncio.Event()
        vitals.PAUSED.labels(name).set(0)
        vitals.watch_disk(self.var)
        self.on_pause: list[Callable[[bool], None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._app: App | None = None
        self._app_started = False

    def secret(self, name: str) -> str | None:
        """See `read_secret`."""
        return read_secret(name, self.var)

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task for the life of the service; if it raises, the service ends with that error."""
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(err)

    def attach(self, app: App) -> None:
        self._app = app

    async def start(self) -> None:
        """Start the app and listen for pauses."""
        assert self._app is not None
        await self.bus.subscribe(["ctl.pause", "ctl.resume"], self._on_control, None)
        await self._app.start()
        # What start-up built (numba alone leaves half a million objects) lives as long as the process: a full
        # collection need not walk it between two bars.
        gc.collect()
        gc.freeze()
        self._app_started = True

    async def _on_control(self, received: Received) -> None:
        control = received.event
        if isinstance(control, Control) and control.scope in ("*", self.name):
            self._set_paused(control.kind is ControlKind.PAUSE)

    def _set_paused(self, paused: bool) -> None:
        (self.paused.set if paused else self.paused.clear)()
        vitals.PAUSED.labels(self.name).set(paused)
        for callback in self.on_pause:
            callback(paused)
        self.log.info("paused" if paused else "resumed")

    async def control_self(self, kind: str) -> None:
        """Pause or resume this service; recorded on the bus."""
        now = time.time_ns()
        await self.bus.publish_durable(
            Control(
                id=stable_id("control", kind, self.name, now),
                ts_event=now,
                ts_init=now,
                kind=ControlKind(kind),
                scope=self.name,
                reason="admin route",
                actor="admin",
            )
        )

    def reload(self) -> dict[str, Any]:
        """Read the configuration again; the log level changes at once, other sections need a restart."""
        try:
            fresh = load_settings()
        except ConfigError as err:
            return {"status": "refused", "problems": err.problems}
        set_level(fresh.platform.log_level)
        old, new = self.settings.model_dump(), fresh.model_dump()
        changed = [section for section in new if section != "platform" and new[section] != old[section]]
        return {"status": "reloaded", "log_level": fresh.platform.log_level, "needs_restart": changed}

    def not_ready(self) -> list[str]:
        """Reasons of the chassis and of the app."""
        reasons = [] if self.bus.connected else ["bus: not connected"]
        if not self._app_started or self._app is None:
            reasons.append("starting")
        else:
            reasons += self._app.not_ready()
        vitals.READY.labels(self.name).set(0 if reasons else 1)
        return reasons

    def idle(self) -> list[str]:
        """Venues that have nothing to deliver now: market closed or recording ended."""
        return [v.name for v in self.settings.data.venues if self.clocks.state(v.name) in ("closed", "ended")]

    def info(self) -> dict[str, Any]:
        """Facts without secrets."""
        shown = self.settings.model_dump(mode="json")
        shown["platform"].update(nats_url="(set)" if shown["platform"]["nats_url"] else "", database_url="")
        more = self._app.info() if self._app else {}
        facts = {"service": self.name, "version": VERSION, "pid": os.getpid(), "started": self.started}
        return {**facts, "paused": self.paused.is_set(), "settings": shown, **more}

    async def close(self) -> None:
        """Cancel the tasks."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=2)


def main(name: str, make_app: Callable[[Chassis], App]) -> NoReturn:
    """Run a service until SIGTERM or SIGINT; exit 0 after draining, 2 for bad configuration, 1 for anything else."""
    try:
        uvloop.run(_serve(name, make_app))
    except ConfigError as err:
        _say(f"{name}: {err}", 2)
    except (FatalError, BusError, SecretError) as err:
        _say(f"{name}: {err}", 1)
    except OSError as err:
        _say(f"{name}: {err.strerror or err}: {err.filename or ''}".rstrip(": "), 1)
    except Exception as err:  # the last line of defence: the traceback goes to the log, one line to the person
        structlog.get_logger(name).exception("crashed")
        _say(f"{name}: failed: {type(err).__name__}: {err}; the log has the details", 1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _say(line: str, code: int) -> NoReturn:
    sys.stderr.write(line + "\n")
    sys.exit(code)


async def _serve(name: str, make_app: Callable[[Chassis], App]) -> None:
    settings = load_settings()
    platform = settings.platform
    configure_logs(name, platform.log_level, platform.var / "log", platform.log_file_mb, platform.log_files)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    url, age_s = runtime.nats_url(platform.var, platform.nats_url), settings.market_age_s
    bus = await _connect_or_stop(NatsBus.connect(url, name, market_age_s=age_s), stop)
    if bus is None:
        return
    chassis = Chassis(name, settings, bus)
    app = make_app(chassis)
    chassis.attach(app)
    port = int(os.environ.get("HTTP_PORT") or platform.http_ports.get(name, 0))
    try:
        server, listener = make_server(make_api(chassis, app), platform.http_host, port)
    except OSError as err:
        raise FatalError(f"port {port} cannot be used: {err.strerror}; set platform.http_ports.{name}") from None
    bound = listener.getsockname()[1]
    runtime.write_service(platform.var, name, f"http://{platform.http_host}:{bound}")
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    starting = asyncio.create_task(chassis.start())
    stopping = asyncio.create_task(stop.wait())
    ends: set[asyncio.Future[Any]] = {stopping, chassis.failed}
    chassis.log.info("starting", http=f"{platform.http_host}:{bound}", version=VERSION)
    try:
        await asyncio.wait(ends | {starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            chassis.log.info("started")
            await asyncio.wait(ends | {serving}, return_when=asyncio.FIRST_COMPLETED)
        if chassis.failed.done():
            await chassis.failed
    finally:
        begun = time.monotonic()
        starting.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(app.drain(), DRAIN_S)
        await chassis.close()
        await bus.close()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(serving, 3)
        runtime.forget_target(platform.var, name)
        chassis.log.info("drained", seconds=round(time.monotonic() - begun, 2))


async def _connect_or_stop(connecting: Coroutine[Any, Any, NatsBus], stop: asyncio.Event) -> NatsBus | None:
    task, stopping = asyncio.create_task(connecting), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        stopping.cancel()
        return await task
    task.cancel()
    return None
