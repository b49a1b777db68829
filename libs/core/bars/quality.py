"""Whether a price can be true: what is impossible is refused at once, what is merely unheard of must repeat itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from libs.core.bars.forming import LARGEST_SIZE
from libs.core.types import BarFlag, Quote, Trade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNTRAINABLE: Final = BarFlag.GAP | BarFlag.FILLED
"""Data was missing in the bar, or came only later: nobody who traded then saw it as it stands now."""

MAX_JUMP: Final = 0.25
"""Largest believable move from one print to the next, as a fraction. The wildest index of Deriv moves some percent."""

CONFIRMATIONS: Final = 3
"""So many different prints in a row at the new level (each within MAX_JUMP of the one before) make a jump true."""


class Plausibility:
    """Judges the prices of one symbol.

    Attributes:
        low, high: a print between them (both excluded) needs no further look.
    """

    __slots__ = ("_candidate", "_confirmed", "_max_jump", "_seq", "high", "low")

    def __init__(self, max_jump: float = MAX_JUMP) -> None:
        self._max_jump = max_jump
        self._candidate = 0.0
        self._seq = 0
        self._confirmed = 0
        self.low = self.high = 0.0

    @property
    def price(self) -> float:
        """The price that was last believed; 0 before the first."""
        return math.sqrt(self.low * self.high)

    def take(self, price: float) -> None:
        """`price` was believed: it is what the next one is measured against."""
        self.low = price / (1.0 + self._max_jump)
        self.high = price * (1.0 + self._max_jump)
        self._confirmed = 0

    def fault(self, trade: Trade) -> str:
        """Why `trade` is not to be used; "" when it is (the caller then calls `take`)."""
        price = trade.price
        if not 0.0 < price < math.inf:
            return f"price {price} is none"
        if not 0.0 <= trade.size < LARGEST_SIZE:
            return f"size {trade.size} is none"
        if self.high == 0.0 or self.low < price < self.high:
            return ""
        repeated = trade.seq != 0 and trade.seq == self._seq
        near = self._candidate / (1.0 + self._max_jump) < price < self._candidate * (1.0 + self._max_jump)
        if not (repeated and self._confirmed):
            self._confirmed = self._confirmed + 1 if self._confirmed and near else 1
        self._candidate, self._seq = price, trade.seq
        if self._confirmed >= CONFIRMATIONS:
            return ""
        far = f"price {price:g} is more than {self._max_jump:.0%} from {self.price:g}"
        return f"{far}; believed when it repeats"


def quote_fault(quote: Quote) -> str:
    """Why `quote` is not to be used; "" when it is."""
    if not (0.0 < quote.bid < math.inf and 0.0 < quote.ask < math.inf):
        return f"bid {quote.bid} or ask {quote.ask} is no price"
    if not (0.0 <= quote.bid_size < math.inf and 0.0 <= quote.ask_size < math.inf):
        return f"bid size {quote.bid_size} or ask size {quote.ask_size} is no size"
    if quote.bid > quote.ask:
        return f"crossed: bid {quote.bid} above ask {quote.ask}"
    return ""


def trainable(flags: NDArray[np.integer], leave_out: BarFlag = UNTRAINABLE) -> NDArray[np.bool_]:
    """The rows to train on, by their bars' flags: those without any flag of `leave_out`."""
    rows: NDArray[np.bool_] = (flags & int(leave_out)) == 0
    return rows
