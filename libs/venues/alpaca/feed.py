"""One of Alpaca's data streams (shares, or crypto assets): logged in, subscribed, each message checked and told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from libs.core.types import BarFlag, Nanos, Quote
from libs.venues.alpaca import codec, history
from libs.venues.alpaca.codec import BarRow, Frame, instant
from libs.venues.alpaca.socket import ANSWER_S, Socket, opened
from libs.venues.base import FeedSink
from libs.venues.checked import Absurd, line, price, size
from libs.venues.credentials import Credentials
from libs.venues.errors import VenueRefused, VenueUnavailable

QUIET_S: Final = 45.0
"""While its market is open, a stream that says nothing of any symbol for so long is made anew."""

REFUSALS: Final = frozenset({402, 405, 409})
"""Login failed, too many symbols, not in the subscription: asking again does not help."""


class Feed:
    """Outlives single connections. `is_closed` says whether silence is in order."""

    def __init__(
        self, url: str, symbols: Sequence[str], sink: FeedSink, credentials: Credentials, is_closed: Callable[[], bool]
    ) -> None:
        self._url, self._symbols, self._sink = url, list(symbols), sink
        self._credentials = credentials
        self._is_closed = is_closed
        self._last = dict.fromkeys(symbols, 0)
        self._reason = ""
        self._live = False

    def lost(self, reason: str) -> None:
        """A life ended."""
        self._sink.status("*", "disconnect" if self._live else "unreachable", reason)
        self._reason, self._live = reason, False

    async def live(self) -> None:
        """One life. Raises VenueUnavailable when it ends, VenueRefused when another would be no better."""
        async with opened(self._url) as socket:
            await self._begin(socket)
            silent_since = time.monotonic()
            while True:
                try:
                    payload = await socket.next(QUIET_S)
                except VenueUnavailable:
                    if not self._is_closed() or time.monotonic() - silent_since < QUIET_S:
                        raise
                    await socket.is_answering()
                else:
                    self._take(payload, time.time_ns())
                silent_since = time.monotonic()

    async def _begin(self, socket: Socket) -> None:
        await self._expect(socket, "success", "connected")
        await socket.send({"action": "auth", "key": self._credentials.key, "secret": self._credentials.secret})
        await self._expect(socket, "success", "authenticated")
        channels = dict.fromkeys(("trades", "quotes", "bars"), self._symbols)
        await socket.send({"action": "subscribe", **channels})
        await self._expect(socket, "subscription", "")

    async def _expect(self, socket: Socket, kind: str, said: str) -> None:
        try:
            frames = [codec.frame.decode(raw) for raw in codec.raw_frames.decode(await socket.next(ANSWER_S))]
        except codec.UNREADABLE as err:
            raise VenueUnavailable(f"Alpaca's data stream begins with something unreadable: {line(err)}") from err
        for frame in frames:
            if frame.T == "error":
                self._refuse(frame)
            if kind == frame.T and (not said or frame.msg == said):
                return
        raise VenueUnavailable(f"Alpaca's data stream did not say {said or kind}")

    def _refuse(self, frame: Frame) -> None:
        text = f"Alpaca's data stream refused: {line(frame.msg)} ({frame.code})"
        raise VenueRefused(text, str(frame.code)) if frame.code in REFUSALS else VenueUnavailable(text)

    # --- messages ----------------------------------------------------------------------------------------------

    def _take(self, payload: bytes, recv_ns: Nanos) -> None:
        try:
            rows = codec.raw_frames.decode(payload)
        except codec.UNREADABLE as err:
            self._sink.reject("", payload, f"malformed: {err}")
            return
        for raw in rows:
            try:
                self._tell(codec.frame.decode(raw), recv_ns)
            except codec.UNREADABLE as err:
                self._sink.reject("", bytes(raw), f"malformed: {err}")
            except Absurd as err:
                self._sink.reject("", bytes(raw), str(err))

    def _tell(self, frame: Frame, recv_ns: Nanos) -> None:
        if frame.T == "error":
            self._refuse(frame)
        if frame.T not in ("t", "q", "b"):
            return
        if frame.S not in self._last:
            raise Absurd(f"{frame.S[:40]!r} was not asked for")
        if frame.T == "t":
            self._tell_print(frame, recv_ns)
        elif frame.T == "q":
            self._tell_quote(frame, recv_ns)
        else:
            row = BarRow(frame.t, frame.o, frame.h, frame.l, price(frame.c), frame.v, frame.n)
            bar = history.bar_of(frame.S, 60, row)
            flags = (bar.flags & ~BarFlag.HISTORY) | BarFlag.VENUE
            self._heard()
            self._sink.kline(msgspec.structs.replace(bar, flags=int(flags), ts_recv=recv_ns), recv_ns)

    def _tell_print(self, frame: Frame, recv_ns: Nanos) -> None:
        trade = history.print_of(frame)
        self._heard()
        if trade.seq and trade.seq == self._last[frame.S]:
            return
        self._last[frame.S] = trade.seq
        self._sink.trade(frame.S, trade, recv_ns)

    def _tell_quote(self, frame: Frame, recv_ns: Nanos) -> None:
        if not frame.bp or not frame.ap:
            return  # one side is empty, as outside of market hours
        quote = Quote(instant(frame.t), price(frame.bp), size(frame.bs), price(frame.ap), size(frame.as_), 0)
        if quote.bid > quote.ask:
            raise Absurd(f"bid {quote.bid} above ask {quote.ask}")
        self._heard()
        self._sink.quote(frame.S, quote, recv_ns)

    def _heard(self) -> None:
        if not self._live:
            self._live = True
            if self._reason:
                self._sink.status("*", "reconnect", f"after: {self._reason}")
