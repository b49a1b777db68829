"""Who listens to which stream, and the fan-out of every payload to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp import web

from services.simulator.binance.connection import HABITS, QUEUE_BYTES, Connection, Habits
from services.simulator.binance.control import Session
from services.simulator.binance.feed import VENUE
from services.simulator.binance.units import payload_in_micros
from services.simulator.binance.wire import shutdown_event
from services.simulator.faults.base import Faults, NoFaults

CLOCK_STREAM: Final = "!simClock"
SHUTDOWN_STREAM: Final = "!serverShutdown"
_BEHIND: Final = 0.25
_NUMBERED: Final = ("trade", "aggTrade", "depth", "depth@100ms")
_BOOK: Final = ("depth", "bookTicker")


def machine_ms() -> int:
    """The machine's clock, ms UTC."""
    return time.time_ns() // 1_000_000


class Listener(Connection):
    """A client of the market streams."""

    def __init__(self, session: Session, *, micros: bool, queue_bytes: int, habits: Habits, faults: Faults) -> None:
        super().__init__("data", queue_bytes=queue_bytes, habits=habits, faults=faults)
        self.session = session
        self.micros = micros


class Hub:
    """All stream connections of the venue.

    `on_subscribe` is told of stream names that have just gained a listener, after the client got its answer.
    """

    def __init__(
        self,
        on_subscribe: Callable[[Sequence[str]], None],
        *,
        queue_bytes: int = QUEUE_BYTES,
        habits: Habits = HABITS,
        faults: Faults | None = None,
        now_ms: Callable[[], int] = machine_ms,
    ) -> None:
        self._on_subscribe = on_subscribe
        self._queue_bytes = queue_bytes
        self._habits = habits
        self._faults = faults or NoFaults()
        self._faulty = type(self._faults) is not NoFaults
        self._now_ms = now_ms
        self._listeners: dict[str, set[Listener]] = {}
        self._connections: set[Listener] = set()

    def wanted(self, stream: str) -> bool:
        """Tell whether anybody listens to `stream`."""
        return stream in self._listeners

    def publish(self, stream: str, payload: bytes) -> None:
        """Queue a payload for everybody who listens, wrapped for those who asked for the combined form."""
        listeners = self._listeners.get(stream)
        if not listeners or (self._faulty and self._lost(stream)):
            return
        finer: bytes | None = None
        for listener in listeners:
            frame = payload
            if listener.micros:
                finer = finer or payload_in_micros(payload)
                frame = finer
            listener.send(_wrapped(stream, frame) if listener.session.combined else frame)

    def _lost(self, stream: str) -> bool:
        """Whether a fault keeps this event from everybody."""
        kind = stream.partition("@")[2]
        if kind in _NUMBERED and self._faults.skips(VENUE, stream):
            return True
        if kind.startswith(_BOOK) and self._faults.silent(VENUE, "book"):
            return True
        return self._faults.silent(VENUE, stream)

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

    async def serve(
        self, request: web.Request, streams: Sequence[str], *, combined: bool, micros: bool = False
    ) -> web.StreamResponse:
        """Run one connection from its upgrade to its end."""
        session = Session(combined=combined)
        listener = Listener(
            session, micros=micros, queue_bytes=self._queue_bytes, habits=self._habits, faults=self._faults
        )

        def take(frame: str | bytes) -> None:
            before = session.streams.copy()
            listener.send(session.handle(frame))
            self._follow(listener, before)

        self._connections.add(listener)
        session.streams = dict.fromkeys(streams)
        self._follow(listener, {})
        try:
            return await listener.serve(request, take, lambda: self._farewell(listener))
        finally:
            self._connections.discard(listener)
            self._forget(listener, session.streams)

    def connections(self) -> set[Connection]:
        """The connections of this moment."""
        return set(self._connections)

    def announce_shutdown(self) -> None:
        """Tell every client that its connection is about to end."""
        for listener in list(self._connections):
            listener.send(self._farewell(listener))

    def cut(self) -> None:
        """Drop every connection at once."""
        for listener in list(self._connections):
            listener.cut()

    async def close(self) -> None:
        """Say goodbye to every client; a deaf one is cut."""
        await asyncio.gather(*(listener.close() for listener in list(self._connections)))

    def _farewell(self, listener: Listener) -> bytes:
        event = shutdown_event(self._now_ms())
        event = payload_in_micros(event) if listener.micros else event
        return _wrapped(SHUTDOWN_STREAM, event) if listener.session.combined else event

    def _follow(self, listener: Listener, before: dict[str, None]) -> None:
        now = listener.session.streams
        self._forget(listener, before.keys() - now.keys())
        fresh = [name for name in now if name not in before]
        for name in fresh:
            self._listeners.setdefault(name, set()).add(listener)
        if fresh:
            self._on_subscribe(fresh)

    def _forget(self, listener: Listener, streams: Iterable[str]) -> None:
        for name in list(streams):
            listeners = self._listeners.get(name)
            if listeners is not None:
                listeners.discard(listener)
                if not listeners:
                    del self._listeners[name]


def _wrapped(stream: str, payload: bytes) -> bytes:
    return b'{"stream":"' + stream.encode() + b'","data":' + payload + b"}"
