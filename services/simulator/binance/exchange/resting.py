"""Our own orders on the book of one symbol, in the order of price and time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from services.simulator.binance.exchange.orders import Order


class Side:
    """The resting orders of one side, best first."""

    def __init__(self) -> None:
        self._orders: list[Order] = []

    def __iter__(self) -> Iterator[Order]:
        """Orders in priority; the side may change while this runs."""
        return iter(self._orders.copy())

    def __bool__(self) -> bool:
        return bool(self._orders)

    def add(self, order: Order) -> None:
        """Queue an order by its price and place in time."""
        insort(self._orders, order, key=_priority)

    def remove(self, order: Order) -> None:
        """Take an order off; it has to be there with the priority it came with."""
        index = bisect_left(self._orders, _priority(order), key=_priority)
        if index == len(self._orders) or self._orders[index] is not order:
            raise ValueError(f"order {order.id} of {order.symbol} does not rest")
        del self._orders[index]

    def best(self) -> int:
        """The best price, 0 for none."""
        return self._orders[0].limit if self._orders else 0


class Resting:
    """Both sides."""

    def __init__(self) -> None:
        self.bids = Side()
        self.asks = Side()

    def side(self, buy: bool) -> Side:
        """The side on which a purchase or a sale rests."""
        return self.bids if buy else self.asks

    def __bool__(self) -> bool:
        return bool(self.bids) or bool(self.asks)


def _priority(order: Order) -> tuple[int, int]:
    return (-order.limit if order.buy else order.limit, order.seq)
