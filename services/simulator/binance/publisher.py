"""Turns market events of one symbol into stream payloads: trades, klines, depth; and into the truth record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from services.simulator.binance import wire
from services.simulator.binance.book import Book
from services.simulator.binance.candles import Candle, Print, aggregate
from services.simulator.binance.decimals import text8
from services.simulator.binance.feed import NS_PER_MS, VENUE
from services.simulator.binance.hub import Hub
from services.simulator.binance.intervals import FIXED_MS, INTERVALS
from services.simulator.binance.shifted import base_of, moves, shifted_end, shifted_open
from services.simulator.binance.taps import Taps
from services.simulator.record import Record

FAST_MS: Final = 100
SLOW_MS: Final = 1_000
PARTIAL_LEVELS: Final = (5, 10, 20)
EAST: Final = "@+08:00"
EAST_MS: Final = 8 * 3_600_000
_KLINE_EVERY_MS: Final = 2_000


class KlineStream:
    """The running bar of one kline stream, seen by its listeners every second or two and once when closed.

    `offset_ms`: how much more than UTC the clocks show whose days it keeps.
    """

    def __init__(self, interval: str, running: Candle, offset_ms: int = 0) -> None:
        self.interval = interval
        self.offset_ms = offset_ms
        self.running = running
        self.every_ms = SLOW_MS if interval == "1s" else _KLINE_EVERY_MS
        self.next_update_ms = 0
        self.changed = False


class Publisher:
    """Everything derived that one symbol emits. Event times are ms UTC of the venue's clock.

    `followed` turns true with the symbol's first listener: from then on every trade goes on record.
    """

    def __init__(
        self, symbol: str, hub: Hub, record: Record, ready_made: Collection[str] = (), taps: Taps | None = None
    ) -> None:
        """`ready_made` names the streams that a recording brings itself and that are not derived here."""
        self.symbol = symbol
        self._taps = taps or Taps()
        self.followed = False
        self._name = symbol.lower()
        self._hub = hub
        self._ready_made = frozenset(ready_made)
        self._record = record
        self._klines: dict[tuple[str, int], KlineStream] = {}
        self._slow_first_id: int | None = None
        self._slow_last_id = 0
        self._slow_bids: dict[int, int] = {}
        self._slow_asks: dict[int, int] = {}
        self._agg_trade, self._trade = f"{self._name}@aggTrade", f"{self._name}@trade"
        self._book_ticker = f"{self._name}@bookTicker"
        self._depth, self._fast_depth = f"{self._name}@depth", f"{self._name}@depth@100ms"

    def missing_klines(self) -> list[tuple[str, int]]:
        """Return what somebody listens to whose running bar is not followed yet: interval and offset from UTC in ms."""
        return [
            (interval, offset_ms)
            for interval in INTERVALS
            for offset_ms in (0, EAST_MS)
            if (interval, offset_ms) not in self._klines and self._wanted(self._kline_name(interval, offset_ms))
        ]

    def follow_kline(self, interval: str, running: Candle, offset_ms: int = 0) -> None:
        """Begin a kline stream with the bar as it stands; the bar is kept and changed here."""
        self._klines[interval, offset_ms] = KlineStream(interval, running, offset_ms)

    def _kline_name(self, interval: str, offset_ms: int) -> str:
        return f"{self._name}@kline_{interval}{EAST if offset_ms else ''}"

    def trade(self, trade: Print, event_ms: int) -> None:
        """Emit one print to everything that shows trades."""
        self.clock(trade.ms)
        if self._wanted(self._trade):
            self._hub.publish(self._trade, wire.trade_event(self.symbol, trade, event_ms))
        if self._wanted(self._agg_trade):
            self._hub.publish(self._agg_trade, wire.agg_trade_event(self.symbol, trade, event_ms))
        for stream in self._klines.values():
            if trade.ms >= stream.running.open_ms and trade.id > stream.running.last_id:
                stream.running.add(trade)
                stream.changed = True
        if self.followed:
            side = "sell" if trade.buyer_is_maker else "buy"
            prices = {"price": text8(trade.price), "qty": text8(trade.qty)}
            self._record.write(VENUE, "trade", self.symbol, trade.id, trade.ms * NS_PER_MS, **prices, side=side)
        self._taps.on_trade(self.symbol, trade)

    def book_ticker(self, update_id: int, bid: wire.Level, ask: wire.Level) -> None:
        """Emit a new best bid and ask."""
        if self._wanted(self._book_ticker):
            self._hub.publish(self._book_ticker, wire.book_ticker_event(self.symbol, update_id, bid, ask))

    def clock(self, now_ms: int) -> None:
        """Close and update klines as venue time passes."""
        for key, stream in list(self._klines.items()):
            self._pass_bars(stream, now_ms)
            if not self._hub.wanted(self._kline_name(*key)):
                del self._klines[key]
            elif stream.changed and now_ms >= stream.next_update_ms:
                stream.changed = False
                stream.next_update_ms = (now_ms // stream.every_ms + 1) * stream.every_ms
                self.kline(stream.interval, stream.running, now_ms, closed=False, offset_ms=stream.offset_ms)
        self._taps.on_time(self.symbol, now_ms)

    def _pass_bars(self, stream: KlineStream, now_ms: int) -> None:
        offset_ms = stream.offset_ms
        while (end := shifted_end(stream.interval, stream.running.open_ms, offset_ms)) <= now_ms:
            self.kline(stream.interval, stream.running, end, closed=True, offset_ms=offset_ms)
            stream.running = Candle.flat(end, stream.running.close)
            stream.changed = False

    def kline(self, interval: str, candle: Candle, event_ms: int, *, closed: bool, offset_ms: int = 0) -> None:
        """Emit one kline; a closed one goes on record, one of another midnight than UTC's does not."""
        stream = self._kline_name(interval, offset_ms)
        end_ms = shifted_end(interval, candle.open_ms, offset_ms)
        self._hub.publish(stream, wire.kline_event(self.symbol, interval, candle, end_ms, event_ms, closed=closed))
        if closed and not offset_ms and self._hub.wanted(stream):
            self._record.write(
                VENUE,
                "bar",
                self.symbol,
                candle.open_ms * NS_PER_MS,
                event_ms * NS_PER_MS,
                interval=interval,
                open_time=candle.open_ms * NS_PER_MS,
                o=text8(candle.open),
                h=text8(candle.high),
                l=text8(candle.low),
                c=text8(candle.close),
                v=text8(candle.volume),
            )

    def depth(
        self,
        event_ms: int,
        first_id: int,
        last_id: int,
        book: Book,
        bids: Sequence[wire.Level],
        asks: Sequence[wire.Level],
    ) -> None:
        """Emit one 100 ms diff that led to `book`, and gather it for the 1,000 ms stream."""
        if self._wanted(self._fast_depth):
            event = wire.depth_event(self.symbol, event_ms, first_id, last_id, bids, asks)
            self._hub.publish(self._fast_depth, event)
        self._partial(book, f"@{FAST_MS}ms")
        if self._slow_first_id is None:
            self._slow_first_id = first_id
        self._slow_last_id = last_id
        self._slow_bids.update(bids)
        self._slow_asks.update(asks)
        self._taps.on_book(self.symbol)

    def slow_depth(self, event_ms: int, book: Book) -> None:
        """Emit what has gathered since the last 1,000 ms event."""
        self._partial(book, "")
        if self._slow_first_id is None:
            return
        if self._wanted(self._depth):
            sides = sorted(self._slow_bids.items()), sorted(self._slow_asks.items())
            event = wire.depth_event(self.symbol, event_ms, self._slow_first_id, self._slow_last_id, *sides)
            self._hub.publish(self._depth, event)
        self._slow_first_id = None
        self._slow_bids.clear()
        self._slow_asks.clear()

    def _wanted(self, stream: str) -> bool:
        return self._hub.wanted(stream) and stream not in self._ready_made

    def _partial(self, book: Book, suffix: str) -> None:
        for count in PARTIAL_LEVELS:
            stream = f"{self._name}@depth{count}{suffix}"
            if self._wanted(stream):
                self._hub.publish(stream, wire.depth_snapshot(book.last_id, *book.top(count)))


Rows = Callable[[str, int | None, int | None, int], Sequence[Candle]]
"""(interval, start, end, limit) -> bars, oldest first, the running one included."""


def running_bar(rows: Rows, interval: str, offset_ms: int, now_ms: int, price: int) -> Candle:
    """Return the bar that holds `now_ms`; before its first trade a flat one at the last close, else at `price`."""
    start = shifted_open(interval, now_ms, offset_ms)
    if moves(interval, offset_ms):
        base = base_of(interval, offset_ms)
        count = (now_ms - start) // FIXED_MS[base] + 1
        newest: Sequence[Candle] = aggregate(rows(base, start, None, count), interval, offset_ms)
    else:
        newest = rows(interval, None, None, 1)
    if newest and newest[-1].open_ms == start:
        return newest[-1].copy()
    return Candle.flat(start, newest[-1].close if newest else price)
