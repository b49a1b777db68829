"""Prints that lie far from the ones before and that neither quote nor book confirms: told, never removed."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from libs.core.bars.health import Failure, FeedCheck
from libs.core.types import SECOND, Nanos, Quote, Trade

MADS: Final = 10.0
WINDOW: Final = 240
FLOOR_BP: Final = 10.0
CONFIRM: Final[Nanos] = SECOND

QUOTE_AGE: Final[Nanos] = 5 * SECOND
"""An older quote says nothing about the moment of a print."""

MOST_SUSPECTS: Final = 100

ENOUGH: Final = 16
"""Prints without which nothing is called unusual."""


class _Suspect(NamedTuple):
    trade: Trade
    middle: float
    deviation: float


class _Offer(NamedTuple):
    low: float
    high: float
    ts_event: Nanos


NO_OFFER: Final = _Offer(0.0, 0.0, -QUOTE_AGE)


class OutlierWatch:
    """Watches the prints of one symbol.

    A print further than `mads` median absolute deviations (and `floor_bp`) from the median of the last `window` prints
    is suspect. A quote or book that spans its price, at that moment or within `confirm` after it, clears it. Where the
    venue gives neither, the next print at its level does: a lone spike stays one.

    Attributes:
        low, high: prints between them (both included) need no further look. They are measured anew at each `settle`:
            sorting at every print would be dear.
        prices: of the last `window` prints. While nothing is suspect, an ordinary print may be appended here instead of
            being handed to `take`.
        suspects: prints that nothing has confirmed so far.
        quote: the newest quote. Set it; while there are `suspects` call `quoted` instead.
    """

    __slots__ = (
        "_book",
        "_confirm",
        "_floor",
        "_lone",
        "_mads",
        "high",
        "low",
        "prices",
        "quote",
        "suspects",
    )

    def __init__(
        self, *, mads: float = MADS, window: int = WINDOW, floor_bp: float = FLOOR_BP, confirm: Nanos = CONFIRM
    ) -> None:
        self._mads, self._floor, self._confirm = mads, floor_bp / 10_000, confirm
        self.prices: deque[float] = deque(maxlen=window)
        self.quote: Quote | None = None
        self._book = NO_OFFER
        self._lone: list[_Suspect] = []
        self.low, self.high = 0.0, math.inf
        self.suspects: list[_Suspect] = []

    def take(self, trade: Trade) -> None:
        """An accepted print, in order."""
        price = trade.price
        if self.suspects and not self._is_offered:
            self._lone += [suspect for suspect in self.suspects if not self._near(suspect, price, price)]
            self.suspects = []
        if not self.low <= price <= self.high:
            self._suspect(trade)
        self.prices.append(price)

    def quoted(self, quote: Quote) -> None:
        """The newest quote, which may confirm a suspect."""
        self.quote = quote
        self._clear(_Offer(quote.bid, quote.ask, quote.ts_event))

    def book(self, lowest_bid: float, highest_ask: float, ts_event: Nanos) -> None:
        """The outermost levels known of the newest book."""
        self._book = _Offer(lowest_bid, highest_ask, ts_event)
        if self.suspects:
            self._clear(self._book)

    def settle(self, now: Nanos) -> list[Failure]:
        """The suspects that nothing confirmed in time, at data time `now`; call it about once a second."""
        if len(self.prices) >= ENOUGH:
            self._renew()
        lone, self._lone = self._lone, []
        if self._is_offered:
            lone += [suspect for suspect in self.suspects if now > suspect.trade.ts_event + self._confirm]
            self.suspects = [suspect for suspect in self.suspects if suspect not in lone]
        return [Failure(FeedCheck.OUTLIER, self._words(suspect)) for suspect in lone]

    @property
    def _is_offered(self) -> bool:
        return self.quote is not None or self._book is not NO_OFFER

    def _suspect(self, trade: Trade) -> None:
        middle = (self.low + self.high) / 2
        suspect = _Suspect(trade, middle, (self.high - middle) / self._mads)
        quote = self.quote
        best = _Offer(quote.bid, quote.ask, quote.ts_event) if quote else NO_OFFER
        for offer in (best, self._book):
            if trade.ts_event - offer.ts_event < QUOTE_AGE and self._near(suspect, offer.low, offer.high):
                return
        if len(self.suspects) < MOST_SUSPECTS:
            self.suspects.append(suspect)

    def _clear(self, offer: _Offer) -> None:
        self.suspects = [
            suspect
            for suspect in self.suspects
            if offer.ts_event > suspect.trade.ts_event + self._confirm or not self._near(suspect, offer.low, offer.high)
        ]

    def _near(self, suspect: _Suspect, low: float, high: float) -> bool:
        return low * (1.0 - self._floor) <= suspect.trade.price <= high * (1.0 + self._floor)

    def _renew(self) -> None:
        middle, deviation = median_and_deviation(self.prices)
        reach = max(self._mads * deviation, self._floor * middle)
        self.low, self.high = middle - reach, middle + reach

    def _words(self, suspect: _Suspect) -> str:
        far = abs(suspect.trade.price - suspect.middle) / suspect.deviation
        return (
            f"price {suspect.trade.price:g} is {far:.0f} deviations from {suspect.middle:g}, the median before it; "
            "neither quote nor book confirmed it"
        )


def median_and_deviation(values: deque[float]) -> tuple[float, float]:
    """Median and median absolute deviation of `values` (one or more)."""
    ranked = sorted(values)
    middle = _median(ranked)
    return middle, _median(sorted(abs(value - middle) for value in ranked))


def _median(ranked: list[float]) -> float:
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2
