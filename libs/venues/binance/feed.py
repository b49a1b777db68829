"""What Binance's streams say, checked and told to a sink: one handler per stream, one book per symbol."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from libs.core.types import MILLISECOND, BarFlag, Nanos
from libs.venues import checked
from libs.venues.base import FeedSink, VenueError
from libs.venues.binance import codec
from libs.venues.binance.book import Applied, LocalBook
from libs.venues.binance.clock import StampClock
from libs.venues.binance.rest import BinanceRest
from libs.venues.pace import Backoff

DEPTH: Final = 20
"""Levels a side that are passed on."""

SIM_CLOCK: Final = "!simClock"


class SymbolFeed:
    """The streams of one symbol."""

    def __init__(
        self, symbol: str, intervals: Sequence[int], sink: FeedSink, clock: StampClock, rest: BinanceRest
    ) -> None:
        self.symbol = symbol
        self._sink = sink
        self._clock = clock
        self._rest = rest
        self._book = LocalBook()
        self._fetching: asyncio.Task[None] | None = None
        self._crossed = False
        self._intervals = {codec.INTERVALS[seconds]: seconds for seconds in intervals if seconds in codec.INTERVALS}

    def routes(self) -> dict[str, Callable[[msgspec.Raw, Nanos], None]]:
        """Stream name to handler."""
        name = self.symbol.lower()
        return {
            f"{name}@trade": self.on_trade,
            f"{name}@bookTicker": self.on_book_ticker,
            f"{name}@depth@100ms": self.on_depth,
            **{f"{name}@kline_{interval}": self.on_kline for interval in self._intervals},
        }

    def on_trade(self, data: msgspec.Raw, recv_ns: Nanos) -> None:
        event = codec.trade.decode(data)
        if event.s != self.symbol:
            raise checked.Absurd(f"trade of {event.s}")
        trade = codec.trade_of(event.T, event.p, event.q, event.m, event.t)
        self._clock.saw(event.E)
        self._sink.trade(self.symbol, trade, recv_ns)

    def on_book_ticker(self, data: msgspec.Raw, recv_ns: Nanos) -> None:
        ticker = codec.book_ticker.decode(data)
        if ticker.s != self.symbol:
            raise checked.Absurd(f"quote of {ticker.s}")
        now = self._clock.now(recv_ns)
        if not now:
            return
        quote = codec.quote_of(ticker, now)
        if quote.bid < quote.ask:
            self._crossed = False
            self._sink.quote(self.symbol, quote, recv_ns)
        else:
            self._report_crossed(quote.bid, quote.ask)

    def _report_crossed(self, bid: float, ask: float) -> None:
        if not self._crossed:
            self._crossed = True
            self._sink.status(self.symbol, "crossed", f"bid {bid} not below ask {ask}; withheld until it is")

    def on_depth(self, data: msgspec.Raw, recv_ns: Nanos) -> None:
        update = codec.depth.decode(data)
        if update.s != self.symbol or update.u < update.U:
            raise checked.Absurd(f"book update {update.U} to {update.u} of {update.s}")
        codec.check_id(update.u)
        checked.check_time(update.E)
        codec.check_levels(update.b)
        codec.check_levels(update.a)
        self._clock.saw(update.E)
        book = self._book
        known = book.last_id
        result = book.apply(update)
        if result is Applied.DONE:
            self._tell_book(update.U, update.u, update.E * MILLISECOND, recv_ns)
        elif result is Applied.HOLE:
            self._sink.status(self.symbol, "resync", f"book updates {known + 1} to {update.U - 1} were lost")
        if not book.is_ready and (self._fetching is None or self._fetching.done()):
            self._fetching = asyncio.get_running_loop().create_task(self._fetch_book())

    def _tell_book(self, first_id: int, last_id: int, ts_event: Nanos, recv_ns: Nanos) -> None:
        """Pass the top levels on; a book that cannot be true is dropped and taken anew."""
        bids, asks = self._book.top(DEPTH)
        if bids and asks and bids[0][0] < asks[0][0]:
            self._sink.book(self.symbol, bids, asks, first_id, last_id, ts_event, recv_ns, self._book.depth)
        else:
            self._book.reset()
            self._sink.status(self.symbol, "resync", "book crossed or empty on one side; taking a new snapshot")

    async def _fetch_book(self) -> None:
        """Take snapshots until one joins the held updates."""
        backoff = Backoff(random.Random(self.symbol))
        while True:
            try:
                snapshot = await self._rest.depth(self.symbol)
            except VenueError as err:
                self._sink.status(self.symbol, "book_unavailable", str(err))
            else:
                if self._book.seed(snapshot):
                    recv_ns = time.time_ns()
                    self._tell_book(self._book.last_id, self._book.last_id, self._clock.now(recv_ns), recv_ns)
                if self._book.is_ready:
                    return
            await asyncio.sleep(backoff.next_s())

    def on_kline(self, data: msgspec.Raw, recv_ns: Nanos) -> None:
        event = codec.kline.decode(data)
        body = event.k
        if not body.x:
            return
        interval_s = self._intervals.get(body.i)
        if event.s != self.symbol or interval_s is None:
            raise checked.Absurd(f"kline {body.i} of {event.s}")
        bar = checked.bar_of(
            codec.VENUE,
            self.symbol,
            interval_s,
            body.t * MILLISECOND,
            (body.o, body.h, body.l, body.c),
            volume=body.v,
            buy_volume=body.V,
            trades=body.n,
            last_seq=body.L,
            flags=BarFlag.VENUE,
            recv_ns=recv_ns,
        )
        self._clock.saw(event.E)
        self._sink.kline(bar, recv_ns)

    async def aclose(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)


class MarketFeed:
    """All symbols of one `stream` call; outlives single connections, so books and the clock do too."""

    def __init__(
        self, symbols: Sequence[str], intervals: Sequence[int], simulator: bool, sink: FeedSink, rest: BinanceRest
    ) -> None:
        self.sink = sink
        self.clock = StampClock(sink, follows_stamps_only=simulator)
        self._symbols = [SymbolFeed(symbol, intervals, sink, self.clock, rest) for symbol in dict.fromkeys(symbols)]
        self._handlers: dict[str, tuple[str, Callable[[msgspec.Raw, Nanos], None]]] = {}
        if simulator:
            self._handlers[SIM_CLOCK] = ("", self.clock.on_sim_clock)
        for feed in self._symbols:
            for stream, handler in feed.routes().items():
                self._handlers[stream] = (feed.symbol, handler)

    @property
    def streams(self) -> list[str]:
        """Everything to subscribe to; the clock first."""
        return list(self._handlers)

    def on_data(self, frame: codec.Frame, payload: bytes, recv_ns: Nanos) -> None:
        """Hand one message to its handler; what cannot be used is rejected with the reason."""
        try:
            symbol, handler = self._handlers[frame.stream]
        except KeyError:
            self.sink.reject("", payload, f"stream {frame.stream!r} was not asked for")
            return
        try:
            handler(frame.data, recv_ns)
        except checked.Absurd as err:
            self.sink.reject(symbol, payload, str(err))
        except codec.UNREADABLE as err:
            self.sink.reject(symbol, payload, f"malformed: {err}")

    def on_odd(self, payload: bytes, reason: str) -> None:
        """A message that belongs to no stream."""
        self.sink.reject("", payload, reason)

    async def aclose(self) -> None:
        """Stop background work."""
        for feed in self._symbols:
            await feed.aclose()
