"""Ingest: venue streams in, validated ticks, books, bars, clocks and feed health out; history on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from libs.common.chassis import Chassis
from libs.common.settings import Settings
from libs.common.settings.data import VenueSettings
from libs.core.bars import Reconciler
from libs.core.types import SECOND
from libs.venues.base import MarketData
from services.ingest.news import NewsDesk
from services.ingest.outgoing import Outgoing
from services.ingest.pollers import Pollers
from services.ingest.schedule import HistorySchedule
from services.ingest.settings import IngestSettings, connect
from services.ingest.venue import VenueFeed

Connect = Callable[[Settings, VenueSettings], MarketData]


class IngestApp:
    """Publishes md.*; serves req.history.<venue> and req.instruments.<venue>. `connect` makes a venue's adapter."""

    def __init__(self, chassis: Chassis, connect: Connect = connect) -> None:
        self._chassis = chassis
        self._connect = connect
        self._out = Outgoing(chassis.bus)
        self._news = NewsDesk(chassis, self._out)
        self._venues: list[VenueFeed] = []
        self._pollers = Pollers(chassis, self._out)
        self._schedule = HistorySchedule(chassis)

    async def start(self) -> None:
        """Open every venue. Raises FatalError when one cannot be: unknown symbol, nobody there, no such adapter."""
        settings = self._chassis.settings
        own = IngestSettings.of(settings)
        quality = settings.data.quality
        others = Reconciler(limit_bp=quality.reconcile_bp, lasts=int(quality.reconcile_s * SECOND))
        self._chassis.spawn(self._out.run(), "outgoing")
        for venue in settings.data.venues:
            symbols = list(dict.fromkeys(row.symbol for row in venue.symbols))
            market = self._connect(settings, venue)
            self._venues.append(VenueFeed(self._chassis, market, symbols, own, self._out, others))
        self._chassis.on_pause.append(self._set_paused)
        await asyncio.gather(self._pollers.start(), *(venue.start() for venue in self._venues))
        self._schedule.start()
        await self._news.start()

    def _set_paused(self, paused: bool) -> None:
        for venue in self._venues:
            venue.set_paused(paused)

    def not_ready(self) -> list[str]:
        """Symbols that lack fresh data; a closed market or an ended recording lacks nothing."""
        return [reason for venue in self._venues for reason in venue.not_ready()]

    async def drain(self) -> None:
        """Close the streams and hand everything gathered to the bus."""
        feeds = (venue.aclose() for venue in self._venues)
        await asyncio.gather(self._news.aclose(), self._schedule.aclose(), self._pollers.aclose(), *feeds)
        await self._out.flushed()

    def routes(self) -> APIRouter | None:
        return None

    def info(self) -> dict[str, Any]:
        """Counts per venue and symbol, and per source of headlines."""
        feeds = {venue.name: venue.info() for venue in self._venues}
        told = {"pollers": self._pollers.info(), "history": self._schedule.info(), "news": self._news.info()}
        return {"venues": feeds, **told}
