"""What happened to the book between two messages about it: order-flow imbalance and the levels that travel."""

from __future__ import annotations

from collections.abc import Sequence

from libs.core.types import BookStats, Nanos, stable_id

Level = tuple[float, float]


class BookFlow:
    """Sums the order flow at the best prices of one symbol (Cont, Kukanov, Stoikov 2014, equation 4).

    Each update contributes 1{b>=b'} B - 1{b<=b'} B' - 1{a<=a'} A + 1{a>=a'} A' with best bid b of size B, best ask a
    of size A, and the same before the update primed; base units.
    """

    def __init__(self, venue: str, symbol: str, levels: int) -> None:
        self._venue, self._symbol, self._levels = venue, symbol, levels
        self._bids: Sequence[Level] = ()
        self._asks: Sequence[Level] = ()
        self._first_id = self._last_id = 0
        self._stamp: Nanos = 0
        self._ofi = 0.0
        self._comparable = False
        self.updates = 0

    def update(
        self, bids: Sequence[Level], asks: Sequence[Level], first_id: int, last_id: int, ts_event: Nanos
    ) -> None:
        """Take the book (best first) after the venue's update ids `first_id` to `last_id`."""
        if self._comparable and self._bids and self._asks and bids and asks:
            (b, size_b), (a, size_a) = bids[0], asks[0]
            (b0, size_b0), (a0, size_a0) = self._bids[0], self._asks[0]
            self._ofi += (
                (size_b if b >= b0 else 0.0)
                - (size_b0 if b <= b0 else 0.0)
                - (size_a if a <= a0 else 0.0)
                + (size_a0 if a >= a0 else 0.0)
            )
        if self.updates == 0:
            self._first_id = first_id
        self._bids, self._asks, self._last_id, self._stamp = bids, asks, last_id, ts_event
        self._comparable = True
        self.updates += 1

    def forget(self) -> None:
        """Updates were lost: the next one has nothing to be compared with."""
        self._comparable = False

    def take(self, ts_init: Nanos) -> BookStats | None:
        """What happened since the last call, None when nothing did."""
        if self.updates == 0:
            return None
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
            ofi=self._ofi,
            updates=self.updates,
        )
        self._ofi, self.updates = 0.0, 0
        return stats
