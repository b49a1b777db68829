"""Composition of the simulator: both venues, the truth record, a health port, and how clients find them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from prometheus_client import generate_latest

from services.simulator.binance.keys import HmacKey, verifier_of
from services.simulator.binance.server import BinanceSimulator
from services.simulator.clock import NANOSECONDS, LiveClock
from services.simulator.deriv.server import DerivServer, make_server
from services.simulator.faults.admin import fault_routes
from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import Plan, load_plan
from services.simulator.metrics import make_registry
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions
from services.simulator.state import SimulatorStateError, load_state, write_private

RECORD_FILE: Final = "record.jsonl"
FACTS_FILE: Final = "simulator.json"
WATCH_SECONDS: Final = 0.5
PRIVATE_FACTS: Final = frozenset({"token", "key", "secret", "ed25519_key", "ed25519_secret", "registered_key"})
"""What `describe` tells that no log may hold."""


class SimulatorFailed(Exception):
    """A venue stopped by itself; the message says why."""


class Simulator:
    """Everything one simulator process serves; `describe` tells how to reach it once started."""

    def __init__(self, options: SimulatorOptions) -> None:
        """Raises PlanError (faults), SimulatorStateError, OSError (state folder) or DataError (recorded data)."""
        self.options = options
        plan = load_plan(options.faults) if options.faults else Plan()
        clock = LiveClock()
        self.state = load_state(options, clock.now_ns() // NANOSECONDS)
        self.record = Record(options.state_dir / RECORD_FILE if options.state_dir else None)
        self.faults = PlannedFaults(plan, self.record)
        self.deriv: DerivServer = make_server(
            self.state,
            clock=clock,
            record=self.record,
            host=options.host,
            port=options.deriv_port,
            state_dir=options.state_dir,
            faults=self.faults,
            migrated=options.deriv_migrated,
            real_account=options.deriv_real,
        )
        self.binance = BinanceSimulator(
            options, self.record, clock, anchor_epoch=self.state.anchor_epoch, faults=self.faults
        )
        self.binance.add_key(self.state.key, HmacKey(self.state.secret))
        self.binance.add_key(self.state.ed25519_key, verifier_of(self.state.ed25519_secret))
        self._registered = self._register(options.public_key) if options.public_key else None
        self._http = web.AppRunner(self._health_app(), access_log=None, handle_signals=False)
        self._http_port = 0

    def _register(self, path: Path) -> str:
        try:
            return self.binance.add_public_key(path.read_bytes())
        except ValueError as error:
            raise SimulatorStateError(f"{path}: {error}") from None

    async def start(self) -> None:
        """Bind the three ports and begin. Raises OSError naming the port when one is taken."""
        await self._bound("deriv", self.options.deriv_port, self.deriv.start())
        await self._bound("binance", self.options.binance_port, self.binance.start())
        await self._http.setup()
        site = web.TCPSite(self._http, self.options.host, self.options.http_port)
        await self._bound("http", self.options.http_port, site.start())
        self._http_port = self._http.addresses[0][1]
        if self.options.state_dir is not None:
            write_private(self.options.state_dir / FACTS_FILE, msgspec.json.encode(self.describe()))

    async def _bound(self, name: str, port: int, starting: Any) -> None:
        try:
            await starting
        except OSError as error:
            reason = f"port {port} cannot be used: {error.strerror}; set {name}_port"
            raise OSError(error.errno, reason) from None

    async def stop(self) -> None:
        """Close connections, ports and files; what is kept continues at the next start."""
        await asyncio.gather(self.deriv.stop(), self.binance.stop(), self._http.cleanup())
        self.record.close()

    def describe(self) -> dict[str, Any]:
        """Return URLs, credentials and what is played."""
        return {
            "deriv_url": self.deriv.url,
            "deriv_options_ws_url": self.deriv.options_ws_url,
            "deriv_options_rest_url": self.deriv.options_rest_url,
            "binance_rest_url": self.binance.rest_url,
            "binance_ws_url": self.binance.ws_url,
            "binance_ws_api_url": self.binance.ws_api_url,
            "http_url": f"http://{self.options.host}:{self._http_port}",
            "token": self.state.token,
            "key": self.state.key,
            "secret": self.state.secret,
            "ed25519_key": self.state.ed25519_key,
            "ed25519_secret": self.state.ed25519_secret,
            "registered_key": self._registered,
            "pid": os.getpid(),
            "data": str(self.options.data) if self.options.data else None,
            "speed": self.options.speed,
            "mode": self.binance.feed.mode,
        }

    def failure(self) -> str | None:
        """Return why a venue stopped by itself, or None."""
        for part, error in (("Deriv clock", self.deriv.failure()), ("Binance feed", self.binance.failure())):
            if error is not None:
                return f"the {part} stopped: {type(error).__name__}: {error}"
        return None

    # --- health ------------------------------------------------------------------------------------------------

    def _health_app(self) -> web.Application:
        registry = make_registry(self.deriv.venue, self.record, lambda: self.failure() is None)

        async def alive(_: web.Request) -> web.Response:
            return web.json_response({"status": "alive"})

        async def ready(_: web.Request) -> web.Response:
            failure = self.failure()
            body = {"ready": failure is None, "reasons": [failure] if failure else []}
            return web.json_response(body, status=503 if failure else 200)

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

        app = web.Application()
        app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
        app.add_routes(fault_routes(self.faults))
        return app


async def serve(
    options: SimulatorOptions,
    on_ready: Callable[[dict[str, Any]], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the simulator until `stop`, or SIGTERM or SIGINT when there is none; `on_ready` gets `describe()` once bound.

    Raises PlanError, SimulatorStateError, DataError, OSError (port, folder, disk) and SimulatorFailed.
    """
    if stop is None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulator = Simulator(options)
    try:
        await simulator.start()
        if on_ready is not None:
            on_ready(simulator.describe())
        while not stop.is_set():
            failure = simulator.failure()
            if failure is not None:
                raise SimulatorFailed(failure)
            try:
                await asyncio.wait_for(stop.wait(), WATCH_SECONDS)
            except TimeoutError:
                continue
    finally:
        await simulator.stop()
