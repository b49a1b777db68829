"""Deriv's parsers: a connection with its calls and its feed, and the door of the Options API."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from libs.core.types import SECOND
from libs.venues.base import VenueError
from libs.venues.clock import OffsetEstimate
from libs.venues.credentials import Credentials
from libs.venues.deriv.codec import CodecError, Request, codec_for
from libs.venues.deriv.connection import Connection
from libs.venues.deriv.feed import TickFeed
from libs.venues.deriv.instruments import instrument_of
from libs.venues.deriv.limits import Limits as DerivLimits
from libs.venues.deriv.model import Ask, Listing, Offer
from libs.venues.deriv.options_door import OptionsDoor
from tests.fuzz.corpus import ANSWER_ID
from tests.fuzz.ground import NOW, Answers, Take, within_turns
from tests.fuzz.sinks import SuspiciousSink


class DerivUnlimited(DerivLimits):
    """Limits that let everything through and believe nothing."""

    async def take(self, *args: Any) -> None: ...

    def refused(self, bucket: Any) -> None: ...


class DerivLine:
    """A socket whose other end answers each call with what lies ready."""

    def __init__(self) -> None:
        self.ready = b""
        self.transport = SimpleNamespace(abort=lambda: None)
        self._told: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, message: bytes, text: bool) -> None:
        frame, asked = self.ready, json.loads(message)
        await self._told.put(frame.replace(b"%d" % ANSWER_ID, b"%d" % asked["req_id"]))

    async def recv(self, decode: bool) -> bytes:
        return await self._told.get()

    def push(self, frame: bytes) -> None:
        self._told.put_nowait(frame)

    async def close(self) -> None: ...


class Deriv:
    """One connection that never ends, its feed, and every call."""

    def __init__(self) -> None:
        self.sink = SuspiciousSink()
        feed = TickFeed(["1HZ100V", "R_100"], self.sink, OffsetEstimate(SECOND))
        self._line: Any = DerivLine()
        self._codec = codec_for("v3")
        limits = DerivUnlimited(self._codec.quotas)
        self._connection = Connection(self._line, self._codec, limits, feed.on_tick, feed.on_odd)
        _, keeps_alive = self._connection._tasks
        keeps_alive.cancel()  # what lies ready is not for its pings
        door_limits = DerivUnlimited(codec_for("options").quotas)
        self._http = Answers()
        self._door = OptionsDoor("http://127.0.0.1:9", Credentials(token="t", app_id="a"), door_limits)
        self._door._session = self._http  # type: ignore[assignment]
        self._offer = Offer(frozenset({"MULTUP", "MULTDOWN"}), (40,))

    def takers(self) -> dict[str, Take]:
        """Pool to parser."""
        code = self._codec
        ask = Ask(contract_type="CALL", symbol="R_100", stake=Decimal(1), currency="USD", duration=5, duration_unit="t")
        site, login = code.site(), code.login("t")
        assert site is not None
        assert login is not None
        requests: list[Request[Any]] = [site, login, code.ping(), code.time(), code.listings(), code.offer("R_100")]
        requests += [code.transactions(), code.contract(1, follow=True), code.proposal(ask), code.buy("p", Decimal(1))]
        requests += [code.holdings(), code.balance(), code.sell(1, Decimal(0)), code.closed(0), code.bookings(0, 0)]
        takers = {f"deriv {request.name}": self._calling(request) for request in requests}
        ticks, candles = code.tick_page("R_100", 0, 1, 1), code.candle_page("R_100", 60, 0, 1, 1)
        pages = (self._calling(ticks), self._calling(candles))

        async def either(frame: bytes) -> bool:
            return await pages[b"candles" in frame](frame)

        return takers | {"deriv ticks_history": either, "deriv stream": self._stream, "deriv door": self._log_in}

    def _calling(self, request: Request[Any]) -> Take:
        def on_push(frame: bytes) -> None:
            with suppress(CodecError):
                request.read(frame)

        async def take(frame: bytes) -> bool:
            self._line.ready = frame
            call = asyncio.ensure_future(self._connection.call(request, on_push=on_push))
            answered = await within_turns(call)
            self._connection.release(on_push)
            if not answered:
                return False
            try:
                self._use(call.result())
            except VenueError:
                return False
            return True

        return take

    def _use(self, answer: Any) -> None:
        """What is done with an answer that could be read, where that is more arithmetic."""
        for row in answer if isinstance(answer, list) else ():
            if isinstance(row, Listing):
                instrument_of(row, self._offer, "USD", NOW)

    async def _stream(self, frame: bytes) -> bool:
        before = self.sink.told
        self._line.push(frame)
        for _ in range(3):
            await asyncio.sleep(0)
        return self.sink.told > before

    async def _log_in(self, frame: bytes) -> bool:
        self._http.lie_ready(frame)
        self._door._account_id = "VRTC1" if b'"url"' in frame else ""
        with suppress(VenueError):
            return bool(await self._door.url())
        return False

    def check(self) -> None:
        """Fail when something ended that must not."""
        assert self._connection.is_alive, self._connection.ended.result()

    async def aclose(self) -> None:
        await self._connection.close()
