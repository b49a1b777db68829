"""The market as clients may know it: ticks up to the present second, their history and candles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.simulator.deriv.processes import PricePath, price_path
from services.simulator.deriv.symbols import SYMBOLS, Symbol

HISTORY_SECS: Final = 30 * 24 * 3600
MAX_POINTS: Final = 5000


class Tick(NamedTuple):
    """One quote: epoch second and price as printed (a float rounded to the symbol's decimals)."""

    epoch: int
    quote: float


class Candle(NamedTuple):
    """Open, high, low and close of the ticks in one interval; `epoch` is its open time, in seconds."""

    epoch: int
    open: float
    high: float
    low: float
    close: float


class Feed:
    """The ticks of one symbol; nothing after the market's present second can be read from it."""

    def __init__(self, symbol: Symbol, path: PricePath, first_epoch: int) -> None:
        self.symbol = symbol
        self._path = path
        self._first_epoch = first_epoch + -first_epoch % symbol.period_secs
        self.present = self._first_epoch

    def last(self) -> Tick:
        """Return the newest tick."""
        return self.at(self.symbol.last_epoch(self.present))

    def at(self, epoch: int) -> Tick:
        """Return the tick of one second of the grid."""
        index = epoch // self.symbol.period_secs
        return Tick(epoch, float(self._path.prices(index, index)[0]))

    def is_tick(self, epoch: int) -> bool:
        """Whether the symbol ticks in a second."""
        return self.symbol.last_epoch(epoch) == epoch

    def epoch_back(self, epoch: int, ticks: int) -> int:
        """Return the second of the tick `ticks` before the newest one not after `epoch`."""
        return self.symbol.last_epoch(epoch) - ticks * self.symbol.period_secs

    def between(self, start: int, end: int) -> Iterator[Tick]:
        """Yield the ticks with start <= epoch <= end, up to the present."""
        times, prices = self._slice(start, end)
        for epoch, price in zip(times.tolist(), prices.tolist(), strict=True):
            yield Tick(epoch, price)

    def history(self, start: int | None, end: int, count: int) -> tuple[list[int], list[float]]:
        """Return the newest `count` ticks not after `end` and not before `start`: times and prices."""
        period = self.symbol.period_secs
        end = self._end(end)
        earliest = self.symbol.last_epoch(end) - (count - 1) * period
        times, prices = self._slice(max(earliest, start or 0), end)
        return times.tolist(), prices.tolist()

    def candles(self, start: int | None, end: int, count: int, granularity_secs: int) -> list[Candle]:
        """Return the newest `count` candles that open not after `end` and not before `start`; the last may be open."""
        end = self._end(end)
        last_open = end - end % granularity_secs
        first_open = last_open - (count - 1) * granularity_secs
        if start is not None:
            first_open = max(first_open, start - start % granularity_secs)
        times, prices = self._slice(first_open, end)
        if not times.size:
            return []
        opens = times - times % granularity_secs
        edges = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))
        closes = np.append(edges[1:], times.size) - 1
        columns = (
            opens[edges],
            prices[edges],
            np.maximum.reduceat(prices, edges),
            np.minimum.reduceat(prices, edges),
            prices[closes],
        )
        return [Candle(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def _end(self, end: int) -> int:
        # Before the oldest tick the real venue silently answers with the latest data: clients must check the times.
        return self.present if end < self._first_epoch else min(end, self.present)

    def _slice(self, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        period = self.symbol.period_secs
        first = max(start + -start % period, self._first_epoch) // period
        last = min(end, self.present) // period
        return np.arange(first, last + 1, dtype=np.int64) * period, self._path.prices(first, last)


class Market:
    """All listed symbols and the present second; time moves only through `advance`."""

    def __init__(self, seed: int, anchor_epoch: int) -> None:
        """`anchor_epoch` fixes the paths and the start of their history, HISTORY_SECS earlier."""
        self.feeds = {
            name: Feed(symbol, price_path(seed, symbol, anchor_epoch), anchor_epoch - HISTORY_SECS)
            for name, symbol in SYMBOLS.items()
        }
        self.anchor_epoch = anchor_epoch
        self.present = anchor_epoch
        self.advance(anchor_epoch)

    def advance(self, epoch: int) -> list[Feed]:
        """Make the ticks of second `epoch` known; returns the feeds that ticked in exactly that second."""
        self.present = max(epoch, self.present)
        ticked = []
        for feed in self.feeds.values():
            feed.present = self.present
            if epoch % feed.symbol.period_secs == 0:
                ticked.append(feed)
        return ticked
