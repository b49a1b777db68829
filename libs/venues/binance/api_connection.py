"""One life of a WebSocket API connection: calls out, their answers matched, events handed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec
from picows import WSError, WSMsgType, WSTransport, ws_connect

from libs.core.types import Nanos
from libs.venues.base import VenueUnavailable, VenueUnresolved
from libs.venues.binance import codec, trade_codec
from libs.venues.binance.frames import MAX_MESSAGE, MessageListener
from libs.venues.binance.trade_codec import Envelope

HANDSHAKE_S: Final = 10.0
IDLE_PING_S: Final = 25.0
"""The venue pings each 20 s; a longer silence is answered with a ping of ours."""

PONG_S: Final = 10.0

EventHandler = Callable[["ApiConnection", bytes], None]
GapHandler = Callable[[str], None]
_encode: Final = msgspec.json.Encoder().encode


class ApiConnection:
    """Either answers arrive, or `ended` says why none will: then every call that waits is unresolved.

    `leaving` is set first, while the connection still works, when the venue announces its end. `on_gap` hears of
    messages that could not be read: an event may have been among them.
    """

    def __init__(self, on_event: EventHandler, on_gap: GapHandler) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._on_event, self._on_gap = on_event, on_gap
        self._pending: dict[int, asyncio.Future[Envelope]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._next_id = 0
        self._transport: WSTransport | None = None
        self.ended: asyncio.Future[str] = loop.create_future()
        self.leaving: asyncio.Future[str] = loop.create_future()
        self.is_logged_on = False
        self.is_subscribed = False

    async def open(self, url: str) -> None:
        """Connect. Raises VenueUnavailable naming the address."""
        try:
            self._transport, _ = await ws_connect(
                lambda: MessageListener(self._take, self.end),
                url,
                websocket_handshake_timeout=HANDSHAKE_S,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE_PING_S,
                auto_ping_reply_timeout=PONG_S,
                max_frame_size=MAX_MESSAGE,
            )
        except (OSError, TimeoutError, WSError, ValueError) as err:
            raise VenueUnavailable(f"no connection to Binance at {url}: {err}") from err

    @property
    def is_alive(self) -> bool:
        return self._transport is not None and not self.ended.done()

    async def call(self, method: str, params: Mapping[str, str | int], timeout_s: float) -> Envelope:
        """The answer, whatever its status.

        Raises:
            VenueUnavailable: not sent. VenueUnresolved: sent, and no answer within `timeout_s` or before the end.
        """
        if self._transport is None or self.ended.done():
            raise VenueUnavailable("the connection to Binance's WebSocket API is closed")
        self._next_id += 1
        number = self._next_id
        answer: asyncio.Future[Envelope] = self._loop.create_future()
        self._pending[number] = answer
        self._idle.clear()
        timer = self._loop.call_later(timeout_s, self._give_up, answer, method, timeout_s)
        try:
            self._transport.send(WSMsgType.TEXT, _encode({"id": number, "method": method, "params": params}))
            return await answer
        finally:
            timer.cancel()
            del self._pending[number]
            if not self._pending:
                self._idle.set()

    def _give_up(self, answer: asyncio.Future[Envelope], method: str, timeout_s: float) -> None:
        """A connection that owes an answer may owe events as well: it is not to be trusted any longer."""
        if not answer.done():
            reason = f"no answer from Binance to {method} within {timeout_s:g} s"
            answer.set_exception(VenueUnresolved(reason))
            self.is_subscribed = False
            self.leave(reason)

    def leave(self, reason: str) -> None:
        """The connection is to be replaced."""
        if not self.leaving.done():
            self.leaving.set_result(reason)

    def end(self, reason: str) -> None:
        """Nothing more comes: what waits for an answer has none."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self.leave(reason)
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(VenueUnresolved(f"no answer from Binance: {reason}"))

    async def close(self, patience_s: float = 0.0) -> None:
        """End this life, after waiting up to `patience_s` for answers that are still due."""
        if patience_s and self.is_alive:
            try:
                async with asyncio.timeout(patience_s):
                    await self._idle.wait()
            except TimeoutError:
                self.leave("closed by us")
        self.end("closed by us")
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
            with suppress(WSError):  # why it ended is known by now
                await self._transport.wait_disconnected()

    def _take(self, payload: bytes, recv_ns: Nanos) -> None:
        try:
            message = trade_codec.envelope.decode(payload)
        except codec.UNREADABLE as err:
            self._on_gap(f"a message could not be read: {' '.join(str(err).split())[:200]}")
            return
        if isinstance(message.id, int):
            answer = self._pending.get(message.id)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif message.event:
            self._on_event(self, bytes(message.event))
        elif message.error is not None:
            self.is_subscribed = False
            self.leave(f"Binance ended the session: {' '.join(message.error.msg.split())[:200]} ({message.error.code})")
