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
from services.simulator.settings import new_secret

PATH: Final = "/websockets/v3"
STATE_FILE: Final = "deriv.json"
JOURNAL_FILE: Final = "deriv-journal.jsonl"
IDLE_SECS: Final = 120.0
MAX_WAITING_FRAMES: Final = 20_000
# A tick of second T leaves a moment after T, as on the real venue, so that no client can hold it before T.
TICK_DELAY_SECS: Final = 0.01


class SimulatorStateError(Exception):
    """The kept state cannot be used; the message says what to do."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What fixes the venue across restarts: seed and anchor of the price paths, the account and its token."""

    seed: int
    anchor_epoch: int
    loginid: str
    token: str


def load_state(state_dir: Path | None, seed: int, token: str | None, now: int) -> State:
    """Read the kept state, or make one anchored at second `now`.

    Raises SimulatorStateError when the folder belongs to another seed or its file is damaged, OSError when it
    cannot be written.
    """
    fresh = State(seed=seed, anchor_epoch=now, loginid="VRTC1859315", token=token or new_secret("demo-"))
    if state_dir is None:
        return fresh
    path = state_dir / STATE_FILE
    state = fresh
    if path.exists():
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=State)
        except msgspec.DecodeError as error:
            raise SimulatorStateError(f"{path} is damaged ({error}): remove the folder to start a new market") from None
        if kept.seed != seed:
            raise SimulatorStateError(
                f"{state_dir} holds a market of seed {kept.seed}, asked is {seed}: use that seed or another folder"
            )
        state = msgspec.structs.replace(kept, token=token or kept.token)
    state_dir.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_bytes(msgspec.json.encode(state))
    beside.replace(path)
    return state


class DerivServer:
    """The venue behind an aiohttp application; `start` and `stop` run its clock."""

    def __init__(self, venue: Venue, journal: Journal) -> None:
        self.venue = venue
        self._journal = journal
        self._clock_task: asyncio.Task[None] | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self.app = web.Application()
        self.app.router.add_get(PATH, self._connection)

    async def start(self) -> None:
        """Begin to tick."""
        self._clock_task = asyncio.create_task(self._run_clock(), name="deriv clock")

    async def stop(self) -> None:
        """Stop ticking, close every connection and the journal."""
        if self._clock_task is not None:
            self._clock_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock_task
        for socket in tuple(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"simulator stops")
        self._journal.close()

    async def failed(self) -> None:
        """Wait until the clock ends by itself, and raise what ended it (a full disk, say)."""
        if self._clock_task is not None:
            await asyncio.shield(self._clock_task)

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
    *, clock: VenueClock, record: Record, seed: int, token: str | None = None, state_dir: Path | None = None
) -> DerivServer:
    """Build the venue from its kept state, or a new one.

    Raises SimulatorStateError and OSError (see load_state), msgspec.DecodeError when the journal is damaged.
    """
    now = clock.now_ns() // NANOSECONDS
    state = load_state(state_dir, seed, token, now)
    market = Market(state.seed, state.anchor_epoch)
    market.advance(now)
    journal = Journal(state_dir / JOURNAL_FILE if state_dir else None)
    account = Account(state.loginid, market, journal)
    return DerivServer(Venue(market, account, record, clock, state.token), journal)
