"""One client's socket: bounded outgoing queue through the faults, pings, message limit, and an end announced before."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from services.simulator.binance.feed import VENUE
from services.simulator.faults.base import Faults, NoFaults, Send

log = logging.getLogger(__name__)

QUEUE_BYTES: Final = 16 << 20
MESSAGES_A_SECOND: Final = 5
_MAX_FRAME: Final = 1 << 16
_KEPT_PINGS: Final = 8
_DATA_FRAMES: Final = (WSMsgType.TEXT, WSMsgType.BINARY)


@dataclass(frozen=True)
class Habits:
    """How the venue treats a connection, in seconds; other values than its own are for tests."""

    ping_s: float = 20.0
    pong_s: float = 60.0
    life_s: float = 86_400.0
    notice_s: float = 10.0
    """How long before the end `serverShutdown` is sent."""


HABITS: Final = Habits()


class Connection:
    """A client's socket. Nothing here waits for a slow client except its own writer task."""

    def __init__(
        self,
        channel: str,
        *,
        queue_bytes: int = QUEUE_BYTES,
        habits: Habits = HABITS,
        faults: Faults | None = None,
        data_counts: bool = True,
    ) -> None:
        """`channel` is "data" or "trade"; `data_counts`: whether requests count as messages, beside pings and pongs."""
        # Deflating every frame would cost more than making it, and nobody here pays for bandwidth.
        self.socket = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=_MAX_FRAME, timeout=2.0)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._queue_limit = queue_bytes
        self._habits = habits
        self._data_counts = data_counts
        self._ready = asyncio.Event()
        self._received: deque[float] = deque(maxlen=MESSAGES_A_SECOND)
        self._pings: deque[bytes] = deque(maxlen=_KEPT_PINGS)
        self._pong_at = time.monotonic()
        self.overflowed = False
        self.send: Send = (faults or NoFaults()).line(VENUE, channel, self.queue, self.cut)
        """Send one text frame, as the faults let it through."""

    async def serve(
        self, request: web.Request, take: Callable[[str | bytes], None], farewell: Callable[[], bytes]
    ) -> web.StreamResponse:
        """Answer the upgrade and read to the end: `take` gets each request, `farewell` makes the shutdown notice."""
        try:
            await self.socket.prepare(request)
        except ConnectionResetError:
            return self.socket  # the client has left meanwhile
        self._transport = request.transport
        jobs: list[Coroutine[Any, Any, None]] = [self._write(), self._ping(), self._age(farewell)]
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await self._read(take)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self.socket

    @property
    def backlog_share(self) -> float:
        """How full the outgoing queue is; at 1 the connection is cut."""
        return self._queued_bytes / self._queue_limit

    def queue(self, frame: bytes) -> None:
        """Queue one text frame; past the bound everything queued is dropped and the connection is cut."""
        if self.overflowed:
            return
        self._queued_bytes += len(frame)
        # one frame alone may be larger than the bound: no slow client, but a fault that sends too much
        if self._queued_bytes > self._queue_limit and self._queue:
            self.give_up()
            return
        self._queue.append(frame)
        self._ready.set()

    def give_up(self) -> None:
        """Drop everything queued and cut the connection of a client that does not keep up."""
        log.warning("binance simulator: a client does not keep up, its connection is cut")
        self.overflowed = True
        self._queue.clear()
        self._queued_bytes = 0
        self._ready.set()
        self.cut()

    def cut(self) -> None:
        """Drop the transport at once, whatever it still holds."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say goodbye; a deaf client is cut."""
        with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
            await asyncio.wait_for(self.socket.close(code=WSCloseCode.GOING_AWAY), 1.0)
        self.cut()

    async def _read(self, take: Callable[[str | bytes], None]) -> None:
        socket = self.socket
        async for message in socket:
            kind = message.type
            if (self._data_counts or kind not in _DATA_FRAMES) and self._too_fast():
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            if kind is WSMsgType.PING:
                await socket.pong(message.data)
            elif kind is WSMsgType.PONG:
                if bytes(message.data) in self._pings:  # any other is unsolicited and prolongs nothing
                    self._pong_at = time.monotonic()
            elif kind in _DATA_FRAMES:
                take(message.data)

    async def _write(self) -> None:
        """Send what is queued until the connection ends or overflows."""
        queue, send_frame = self._queue, self.socket.send_frame
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not self.overflowed:
                await self._ready.wait()
                self._ready.clear()
                while queue:
                    frame = queue.popleft()
                    self._queued_bytes -= len(frame)
                    await send_frame(frame, WSMsgType.TEXT)

    async def _ping(self) -> None:
        """Ping, and cut the connection of a client that has not answered for too long."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await asyncio.sleep(self._habits.ping_s)
                if time.monotonic() - self._pong_at > self._habits.pong_s:
                    self.cut()
                    return
                payload = str(time.time_ns() // 1_000_000).encode()
                self._pings.append(payload)
                await self.socket.ping(payload)

    async def _age(self, farewell: Callable[[], bytes]) -> None:
        """End the connection when its time has come, announced shortly before."""
        habits = self._habits
        await asyncio.sleep(max(habits.life_s - habits.notice_s, 0.0))
        self.send(farewell())
        await asyncio.sleep(min(habits.notice_s, habits.life_s))
        await self.close()

    def _too_fast(self) -> bool:
        """Count one client message; True when it is the sixth within a second."""
        now = time.monotonic()
        exceeded = len(self._received) == MESSAGES_A_SECOND and now - self._received[0] < 1.0
        self._received.append(now)
        return exceeded
