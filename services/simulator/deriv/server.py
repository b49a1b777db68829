"""The WebSocket endpoint of the simulated Deriv and the task that makes its seconds pass."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from services.simulator.clock import NANOSECONDS, VenueClock
from services.simulator.deriv.accounts import Account, Journal
from services.simulator.deriv.dispatch import handle
from services.simulator.deriv.market import Market
from services.simulator.deriv.venue import Venue
from services.simulator.record import Record
from services.simulator.state import SimulatorStateError, State

PATH: Final = "/websockets/v3"
JOURNAL_FILE: Final = "deriv-journal.jsonl"
IDLE_SECS: Final = 120.0
MAX_WAITING_FRAMES: Final = 20_000
# A tick of second T leaves a moment after T, as on the real venue, so that no client can hold it before T.
TICK_DELAY_SECS: Final = 0.01


class DerivServer:
    """The venue on its own port; `start` and `stop` bind it and run its clock."""

    def __init__(self, venue: Venue, journal: Journal, host: str, port: int) -> None:
        """A `port` of 0 takes a free one, known after `start`."""
        self.venue = venue
        self.port = port
        self._host = host
        self._journal = journal
        self._runner: web.AppRunner | None = None
        self._clock_task: asyncio.Task[None] | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self.app = web.Application()
        self.app.router.add_get(PATH, self._connection)

    @property
    def url(self) -> str:
        """The WebSocket address, without app_id."""
        return f"ws://{self._host}:{self.port}{PATH}"

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
        self._journal.close()

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

    async def _connection(self, request: web.Request) -> web.StreamResponse:
        if not request.query.get("app_id", "").isdecimal():
            body = {"error": {"code": "InvalidAppID", "message": "Your app_id is invalid."}}
            return web.json_response(body, status=401)
        socket = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING_FRAMES)

        def send(frame: bytes) -> None:
            if not waiting.full():
                waiting.put_nowait(frame)
            elif request.transport is not None:
                request.transport.abort()  # a client that reads too slowly is cut off, as on the real venue

        session = self.venue.connect(send)
        writer = asyncio.create_task(_write(socket, waiting))
        self._sockets.add(socket)
        try:
            await self._read(socket, lambda frame: handle(self.venue, session, frame))
        finally:
            self._sockets.discard(socket)
            self.venue.disconnect(session)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return socket

    async def _read(self, socket: web.WebSocketResponse, answer: Callable[[bytes | str], None]) -> None:
        while True:
            try:
                message = await socket.receive(timeout=IDLE_SECS)
            except TimeoutError:
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"idle")
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            answer(message.data)


async def _write(socket: web.WebSocketResponse, waiting: asyncio.Queue[bytes]) -> None:
    while True:
        await socket.send_frame(await waiting.get(), WSMsgType.TEXT)


def make_server(
    state: State,
    *,
    clock: VenueClock,
    record: Record,
    host: str = "127.0.0.1",
    port: int = 0,
    state_dir: Path | None = None,
) -> DerivServer:
    """Build the venue that `state` fixes, with the account its journal in `state_dir` holds.

    Raises SimulatorStateError when the journal is damaged, OSError when it cannot be opened.
    """
    market = Market(state.seed, state.anchor_epoch)
    market.advance(clock.now_ns() // NANOSECONDS)
    journal = Journal(state_dir / JOURNAL_FILE if state_dir else None)
    try:
        account = Account(state.loginid, market, journal)
    except msgspec.DecodeError as error:
        raise SimulatorStateError(f"{JOURNAL_FILE} is damaged ({error}): remove the folder to start anew") from None
    return DerivServer(Venue(market, account, record, clock, state.token), journal, host, port)
