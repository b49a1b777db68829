"""Deriv's WebSocket: calls matched by req_id, streams by subscription id, kept alive by pings, reopened on demand."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from libs.core.types import Nanos
from libs.venues.base import VenueRefused, VenueUnavailable
from libs.venues.deriv.codec import Bucket, Codec, CodecError, Request
from libs.venues.deriv.model import Fault, Head, Tick
from libs.venues.pace import Backoff, Pace, is_loopback

PING_S: Final = 30.0
"""Deriv closes after about two minutes without traffic and advises this."""

ANSWER_S: Final = 10.0
"""How long an answer may take before the call is given up and, for a ping, the connection."""

MAX_FRAME: Final = 16 * 1024 * 1024

UNKNOWN_OUTCOME: Final = frozenset({"WrongResponse", "CallError", "InternalServerError", "UnknownError"})
"""Codes with which the venue admits that it does not know what became of the request."""

T = TypeVar("T")
TickHandler = Callable[[Tick, bytes, Nanos], None]
PushHandler = Callable[[bytes], None]
OddHandler = Callable[[bytes, str], None]

_json = msgspec.json.Encoder(decimal_format="number")


class NoAnswer(VenueUnavailable):
    """Sent, and nothing (or nothing certain) came back: whether it had an effect is not known."""


def limits() -> dict[Bucket, Pace]:
    """Calls a minute that both the old and the new API allow; they are counted per user."""
    return {Bucket.GENERAL: Pace(220, 60.0), Bucket.PRICING: Pace(80, 60.0), Bucket.OUTCOME: Pace(30, 60.0)}


def _ignore_odd(frame: bytes, reason: str) -> None:
    return None


def _ignore_tick(tick: Tick, frame: bytes, recv_ns: Nanos) -> None:
    return None


class Connection:
    """One life of the WebSocket. It cannot be resumed: whoever needs a stream subscribes again on the next."""

    def __init__(
        self, ws: ClientConnection, codec: Codec, paces: dict[Bucket, Pace], on_tick: TickHandler, on_odd: OddHandler
    ) -> None:
        self._ws = ws
        self._codec = codec
        self._paces = paces
        self._on_tick = on_tick
        self._on_odd = on_odd
        self._next_id = 0
        self._pending: dict[int, tuple[asyncio.Future[bytes], PushHandler | None]] = {}
        self._streams: dict[str, PushHandler] = {}
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]

    @classmethod
    async def open(
        cls,
        url: str,
        codec: Codec,
        paces: dict[Bucket, Pace],
        on_tick: TickHandler = _ignore_tick,
        on_odd: OddHandler = _ignore_odd,
    ) -> Connection:
        """Connect.

        Raises:
            VenueUnavailable: no connection; the text names the address.
        """
        try:
            ws = await connect(
                url,
                compression=None,
                ping_interval=None,
                open_timeout=ANSWER_S,
                close_timeout=1.0,
                max_size=MAX_FRAME,
                proxy=None if is_loopback(url) else True,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as err:
            raise VenueUnavailable(f"no connection to Deriv at {url.partition('?')[0]}: {err}") from err
        return cls(ws, codec, paces, on_tick, on_odd)

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    async def call(self, request: Request[T], *, on_push: PushHandler | None = None, timeout_s: float = ANSWER_S) -> T:
        """Ask and read the answer; `on_push` gets every later frame of the subscription it opens.

        Raises:
            VenueRefused: the venue said no, with its code.
            NoAnswer: sent, and what became of it is not known.
            VenueUnavailable: not sent, or refused for its rate.
        """
        await self._paces[request.bucket].turn()
        if not self.is_alive:
            raise VenueUnavailable(f"the connection to Deriv is closed: {self.ended.result()}")
        self._next_id += 1
        req_id = self._next_id
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[req_id] = (answer, on_push)
        try:
            async with asyncio.timeout(timeout_s):
                await self._ws.send(_json.encode(request.body | {"req_id": req_id}), text=True)
                frame = await answer
            return request.read(frame)
        except TimeoutError as err:
            raise NoAnswer(f"Deriv gave no answer within {timeout_s:g} s to {_name(request)}") from err
        except ConnectionClosed as err:
            raise NoAnswer(f"the connection to Deriv broke during {_name(request)}: {err}") from err
        except CodecError as err:
            raise NoAnswer(f"Deriv's answer to {_name(request)} cannot be read: {err}") from err
        finally:
            self._pending.pop(req_id, None)

    async def close(self, reason: str = "closed by us") -> None:
        """End this life; calls in flight get NoAnswer."""
        self._end(reason)
        await self._ws.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        reason = "closed by Deriv"
        try:
            while True:
                frame = await self._ws.recv(decode=False)
                self._take(frame, time.time_ns())
        except ConnectionClosed as err:
            reason = str(err)
        finally:
            self._end(reason)

    def _take(self, frame: bytes, recv_ns: Nanos) -> None:
        try:
            head = self._codec.head(frame)
        except CodecError as err:
            self._on_odd(frame, f"malformed: {err}")
            return
        waiting = self._pending.get(head.req_id) if head.req_id is not None else None
        if waiting is not None and not waiting[0].done():
            self._answer(frame, head, *waiting)
        elif head.tick is None and not self._push(frame, head):
            self._on_odd(frame, f"unexpected {head.msg_type or 'message'}")
        if head.tick is not None:
            self._on_tick(head.tick, frame, recv_ns)

    def _answer(self, frame: bytes, head: Head, answer: asyncio.Future[bytes], on_push: PushHandler | None) -> None:
        if head.error is not None:
            answer.set_exception(_failure(head.error))
            return
        if on_push is not None and head.subscription is not None:
            self._streams[head.subscription.id] = on_push
        answer.set_result(frame)

    def _push(self, frame: bytes, head: Head) -> bool:
        handler = self._streams.get(head.subscription.id) if head.subscription is not None else None
        if handler is None or head.error is not None:
            return False
        handler(frame)
        return True

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            try:
                await self.call(self._codec.ping())
            except VenueUnavailable as err:
                self._end(f"no pong: {err}")
                return

    def _end(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        for answer, _ in self._pending.values():
            if not answer.done():
                answer.set_exception(NoAnswer(f"the connection to Deriv broke: {reason}"))
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()


def _name(request: Request[T]) -> str:
    return next(iter(request.body))


def _failure(fault: Fault) -> Exception:
    code = f"{fault.code}/{fault.subcode}" if fault.subcode else fault.code
    text = f"{fault.message or 'refused'} ({code})"
    if fault.code == "RateLimit":
        return VenueUnavailable(text)
    if fault.code in UNKNOWN_OUTCOME:
        return NoAnswer(text)
    return VenueRefused(text, fault.code)


class DerivClient:
    """A connection for calls, opened when first needed and again, with back-off, after it broke."""

    def __init__(self, url: str, codec: Codec, *, token: str = "", rng: random.Random | None = None) -> None:
        self.codec = codec
        self._url = url
        self._token = token
        self._paces = limits()
        self._backoff = Backoff(rng or random.Random())
        self._not_before = 0.0
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def open_stream(self, on_tick: TickHandler, on_odd: OddHandler) -> Connection:
        """A connection of its own for ticks, counted under the same rate limits."""
        return await Connection.open(self._url, self.codec, self._paces, on_tick, on_odd)

    async def connection(self) -> Connection:
        """The live connection, logged in when there is a token.

        Raises:
            VenueUnavailable: cannot connect now. VenueRefused: the token is not accepted.
        """
        async with self._opening:
            if self._connection is not None and self._connection.is_alive:
                return self._connection
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            self._not_before = loop.time() + self._backoff.next_s()
            connection = await Connection.open(self._url, self.codec, self._paces)
            if self._token:
                await self._log_in(connection)
            self._backoff.reset()
            self._connection = connection
            return connection

    async def _log_in(self, connection: Connection) -> None:
        try:
            await connection.call(self.codec.authorize(self._token))
        except VenueRefused as err:
            await connection.close("login refused")
            raise VenueRefused(f"Deriv refused the token: {err}; check DERIV_TOKEN", err.code) from err
        except VenueUnavailable:
            await connection.close("login failed")
            raise

    async def call(self, request: Request[T], *, on_push: PushHandler | None = None) -> T:
        """Ask on the shared connection; raises as `Connection.call` and `connection`."""
        return await (await self.connection()).call(request, on_push=on_push)

    async def aclose(self) -> None:
        """Close the shared connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
