"""One life of Deriv's WebSocket: calls matched by req_id, streams by subscription, kept alive by pings."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from libs.core.types import Nanos
from libs.venues.budget import Priority
from libs.venues.deriv.answers import CodecError, read_address
from libs.venues.deriv.codec import Codec, Request
from libs.venues.deriv.limits import Limits
from libs.venues.deriv.model import Fault, Head, Tick
from libs.venues.deriv.refusals import PROOFS
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.pace import is_loopback

PING_S: Final = 30.0
"""Deriv closes after about two minutes without traffic and advises this."""

ANSWER_S: Final = 10.0
"""How long an answer may take before the call is given up and, for a ping, the connection."""

MAX_FRAME: Final = 4 * 1024 * 1024
"""Several times the largest answer there is; a longer frame ends the connection."""

UNKNOWN_OUTCOME: Final = frozenset({"WrongResponse", "CallError", "InternalServerError", "UnknownError"})
"""Codes with which the venue admits that it does not know what became of the request."""

LOGGED_OUT: Final = frozenset({"AuthorizationRequired", "InvalidToken"})
"""Codes of a session that has ended; the request had no effect."""

GIVEN_UP_MOST: Final = 256
"""Calls remembered after they were given up, so that their late answers surprise nobody."""

T = TypeVar("T")
TickHandler = Callable[[Tick, bytes, Nanos], None]
PushHandler = Callable[[bytes], None]
OddHandler = Callable[[bytes, str], None]

_json = msgspec.json.Encoder(decimal_format="number")


class NoAnswer(VenueUnavailable):
    """Sent, and nothing (or nothing certain) came back: whether it had an effect is not known."""


class LoggedOut(VenueRefused):
    """The session has ended; on a new connection the request can be made again."""


class _Waiting:
    """A call without its answer yet."""

    __slots__ = ("answer", "on_push", "request")

    def __init__(self, request: Request[T], on_push: PushHandler | None) -> None:
        self.request = request
        self.on_push = on_push
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


def _ignore_odd(frame: bytes, reason: str) -> None:
    return None


def _ignore_tick(tick: Tick, frame: bytes, recv_ns: Nanos) -> None:
    return None


class Connection:
    """It cannot be resumed: whoever needs a stream subscribes again on the next."""

    def __init__(
        self, ws: ClientConnection, codec: Codec, limits: Limits, on_tick: TickHandler, on_odd: OddHandler
    ) -> None:
        self._ws = ws
        self._codec = codec
        self._limits = limits
        self._on_tick = on_tick
        self._on_odd = on_odd
        self._next_id = 0
        self._pending: dict[int, _Waiting] = {}
        self._given_up: deque[int] = deque(maxlen=GIVEN_UP_MOST)
        self._streams: dict[str | int, PushHandler] = {}
        self._doubt = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._keep_alive())]

    @classmethod
    async def open(
        cls,
        url: str,
        codec: Codec,
        limits: Limits,
        on_tick: TickHandler = _ignore_tick,
        on_odd: OddHandler = _ignore_odd,
    ) -> Connection:
        """Connect.

        Raises:
            VenueUnavailable: no connection; the text names the address without its query, which may be a secret.
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
            where = url.partition("?")[0]
            told = str(err).replace(url, where)
            if isinstance(err, InvalidStatus) and err.response.status_code in (400, 401, 403):
                told += "; check DERIV_APP_ID"
            raise VenueUnavailable(f"no connection to Deriv at {where}: {told}") from err
        return cls(ws, codec, limits, on_tick, on_odd)

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    async def call(
        self, request: Request[T], *, priority: Priority | None = None, on_push: PushHandler | None = None
    ) -> T:
        """Ask and read the answer; `on_push` gets every later frame of the subscription it opens.

        Raises:
            VenueRefused: the venue said no, with its code. LoggedOut: the session has ended.
            NoAnswer: sent, and what became of it is not known.
            VenueUnavailable: not sent, or refused for its rate.
        """
        await self._limits.take(request.bucket, request.priority if priority is None else priority)
        if not self.is_alive:
            raise VenueUnavailable(f"the connection to Deriv is closed: {self.ended.result()}")
        self._next_id += 1
        req_id = self._next_id
        waiting = self._pending[req_id] = _Waiting(request, on_push)
        if on_push is not None:
            # By the id of the call from now on: updates repeat it, and may come although the answer is lost.
            self._streams[req_id] = on_push
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._ws.send(_json.encode(request.body | {"req_id": req_id}), text=True)
                frame = await waiting.answer
            return request.read(frame)
        except TimeoutError as err:
            if request.name in PROOFS:
                # It must not reach the venue any more.
                self.abandon(f"no answer to {request.name}")
            self._doubt.set()
            raise NoAnswer(f"Deriv gave no answer within {ANSWER_S:g} s to {request.name}") from err
        except ConnectionClosed as err:
            raise NoAnswer(f"the connection to Deriv broke during {request.name}: {err}") from err
        except CodecError as err:
            raise NoAnswer(f"Deriv's answer to {request.name} cannot be read: {err}") from err
        finally:
            self._pending.pop(req_id, None)
            if not waiting.answer.done() or waiting.answer.cancelled():
                self._given_up.append(req_id)
            else:
                waiting.answer.exception()  # when sending failed first, nobody else asks for it

    def release(self, on_push: PushHandler) -> None:
        """Forget a stream that has ended at the venue."""
        for key in [key for key, handler in self._streams.items() if handler == on_push]:
            del self._streams[key]

    def abandon(self, reason: str) -> None:
        """End this life at once, so that nothing of it can still reach the venue."""
        self._end(reason)
        self._ws.transport.abort()

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
            self._unreadable(frame, err)
            return
        waiting = self._pending.get(head.req_id) if head.req_id is not None else None
        if waiting is not None and not waiting.answer.done():
            self._answer(frame, head, waiting)
        elif head.tick is None and not self._push(frame, head) and not self._is_late(head):
            self._on_odd(frame, f"unexpected {head.msg_type or 'message'}")
        if head.tick is not None:
            self._on_tick(head.tick, frame, recv_ns)

    def _unreadable(self, frame: bytes, err: CodecError) -> None:
        """Whoever waits for a frame that cannot be read need not wait any longer."""
        address = read_address(frame)
        waiting = self._pending.get(address) if address is not None else None
        if waiting is not None and not waiting.answer.done():
            text = f"Deriv's answer to {waiting.request.name} cannot be read: {err}"
            waiting.answer.set_exception(NoAnswer(text))
        self._on_odd(frame, f"malformed: {err}")

    def _answer(self, frame: bytes, head: Head, waiting: _Waiting) -> None:
        if head.error is not None:
            if head.error.code == "RateLimit":
                self._limits.refused(waiting.request.bucket)
            if head.req_id is not None:
                self._streams.pop(head.req_id, None)
            waiting.answer.set_exception(_failure(waiting.request.name, head.error))
            return
        if waiting.on_push is not None and head.subscription is not None:
            self._streams[head.subscription.id] = waiting.on_push
        waiting.answer.set_result(frame)

    def _push(self, frame: bytes, head: Head) -> bool:
        handler = next((self._streams[key] for key in _stream_keys(head) if key in self._streams), None)
        if handler is None or head.error is not None:
            return False
        handler(frame)
        return True

    def _is_late(self, head: Head) -> bool:
        """Whether it is the answer to a call of ours that was given up; a second one would be odd."""
        if head.req_id is None or head.req_id not in self._given_up:
            return False
        self._given_up.remove(head.req_id)
        return True

    async def _keep_alive(self) -> None:
        """Ping from time to time, and at once when an answer did not come: a stalled connection is ended."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), PING_S)
            self._doubt.clear()
            try:
                await self.call(self._codec.ping())
            except NoAnswer as err:
                self.abandon(f"no pong: {err}")
                return
            except VenueError:
                continue  # a limit is used up: that says nothing about the connection

    def _end(self, reason: str) -> None:
        if self.ended.done():
            return
        self.ended.set_result(reason)
        for waiting in self._pending.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(NoAnswer(f"the connection to Deriv broke: {reason}"))
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()


def _stream_keys(head: Head) -> list[str | int]:
    """What names the stream of a frame: its subscription, and the req_id of the call that opened it."""
    keys: list[str | int] = [head.subscription.id] if head.subscription is not None else []
    return keys if head.req_id is None else [*keys, head.req_id]


def _failure(call: str, fault: Fault) -> Exception:
    code = f"{fault.code}/{fault.subcode}" if fault.subcode else fault.code
    text = f"{' '.join((fault.message or 'refused').split())[:300]} ({code})"
    if fault.code == "RateLimit":
        return VenueUnavailable(text)
    if fault.code in LOGGED_OUT:
        return LoggedOut(text, fault.code)
    if fault.code in UNKNOWN_OUTCOME or (call in PROOFS and fault.code not in PROOFS[call]):
        return NoAnswer(text)
    return VenueRefused(text, fault.code)
