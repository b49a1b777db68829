"""Binance Spot through ccxt: the same market and account, held to the same cases by an adapter of another library."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from acceptance_world import Part
from binance_house import BinanceHouse
from ccxt.async_support.base import throttler

from libs.venues.base import MarketData, Trading
from libs.venues.registry import make_market_data, make_trading

VENUE = "ccxt:binance"


class CcxtHouse(BinanceHouse):
    """Bars are not streamed, and money from outside is not told."""

    title = VENUE
    parts = frozenset({Part.SIMULATOR, Part.QUOTES, Part.BOOK, Part.ASSETS, Part.PRIVATE})

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(throttler, "time", lambda: time.time())  # ccxt's pace belongs to the faster world too
            async with super().life():
                yield

    def make_market_data(self) -> MarketData:
        return make_market_data(VENUE, endpoint="simulator", endpoints=self.urls, simulator=True)

    def make_trading(self, **changes: Any) -> Trading:
        given: dict[str, Any] = {"credentials": self.credentials, "currency": "USDT"}
        return make_trading(VENUE, endpoint="simulator", endpoints=self.urls, simulator=True, **given | changes)
