"""Two venues that carry the same symbol: do they agree on its price, and if not, since when."""

from __future__ import annotations

from itertools import combinations
from typing import Final, NamedTuple

from libs.core.types import SECOND, Nanos

LIMIT_BP: Final = 50.0
LASTS: Final[Nanos] = 5 * SECOND

SAME_MOMENT: Final[Nanos] = 5 * SECOND
"""Prices whose data times lie further apart are not compared: a recording tells nothing about a live market."""


class Disagreement(NamedTuple):
    """`venue` and `other` differ on a symbol by `bp` basis points, and have since data time `since`."""

    venue: str
    other: str
    bp: float
    since: Nanos


class Reconciler:
    """Compares the prices of all venues, by the canonical names of symbols.

    A difference counts when it was above `limit_bp` for `lasts` of data time without a break.
    """

    def __init__(self, *, limit_bp: float = LIMIT_BP, lasts: Nanos = LASTS) -> None:
        self._limit, self._lasts = limit_bp, lasts
        self._prices: dict[str, dict[str, tuple[float, Nanos]]] = {}
        self._since: dict[tuple[str, str, str], Nanos] = {}

    def note(self, canonical: str, venue: str, price: float, ts_event: Nanos) -> None:
        """The newest price of a symbol at `venue`: the middle of its quote, or its last print."""
        self._prices.setdefault(canonical, {})[venue] = (price, ts_event)

    def differing(self, canonical: str) -> list[Disagreement]:
        """The venues that have disagreed for long enough, as of the newest prices noted."""
        found = []
        for (venue, (one, at)), (other, (two, there)) in combinations(self._prices.get(canonical, {}).items(), 2):
            key, now = (canonical, venue, other), max(at, there)
            bp = abs(one - two) / ((one + two) / 2) * 10_000
            if abs(at - there) > SAME_MOMENT or bp <= self._limit:
                self._since.pop(key, None)
                continue
            since = self._since.setdefault(key, now)
            if now - since >= self._lasts:
                found.append(Disagreement(venue, other, bp, since))
        return found
