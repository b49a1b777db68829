"""The parsers, as frames reach them in production: each takes one and says whether it made something of it.

What a parser may raise is what its callers handle; anything else ends the run. All state lives as long as the run, so
that what is kept of each frame shows as memory that grows.
"""

from __future__ import annotations

from tests.fuzz.corpus import Pools
from tests.fuzz.parsers_binance import Binance
from tests.fuzz.parsers_deriv import Deriv
from tests.fuzz.parsers_others import Alpaca, Ccxt


class Parsers:
    """Every parser by the name of its pool. Make it where an event loop runs."""

    def __init__(self) -> None:
        self._deriv, self._binance = Deriv(), Binance()
        self.takers = self._deriv.takers() | self._binance.takers() | Alpaca().takers() | Ccxt().takers()

    def fit(self, pools: Pools) -> None:
        """Fail unless each pool has its parser and each parser its pool."""
        assert pools.keys() == self.takers.keys(), sorted(pools.keys() ^ self.takers.keys())

    def check(self) -> None:
        """Fail when a connection or a stream ended."""
        self._deriv.check()
        self._binance.check()

    async def aclose(self) -> None:
        await self._deriv.aclose()
        await self._binance.aclose()
