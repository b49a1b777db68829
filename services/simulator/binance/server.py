"""Wires one simulated Binance venue: a feed, the stream hub and the REST routes on one port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from services.simulator.binance import wire
from services.simulator.binance.connection import QUEUE_BYTES
from services.simulator.binance.feed import Feed
from services.simulator.binance.hub import CLOCK_STREAM, Hub
from services.simulator.binance.rest import Rest, errors
from services.simulator.binance.sources import open_feed
from services.simulator.clock import LiveClock, VenueClock
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

CLOCK_SECONDS: Final = 0.1


class BinanceSimulator:
    """The venue. Use `start` and `stop` to serve it on its own port, or `app` inside a server of yours with `play`."""

    def __init__(
        self,
        options: SimulatorOptions,
        record: Record,
        clock: VenueClock | None = None,
        *,
        anchor_epoch: int | None = None,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """`clock` and `anchor_epoch` (second at which the modelled prices are pinned) matter to the model alone.

        Raises DataError when `options.data` cannot be played.
        """
        self._options = options
        self._hub = Hub(self._subscribed, queue_bytes=queue_bytes)
        anchor = int(time.time()) if anchor_epoch is None else anchor_epoch
        self.feed: Feed = open_feed(
            options, anchor * 1_000, clock or LiveClock(), self._hub, record, self._tell_time_once
        )
        self.app = web.Application(middlewares=[errors])
        self.app.add_routes(Rest(self.feed).routes())
        self.app.add_routes(
            [
                web.get("/ws", self._raw),
                web.get("/ws/{streams:.*}", self._raw),
                web.get("/stream", self._combined),
                web.get("/sim/state", self._state),
            ]
        )
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def rest_url(self) -> str:
        """Base of the REST interface, without the /api/v3 path."""
        return f"http://{self._options.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base of the market streams, without /ws or /stream."""
        return f"ws://{self._options.host}:{self.port}"

    async def start(self) -> None:
        """Bind the port and play. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(self.app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, self._options.binance_port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.play()

    def play(self) -> None:
        """Start the feed and the in-band clock in the running loop."""
        self._tasks = [asyncio.create_task(self.feed.run()), asyncio.create_task(self._tell_time())]

    async def stop(self) -> None:
        """Stop playing, close every connection and the port; safe to call twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._hub.close()
        self.feed.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def state(self) -> dict[str, Any]:
        """Describe what is played and how far it is."""
        return {
            "mode": self.feed.mode,
            "ended": self.feed.ended,
            "time": self.feed.now_ms(),
            "speed": self._options.speed,
            "symbols": list(self.feed.symbols),
            **self.feed.state(),
        }

    def failure(self) -> BaseException | None:
        """Return the error that stopped the feed or the clock, None while all is well."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in ended if (error := task.exception()) is not None), None)

    def _subscribed(self, streams: Sequence[str]) -> None:
        self.feed.subscribed(streams)

    async def _tell_time(self) -> None:
        while True:
            self._tell_time_once()
            await asyncio.sleep(CLOCK_SECONDS)

    def _tell_time_once(self) -> None:
        if self._hub.wanted(CLOCK_STREAM):
            speed = 1.0 if self.feed.extrapolate else self._options.speed
            event = wire.clock_event(
                self.feed.now_ms(), speed=speed, extrapolate=self.feed.extrapolate, ended=self.feed.ended
            )
            self._hub.publish(CLOCK_STREAM, event)

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        streams = [name for name in request.match_info.get("streams", "").split("/") if name]
        return await self._hub.serve(request, streams, combined=False)

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        streams = [name for name in request.query.get("streams", "").split("/") if name]
        return await self._hub.serve(request, streams, combined=True)

    async def _state(self, request: web.Request) -> web.Response:
        return web.Response(body=wire.encode(self.state()), content_type="application/json")
