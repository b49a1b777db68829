"""The market's liquidity as the engine may use it: what the feed shows, less what our fills have taken of it."""

from __future__ import annotations

from collections.abc import Iterator

from services.simulator.binance.book import Book
from services.simulator.binance.exchange.prices import Prices
from services.simulator.binance.feed import Feed

_SEED_TRADES = 1_000


class Liquidity:
    """One symbol. What our orders take stays taken until the feed shows another state of the book."""

    def __init__(self, feed: Feed, symbol: str) -> None:
        self.symbol = symbol
        self.prices = Prices()
        self.followed = False
        self.fresh = False  # the book has changed and our own orders have not met it yet
        self._feed = feed
        self._seen: int | None = None
        self._book = Book()
        self._taken: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._sorted: list[list[int] | None] = [None, None]

    def follow(self) -> None:
        """Ask the feed to play this symbol from now on, as it does for a listener to its trades."""
        if not self.followed:
            self.catch_up()
            self._feed.subscribed([f"{self.symbol.lower()}@trade"])
            self.followed = True

    def catch_up(self) -> None:
        """Learn the prints of a symbol whose prints nobody tells us."""
        if not self.followed:
            self.prices.catch_up(self._feed.trades(self.symbol, None, _SEED_TRADES))

    def reference(self) -> int:
        """The reference price at the feed's time, 0 without one."""
        self.catch_up()
        return self.prices.reference(self._feed.now_ms())

    def compared(self, minutes: int) -> int:
        """What filters compare with: the reference price, else the average of some minutes, else the last price."""
        return self.reference() or self.prices.average(self._feed.now_ms(), minutes)

    def refresh(self) -> None:
        """Look at the feed's book; another state of it gives back what was taken from the one before."""
        book = self._feed.depth(self.symbol)
        if book.last_id == self._seen:
            return
        self._seen, self._book, self.fresh = book.last_id, book, True
        self._taken = ({}, {})
        self._sorted = [None, None]

    def left(self, bids: bool, price: int) -> int:
        """What is still to be had at a price."""
        shown = (self._book.bids if bids else self._book.asks).get(price, 0)
        return max(0, shown - self._taken[0 if bids else 1].get(price, 0)) if shown else 0

    def take(self, bids: bool, price: int, qty: int) -> None:
        """Take `qty` at a price."""
        taken = self._taken[0 if bids else 1]
        taken[price] = taken.get(price, 0) + qty

    def prices_of(self, bids: bool) -> Iterator[int]:
        """The prices of one side at which something is left, best first."""
        index = 0 if bids else 1
        found = self._sorted[index]
        if found is None:
            found = self._sorted[index] = sorted(self._book.bids if bids else self._book.asks, reverse=bids)
        return (price for price in found if self.left(bids, price))

    def best(self, bids: bool) -> int:
        """The best price of one side at which something is left, 0 for none."""
        return next(self.prices_of(bids), 0)
