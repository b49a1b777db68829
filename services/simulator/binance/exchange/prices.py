"""What the prints of one symbol say: last price, average over minutes, and the venue's reference price."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from services.simulator.binance.candles import Print

BUCKET_MS: Final = 1_000
BUCKETS: Final = 10
AVERAGE_MINUTES: Final = 5
_COUNT_SCALE: Final = 10**4


class Prices:
    """Follows prints of one symbol; prices in 1e-8, 0 while nothing has traded."""

    def __init__(self) -> None:
        self.last = 0
        self.last_id = -1
        self.last_ms = 0
        self._seconds: deque[list[int]] = deque()  # second, quantity, price times quantity
        self._buckets: deque[list[int]] = deque()  # open time, trades, sum of prices
        self._reference = (-1, -1, 0)  # at which time, after which trade, the price

    def add(self, trade: Print) -> bool:
        """Follow one print; returns whether it was new."""
        if trade.id <= self.last_id:
            return False
        self.last, self.last_id, self.last_ms = trade.price, trade.id, trade.ms
        second = trade.ms // BUCKET_MS
        seconds, buckets = self._seconds, self._buckets
        if not seconds or seconds[-1][0] != second:
            seconds.append([second, 0, 0])
            while seconds[0][0] <= second - AVERAGE_MINUTES * 60:
                seconds.popleft()
            buckets.append([second * BUCKET_MS, 0, 0])
            if len(buckets) > BUCKETS + 1:
                buckets.popleft()
        seconds[-1][1] += trade.qty
        seconds[-1][2] += trade.qty * trade.price
        buckets[-1][1] += 1
        buckets[-1][2] += trade.price
        return True

    def catch_up(self, trades: Iterable[Print]) -> None:
        """Follow prints that came while nobody told of them."""
        for trade in trades:
            self.add(trade)

    def average(self, now_ms: int, minutes: int) -> int:
        """The average price weighted by quantity over the last `minutes`; the last price for 0 or without trades."""
        first = now_ms // BUCKET_MS - minutes * 60
        rows = [row for row in self._seconds if row[0] > first] if minutes else []
        quantity = sum(row[1] for row in rows)
        return sum(row[2] for row in rows) // quantity if quantity else self.last

    def reference(self, now_ms: int) -> int:
        """The arithmetic mean of trade prices over BUCKETS buckets, the oldest counted in proportion; 0 without one.

        As the venue's page on the price range rule describes it, with integer division throughout.
        """
        at, after, known = self._reference
        if (at, after) == (now_ms, self.last_id):
            return known
        cutoff = now_ms - BUCKETS * BUCKET_MS
        count = total = 0
        for opened, trades, prices in self._buckets:
            if opened + BUCKET_MS <= cutoff:
                continue
            kept = BUCKET_MS - max(0, cutoff - opened)
            count += trades * _COUNT_SCALE * kept // BUCKET_MS
            total += prices * _COUNT_SCALE * kept // BUCKET_MS
        price = total // count if count else 0
        self._reference = (now_ms, self.last_id, price)
        return price
