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
    """Rules by symbol. An order waits for them only when there are none, and for one fetch with all others."""

    def __init__(self, rest: BinanceRest) -> None:
        self._rest = rest
        self._rules: dict[str, Rules] = {}
        self._fetched: dict[str, float] = {}
        self._fetching: dict[str, asyncio.Task[Rules]] = {}

    async def of(self, symbol: str, priority: Priority) -> Rules:
        """The rules of `symbol`. Raises VenueRefused (unknown symbol), VenueUnavailable."""
        rules = self._rules.get(symbol)
        if rules is None:
            return await asyncio.shield(self._fetch(symbol, priority))
        if time.monotonic() - self._fetched[symbol] > FRESH_S:
            self._fetch(symbol, Priority.DATA)
        return rules

    def forget(self, symbol: str) -> None:
        """The venue refused what these rules let through: they have changed."""
        self._rules.pop(symbol, None)

    def _fetch(self, symbol: str, priority: Priority) -> asyncio.Task[Rules]:
        task = self._fetching.get(symbol)
        if task is None:
            task = self._fetching[symbol] = asyncio.create_task(self._fetched_rules(symbol, priority))
            task.add_done_callback(lambda done: self._done(symbol, done))
        return task

    def _done(self, symbol: str, task: asyncio.Task[Rules]) -> None:
        del self._fetching[symbol]
        # Where there are older rules they stand, and the next try is as far away as after a success.
        self._fetched[symbol] = time.monotonic()
        if not task.cancelled() and task.exception() is None:
            self._rules[symbol] = task.result()

    async def _fetched_rules(self, symbol: str, priority: Priority) -> Rules:
        info = await self._rest.exchange_info((symbol,), priority)
        row = next((row for row in info.symbols if row.symbol == symbol), None)
        if row is None:
            raise VenueRefused(f"Binance does not know {symbol}")
        return Rules(row, await self._reference(symbol, priority))

    async def _reference(self, symbol: str, priority: Priority) -> Decimal | None:
        """The average price, where it can be had: what depends on it is checked by the venue as well."""
        try:
            return await self._rest.average_price(symbol, priority)
        except VenueError:
            return None

    async def aclose(self) -> None:
        """Stop fetching."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
