"""One connection's worth of Deriv ticks: subscriptions, checks, opening hours and the clock, told to a sink."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

from libs.core.types import MILLISECOND, SECOND, FeedState, Nanos, Quote, Trade
from libs.venues.base import FeedSink, VenueError, VenueRefused
from libs.venues.clock import OffsetEstimate
from libs.venues.deriv.client import Connection
from libs.venues.deriv.codec import Codec
from libs.venues.deriv.history import is_price
from libs.venues.deriv.model import Tick

CLOCK_S: Final = 10.0
HOURS_S: Final = 60.0
LATEST_S: Final = 4_102_444_800
"""The year 2100."""

FUTURE_S: Final = 60
"""A tick stamped further ahead of the venue's own clock than this is absurd."""

SHARP: Nanos = 100 * MILLISECOND
"""Below this width the clock estimate is only kept fresh, not sharpened further."""

SHARPENING: Final = 8
"""Questions spent on sharpening; a slow line never gets there."""


class TickFeed:
    """State of the subscribed symbols on one connection."""

    def __init__(self, symbols: Sequence[str], sink: FeedSink, clock: OffsetEstimate) -> None:
        self.sink = sink
        self._clock = clock
        self._waiting = set(symbols)
        self._known = frozenset(symbols)
        self._crossed: set[str] = set()
        self._closed: set[str] = set()

    def on_tick(self, tick: Tick, frame: bytes, recv_ns: Nanos) -> None:
        """Check a tick and pass it on as a print and, where it has both sides, a quote."""
        symbol, epoch, bid, ask = tick.symbol, tick.epoch, tick.bid, tick.ask
        stamp = epoch * SECOND
        fault = self._fault(tick, stamp, recv_ns)
        if fault:
            self.sink.reject(symbol if symbol in self._known else "", frame, fault)
            return
        self._clock.witnessed(stamp, recv_ns)
        self.sink.trade(symbol, Trade(stamp, tick.quote, 0.0, 0, epoch), recv_ns)
        if bid is None or ask is None:
            return
        if bid <= ask:
            self._crossed.discard(symbol)
            self.sink.quote(symbol, Quote(stamp, bid, 0.0, ask, 0.0, epoch), recv_ns)
        elif symbol not in self._crossed:
            self._crossed.add(symbol)
            self.sink.status(symbol, "crossed", f"bid {bid} above ask {ask}; quotes are withheld until it is not")

    def _fault(self, tick: Tick, stamp: Nanos, recv_ns: Nanos) -> str:
        if tick.symbol not in self._known:
            return f"tick of {tick.symbol!r}, which nobody asked for"
        if not is_price(tick.quote):
            return f"price {tick.quote} is none"
        if (tick.bid is not None and not is_price(tick.bid)) or (tick.ask is not None and not is_price(tick.ask)):
            return f"bid {tick.bid} or ask {tick.ask} is no price"
        if not 0 < tick.epoch < LATEST_S or (
            self._clock.known and stamp > recv_ns + self._clock.offset + self._clock.width + FUTURE_S * SECOND
        ):
            return f"epoch {tick.epoch} is not a time of today"
        return ""

    def on_odd(self, frame: bytes, reason: str) -> None:
        """A frame that is no tick and answers nothing."""
        self.sink.reject("", frame, reason)

    async def subscribe(self, connection: Connection, codec: Codec) -> None:
        """Ask for the ticks of every symbol that is still without; one that is refused is told and tried again later.

        Raises VenueUnavailable when the connection does not answer.
        """
        await asyncio.gather(*(self._subscribe_one(connection, codec, symbol) for symbol in sorted(self._waiting)))

    async def _subscribe_one(self, connection: Connection, codec: Codec, symbol: str) -> None:
        try:
            await connection.call(codec.ticks(symbol))
        except VenueRefused as err:
            if err.code == "MarketIsClosed":
                self._set_open(symbol, False, str(err))
                return
            if err.code != "AlreadySubscribed":
                self.sink.status(symbol, "refused", str(err))
                return
        self._waiting.discard(symbol)

    def _set_open(self, symbol: str, is_open: bool, detail: str) -> None:
        if is_open and symbol in self._closed:
            self._closed.discard(symbol)
            self.sink.status(symbol, "open", detail)
        elif not is_open and symbol not in self._closed:
            self._closed.add(symbol)
            self.sink.status(symbol, "closed", detail)

    async def keep_hours(self, connection: Connection, codec: Codec) -> None:
        """Watch which markets open and close, and subscribe to those that could not be so far."""
        while True:
            try:
                for row in await connection.call(codec.listings()):
                    if row.symbol in self._known:
                        open_now = row.is_open and not row.is_suspended
                        self._set_open(row.symbol, open_now, "trading is suspended" if row.is_suspended else "hours")
                await asyncio.sleep(HOURS_S)
                await self.subscribe(connection, codec)
            except VenueError as err:
                self.sink.status("*", "hours_unknown", str(err))
                await asyncio.sleep(HOURS_S)

    async def keep_clock(self, connection: Connection, codec: Codec) -> None:
        """Estimate the venue's clock: a few questions to see past its whole seconds, then one each ten."""
        for asked in itertools.count(1):
            sent = time.time_ns()
            try:
                venue_s = await connection.call(codec.time())
            except VenueError:
                await asyncio.sleep(CLOCK_S)
                continue
            received = time.time_ns()
            self._clock.answered(sent, received, venue_s * SECOND)
            state = FeedState.CLOSED if self._known and self._closed >= self._known else FeedState.OPEN
            self.sink.clock(received + self._clock.offset, received, extrapolate=True, speed=1.0, state=state)
            wait_s = CLOCK_S
            if self._clock.width > SHARP and asked <= SHARPENING:
                wait_s = (self._clock.best_question_time(received) - received) / SECOND
            await asyncio.sleep(wait_s)
