"""Streams of statistics, each second: tickers, mini tickers, windows, average and reference price."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Final

from services.simulator.binance import statistics
from services.simulator.binance.candles import Candle, CandleBook, Print
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.feed import Feed
from services.simulator.binance.hub import Hub
from services.simulator.binance.intervals import DAY_MS, FIXED_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from services.simulator.binance.wire import Level, encode

WINDOWS: Final = {"1h": HOUR_MS, "4h": 4 * HOUR_MS, "1d": DAY_MS}
ALL_MINI: Final = ("!miniTicker@arr", "!miniTicker@arr@1000ms")
"""The documented name, and the one that python-binance has always asked for."""
_ALL_WINDOW: Final = re.compile(r"!ticker_(1h|4h|1d)@arr")
_ONE: Final = re.compile(r"([a-z0-9]+)@(?:ticker|miniTicker|ticker_(?:1h|4h|1d)|avgPrice|referencePrice)")
_AVERAGE_MS: Final = 5 * MINUTE_MS

ReferencePrice = Callable[[str], dict[str, Any]]


class RollingDay:
    """The bars of one symbol's last day, kept up to date by its prints, and what they add up to over a window."""

    def __init__(self, interval: str, candles: Sequence[Candle]) -> None:
        self.book = CandleBook(interval)
        self.book.candles = [candle.copy() for candle in candles]
        self.last_id = max((candle.last_id for candle in candles), default=-1)
        self.last_qty = 0
        self.last_ms = 0
        self._folded: dict[int, tuple[int, int, Candle | None]] = {}

    def add(self, trade: Print) -> None:
        """Take a print, unless the bars know it already."""
        if trade.id <= self.last_id:
            return
        self.last_id, self.last_qty, self.last_ms = trade.id, trade.qty, trade.ms
        self.book.trade(trade)
        candles = self.book.candles
        if candles[0].open_ms < trade.ms - 2 * DAY_MS:
            del candles[: bisect_left(candles, trade.ms - DAY_MS - HOUR_MS, key=lambda candle: candle.open_ms)]

    def whole(self, now_ms: int, length_ms: int) -> tuple[Candle, int]:
        """Everything since `length_ms` ago as one bar, and the close before it (its own open without one)."""
        candles = self.book.candles
        start = now_ms - length_ms
        first = bisect_left(candles, start, key=lambda candle: candle.open_ms)
        if first >= len(candles):
            price = candles[-1].close if candles else 0
            return Candle.flat(start, price), price
        complete = self._complete(length_ms, first)
        whole = candles[-1].copy() if complete is None else complete.copy()
        if complete is not None:
            whole.absorb(candles[-1])
        whole.open_ms = start
        return whole, candles[first - 1].close if first else whole.open

    def _complete(self, length_ms: int, first: int) -> Candle | None:
        """All bars of the window but the running one, joined; joined anew only when a bar is added or leaves."""
        candles = self.book.candles
        edges = candles[first].open_ms, candles[-1].open_ms
        known = self._folded.get(length_ms)
        if known is None or known[:2] != edges:
            closed = candles[first:-1]
            known = self._folded[length_ms] = (*edges, statistics.fold(closed, edges[0]) if closed else None)
        return known[2]


