"""Wires one simulated Binance venue: feed, engine, streams, REST and the WebSocket API on one port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from services.simulator.binance import wire
from services.simulator.binance.calls.market import STATUSES
from services.simulator.binance.connection import HABITS, QUEUE_BYTES, Habits
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.engine import SpotExchange
from services.simulator.binance.feed import VENUE, Feed
from services.simulator.binance.hub import CLOCK_STREAM, Hub
from services.simulator.binance.keys import HmacKey, Keys, Verifier, public_key
from services.simulator.binance.limits import Limits
from services.simulator.binance.mishaps import UNREPLIED, refusal_of
from services.simulator.binance.rest import Rest, deaf, refuse, wants_micros
from services.simulator.binance.sources import open_feed
from services.simulator.binance.taps import Taps
from services.simulator.binance.ticker_streams import TickerStreams, is_all
from services.simulator.binance.venue import Venue
from services.simulator.binance.ws_api import WsApi
from services.simulator.clock import LiveClock, VenueClock
from services.simulator.faults.base import CallFaultKind, Faults, NoFaults
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

CLOCK_SECONDS: Final = 0.1
ACCOUNT: Final = 354_937_868
"""The uid of the account that the simulator's own keys belong to."""
JOURNAL_FILE: Final = "binance.jsonl"

