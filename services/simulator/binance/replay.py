"""Plays recorded sessions: exact texts and stamps at the pace of their receive stamps, all symbols on one timeline."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from services.simulator.binance.book import Book, quoted_around
from services.simulator.binance.candles import Candle, CandleBook, Print
from services.simulator.binance.decimals import parse8
from services.simulator.binance.exchange_info import Spot, spot
from services.simulator.binance.feed import NS_PER_MS, stream_symbol
from services.simulator.binance.hub import Hub
from services.simulator.binance.pacing import Pacer, Settling
from services.simulator.binance.position import Position
from services.simulator.binance.publisher import SLOW_MS, Publisher, running_bar
from services.simulator.binance.recording import (
    DepthUpdate,
    Message,
    Recording,
    Snapshot,
    Stamped,
    TradeEvent,
    open_recordings,
    timeline,
    to_book,
    to_levels,
)
from services.simulator.binance.taps import Taps
from services.simulator.clock import NANOSECONDS, ReplayClock
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

log = logging.getLogger(__name__)

_KEPT_TRADES: Final = 400_000
_GRACE_MS: Final = 250  # a trade may be received after a younger event of another stream
_LONGEST_GAP_NS: Final = 60 * NANOSECONDS


class ReplaySymbol:
    """What the recording has said about one symbol so far."""

    def __init__(self, pair: Spot, recordings: Sequence[Recording], publisher: Publisher) -> None:
        symbol = pair.symbol
        self._pair = pair
        self.publisher = publisher
        snapshots = [recording.snapshots[symbol] for recording in recordings if symbol in recording.snapshots]
        self.book = to_book(snapshots[0]) if snapshots else Book()
        streams = {stream for recording in recordings for stream in recording.streams}
        self._bookless = not snapshots and not any(stream.startswith(f"{symbol.lower()}@depth") for stream in streams)
        self.candles = CandleBook("1s")
        self.trades: list[Print] = []
        self._next_slow_ms = 0

    def trade(self, event: TradeEvent) -> None:
        """Take one recorded print."""
        trade = Print(event.t, event.T, parse8(event.p), parse8(event.q), event.m)
        self.trades.append(trade)
        if len(self.trades) > _KEPT_TRADES * 5 // 4:
            del self.trades[: len(self.trades) - _KEPT_TRADES]
        self.candles.trade(trade)
        if self._bookless:
            self.book = quoted_around(trade.price, self._pair.tick, self._pair.lot, trade.id)
        self.publisher.trade(trade, event.E)

    def depth(self, event: DepthUpdate) -> None:
        """Take one recorded diff."""
        bids, asks = to_levels(event.b), to_levels(event.a)
        self.book.apply(event.u, bids, asks)
        self.publisher.depth(event.E, event.U, event.u, self.book, bids, asks)
        if self._next_slow_ms <= event.E:
            self._next_slow_ms = (event.E // SLOW_MS + 1) * SLOW_MS
            self.publisher.slow_depth(event.E, self.book)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take a recorded snapshot that is newer than the book (the recorder lost the stream and began again)."""
        if snapshot.lastUpdateId > self.book.last_id:
            self.book = to_book(snapshot)