class TickerStreams:
    """Hears every print and emits, once a second of venue time, what somebody listens to."""

    def __init__(self, hub: Hub, feed: Feed, reference_price: ReferencePrice) -> None:
        self._hub = hub
        self._feed = feed
        self._reference_price = reference_price
        self._days: dict[str, RollingDay] = {}
        self._early: dict[str, list[Print]] = {}
        self._next_ms: dict[str, int] = {}
        self._changed: set[str] = set()
        self._all_next_ms = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def subscribed(self, streams: Sequence[str]) -> None:
        """Begin to keep the statistics of the symbols somebody has begun to listen to."""
        for stream in streams:
            one = _ONE.fullmatch(stream)
            wanted = [one[1].upper()] if one else list(self._feed.symbols) if is_all(stream) else []
            for symbol in wanted:
                if symbol in self._feed.symbols and symbol not in self._days and symbol not in self._early:
                    self._early[symbol] = []
                    task = asyncio.create_task(self._begin(symbol))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what is still being read."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, symbol: str) -> None:
        interval = self._feed.finest
        count = DAY_MS // FIXED_MS[interval] + 2
        try:
            day = RollingDay(interval, await self._feed.klines(symbol, interval, None, None, count))
        except BaseException:
            # What waits for it would wait, and grow, for ever; the next listener begins anew.
            del self._early[symbol]
            raise
        if day.last_qty == 0 and (last := self._feed.trades(symbol, None, 1)):
            day.last_qty, day.last_ms = last[-1].qty, last[-1].ms
        for trade in self._early.pop(symbol):
            day.add(trade)
        self._days[symbol] = day
        self._changed.add(symbol)

    def on_trade(self, symbol: str, trade: Print) -> None:
        """Take a print."""
        if symbol in self._early:
            self._early[symbol].append(trade)
        elif (day := self._days.get(symbol)) is not None:
            day.add(trade)
            self._changed.add(symbol)

    def on_book(self, symbol: str) -> None:
        """The best prices are read when they are needed."""

    def on_time(self, symbol: str, now_ms: int) -> None:
        """Emit when another second has begun."""
        if symbol not in self._days:
            return
        if now_ms >= self._next_ms.get(symbol, 0):
            self._next_ms[symbol] = (now_ms // SECOND_MS + 1) * SECOND_MS
            self._emit(symbol, self._days[symbol], now_ms)
        if now_ms >= self._all_next_ms:
            self._all_next_ms = (now_ms // SECOND_MS + 1) * SECOND_MS
            self._emit_all(now_ms)

    def _emit(self, symbol: str, day: RollingDay, now_ms: int) -> None:
        name, wanted, publish = symbol.lower(), self._hub.wanted, self._hub.publish
        if wanted(stream := f"{name}@ticker"):
            whole, before = day.whole(now_ms, DAY_MS)
            event = statistics.day_ticker(symbol, whole, now_ms, before, day.last_qty, *self._touch(symbol))
            publish(stream, encode(event))
        if wanted(stream := f"{name}@miniTicker"):
            publish(stream, encode(self._mini(symbol, now_ms)))
        for window in WINDOWS:
            if wanted(stream := f"{name}@ticker_{window}"):
                publish(stream, encode(self._window(symbol, window, now_ms)))
        if wanted(stream := f"{name}@avgPrice"):
            whole, _ = day.whole(now_ms, _AVERAGE_MS)
            publish(stream, statistics.average_event(symbol, whole, now_ms, day.last_ms))
        if wanted(stream := f"{name}@referencePrice"):
            publish(stream, encode(self._reference(symbol, now_ms)))

    def _emit_all(self, now_ms: int) -> None:
        changed = sorted(self._changed)
        self._changed.clear()
        if not changed:
            return
        for stream in ALL_MINI:
            if self._hub.wanted(stream):
                self._hub.publish(stream, encode([self._mini(symbol, now_ms) for symbol in changed]))
        for window in WINDOWS:
            if self._hub.wanted(stream := f"!ticker_{window}@arr"):
                self._hub.publish(stream, encode([self._window(symbol, window, now_ms) for symbol in changed]))

    def _mini(self, symbol: str, now_ms: int) -> dict[str, Any]:
        whole, _ = self._days[symbol].whole(now_ms, DAY_MS)
        return statistics.mini_ticker(symbol, whole, now_ms)

    def _window(self, symbol: str, window: str, now_ms: int) -> dict[str, Any]:
        whole, _ = self._days[symbol].whole(now_ms, WINDOWS[window])
        return statistics.window_ticker(symbol, window, whole, now_ms)

    def _reference(self, symbol: str, now_ms: int) -> dict[str, Any]:
        try:
            answer = self._reference_price(symbol)
        except ApiError:  # none was ever set
            return {"e": "referencePrice", "s": symbol, "r": None, "t": now_ms}
        return {"e": "referencePrice", "s": symbol, "r": answer["referencePrice"], "t": answer["timestamp"]}

    def _touch(self, symbol: str) -> tuple[Level, Level]:
        bids, asks = self._feed.depth(symbol).top(1)
        return bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)


def is_all(stream: str) -> bool:
    """Whether a stream is about every symbol."""
    return stream in ALL_MINI or _ALL_WINDOW.fullmatch(stream) is not None
