"""Deriv's market data: ticks as prints and quotes, history as bars, symbols as instruments, its clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from libs.core.types import SECOND, Bar, Instrument, Nanos, Trade
from libs.venues.base import FeedSink, VenueRefused, VenueUnavailable
from libs.venues.clock import OffsetEstimate
from libs.venues.deriv.client import Connection, DerivClient
from libs.venues.deriv.codec import Codec
from libs.venues.deriv.feed import TickFeed
from libs.venues.deriv.history import GRANULARITIES, PAGE, candle_bars, tick_bars, tick_points, trades_of
from libs.venues.deriv.instruments import instrument_of
from libs.venues.deriv.model import Listing, Offer
from libs.venues.pace import Backoff

HELD_S: Final = 10.0
"""A connection that lived this long held; shorter lives keep lengthening the back-off."""


class DerivMarketData:
    """Implements `MarketData`."""

    name = "deriv"

    def __init__(self, url: str, codec: Codec, *, currency: str = "USD", rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._client = DerivClient(url, codec, rng=self._rng)
        self._currency = currency

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Symbols as instruments; raises VenueRefused for one that Deriv does not list."""
        listings = {row.symbol: row for row in await self._client.call(self._client.codec.listings())}
        unknown = [symbol for symbol in symbols if symbol not in listings]
        if unknown:
            raise VenueRefused(f"Deriv does not list {', '.join(unknown)}; see active_symbols", "InvalidSymbol")
        wanted = [listings[symbol] for symbol in symbols or listings]
        offers = await asyncio.gather(*(self._offer(row) for row in wanted))
        now = time.time_ns()
        return [instrument_of(row, offer, self._currency, now) for row, offer in zip(wanted, offers, strict=True)]

    async def _offer(self, listing: Listing) -> Offer | None:
        try:
            return await self._client.call(self._client.codec.offer(listing.symbol))
        except VenueRefused:
            return None

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        """Ticks of `symbols` until cancelled; a hole after a reconnect is told, and filled by whoever asks history."""
        clock = OffsetEstimate(SECOND)
        backoff = Backoff(self._rng)
        lost = ""
        while True:
            feed = TickFeed(symbols, sink, clock)
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                connection = await self._client.open_stream(feed.on_tick, feed.on_odd)
                try:
                    lost = await self._serve(connection, feed, lost)
                finally:
                    await connection.close()
                sink.status("*", "disconnect", lost)
            except VenueUnavailable as err:
                sink.status("*", "unreachable", str(err))
                lost = lost or str(err)
            if loop.time() - began >= HELD_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _serve(self, connection: Connection, feed: TickFeed, lost: str) -> str:
        """Subscribe and stay until the connection ends; the reason why it did."""
        codec = self._client.codec
        await feed.subscribe(connection, codec)
        if lost:
            feed.sink.status("*", "reconnect", f"after: {lost}")
        tasks = [
            asyncio.create_task(feed.keep_clock(connection, codec)),
            asyncio.create_task(feed.keep_hours(connection, codec)),
        ]
        try:
            return await asyncio.shield(connection.ended)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """Closed bars: candles from a minute up, shorter ones built from ticks (flat and EMPTY without one)."""
        end_s = (end or await self.server_time()) // SECOND
        end_s -= end_s % interval_s
        if count <= 0:
            return []
        make = candle_bars if interval_s in GRANULARITIES else tick_bars
        return await make(self._client, symbol, interval_s, count, end_s)

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        """Ticks after epoch second `after_seq`; with 0, the newest page only."""
        end_s = (until or await self.server_time()) // SECOND
        if after_seq <= 0:
            return trades_of(await tick_points(self._client, symbol, 1, end_s, PAGE))
        return trades_of(await tick_points(self._client, symbol, after_seq + 1, end_s))

    async def server_time(self) -> Nanos:
        """Deriv's clock, which tells whole seconds."""
        return await self._client.call(self._client.codec.time()) * SECOND

    async def aclose(self) -> None:
        await self._client.aclose()
