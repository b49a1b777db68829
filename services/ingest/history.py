"""Answers for closed bars of the past, asked once of the venue however many want them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from libs.core.bars.joining import join_bars
from libs.core.bars.sessions import HALF_HOUR_S, SessionCalendar
from libs.core.types import DAY_S, Bar, Event, HistoryRequest, Nanos
from libs.venues.base import MarketData, VenueError, VenueRefused

FRESH_S: Final = 1.0
"""An answer about "now" is repeated this long."""

MOST: Final = 5000

Key = tuple[str, int, int, int]


class HistoryDesk:
    """Serves `req.history.<venue>`. `calendar_of`: symbol to calendar.

    Weeks, and days of a market that closes, are put together from shorter bars: venues disagree on where they begin.
    """

    def __init__(self, market: MarketData, calendar_of: Callable[[str], SessionCalendar]) -> None:
        self._market, self._calendar_of = market, calendar_of
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
            question = self._bars(request.symbol, request.interval_s, request.count, request.end)
            self._answers[key] = (now, asyncio.get_running_loop().create_task(question))
        asked = self._answers[key][1]
        try:
            return list(await asyncio.shield(asked))
        except VenueError:
            self._answers.pop(key, None)
            raise

    async def _bars(self, symbol: str, interval_s: int, count: int, end: Nanos) -> list[Bar]:
        calendar = self._calendar_of(symbol)
        always = calendar.name == "always"
        if interval_s < DAY_S or (interval_s == DAY_S and always):
            return await self._market.history_bars(symbol, interval_s, count, end)
        part_s = DAY_S if always else HALF_HOUR_S
        wanted = min(MOST, (count + 1) * interval_s // part_s)
        parts = await self._market.history_bars(symbol, part_s, wanted, end)
        return join_bars(parts, interval_s, calendar)[-count:]
