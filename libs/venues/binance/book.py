"""A local order book kept from a snapshot and the diff stream, which knows when it has lost something."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from enum import StrEnum

from libs.core.bars import DEPTH_BP
from libs.venues.base import Level
from libs.venues.binance.codec import DepthUpdate, Levels, Snapshot


class Applied(StrEnum):
    """What became of an update."""

    DONE = "done"
    HELD = "held"  # kept until the snapshot is here
    STALE = "stale"  # the book already knows it
    HOLE = "hole"  # updates before it were lost: the book is void and wants a new snapshot


class _Side:
    """Price levels of one side, prices ascending."""

    __slots__ = ("_prices", "_sizes")

    def __init__(self, levels: Levels) -> None:
        self._sizes = {price: size for price, size in levels if size > 0.0}
        self._prices = sorted(self._sizes)

    def set(self, levels: Levels) -> None:
        sizes, prices = self._sizes, self._prices
        for price, size in levels:
            if size > 0.0:
                if price not in sizes:
                    insort(prices, price)
                sizes[price] = size
            elif sizes.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]

    def lowest(self, count: int) -> list[Level]:
        sizes = self._sizes
        return [(price, sizes[price]) for price in self._prices[:count]]

    def highest(self, count: int) -> list[Level]:
        sizes = self._sizes
        return [(price, sizes[price]) for price in self._prices[: -count - 1 : -1]]

    def up_to(self, mid: float, known: float) -> tuple[float, ...]:
        """Size from the lowest price to each of DEPTH_BP above `mid`; NaN beyond the price `known`."""
        prices, sizes = self._prices, self._sizes
        sums, total, first = [], 0.0, 0
        for distance in DEPTH_BP:
            limit = mid * (1.0 + distance * 1e-4)
            last = bisect_right(prices, limit, first)
            total += sum(map(sizes.__getitem__, prices[first:last]))
            sums.append(total if limit <= known else math.nan)
            first = last
        return tuple(sums)

    def down_to(self, mid: float, known: float) -> tuple[float, ...]:
        """Size from the highest price to each of DEPTH_BP below `mid`; NaN beyond the price `known`."""
        prices, sizes = self._prices, self._sizes
        sums, total, last = [], 0.0, len(prices)
        for distance in DEPTH_BP:
            limit = mid * (1.0 - distance * 1e-4)
            first = bisect_left(prices, limit, 0, last)
            total += sum(map(sizes.__getitem__, prices[first:last]))
            sums.append(total if limit >= known else math.nan)
            last = first
        return tuple(sums)


class LocalBook:
    """Binance's documented procedure: hold updates, take the snapshot, apply in sequence, start over on a hole."""

    HELD_MOST = 10_000
    """Updates held while no snapshot comes; 100 ms apart they are a quarter of an hour."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything and wait for a snapshot."""
        self._bids = _Side([])
        self._asks = _Side([])
        self._held: list[DepthUpdate] = []
        self._floor, self._ceiling = math.inf, 0.0
        self.last_id = 0
        self.is_ready = False

    def apply(self, update: DepthUpdate) -> Applied:
        """Take in one update of the diff stream."""
        if not self.is_ready:
            if self._held and self._held[-1].u + 1 != update.U:
                self._held.clear()
            if len(self._held) < self.HELD_MOST:
                self._held.append(update)
            return Applied.HELD
        if update.u <= self.last_id:
            return Applied.STALE
        if self.last_id + 1 < update.U:
            self.reset()
            self._held.append(update)
            return Applied.HOLE
        self._bids.set(update.b)
        self._asks.set(update.a)
        self.last_id = update.u
        return Applied.DONE

    def seed(self, snapshot: Snapshot) -> bool:
        """Start from a snapshot and the held updates; False when it is older than the first of them: fetch again."""
        held = self._held
        if held and snapshot.lastUpdateId + 1 < held[0].U:
            return False
        self._bids = _Side(snapshot.bids)
        self._asks = _Side(snapshot.asks)
        # A snapshot ends somewhere; of what lies beyond, only what has changed since is known.
        self._floor = min((price for price, _ in snapshot.bids), default=math.inf)
        self._ceiling = max((price for price, _ in snapshot.asks), default=0.0)
        self.last_id = snapshot.lastUpdateId
        self.is_ready = True
        self._held = []
        for update in held:
            self.apply(update)
        return True

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """The best `count` levels of each side, best first."""
        return self._bids.highest(count), self._asks.lowest(count)

    def depth(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Base units of bids and of asks within each of DEPTH_BP of the mid; NaN beyond what the snapshot showed."""
        bids, asks = self.top(1)
        if not bids or not asks:
            return (), ()
        mid = 0.5 * (bids[0][0] + asks[0][0])
        return self._bids.down_to(mid, self._floor), self._asks.up_to(mid, self._ceiling)
