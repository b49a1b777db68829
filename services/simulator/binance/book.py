"""A limit order book of absolute levels, kept by diffs as the venue documents it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest, nsmallest
from operator import itemgetter

from services.simulator.binance.wire import Level

_price = itemgetter(0)


class Book:
    """Levels by price in 1e-8 with their quantities, and the id of the last update in them."""

    def __init__(self, last_id: int = 0, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.last_id = last_id
        self.bids: dict[int, int] = dict(bids)
        self.asks: dict[int, int] = dict(asks)

    def apply(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set each level and delete those of quantity 0; an event already inside the book changes nothing."""
        if last_id <= self.last_id:
            return
        self.last_id = last_id
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, qty in levels:
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Return at most `count` bids and asks, best first."""
        return nlargest(count, self.bids.items(), key=_price), nsmallest(count, self.asks.items(), key=_price)


def difference(before: Mapping[int, int], after: Mapping[int, int]) -> list[Level]:
    """Return the level changes that turn one side of a book into another, in price order."""
    changed = [(price, qty) for price, qty in after.items() if before.get(price) != qty]
    changed += [(price, 0) for price in before if price not in after]
    changed.sort()
    return changed
