"""Deriv's market data: ticks as prints and quotes, history as bars, symbols as instruments, its clock."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from libs.core.types import SECOND, Bar, Instrument, Nanos, Trade
from libs.venues.base import FeedSink, Offering, VenueRefused, VenueUnavailable
from libs.venues.budget import Budget, Priority
from libs.venues.clock import OffsetEstimate
from libs.venues.deriv.client import MIGRATED, Connection, DerivClient
from libs.venues.deriv.codec import codec_for
from libs.venues.deriv.door import public_door
from libs.venues.deriv.feed import TickFeed
from libs.venues.deriv.history import GRANULARITIES, PAGE, candle_bars, tick_bars, tick_points, trades_of
from libs.venues.deriv.instruments import instrument_of
from libs.venues.deriv.model import Listing, Offer, Site
from libs.venues.deriv.offers import offering_of, question
from libs.venues.pace import Backoff, together

HELD_S: Final = 10.0
"""A connection that lived this long held; shorter lives keep lengthening the back-off."""


class DerivMarketData:
    """Implements `MarketData`."""

    name = "deriv"

    def __init__(
        self,
        urls: Mapping[str, str],
        api: str = "v3",
        *,
        currency: str = "USD",
        app_id: str = "",
        rng: random.Random | None = None,
    ) -> None:
        """`urls`: "ws", for the Options API without its last part (public). `app_id`: v3, where the address has none.

        Raises:
            ValueError: an unknown `api`; one line.
        """
        self._rng = rng or random.Random()
        codec = codec_for(api)
        self._client = DerivClient(public_door(urls, api, app_id), codec, codec.limits(), rng=self._rng)
        self._currency = currency
        self._told_migrated = False

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Symbols as instruments; raises VenueRefused for one that Deriv does not list."""
        wanted = await self._listed(symbols)
        offers = await asyncio.gather(*(self._offer(row) for row in wanted))
        now = time.time_ns()
        return [instrument_of(row, offer, self._currency, now) for row, offer in zip(wanted, offers, strict=True)]

    async def _listed(self, symbols: Sequence[str]) -> list[Listing]:
        listings = {row.symbol: row for row in await self._client.call(self._client.codec.listings())}
        unknown = [symbol for symbol in symbols if symbol not in listings]
        if unknown:
            raise VenueRefused(f"Deriv does not list {', '.join(unknown)}; see active_symbols", "InvalidSymbol")
        return [listings[symbol] for symbol in symbols or listings]

    async def _offer(self, listing: Listing) -> Offer | None:
        try:
            return await self._client.call(self._client.codec.offer(listing.symbol))
        except VenueRefused:
            return None

    async def offers(
        self, symbols: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None
    ) -> list[Offering]:
        """What can be traded on `symbols` (None = all): two questions each, as fast as the rate limits let them."""
        wanted = await self._listed(symbols or ())
        found: list[Offering] = []
        for listing in wanted:
            found.append(await self._offering(listing))
            if progress is not None:
                progress(len(found), len(wanted))
        return found

    async def _offering(self, listing: Listing) -> Offering:
        codec = self._client.codec
        try:
            offer = await self._client.call(codec.offer(listing.symbol))
        except VenueRefused as err:
            return offering_of(listing, None, None, str(err))
        ask = question(listing, offer, self._currency)
        if ask is None:
            return offering_of(listing, offer, None, "no multiplier is offered in both directions")
        try:
            proposal = await self._client.call(codec.proposal(ask), priority=Priority.DATA)
        except VenueRefused as err:
            return offering_of(listing, offer, None, f"no price: {err}")
        return offering_of(listing, offer, proposal, "")

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
        await together(
            _end_of(connection),
            feed.keep_clock(connection, codec),
            feed.keep_hours(connection, codec),
            self._follow_site(connection, feed.sink),
        )
        return connection.ended.result()

    async def _follow_site(self, connection: Connection, sink: FeedSink) -> None:
        await self._client.follow_site(connection, partial(self._heard, sink))
        await _end_of(connection)

    def _heard(self, sink: FeedSink, site: Site) -> None:
        """What the venue says of itself: told when it is not up, and, once, when it wants us to move."""
        if site.status != "up":
            sink.status("*", "maintenance", f"Deriv says that its site is {site.status}")
        if site.has_migrated and not self._told_migrated:
            self._told_migrated = True
            sink.status("*", "migrated", MIGRATED)

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

    def budgets(self) -> tuple[Budget, ...]:
        """Deriv's buckets of calls; this process's share of what the user has."""
        return self._client.budgets()

    async def aclose(self) -> None:
        await self._client.aclose()


async def _end_of(connection: Connection) -> None:
    await asyncio.wait([connection.ended])
