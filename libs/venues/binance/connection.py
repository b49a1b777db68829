"""One life of Binance's combined market stream: frames in, paced and checked control messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from picows import WSError, WSMsgType, WSTransport, ws_connect

from libs.core.types import Nanos
from libs.venues.base import VenueUnavailable
from libs.venues.binance import codec
from libs.venues.binance.frames import MAX_MESSAGE, MessageListener
from libs.venues.pace import Pace

CONTROL_PER_S: Final = 4
"""Control messages a second; the venue cuts at five, and our pongs count."""

STREAMS_PER_MESSAGE: Final = 100
ANSWER_S: Final = 10.0
IDLE_PING_S: Final = 25.0
"""The venue pings each 20 s; a longer silence is answered with a ping of ours."""

PONG_S: Final = 10.0
QUIET_S: Final = 20.0
"""After so long without a message the venue is asked for one: a server can answer pings and be stuck all the same."""

SHUTDOWN: Final = "!serverShutdown"

DataHandler = Callable[[codec.Frame, bytes, Nanos], None]
OddHandler = Callable[[bytes, str], None]


class StreamConnection:
    """One connection. A successor of a live one stays mute until it is subscribed, and in that moment mutes the other.

    So nothing comes twice; what was still on its way on the old one is a hole like any other.
    """

    def __init__(
        self, on_data: DataHandler, on_odd: OddHandler, *, successor_of: StreamConnection | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._on_odd = on_odd
        self._predecessor = successor_of
        self._muted = successor_of is not None and successor_of.is_alive
        self._last_of_subscription = 0
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[None]] = {}
        self._pace = Pace(CONTROL_PER_S, 1.0)
        self._transport: WSTransport | None = None
        self._loop_time = loop.time
        self._heard_at = loop.time()
        self._watch: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[str] = loop.create_future()
        self.leaving: asyncio.Future[str] = loop.create_future()

    async def open(self, url: str) -> None:
        """Connect to the combined stream at `url`.

        Raises:
            VenueUnavailable: no connection; the text names the address.
        """
        try:
            self._transport, _ = await ws_connect(
                lambda: MessageListener(self._take, self._end),
                f"{url.rstrip('/')}/stream",
                websocket_handshake_timeout=ANSWER_S,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE_PING_S,
                auto_ping_reply_timeout=PONG_S,
                max_frame_size=MAX_MESSAGE,
            )
        except (OSError, TimeoutError, WSError) as err:
            raise VenueUnavailable(f"no connection to Binance at {url}: {err}") from err
        self._watch = asyncio.create_task(self._keep_watch())

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    async def subscribe(self, streams: Sequence[str]) -> None:
        """Subscribe to all of `streams`, in as few messages as is polite, and check each answer.

        Raises:
            VenueUnavailable: refused, not answered, or the connection broke.
        """
        messages = -(-len(streams) // STREAMS_PER_MESSAGE)
        self._last_of_subscription = self._next_id + messages
        for at in range(0, len(streams), STREAMS_PER_MESSAGE):
            await self._control("SUBSCRIBE", streams[at : at + STREAMS_PER_MESSAGE])

    async def _control(self, method: str, params: Sequence[str]) -> None:
        await self._pace.turn()
        if self._transport is None or not self.is_alive:
            raise VenueUnavailable("the stream of Binance is closed")
        self._next_id += 1
        number = self._next_id
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        message = {"method": method, "params": list(params), "id": number}
        try:
            self._transport.send(WSMsgType.TEXT, msgspec.json.encode(message))
            async with asyncio.timeout(ANSWER_S):
                await answer
        except TimeoutError as err:
            raise VenueUnavailable(f"Binance gave no answer to {method} within {ANSWER_S:g} s") from err
        finally:
            self._pending.pop(number, None)

    async def _keep_watch(self) -> None:
        """End a connection that has nothing to say and does not answer either."""
        while self.is_alive:
            quiet_s = self._loop_time() - self._heard_at
            if quiet_s < QUIET_S:
                await asyncio.sleep(QUIET_S - quiet_s)
                continue
            try:
                await self._control("LIST_SUBSCRIPTIONS", ())
            except VenueUnavailable as err:
                self._end(f"silent for {quiet_s:.0f} s: {err}")
                if self._transport is not None:
                    self._transport.disconnect(graceful=False)

    async def close(self) -> None:
        """End this life."""
        self._end("closed by us")
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
            with suppress(WSError):  # why it ended is known by now
                await self._transport.wait_disconnected()

    def _take(self, payload: bytes, recv_ns: Nanos) -> None:
        self._heard_at = self._loop_time()
        try:
            frame = codec.frame.decode(payload)
        except codec.UNREADABLE as err:
            self._on_odd(payload, f"malformed: {err}")
            return
        if not frame.stream:
            self._answered(frame, payload)
        elif frame.stream == SHUTDOWN:
            self._leave("Binance is about to shut this server down")
        elif not self._muted:
            self._on_data(frame, payload, recv_ns)

    def _answered(self, frame: codec.Frame, payload: bytes) -> None:
        answer = self._pending.get(frame.id) if isinstance(frame.id, int) else None
        if answer is None:
            self._on_odd(payload, f"Binance reports {frame.code}: {frame.msg}" if frame.code is not None else "unknown")
        elif answer.done():
            return
        elif frame.code is not None:
            answer.set_exception(VenueUnavailable(f"Binance refused a control message: {frame.msg} ({frame.code})"))
        else:
            answer.set_result(None)
            if frame.id == self._last_of_subscription:
                self._take_over()

    def _take_over(self) -> None:
        """From the very next message on it is this connection that speaks."""
        if self._predecessor is not None:
            self._predecessor._muted = True
            self._predecessor = None
        self._muted = False

    def _leave(self, reason: str) -> None:
        if not self.leaving.done():
            self.leaving.set_result(reason)

    def _end(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self._leave(reason)
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(VenueUnavailable(reason))
