"""Venues themselves under test, on play money: no simulator, no faults, prices from the venue's own stream.

Nothing here is reached without being asked for: ACCEPTANCE_ACCOUNTS=1 and the credentials of a demo or testnet account.
ACCEPTANCE_URLS may name other addresses for a venue, as JSON: {"binance": {"rest": "http://..."}}.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from acceptance_world import House, Part, Tape, eventually, patiently, place, streaming
from alpaca_house import AlpacaHouse
from binance_house import BinanceHouse
from deriv_house import DerivHouse, DerivOptionsHouse

from libs.core.types import Instrument, Side
from libs.venues.base import MarketData, Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading

ASKED = "ACCEPTANCE_ACCOUNTS"
ELSEWHERE = frozenset({Part.SIMULATOR, Part.TRANSFERS})
"""Parts that only a simulator has."""


def given(*names: str) -> str:
    """Why an account cannot be used; "" when it was asked for and all of `names` are set."""
    missing = [name for name in names if not os.environ.get(name)]
    if os.environ.get(ASKED) != "1":
        return f"{ASKED}=1 is needed to trade at a demo account"
    return f"{', '.join(missing)} must be set" if missing else ""


class AtVenue(House):
    """Everything that a house takes from its simulator, taken from the venue instead. `address`: api and endpoint."""

    api = ""
    needed: tuple[str, ...] = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._quotes: dict[str, Any] = {}

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        try:
            yield
            if self.found is not None and self.orders and Part.CONTRACTS in self.parts:
                await self._tidy(self.found)
        finally:
            await self.close()

    async def _tidy(self, found: frozenset[str]) -> None:
        """Close the contracts that the case left open, and none that it found."""
        trading = self.trading()
        left = [position for position in await patiently(trading.open_positions) if position.id not in found]
        if left:
            instrument = await self.instrument()
            for position in left:
                order = self.exit(self.entry(instrument, position.side), instrument, position.quantity, position.id)
                await place(trading, order, instrument, position.id)

    @property
    def places(self) -> dict[str, Any]:
        """Where it is reached."""
        urls = json.loads(os.environ.get("ACCEPTANCE_URLS", "{}")).get(self.venue, {})
        return {"api": self.api, "endpoint": "testnet", "endpoints": urls}

    def make_market_data(self) -> MarketData:
        return make_market_data(self.venue, **self.places, credentials=self.credentials)

    def make_trading(self, **changes: Any) -> Trading:
        same: dict[str, Any] = {"credentials": self.credentials, "currency": self.currency}
        return make_trading(self.venue, **self.places, **same | changes)

    async def instrument(self) -> Instrument:
        """The instrument; its best prices are looked up with it."""
        adapter, tape = self.market_data(), Tape()
        (found,) = await adapter.instruments([self.symbol])
        async with streaming(adapter, [self.symbol], tape):
            await eventually(lambda: tape.quotes.get(self.symbol), "a quote")
        self._quotes[self.symbol] = tape.quotes[self.symbol][-1]
        return found

    def best(self, symbol: str, side: Side) -> Decimal:
        quote = self._quotes[symbol]
        return Decimal(repr(quote.ask if side is Side.BUY else quote.bid))


class BinanceTestnet(AtVenue, BinanceHouse):
    """BINANCE_API_KEY and BINANCE_SECRET_KEY of testnet.binance.vision."""

    title = "binance testnet"
    parts = BinanceHouse.parts - ELSEWHERE
    api, currency = "spot", "USDT"
    needed = ("BINANCE_API_KEY", "BINANCE_SECRET_KEY")

    @property
    def credentials(self) -> Credentials:
        return Credentials(key=os.environ["BINANCE_API_KEY"], secret=os.environ["BINANCE_SECRET_KEY"])


class AlpacaPaper(AtVenue, AlpacaHouse):
    """ALPACA_API_KEY and ALPACA_SECRET_KEY of a paper account."""

    title = "alpaca paper"
    parts = AlpacaHouse.parts - ELSEWHERE
    api, currency = "stocks", "USD"
    needed = ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")

    @property
    def credentials(self) -> Credentials:
        return Credentials(key=os.environ["ALPACA_API_KEY"], secret=os.environ["ALPACA_SECRET_KEY"])


class DerivDemo(AtVenue, DerivOptionsHouse):
    """DERIV_TOKEN and DERIV_APP_ID; the adapter itself chooses the demo account at this endpoint."""

    title = "deriv demo"
    parts = DerivHouse.parts - ELSEWHERE
    api, currency = "options", "USD"
    needed = ("DERIV_TOKEN", "DERIV_APP_ID")

    @property
    def credentials(self) -> Credentials:
        return Credentials(token=os.environ["DERIV_TOKEN"], app_id=os.environ["DERIV_APP_ID"])
