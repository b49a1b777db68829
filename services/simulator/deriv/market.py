"""The market as clients may know it: ticks up to the present second, their history and candles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.simulator.deriv.hours import WEEK_SECS, Grid
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
        self._grid = Grid(symbol.period_secs, symbol.hours)
        self._first = self._grid.index_at(first_epoch - 1) + 1
        self.present = self._grid.epoch_of(self._first)

    def last(self) -> Tick:
        """Return the newest tick."""
        return self.at(self.present)

    def at(self, epoch: int) -> Tick:
        """Return the newest tick not after a second."""
        index = self._grid.index_at(epoch)
        return Tick(self._grid.epoch_of(index), float(self._path.prices(index, index)[0]))

    def is_tick(self, epoch: int) -> bool:
        """Whether the symbol ticks in a second."""
        return self._grid.is_tick(epoch)

    def epoch_back(self, epoch: int, ticks: int) -> int:
        """Return the second of the tick `ticks` before the newest one not after `epoch`."""
        return self._grid.epoch_of(self._grid.index_at(epoch) - ticks)

    def between(self, start: int, end: int) -> Iterator[Tick]:
        """Yield the ticks with start <= epoch <= end, up to the present."""
        times, prices = self._slice(*self._indices(start, end))
        for epoch, price in zip(times.tolist(), prices.tolist(), strict=True):
            yield Tick(epoch, price)

    def history(self, start: int | None, end: int, count: int) -> tuple[list[int], list[float]]:
        """Return the newest `count` ticks not after `end` and not before `start`: times and prices."""
        first, last = self._indices(start or 0, self._end(end))
        times, prices = self._slice(max(first, last - count + 1), last)
        return times.tolist(), prices.tolist()

    def candles(self, start: int | None, end: int, count: int, granularity_secs: int) -> list[Candle]:
        """Return the newest `count` candles that open not after `end` and not before `start`; the last may be open."""
        end = self._end(end)
        last_open = end - end % granularity_secs
        first_open = last_open - (count - 1) * granularity_secs
        if not self.symbol.hours.always:  # closed times have no candles: look further back
            first_open = last_open - int(count * granularity_secs / self.symbol.hours.open_fraction) - WEEK_SECS
        if start is not None:
            first_open = max(first_open, start - start % granularity_secs)
        times, prices = self._slice(*self._indices(first_open, end))
        if not times.size:
            return []
        opens = times - times % granularity_secs
        edges = np.flatnonzero(np.diff(opens, prepend=opens[0] - 1))[-count:]
        times, prices, opens, edges = (times[edges[0] :], prices[edges[0] :], opens[edges[0] :], edges - edges[0])
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
        oldest = self._grid.epoch_of(self._first)
        return self.present if end < oldest else min(end, self.present)

    def _indices(self, start: int, end: int) -> tuple[int, int]:
        first = max(self._grid.index_at(start - 1) + 1, self._first)
        return first, self._grid.index_at(min(end, self.present))

    def _slice(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return self._grid.epochs(first, last), self._path.prices(first, last)


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
            if feed.is_tick(epoch):
                ticked.append(feed)
        return ticked
