"""Trades and klines as values: building bars from prints and larger bars from smaller ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from services.simulator.binance.decimals import ONE, text8
from services.simulator.binance.intervals import end_of, nests, open_of

NO_TRADE = -1


class Print(msgspec.Struct, frozen=True, gc=False):
    """One trade: id, time in ms, price and quantity in 1e-8, and whether the buyer was the maker."""

    id: int
    ms: int
    price: int
    qty: int
    buyer_is_maker: bool


class Candle(msgspec.Struct, gc=False):
    """One kline. Prices and base volumes in 1e-8, quote volumes in 1e-16, times in ms; ids -1 without trades."""

    open_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    trades: int = 0
    taker_base: int = 0
    taker_quote: int = 0
    first_id: int = NO_TRADE
    last_id: int = NO_TRADE

    @classmethod
    def flat(cls, open_ms: int, price: int) -> Candle:
        """Return a bar in which nothing traded, at the previous close."""
        return cls(open_ms, price, price, price, price)

    def add(self, trade: Print) -> None:
        """Put one more print into the bar; the first one sets its open."""
        if self.trades == 0:
            self.open = self.high = self.low = trade.price
            self.first_id = trade.id
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self.close = trade.price
        self.last_id = trade.id
        self.trades += 1
        quote = trade.price * trade.qty
        self.volume += trade.qty
        self.quote += quote
        if not trade.buyer_is_maker:
            self.taker_base += trade.qty
            self.taker_quote += quote

    def absorb(self, later: Candle) -> None:
        """Join the bar that follows inside the same larger bar."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote += later.quote
        self.trades += later.trades
        self.taker_base += later.taker_base
        self.taker_quote += later.taker_quote
        if self.first_id == NO_TRADE:
            self.first_id = later.first_id
        if later.last_id != NO_TRADE:
            self.last_id = later.last_id

    def copy(self) -> Candle:
        """Return a bar that can change without changing this one."""
        return msgspec.structs.replace(self)

    def row(self, end_ms: int) -> list[int | str]:
        """Return the 12 elements of a REST kline that ends (exclusive) at `end_ms`."""
        return [
            self.open_ms,
            text8(self.open),
            text8(self.high),
            text8(self.low),
            text8(self.close),
            text8(self.volume),
            end_ms - 1,
            text8(self.quote // ONE),
            self.trades,
            text8(self.taker_base),
            text8(self.taker_quote // ONE),
            "0",
        ]


def aggregate(candles: Iterable[Candle], interval: str, offset_ms: int = 0) -> list[Candle]:
    """Put bars, oldest first, together into bars of a larger interval; a hole stays a hole.

    `offset_ms` is what local clocks show more than UTC where the larger bars are to begin at local boundaries.
    """
    out: list[Candle] = []
    for candle in candles:
        start = open_of(interval, candle.open_ms + offset_ms) - offset_ms
        if out and out[-1].open_ms == start:
            out[-1].absorb(candle)
        else:
            larger = candle.copy()
            larger.open_ms = start
            out.append(larger)
    return out


def window(candles: Sequence[Candle], start: int | None, end: int | None, limit: int) -> list[Candle]:
    """Select as the venue does: open times within [start, end]; without start the newest, else the oldest `limit`."""
    low = 0 if start is None else bisect_left(candles, start, key=_open_ms)
    high = len(candles) if end is None else bisect_left(candles, end + 1, key=_open_ms)
    low, high = (low, min(high, low + limit)) if start is not None else (max(low, high - limit), high)
    return list(candles[low:high])


def _open_ms(candle: Candle) -> int:
    return candle.open_ms


class CandleBook:
    """The bars of one symbol at a base interval, appended in time order, answering larger intervals too."""

    def __init__(self, interval: str) -> None:
        self.interval = interval
        self.candles: list[Candle] = []

    def trade(self, trade: Print) -> None:
        """Put a print into its bar; quiet base intervals in between become flat bars, as the venue shows them."""
        start = open_of(self.interval, trade.ms)
        if self.candles:
            last = self.candles[-1]
            if start <= last.open_ms:
                self.candles[max(bisect_right(self.candles, start, key=_open_ms) - 1, 0)].add(trade)
                return
            while (following := end_of(self.interval, last.open_ms)) < start:
                last = Candle.flat(following, last.close)
                self.candles.append(last)
        candle = Candle.flat(start, trade.price)
        candle.add(trade)
        self.candles.append(candle)

    def rows(self, interval: str, start: int | None, end: int | None, limit: int) -> list[Candle]:
        """Return klines of `interval` in [start, end] (ms, open times), none when it cannot be built from the base."""
        if interval == self.interval:
            return window(self.candles, start, end, limit)
        if not nests(self.interval, interval) or not self.candles:
            return []
        low = 0 if start is None else bisect_left(self.candles, start, key=_open_ms)
        if start is None:
            newest = min(self.candles[-1].open_ms, end if end is not None else self.candles[-1].open_ms)
            length = end_of(interval, open_of(interval, newest)) - open_of(interval, newest)
            low = bisect_left(self.candles, open_of(interval, newest - limit * length), key=_open_ms)
        elif open_of(interval, start) < start:  # the bar that holds `start` opened before it and is not asked for
            low = bisect_left(self.candles, end_of(interval, open_of(interval, start)), key=_open_ms)
        high = len(self.candles)
        if end is not None:
            high = bisect_left(self.candles, end_of(interval, open_of(interval, end)), key=_open_ms)
        return window(aggregate(self.candles[low:high], interval), start, end, limit)
