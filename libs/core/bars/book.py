"""What happened to the book between two messages about it: order-flow imbalance, depth and the levels that travel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from libs.core.types import BookStats, Nanos, stable_id

Level = tuple[float, float]

FLOW_LEVELS: Final = 5
"""Levels whose order flow is summed."""

DEPTH_BP: Final = (1.0, 5.0, 10.0, 25.0)
"""Distances from the mid within which depth is told, basis points."""

Depth = Callable[[], tuple[tuple[float, ...], tuple[float, ...]]]
"""Base units of bids and of asks within each of DEPTH_BP, as the whole book stands now."""


class BookFlow:
    """Sums the order flow at the best prices of one symbol (Cont, Kukanov, Stoikov 2014, equation 4).

    Each update contributes 1{b>=b'} B - 1{b<=b'} B' - 1{a<=a'} A + 1{a>=a'} A' with best bid b of size B, best ask a
    of size A, and the same before the update primed; base units. The levels behind the best one likewise, each against
    the same level before (Xu, Gould, Howison 2018).
    """

    def __init__(self, venue: str, symbol: str, levels: int) -> None:
        self._venue, self._symbol, self._levels = venue, symbol, levels
        self._bids: Sequence[Level] = ()
        self._asks: Sequence[Level] = ()
        self._depth: Depth | None = None
        self._first_id = self._last_id = 0
        self._stamp: Nanos = 0
        self._ofi = [0.0] * FLOW_LEVELS
        self._depth_sum = 0.0
        self._lost = 0
        self._comparable = False
        self.updates = 0

    def update(
        self,
        bids: Sequence[Level],
        asks: Sequence[Level],
        first_id: int,
        last_id: int,
        ts_event: Nanos,
        depth: Depth | None = None,
    ) -> None:
        """Take the top of the book (best first) after the venue's update ids `first_id` to `last_id`.

        `depth` knows the rest of the book; without it depth is told as far as the levels given reach.
        """
        if not self._comparable:
            self._lost += 1
        else:
            flow = self._ofi
            sides = zip(bids, asks, self._bids, self._asks, strict=False)
            for level, ((b, size_b), (a, size_a), (b0, size_b0), (a0, size_a0)) in enumerate(sides):
                if level == FLOW_LEVELS:
                    break
                if b >= b0:
                    flow[level] += size_b
                if b <= b0:
                    flow[level] -= size_b0
                if a <= a0:
                    flow[level] -= size_a
                if a >= a0:
                    flow[level] += size_a0
        if bids and asks:
            self._depth_sum += 0.5 * (bids[0][1] + asks[0][1])
        if self.updates == 0:
            self._first_id = first_id
        self._bids, self._asks, self._last_id, self._stamp, self._depth = bids, asks, last_id, ts_event, depth
        self._comparable = True
        self.updates += 1

    def forget(self) -> None:
        """Updates were lost: the next one has nothing to be compared with."""
        self._comparable = False

    def take(self, ts_init: Nanos) -> BookStats | None:
        """What happened since the last call, None when nothing did."""
        if self.updates == 0:
            return None
        depth_bids, depth_asks = self._depths()
        stats = BookStats(
            id=stable_id("book", self._venue, self._symbol, self._first_id, self._last_id, self._stamp),
            ts_event=self._stamp,
            ts_init=ts_init,
            venue=self._venue,
            symbol=self._symbol,
            bids=tuple(self._bids[: self._levels]),
            asks=tuple(self._asks[: self._levels]),
            first_id=self._first_id,
            last_id=self._last_id,
            ofi=self._ofi[0],
            updates=self.updates,
            ofi_deeper=tuple(self._ofi[1:]),
            depth_sum=self._depth_sum,
            lost=self._lost,
            depth_bids=depth_bids,
            depth_asks=depth_asks,
        )
        self._ofi, self._depth_sum, self._lost, self.updates = [0.0] * FLOW_LEVELS, 0.0, 0, 0
        return stats

    def _depths(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self._depth is not None:
            return self._depth()
        if not self._bids or not self._asks:
            return (), ()
        mid = 0.5 * (self._bids[0][0] + self._asks[0][0])
        return depth_within(self._bids, mid), depth_within(self._asks, mid)


def depth_within(levels: Sequence[Level], mid: float) -> tuple[float, ...]:
    """Base units of one side (best first) within each of DEPTH_BP of `mid`; NaN where the levels end before that."""
    sums = []
    total, at = 0.0, 0
    for distance in DEPTH_BP:
        low, high = mid * (1.0 - distance * 1e-4), mid * (1.0 + distance * 1e-4)
        while at < len(levels) and low <= levels[at][0] <= high:
            total += levels[at][1]
            at += 1
        sums.append(total if at < len(levels) else math.nan)
    return tuple(sums)