Upgrade = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        faults: Faults | None = None,
        habits: Habits = HABITS,
        limits: Limits | None = None,
    ) -> None:
        """`clock` and `anchor_epoch` (second at which the modelled prices are pinned) matter to the model alone.

        Raises DataError when `options.data` cannot be played, OSError when the journal cannot be written.
        """
        self._options = options
        self._habits = habits
        self.faults = faults or NoFaults()
        self.limits = limits or Limits()
        taps = Taps()
        self._hub = Hub(
            self._subscribed, queue_bytes=queue_bytes, habits=habits, faults=self.faults, now_ms=self._now_ms
        )
        anchor = int(time.time()) if anchor_epoch is None else anchor_epoch
        self.feed: Feed = open_feed(
            options, anchor * 1_000, clock or LiveClock(), self._hub, record, self._tell_time_once, taps
        )
        journal = options.state_dir / JOURNAL_FILE if options.state_dir else None
        self.exchange = SpotExchange(self.feed, record, journal=journal, faults=self.faults)
        self.keys = Keys()
        if options.key and options.secret:
            self.keys.add(options.key, HmacKey(options.secret), ACCOUNT)
        self.venue = Venue(
            feed=self.feed,
            exchange=self.exchange,
            keys=self.keys,
            limits=self.limits,
            faults=self.faults,
            take_down=self.cut,
            speed=1.0 if self.feed.extrapolate else options.speed,
        )
        self._tickers = TickerStreams(self._hub, self.feed, self.exchange.reference_price)
        taps.add(self.exchange)
        taps.add(self._tickers)
        taps.clocks.append(self._tickers.on_time)
        self._api = WsApi(self.venue, queue_bytes=queue_bytes, habits=habits)
        self.app = web.Application()
        self.app.add_routes(Rest(self.venue).routes())
        self.app.add_routes(
            [
                web.get("/ws", self._upgrade("GET /ws", self._raw)),
                web.get("/ws/{streams:.*}", self._upgrade("GET /ws", self._raw)),
                web.get("/stream", self._upgrade("GET /stream", self._combined)),
                web.get("/ws-api/v3", self._upgrade("GET /ws-api/v3", self._api.serve)),
                web.get("/sim/state", self._state),
                web.post("/sim/shutdown", self._shutdown),
                web.post("/sim/transfer", self._transfer),
                web.post("/sim/status", self._status),
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

    @property
    def ws_api_url(self) -> str:
        """The WebSocket API, whole."""
        return f"{self.ws_url}/ws-api/v3"

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
        await self._tickers.close()
        await asyncio.gather(self._hub.close(), self._api.close())
        self.feed.close()
        self.exchange.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def add_key(self, key: str, verifier: Verifier, account: int = ACCOUNT) -> None:
        """Register an API key; a new account opens with the usual balances."""
        self.keys.add(key, verifier, account)

    def add_public_key(self, pem: bytes) -> str:
        """Register an Ed25519 or RSA key of the default account; returns its API key. Raises ValueError (one line)."""
        key = sha256(pem.strip()).hexdigest()
        self.keys.add(key, public_key(pem), ACCOUNT)
        return key

    def revoke(self, key: str) -> None:
        """Take a key back; sessions that logged on with it end."""
        self.keys.remove(key)
        self._api.expire(key)

    def cut(self) -> None:
        """Drop every WebSocket connection at once."""
        self._hub.cut()
        self._api.cut()

    async def shut_down(self, notice_s: float) -> None:
        """Say `serverShutdown` on every connection and close them all `notice_s` later; new ones are welcome."""
        self._hub.announce_shutdown()
        self._api.announce_shutdown()
        old = self._hub.connections() | self._api.connections()
        await asyncio.sleep(notice_s)
        await asyncio.gather(*(connection.close() for connection in old))

    def state(self) -> dict[str, Any]:
        """Describe what is played and how far it is, and how the clients have kept the limits."""
        return {
            "mode": self.feed.mode,
            "ended": self.feed.ended,
            "time": self.feed.now_ms(),
            "speed": self._options.speed,
            "symbols": list(self.feed.symbols),
            "limits": {
                "highest_weight": self.limits.highest,
                "refusals": self.limits.refusals,
                "bans": self.limits.bans,
            },
            **self.feed.state(),
        }

    def failure(self) -> BaseException | None:
        """Return the error that stopped the feed or the clock, None while all is well."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in ended if (error := task.exception()) is not None), None)

    def _now_ms(self) -> int:
        return self.venue.now_ms()

    def _subscribed(self, streams: Sequence[str]) -> None:
        if any(is_all(stream) for stream in streams):
            streams = [*streams, *(f"{symbol.lower()}@miniTicker" for symbol in self.feed.symbols)]
        self.feed.subscribed(streams)
        self._tickers.subscribed(streams)

    async def _tell_time(self) -> None:
        while True:
            self._tell_time_once()
            self.exchange.tick()
            await asyncio.sleep(CLOCK_SECONDS)

    def _tell_time_once(self) -> None:
        if self._hub.wanted(CLOCK_STREAM):
            speed = 1.0 if self.feed.extrapolate else self._options.speed
            event = wire.clock_event(
                self.feed.now_ms(), speed=speed, extrapolate=self.feed.extrapolate, ended=self.feed.ended
            )
            self._hub.publish(CLOCK_STREAM, event)

    # --- routes ------------------------------------------------------------------------------------------------

    def _upgrade(self, name: str, serve: Upgrade) -> Upgrade:
        """Count the attempt and let faults at it, then serve the connection."""

        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self.faults.call(VENUE, name)
            if fault is not None and fault.kind in UNREPLIED:
                return await deaf(request)
            if fault is not None and fault.kind is not CallFaultKind.LATE:
                return refuse(refusal_of(fault, name, time.time()))
            if fault is not None:
                await asyncio.sleep(fault.delay_s)
            try:
                self.limits.connect(request.remote or "")
                return await serve(request)
            except ApiError as refusal:
                return refuse(refusal)

        return handle

    async def _raw(self, request: web.Request) -> web.StreamResponse:
        streams = [name for name in request.match_info.get("streams", "").split("/") if name]
        return await self._hub.serve(request, streams, combined=False, micros=_micros(request.query))

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        # a plus sign in a stream's name is one, not a blank
        pairs = (pair.partition("=") for pair in request.rel_url.raw_query_string.split("&"))
        given = next((unquote(value) for name, _, value in pairs if name == "streams"), "")
        streams = [name for name in given.split("/") if name]
        return await self._hub.serve(request, streams, combined=True, micros=_micros(request.query))

    async def _state(self, request: web.Request) -> web.Response:
        return web.Response(body=wire.encode(self.state()), content_type="application/json")

    async def _shutdown(self, request: web.Request) -> web.Response:
        """End every connection, announced `notice` seconds before."""
        notice_s = float(request.query.get("notice", self._habits.notice_s))
        self._tasks.append(asyncio.create_task(self.shut_down(notice_s)))
        return web.json_response({"notice": notice_s})

    async def _transfer(self, request: web.Request) -> web.Response:
        """Move `amount` of `asset` into the account (negative: out), as a deposit or a withdrawal does."""
        account = int(request.query.get("account", ACCOUNT))
        try:
            self.exchange.deposit(account, request.query["asset"], Decimal(request.query["amount"]))
        except ApiError as refusal:
            return refuse(refusal)
        except (KeyError, ArithmeticError):
            raise web.HTTPBadRequest(text="give asset and amount, such as ?asset=USDT&amount=100\n") from None
        return web.json_response({})

    async def _status(self, request: web.Request) -> web.Response:
        """Halt a symbol, or open it again."""
        symbol, status = request.query.get("symbol", ""), request.query.get("status", "")
        if symbol not in self.feed.symbols or status not in STATUSES:
            text = f"give symbol and status, one of {', '.join(STATUSES)}\n"
            raise web.HTTPBadRequest(text=text)
        self.exchange.set_status(symbol, status)
        return web.json_response({})


def _micros(query: Mapping[str, str]) -> bool:
    return wants_micros(query.get("timeUnit"))
