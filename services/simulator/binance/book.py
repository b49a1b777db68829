"""A limit order book of absolute levels, kept by diffs as the venue documents it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest, nsmallest
from operator import itemgetter
from typing import Final

from services.simulator.binance.decimals import ONE
from services.simulator.binance.wire import Level

QUOTED_LEVELS: Final = 20
QUOTED_WORTH: Final = 10_000
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


def quoted_around(price: int, tick: int, lot: int, last_id: int) -> Book:
    """Make a book where data have none: a level each tick about the last price, QUOTED_WORTH of quote currency each.

    price, tick and lot in 1e-8.
    """
    mid = price // tick * tick
    qty = max(QUOTED_WORTH * ONE * ONE // max(price, 1) // lot * lot, lot)
    bids = [(mid - step * tick, qty) for step in range(1, QUOTED_LEVELS + 1) if mid > step * tick]
    asks = [(mid + step * tick, qty) for step in range(1, QUOTED_LEVELS + 1)]
    return Book(last_id, bids, asks)


def difference(before: Mapping[int, int], after: Mapping[int, int]) -> list[Level]:
    """Return the level changes that turn one side of a book into another, in price order."""
    changed = [(price, qty) for price, qty in after.items() if before.get(price) != qty]
    changed += [(price, 0) for price in before if price not in after]
    changed.sort()
    return changed
