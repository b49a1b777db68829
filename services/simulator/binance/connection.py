"""One stream connection: bounded outgoing queue, pings, message limit, control messages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from services.simulator.binance.control import Session

log = logging.getLogger(__name__)

QUEUE_BYTES: Final = 16 << 20
PING_SECONDS: Final = 20.0
PONG_SECONDS: Final = 60.0
LIFE_SECONDS: Final = 86_400.0
MESSAGES_A_SECOND: Final = 5
_MAX_FRAME: Final = 1 << 16


class Connection:
    """A client's socket. Nothing here waits for a slow client except its own writer task."""

    def __init__(self, session: Session, *, queue_bytes: int = QUEUE_BYTES, ping_seconds: float = PING_SECONDS) -> None:
        self.session = session
        # Deflating every frame would cost more than making it, and nobody here pays for bandwidth.
        self.socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=_MAX_FRAME, timeout=2.0)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._queue_limit = queue_bytes
        self._ping_seconds = ping_seconds
        self._ready = asyncio.Event()
        self._received: deque[float] = deque(maxlen=MESSAGES_A_SECOND)
        self._pong_at = time.monotonic()
        self.overflowed = False

    async def open(self, request: web.Request) -> None:
        """Answer the upgrade."""
        await self.socket.prepare(request)
        self._transport = request.transport

    @property
    def backlog_share(self) -> float:
        """How full the outgoing queue is; at 1 the connection is cut."""
        return self._queued_bytes / self._queue_limit

    def send(self, frame: bytes) -> None:
        """Queue one text frame; past the bound everything queued is dropped and the connection is cut."""
        if self.overflowed:
            return
        self._queue.append(frame)
        self._queued_bytes += len(frame)
        if self._queued_bytes > self._queue_limit:
            self.give_up()
        self._ready.set()

    def give_up(self) -> None:
        """Drop everything queued and cut the connection of a client that does not keep up."""
        log.warning("binance simulator: a client does not keep up, its connection is cut")
        self.overflowed = True
        self._queue.clear()
        self._queued_bytes = 0
        self.cut()

    async def write(self) -> None:
        """Send what is queued until the connection ends or overflows."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not self.overflowed:
                await self._ready.wait()
                self._ready.clear()
                while self._queue:
                    frame = self._queue.popleft()
                    self._queued_bytes -= len(frame)
                    await self.socket.send_frame(frame, WSMsgType.TEXT)

    def cut(self) -> None:
        """Drop the transport at once, whatever it still holds."""
        if self._transport is not None:
            self._transport.abort()

    async def ping(self) -> None:
        """Ping every 20 s; cut the connection without a pong for 60 s, and close it after 24 h as the venue does."""
        born = time.monotonic()
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await asyncio.sleep(self._ping_seconds)
                now = time.monotonic()
                if now - self._pong_at > PONG_SECONDS:
                    self.cut()
                    return
                if now - born > LIFE_SECONDS:
                    await self.socket.close(code=WSCloseCode.GOING_AWAY)
                    return
                await self.socket.ping(str(time.time_ns() // 1_000_000).encode())

    def too_fast(self) -> bool:
        """Count one client message; True when it is the sixth within a second."""
        now = time.monotonic()
        exceeded = len(self._received) == MESSAGES_A_SECOND and now - self._received[0] < 1.0
        self._received.append(now)
        return exceeded

    def pong(self) -> None:
        """Note that the client answered a ping."""
        self._pong_at = time.monotonic()
