"""The filters of the symbols that are traded, fetched once and kept fresh beside the orders."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Final

from libs.venues.base import VenueError, VenueRefused
from libs.venues.binance.filters import Rules
from libs.venues.binance.rest import BinanceRest
from libs.venues.budget import Priority

FRESH_S: Final = 300.0
"""Age at which rules and the average price, itself one of five minutes, are fetched anew."""


class Rulebook:
    """Rules by symbol. An order waits for them only when there are none."""

    def __init__(self, rest: BinanceRest) -> None:
        self._rest = rest
        self._rules: dict[str, Rules] = {}
        self._fetched: dict[str, float] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def of(self, symbol: str, priority: Priority) -> Rules:
        """The rules of `symbol`. Raises VenueRefused (unknown symbol), VenueUnavailable."""
        rules = self._rules.get(symbol)
        if rules is None:
            return await self._fetch(symbol, priority)
        if time.monotonic() - self._fetched[symbol] > FRESH_S and symbol not in self._refreshing:
            task = asyncio.create_task(self._refresh(symbol))
            self._refreshing[symbol] = task
            task.add_done_callback(lambda _: self._refreshing.pop(symbol, None))
        return rules

    def forget(self, symbol: str) -> None:
        """The venue refused what these rules let through: they have changed."""
        self._rules.pop(symbol, None)

    async def _fetch(self, symbol: str, priority: Priority) -> Rules:
        info = await self._rest.exchange_info((symbol,), priority)
        row = next((row for row in info.symbols if row.symbol == symbol), None)
        if row is None:
            raise VenueRefused(f"Binance does not know {symbol}")
        rules = self._rules[symbol] = Rules(row, await self._reference(symbol, priority))
        self._fetched[symbol] = time.monotonic()
        return rules

    async def _reference(self, symbol: str, priority: Priority) -> Decimal | None:
        """The average price, where it can be had: what depends on it is checked by the venue as well."""
        try:
            return await self._rest.average_price(symbol, priority)
        except VenueError:
            return None

    async def _refresh(self, symbol: str) -> None:
        try:
            await self._fetch(symbol, Priority.DATA)
        except VenueError:
            self._fetched[symbol] = time.monotonic()  # the old rules stand; the next try is as far away

    async def aclose(self) -> None:
        """Stop fetching."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
