"""The port of the simulated Deriv, where both of its APIs are served, and the task that makes its seconds pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import WSCloseCode, web

from services.simulator.clock import NANOSECONDS, VenueClock
from services.simulator.deriv.accounts import Account
from services.simulator.deriv.connection import Connection
from services.simulator.deriv.dispatch import V3, Api, handle
from services.simulator.deriv.http_mishaps import over_http
from services.simulator.deriv.market import Market
from services.simulator.deriv.options.accounts import Directory
from services.simulator.deriv.options.door import WS, Door
from services.simulator.deriv.options.kept import Accounts
from services.simulator.deriv.options.rest import BASE
from services.simulator.deriv.session import Session
from services.simulator.deriv.venue import VENUE, Venue
from services.simulator.faults.base import Faults
from services.simulator.record import Record
from services.simulator.state import State

PATH: Final = "/websockets/v3"
# A tick of second T leaves a moment after T, as on the real venue, so that no client can hold it before T.
TICK_DELAY_SECS: Final = 0.01


class DerivServer:
    """The venue on its own port; `start` and `stop` bind it and run its clock."""

    def __init__(self, venue: Venue, accounts: Accounts, host: str, port: int) -> None:
        """A `port` of 0 takes a free one, known after `start`."""
        self.venue = venue
        self.port = port
        self._host = host
        self._accounts = accounts
        self._runner: web.AppRunner | None = None
        self._clock_task: asyncio.Task[None] | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self.app = web.Application()
        self.app.router.add_get(PATH, self._v3)
        directory = Directory(venue.account, accounts.real, self._open_real)
        Door(venue, directory, self._converse).add_to(self.app)

    @property
    def url(self) -> str:
        """The WebSocket address of v3, without app_id."""
        return f"ws://{self._host}:{self.port}{PATH}"

    @property
    def options_ws_url(self) -> str:
        """The WebSocket address of the Options API, without /public, /demo or /real."""
        return f"ws://{self._host}:{self.port}{WS}"

    @property
    def options_rest_url(self) -> str:
        """The REST address of the Options API, without /accounts."""
        return f"http://{self._host}:{self.port}{BASE}"

    async def start(self) -> None:
        """Bind the port and begin to tick. Raises OSError when the port is taken."""
        self._runner = web.AppRunner(self.app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]
        self._clock_task = asyncio.create_task(self._run_clock(), name="deriv clock")

    async def stop(self) -> None:
        """Stop ticking, close every connection, the port and the journal; safe to call twice."""
        if self._clock_task is not None:
            self._clock_task.cancel()
            await asyncio.gather(self._clock_task, return_exceptions=True)
        closing = (socket.close(code=WSCloseCode.GOING_AWAY, message=b"simulator stops") for socket in self._sockets)
        await asyncio.gather(*closing, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._accounts.close()

    def failure(self) -> BaseException | None:
        """Return what ended the clock (a full disk, say), or None while it runs."""
        task = self._clock_task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    async def _run_clock(self) -> None:
        clock = self.venue.clock
        while True:
            self.venue.advance_to(int((clock.now_ns() / NANOSECONDS) - TICK_DELAY_SECS))
            due = self.venue.market.present + 1 + TICK_DELAY_SECS
            await asyncio.sleep(max(due - clock.now_ns() / NANOSECONDS, 0.001))

    def _open_real(self) -> Account:
        account = self._accounts.open_real()
        self.venue.accounts = (*self.venue.accounts, account)
        return account

    async def _v3(self, request: web.Request) -> web.StreamResponse:
        if not request.query.get("app_id", "").isdecimal():
            body = {"error": {"code": "InvalidAppID", "message": "Your app_id is invalid."}}
            return web.json_response(body, status=401)
        return await self._converse(request, lambda wire: self.venue.connect(wire.send, wire.ends), V3)

    async def _converse(
        self, request: web.Request, connect: Callable[[Connection], Session], api: Api
    ) -> web.StreamResponse:
        refusal = await over_http(self.venue.faults.call(VENUE, "connect"), request, lambda: None)
        if refusal is not None:
            return refusal
        wire = Connection(request)
        try:
            await wire.socket.prepare(request)
        except ConnectionResetError:
            return wire.socket  # the client has left meanwhile
        session = connect(wire)
        self._sockets.add(wire.socket)
        try:
            await wire.serve(lambda frame: handle(self.venue, session, frame, api))
        finally:
            self._sockets.discard(wire.socket)
            self.venue.disconnect(session)
        return wire.socket


def make_server(
    state: State,
    *,
    clock: VenueClock,
    record: Record,
    host: str = "127.0.0.1",
    port: int = 0,
    state_dir: Path | None = None,
    faults: Faults | None = None,
    migrated: bool = False,
    real_account: bool = False,
) -> DerivServer:
    """Build the venue that `state` fixes, with the accounts whose journals `state_dir` holds.

    `migrated` makes v3 say from the start that accounts have left it; `real_account` opens a real account, which only
    the Options API knows. Raises SimulatorStateError when a journal is damaged, OSError when it cannot be opened.
    """
    market = Market(state.seed, state.anchor_epoch)
    market.advance(clock.now_ns() // NANOSECONDS)
    accounts = Accounts(state.loginid, market, state_dir)
    if real_account and accounts.real is None:
        accounts.open_real()
    venue = Venue(market, accounts.demo, record, clock, state.token, faults=faults, real=accounts.real)
    venue.migrated = migrated
    return DerivServer(venue, accounts, host, port)
