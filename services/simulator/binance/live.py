"""Plays the seeded market in machine time: events of each symbol in order, book diffs every 100 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np

from services.simulator.binance.book import Book, difference
from services.simulator.binance.candles import Candle, Print
from services.simulator.binance.exchange_info import Spot, spot
from services.simulator.binance.feed import NS_PER_MS, stream_symbol
from services.simulator.binance.history import History
from services.simulator.binance.hub import Hub
from services.simulator.binance.model import CHUNK_MS, LISTINGS, Listing, Market, Tape
from services.simulator.binance.publisher import FAST_MS, SLOW_MS, Publisher, running_bar
from services.simulator.binance.taps import Taps
from services.simulator.clock import VenueClock
from services.simulator.record import Record

_LONGEST_NAP_MS: Final = 50
_CATCH_UP_MS: Final = 2_000  # after a suspended machine the backlog is told in pieces that clients can read


class LiveSymbol:
    """One symbol's position on its tape: which quote holds, which trades have hit it, what has been shown."""

    def __init__(self, listing: Listing, market: Market, publisher: Publisher, now_ms: int) -> None:
        self.listing = listing
        self.history = History(market)
        self.publisher = publisher
        self._market = market
        self._lay((now_ms - 1) // CHUNK_MS)
        self.skip_to(now_ms)

    def skip_to(self, now_ms: int) -> None:
        """Move to `now_ms` without telling anybody, as a venue does whose streams nobody hears."""
        slice_ms = now_ms // FAST_MS * FAST_MS
        if (chunk := (slice_ms - 1) // CHUNK_MS) != self._tape.first_chunk:
            self._lay(chunk)
        while self._position < len(self._order) and self._event_ms() < slice_ms:
            self._step()
        self.next_slice_ms = slice_ms + FAST_MS
        self.book = self._book()
        self._first_id = self.book.last_id + 1

    def advance(self, now_ms: int) -> None:
        """Emit everything due up to `now_ms`, in the order of time."""
        while True:
            at_end = self._position == len(self._order)
            event_ms = (self._tape.first_chunk + 1) * CHUNK_MS if at_end else self._event_ms()
            if min(event_ms, self.next_slice_ms) > now_ms:
                self.publisher.clock(now_ms)
                return
            if self.next_slice_ms <= event_ms:
                self._emit_slice()
            elif at_end:
                self._lay(event_ms // CHUNK_MS)
            else:
                self._emit(event_ms)

    def next_due_ms(self) -> int:
        """Return when the next event or book diff is due."""
        return min(self._event_ms(), self.next_slice_ms) if self._position < len(self._order) else self.next_slice_ms

    def _lay(self, chunk: int) -> None:
        """Lay the tape of one minute and stand before its first quote."""
        self._tape: Tape = self._market.tape(chunk, chunk + 1)
        times = np.concatenate([self._tape.quote_ms, self._tape.trade_ms])
        # stable: at the same millisecond the quotes stand first, as Tape.at assumes
        order = np.argsort(times, kind="stable")
        self._order: list[int] = order.tolist()
        self._times: list[int] = times[order].tolist()
        self._base_id = self._market.first_update_id(chunk)
        self._position = 0

    def _event_ms(self) -> int:
        return self._times[self._position]

    def _step(self) -> int:
        """Pass one event; returns its index: quotes first, then trades."""
        index = self._order[self._position]
        self._position += 1
        quotes = self._tape.activity.quotes
        if index < quotes:
            self._quote = index
            self._left = [int(self._tape.bid_lots[index]), int(self._tape.ask_lots[index])]
        else:
            side = 0 if self._tape.sell[index - quotes] else 1
            self._left[side] -= int(self._tape.lots[index - quotes])
        self.last_id = self._base_id + self._position - 1
        return index

    def _emit(self, event_ms: int) -> None:
        index = self._step() - self._tape.activity.quotes
        if index >= 0:
            self.publisher.trade(self._print(index), event_ms)
        bid, ask = self._touch()
        self.publisher.book_ticker(self.last_id, bid, ask)

    def _emit_slice(self) -> None:
        slice_ms = self.next_slice_ms
        self.next_slice_ms += FAST_MS
        if self.last_id >= self._first_id:
            before, self.book = self.book, self._book()
            bids, asks = difference(before.bids, self.book.bids), difference(before.asks, self.book.asks)
            self.publisher.depth(slice_ms, self._first_id, self.last_id, self.book, bids, asks)
            self._first_id = self.last_id + 1
        if slice_ms % SLOW_MS == 0:
            self.publisher.slow_depth(slice_ms, self.book)

    def _print(self, index: int) -> Print:
        tape, listing = self._tape, self.listing
        return Print(
            self._market.first_trade_id(tape.first_chunk) + index,
            int(tape.trade_ms[index]),
            int(tape.price[index]) * listing.tick,
            int(tape.lots[index]) * listing.lot,
            bool(tape.sell[index]),
        )

    def _touch(self) -> tuple[tuple[int, int], tuple[int, int]]:
        tick, lot = self.listing.tick, self.listing.lot
        bid, ask = int(self._tape.bid[self._quote]), int(self._tape.ask[self._quote])
        return (bid * tick, self._left[0] * lot), (ask * tick, self._left[1] * lot)

    def _book(self) -> Book:
        tick, lot = self.listing.tick, self.listing.lot
        number = self._tape.first_chunk * self._tape.activity.quotes + self._quote
        sides = self._market.depth(number, int(self._tape.bid[self._quote]), int(self._tape.ask[self._quote]))
        bids, asks = ({price * tick: lots * lot for price, lots in side.items()} for side in sides)
        bid, ask = self._touch()
        return Book(self.last_id, (bids | dict([bid])).items(), (asks | dict([ask])).items())


class LiveFeed:
    """The modelled venue: BTCUSDT, ETHUSDT and the planted pair, open around the clock."""

    mode = "model"
    finest = "1m"
    extrapolate = True
    ended = False

    def __init__(
        self, seed: int, anchor_ms: int, clock: VenueClock, hub: Hub, record: Record, taps: Taps | None = None
    ) -> None:
        self._clock = clock
        self.symbols: dict[str, Spot] = {row.symbol: spot(row.symbol, row.tick, row.lot) for row in LISTINGS}
        self._live = {
            row.symbol: LiveSymbol(
                row, Market(row, seed, anchor_ms), Publisher(row.symbol, hub, record, taps=taps), self.now_ms()
            )
            for row in LISTINGS
        }
        # One worker: a client that asks for years of bars must not stop the ticks, nor take both cores.
        self._worker = ThreadPoolExecutor(1, "binance-history")

    def now_ms(self) -> int:
        """Return the venue's clock."""
        return self._clock.now_ns() // NS_PER_MS

    def depth(self, symbol: str) -> Book:
        """Return the book after the last diff."""
        live = self._live[symbol]
        if not live.publisher.followed:
            live.skip_to(self.now_ms())
        return live.book

    async def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Sequence[Candle]:
        """Return bars up to now."""
        history, loop = self._live[symbol].history, asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, history.klines, interval, start, end, limit, self.now_ms())

    def trades(self, symbol: str, from_id: int | None, limit: int) -> Sequence[Print]:
        """Return trades up to now."""
        history = self._live[symbol].history
        newest = history.last_trade_id(self.now_ms())
        first = newest - limit + 1 if from_id is None else from_id
        return history.prints(first, min(newest, first + limit - 1))

    def first_trade_at(self, symbol: str, ms: int) -> int:
        """Return the id of the first trade at or after `ms`."""
        return self._live[symbol].history.first_id_at(min(ms, self.now_ms() + 1))

    def subscribed(self, streams: Sequence[str]) -> None:
        """Start the symbols that have found their first listener."""
        for stream in streams:
            live = self._live.get(stream_symbol(stream))
            if live is not None and not live.publisher.followed:
                live.skip_to(self.now_ms())
                live.publisher.followed = True
        for live in self._live.values():
            for interval, offset_ms in live.publisher.missing_klines():
                now_ms = self.now_ms()
                rows = partial(live.history.klines, now_ms=now_ms)
                bar = running_bar(rows, interval, offset_ms, now_ms, 0)
                live.publisher.follow_kline(interval, bar, offset_ms)

    async def run(self) -> None:
        """Play until cancelled."""
        while True:
            now_ms = self.now_ms()
            playing = [live for live in self._live.values() if live.publisher.followed]
            for live in playing:
                live.advance(min(now_ms, live.next_due_ms() + _CATCH_UP_MS))
            due_ms = min((live.next_due_ms() for live in playing), default=now_ms + _LONGEST_NAP_MS)
            nap_ms = min(max(due_ms - self._clock.now_ns() / NS_PER_MS, 1.0), _LONGEST_NAP_MS)
            await asyncio.sleep(nap_ms / 1_000)

    def close(self) -> None:
        """Let go of the worker thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def state(self) -> dict[str, Any]:
        """Return the newest trade id of each symbol."""
        now_ms = self.now_ms()
        return {"last_trade_ids": {name: live.history.last_trade_id(now_ms) for name, live in self._live.items()}}
