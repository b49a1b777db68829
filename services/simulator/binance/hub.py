"""Who listens to which stream, and the fan-out of every payload to them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from services.simulator.binance.connection import PING_SECONDS, QUEUE_BYTES, Connection
from services.simulator.binance.control import Session

CLOCK_STREAM: Final = "!simClock"
_BEHIND: Final = 0.25
_DATA_FRAMES: Final = (WSMsgType.TEXT, WSMsgType.BINARY)


class Hub:
    """All stream connections of the venue.

    `on_subscribe` is told of stream names that have just gained a listener, after the client got its answer.
    """

    def __init__(
        self,
        on_subscribe: Callable[[Sequence[str]], None],
        *,
        queue_bytes: int = QUEUE_BYTES,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._on_subscribe = on_subscribe
        self._queue_bytes = queue_bytes
        self._ping_seconds = ping_seconds
        self._listeners: dict[str, set[Connection]] = {}
        self._connections: set[Connection] = set()

    def wanted(self, stream: str) -> bool:
        """Tell whether anybody listens to `stream`."""
        return stream in self._listeners

    def publish(self, stream: str, payload: bytes) -> None:
        """Queue a payload for everybody who listens, wrapped for those who asked for the combined form."""
        listeners = self._listeners.get(stream)
        if not listeners:
            return
        wrapped = b'{"stream":"' + stream.encode() + b'","data":' + payload + b"}"
        for connection in listeners:
            connection.send(wrapped if connection.session.combined else payload)

    async def keep_pace(self, patience_s: float) -> None:
        """Wait until no client is far behind, and cut those that still are after `patience_s`.

        For replays alone: a recording may hold its data back, a market does not.
        """
        deadline = time.monotonic() + patience_s
        while behind := [each for each in self._connections if each.backlog_share > _BEHIND]:
            if time.monotonic() > deadline:
                for connection in behind:
                    connection.give_up()
            await asyncio.sleep(0.005)

    async def serve(self, request: web.Request, streams: Sequence[str], *, combined: bool) -> web.StreamResponse:
        """Run one connection from its upgrade to its end."""
        connection = Connection(
            Session(combined=combined), queue_bytes=self._queue_bytes, ping_seconds=self._ping_seconds
        )
        await connection.open(request)
        self._connections.add(connection)
        connection.session.streams = dict.fromkeys(streams)
        self._follow(connection, {})
        tasks = [asyncio.create_task(connection.write()), asyncio.create_task(connection.ping())]
        try:
            await self._read(connection)
        finally:
            self._connections.discard(connection)
            self._forget(connection, connection.session.streams)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return connection.socket

    async def close(self) -> None:
        """Say goodbye to every client; a deaf one is cut."""
        for connection in list(self._connections):
            with contextlib.suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(connection.socket.close(code=WSCloseCode.GOING_AWAY), 1.0)
            connection.cut()

    async def _read(self, connection: Connection) -> None:
        socket = connection.socket
        async for message in socket:
            if connection.too_fast():
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.pong()
            elif message.type in _DATA_FRAMES:
                before = connection.session.streams.copy()
                connection.send(connection.session.handle(message.data))
                self._follow(connection, before)

    def _follow(self, connection: Connection, before: dict[str, None]) -> None:
        now = connection.session.streams
        self._forget(connection, before.keys() - now.keys())
        fresh = [name for name in now if name not in before]
        for name in fresh:
            self._listeners.setdefault(name, set()).add(connection)
        if fresh:
            self._on_subscribe(fresh)

    def _forget(self, connection: Connection, streams: Iterable[str]) -> None:
        for name in list(streams):
            listeners = self._listeners.get(name)
            if listeners is not None:
                listeners.discard(connection)
                if not listeners:
                    del self._listeners[name]