class ReplayFeed:
    """The recorded venue. Before its first listener nothing plays; afterwards it stays, ended."""

    mode = "recording"
    finest = "1m"
    extrapolate = False

    def __init__(
        self,
        options: SimulatorOptions,
        hub: Hub,
        record: Record,
        tell_time: Callable[[], None],
        taps: Taps | None = None,
    ) -> None:
        """Raises DataError when `options.data` holds no spot recording."""
        assert options.data is not None
        self._recordings = open_recordings(options.data)
        self._clock = ReplayClock(min(row.first_event_ms for row in self._recordings) * NS_PER_MS)
        self._hub = hub
        self._tell_time = tell_time
        self._pacer = Pacer(options.speed, hub)
        self._settling = Settling()
        streams = {stream for row in self._recordings for stream in row.streams}
        names = sorted({symbol for row in self._recordings for symbol in row.symbols})
        self.symbols: dict[str, Spot] = {name: spot(name, *self._steps(name)) for name in names}
        self._replayed = {
            name: ReplaySymbol(pair, self._recordings, Publisher(name, hub, record, streams, taps))
            for name, pair in self.symbols.items()
        }
        self.ended = False
        self._played = 0
        self._last_ns = 0
        self._timeline = timeline(self._recordings)
        self._position = Position(options.state_dir, options.data)
        for recording, message in islice(self._timeline, self._position.resume()):
            self._play(recording, message)

    def now_ms(self) -> int:
        """Return the newest event time that was sent."""
        return self._clock.now_ns() // NS_PER_MS

    def depth(self, symbol: str) -> Book:
        """Return the book after the last diff that was sent (the first snapshot's until then)."""
        return self._replayed[symbol].book

    async def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Sequence[Candle]:
        """Return bars of the trades sent so far."""
        return self._replayed[symbol].candles.rows(interval, start, end, limit)

    def trades(self, symbol: str, from_id: int | None, limit: int) -> Sequence[Print]:
        """Return trades sent so far."""
        trades = self._replayed[symbol].trades
        first = max(0, len(trades) - limit) if from_id is None else bisect_left(trades, from_id, key=lambda t: t.id)
        return trades[first : first + limit]

    def first_trade_at(self, symbol: str, ms: int) -> int:
        """Return the id of the first trade at or after `ms`."""
        trades = self._replayed[symbol].trades
        at = bisect_left(trades, ms, key=lambda trade: trade.ms)
        return trades[at].id if at < len(trades) else (trades[-1].id + 1 if trades else 1)

    def subscribed(self, streams: Sequence[str]) -> None:
        """Let the recording begin soon after the first listener; start the bars that are derived."""
        for stream in streams:
            replayed = self._replayed.get(stream_symbol(stream))
            if replayed is None:
                continue
            self._settling.touch()
            replayed.publisher.followed = True
            self._follow_klines(replayed)

    async def run(self) -> None:
        """Play from the first listener to the end."""
        await self._settling.wait()
        offset_ns = 0
        for recording, message in self._timeline:
            if self._last_ns:
                offset_ns += min(max(message.receive_ns - self._last_ns, 0), _LONGEST_GAP_NS)
            await self._pacer.until(offset_ns)
            self._play(recording, message)
            self._position.save(self._played)
        self._position.save(self._played, now=True)
        self.ended = True
        self._tell_time()

    def close(self) -> None:
        """Forget the position: a clean stop is the end of this run."""
        self._position.clear()

    def state(self) -> dict[str, Any]:
        """Return how many recorded messages have been played."""
        return {"played": self._played, "playing": self._settling.over and not self.ended}

    def _play(self, recording: Recording, message: Message) -> None:
        self._played += 1
        self._last_ns = message.receive_ns
        try:
            self._emit(recording, message.stream, message.payload)
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("binance simulator: %s: a recorded message is unusable: %s", recording.path.name, error)

    def _emit(self, recording: Recording, stream: str, payload: bytes) -> None:
        if not stream:
            snapshot = msgspec.json.decode(payload, type=Snapshot)
            if (owner := recording.owner(snapshot)) in self._replayed:
                self._replayed[owner].snapshot(snapshot)
            return
        symbol = stream_symbol(stream)
        replayed = self._replayed.get(symbol)
        kind = stream.partition("@")[2]
        event_ms = 0
        self._hub.publish(stream, payload)
        if replayed is not None and kind == "trade":
            trade = msgspec.json.decode(payload, type=TradeEvent)
            event_ms = trade.E
            replayed.trade(trade)
            self._follow_klines(replayed)
        elif replayed is not None and kind in ("depth", "depth@100ms"):
            depth = msgspec.json.decode(payload, type=DepthUpdate)
            event_ms = depth.E
            recording.last_ids[symbol] = depth.u
            replayed.depth(depth)
        elif kind != "bookTicker" and payload.startswith(b"{"):  # neither it nor an array tells its time
            event_ms = msgspec.json.decode(payload, type=Stamped).E
        if event_ms:
            self._clock.advance(event_ms * NS_PER_MS)
            for each in self._replayed.values():
                each.publisher.clock(event_ms - _GRACE_MS)

    def _follow_klines(self, replayed: ReplaySymbol) -> None:
        """Start derived klines; a bar has no beginning before the first recorded trade."""
        if not replayed.trades:
            return
        last = replayed.trades[-1]
        for interval, offset_ms in replayed.publisher.missing_klines():
            bar = running_bar(replayed.candles.rows, interval, offset_ms, last.ms, last.price)
            replayed.publisher.follow_kline(interval, bar, offset_ms)

    def _steps(self, symbol: str) -> tuple[int, int]:
        """Read tick and lot off a recorded book: the coarsest powers of ten that fit every level."""
        snapshots = [row.snapshots[symbol] for row in self._recordings if symbol in row.snapshots]
        if not snapshots:
            return 0, 0
        book = to_book(snapshots[0])
        return _common_step([*book.bids, *book.asks]), _common_step([*book.bids.values(), *book.asks.values()])


def _common_step(values: Sequence[int]) -> int:
    return next((10**power for power in range(10, -1, -1) if all(value % 10**power == 0 for value in values)), 1)
