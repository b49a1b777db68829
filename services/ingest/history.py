"""Answers for closed bars of the past, asked once of the venue however many want them."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from libs.core.types import Bar, Event, HistoryRequest
from libs.venues.base import MarketData, VenueError, VenueRefused

FRESH_S: Final = 1.0
"""An answer about "now" is repeated this long."""

MOST: Final = 5000

Key = tuple[str, int, int, int]


class HistoryDesk:
    """Serves `req.history.<venue>`."""

    def __init__(self, market: MarketData) -> None:
        self._market = market
        self._answers: dict[Key, tuple[float, asyncio.Task[list[Bar]]]] = {}

    async def answer(self, request: Event) -> list[Event]:
        """Bars, oldest first. Raises VenueError, in words for the asker."""
        if not isinstance(request, HistoryRequest):
            raise VenueRefused(f"ask with a HistoryRequest, not with {type(request).__name__}")
        if request.interval_s <= 0 or not 0 < request.count <= MOST:
            raise VenueRefused(f"ask for 1 to {MOST} bars of a positive interval")
        key = (request.symbol, request.interval_s, request.count, request.end)
        now = time.monotonic()
        self._answers = {k: kept for k, kept in self._answers.items() if now - kept[0] < FRESH_S}
        if key not in self._answers:
            question = self._market.history_bars(request.symbol, request.interval_s, request.count, request.end)
            self._answers[key] = (now, asyncio.get_running_loop().create_task(question))
        asked = self._answers[key][1]
        try:
            return list(await asyncio.shield(asked))
        except VenueError:
            self._answers.pop(key, None)
            raise
