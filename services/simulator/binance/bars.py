"""Plays a file of bars as closed klines: no public trades exist, the book is a made one, and holes stay holes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from services.simulator.binance.book import Book, quoted_around
from services.simulator.binance.candles import Candle, CandleBook, Print
from services.simulator.binance.decimals import from_float
from services.simulator.binance.exchange_info import Spot, spot
from services.simulator.binance.feed import NS_PER_MS, DataError, stream_symbol
from services.simulator.binance.hub import Hub
from services.simulator.binance.intervals import FIXED_MS, INTERVALS, MINUTE_MS, end_of, nests, open_of
from services.simulator.binance.pacing import Pacer, Settling
from services.simulator.binance.position import Position
from services.simulator.binance.publisher import Publisher
from services.simulator.binance.taps import Taps
from services.simulator.clock import ReplayClock
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")
HISTORY_BARS: Final = 500
"""Known at the start; of a file that is hardly longer all but a twentieth, which is left to play."""

_SHARES: Final = (0.0, 1 / 3, 2 / 3, 0.999)
"""When the four prices of a bar are taken to have traded, as a part of its length; a quarter of the volume each."""
_NAME: Final = re.compile(r"(?:^|_)([A-Z0-9]{5,20})(?:_|$)")


@dataclass(frozen=True)
class BarFile:
    """The columns of a bar file: ts in ms UTC at the open, floats as stored."""

    symbol: str
    interval: str
    rows: list[tuple[int, float, float, float, float, float]]

    def candle(self, index: int) -> Candle:
        """Return one bar.

        A file knows neither the number of trades nor their sides: 1 stands for "some", half the volume for the
        takers' part, close times volume for the quote volume.
        """
        ts, open_, high, low, close, volume = self.rows[index]
        base = from_float(volume)
        quote = base * from_float(close)
        return Candle(
            open_ms=ts,
            open=from_float(open_),
            high=from_float(high),
            low=from_float(low),
            close=from_float(close),
            volume=base,
            quote=quote,
            trades=1 if base else 0,
            taker_base=base // 2,
            taker_quote=quote // 2,
        )


def read_bars(path: Path) -> BarFile:
    """Read and check a bar file. Raises DataError, which names what is wrong and where."""
    import polars as pl  # half a second of import that only a bar file is worth

    named = _NAME.search(path.stem.upper().removeprefix("BINANCE_"))
    if named is None:
        raise DataError(f"{path.name}: the file name gives no symbol; name it like binance_BTCUSDT_1h.parquet")
    try:
        frame = pl.read_parquet(path, columns=list(COLUMNS))
        frame = frame.select(pl.col("ts").cast(pl.Int64), *(pl.col(name).cast(pl.Float64) for name in COLUMNS[1:]))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a bar file with columns {', '.join(COLUMNS)}: {reason}") from error
    rows: list[tuple[int, float, float, float, float, float]] = frame.rows()
    if len(rows) < 2:
        raise DataError(f"{path.name}: {len(rows)} bars; at least 2 are needed")
    shortest = min(later[0] - earlier[0] for earlier, later in pairwise(rows))
    if shortest <= 0:
        raise DataError(f"{path.name}: ts must rise from row to row; sort the file and drop repeated bars")
    interval = next((name for name, length in FIXED_MS.items() if length == shortest), None)
    if interval is None:
        raise DataError(f"{path.name}: bars are {shortest} ms apart, which is no Binance kline interval")
    wrong = frame.with_row_index("row").filter(
        pl.any_horizontal(pl.col(*COLUMNS).is_null())
        | ~pl.all_horizontal(pl.col(*COLUMNS[1:]).is_finite())
        | (pl.min_horizontal("open", "low", "close") != pl.col("low"))
        | (pl.max_horizontal("open", "high", "close") != pl.col("high"))
        | (pl.col("low") <= 0)
        | (pl.col("volume") < 0)
    )
    if len(wrong):
        first = wrong.row(0, named=True)
        raise DataError(f"{path.name}: {len(wrong)} impossible bars, the first in row {first['row']}: {first}")
    return BarFile(named[1], interval, rows)


class BarFeed:
    """The venue of one bar file: HISTORY_BARS of it are known at the start, the rest plays as it closes."""

    mode = "bars"
    extrapolate = False

    def __init__(
        self,
        options: SimulatorOptions,
        hub: Hub,
        record: Record,
        tell_time: Callable[[], None],
        taps: Taps | None = None,
    ) -> None:
        """Raises DataError when the file cannot be played."""
        assert options.data is not None
        self._file = read_bars(options.data)
        self._hub = hub
        self._tell_time = tell_time
        self._taps = taps or Taps()
        self._publisher = Publisher(self._file.symbol, hub, record, taps=self._taps)
        self._pacer = Pacer(options.speed, hub)
        self._settling = Settling()
        self._bars = CandleBook(self._file.interval)
        self._position = Position(options.state_dir, options.data)
        known = max(1, min(HISTORY_BARS, len(self._file.rows) * 19 // 20))
        self._next = max(known, self._position.resume())
        self._bars.candles = [self._file.candle(index) for index in range(self._next)]
        self._clock = ReplayClock(self._end(self._bars.candles[-1]) * NS_PER_MS)
        self.symbols: dict[str, Spot] = {self._file.symbol: spot(self._file.symbol)}
        self.finest = self._file.interval if FIXED_MS[self._file.interval] > MINUTE_MS else "1m"
        self.ended = False
        self._price = self._bars.candles[-1].close
        self._prints = self._next * len(_SHARES)

    def now_ms(self) -> int:
        """Return the newest event time that was sent."""
        return self._clock.now_ns() // NS_PER_MS

    def depth(self, symbol: str) -> Book:
        """Return a book about the newest price, so that orders find a market."""
        pair = self.symbols[symbol]
        return quoted_around(self._price, pair.tick, pair.lot, self._prints)

    async def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Sequence[Candle]:
        """Return the bars closed so far, and larger ones put together from them."""
        return self._bars.rows(interval, start, end, limit)

    def trades(self, symbol: str, from_id: int | None, limit: int) -> Sequence[Print]:
        """Return nothing: a bar file has no trades."""
        return []

    def first_trade_at(self, symbol: str, ms: int) -> int:
        """Return 1: there is no trade."""
        return 1

    def subscribed(self, streams: Sequence[str]) -> None:
        """Let the bars begin soon after the first listener."""
        if any(stream_symbol(stream) in self.symbols for stream in streams):
            self._publisher.followed = True
            self._settling.touch()

    async def run(self) -> None:
        """Play from the first listener to the end; a hole takes no time."""
        self._trade(self.now_ms(), self._price, self.symbols[self._file.symbol].lot)
        await self._settling.wait()
        length_ns = FIXED_MS[self._file.interval] * NS_PER_MS
        for played, index in enumerate(range(self._next, len(self._file.rows))):
            await self._pacer.until(played * length_ns)
            candle = self._file.candle(index)
            self._open(candle)
            await self._pacer.until((played + 1) * length_ns)
            self._close(candle)
            self._next = index + 1
            self._position.save(self._next)
            self._tell_time()
            await asyncio.sleep(0)
        self._position.save(self._next, now=True)
        self.ended = True
        self._tell_time()

    def close(self) -> None:
        """Forget the position: a clean stop is the end of this run."""
        self._position.clear()

    def state(self) -> dict[str, Any]:
        """Return how many bars have closed."""
        return {
            "interval": self._file.interval,
            "played": self._next,
            "bars": len(self._file.rows),
            "playing": self._settling.over and not self.ended,
        }

    def _end(self, candle: Candle) -> int:
        return end_of(self._file.interval, candle.open_ms)

    def _open(self, candle: Candle) -> None:
        """Show the beginning of a bar, which is all that may be known of it."""
        last = self._bars.candles[-1]
        for interval in self._larger():  # a larger bar whose last part lies in the hole before this one
            start = open_of(interval, last.open_ms)
            if start != open_of(interval, candle.open_ms) and end_of(interval, start) != self._end(last):
                self._show(interval, start, end_of(interval, start), closed=True)
        beginning = Candle.flat(candle.open_ms, candle.open)
        self._clock.advance(candle.open_ms * NS_PER_MS)
        self._publisher.kline(self._file.interval, beginning, candle.open_ms, closed=False)
        self._trade(candle.open_ms, candle.open, candle.volume // len(_SHARES))

    def _close(self, candle: Candle) -> None:
        self._bars.candles.append(candle)
        end = self._end(candle)
        self._walk(candle, end)
        self._clock.advance(end * NS_PER_MS)
        self._publisher.kline(self._file.interval, candle, end, closed=True)
        for interval in self._larger():
            start = open_of(interval, candle.open_ms)
            self._show(interval, start, end, closed=end_of(interval, start) == end)

    def _walk(self, candle: Candle, end_ms: int) -> None:
        """Tell the engine how the bar went after its open: the nearer extreme first, then the other, then the close."""
        low, high, share = candle.low, candle.high, candle.volume // len(_SHARES)
        first, second = (low, high) if candle.open - low <= high - candle.open else (high, low)
        length = end_ms - candle.open_ms
        walk = ((first, share), (second, share), (candle.close, candle.volume - 3 * share))
        for part, (price, qty) in zip(_SHARES[1:], walk, strict=True):
            self._trade(candle.open_ms + int(length * part), price, qty)
        self._publisher.clock(end_ms)

    def _trade(self, ms: int, price: int, qty: int) -> None:
        """Let the engine alone see a print, by which orders are filled and stops triggered."""
        if qty:
            self._prints += 1
            self._price = price
            self._taps.on_trade(self._file.symbol, Print(self._prints, ms, price, qty, buyer_is_maker=False))
            self._taps.on_book(self._file.symbol)

    def _larger(self) -> list[str]:
        name = self._file.symbol.lower()
        return [
            interval
            for interval in INTERVALS
            if interval != self._file.interval
            and self._hub.wanted(f"{name}@kline_{interval}")
            and nests(self._file.interval, interval)
        ]

    def _show(self, interval: str, start: int, event_ms: int, *, closed: bool) -> None:
        for candle in self._bars.rows(interval, start, start, 1):
            self._publisher.kline(interval, candle, event_ms, closed=closed)
