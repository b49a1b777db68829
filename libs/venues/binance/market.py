"""Binance's market data: streams that survive disconnects, renewals and shutdowns; history and instruments by REST."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from libs.core.types import Bar, Instrument, Nanos, Trade
from libs.venues.base import FeedSink, Offering, VenueError, VenueRefused, VenueUnavailable
from libs.venues.binance import history, offers
from libs.venues.binance.connection import StreamConnection
from libs.venues.binance.exchange_info import instrument_of
from libs.venues.binance.feed import MarketFeed
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.signing import signer_of
from libs.venues.budget import Budget, Priority
from libs.venues.credentials import Credentials
from libs.venues.pace import Backoff, together

CLOCK_S: Final = 10.0
RENEW_S: Final = 23 * 3600.0
"""The venue cuts a stream at 24 h; it is replaced before that."""

HELD_S: Final = 10.0
"""A connection that lived this long held; shorter lives keep lengthening the back-off."""

UNKNOWN_SYMBOL: Final = "-1121"
MOST_STREAMS: Final = 1024
"""Streams that one connection may carry."""


class BinanceMarketData:
    """Implements `MarketData` for Spot. `simulator`: also follow the simulator's in-band clock, and no other."""

    name = "binance"

    def __init__(
        self,
        rest_url: str,
        ws_url: str,
        *,
        simulator: bool = False,
        kline_intervals: Sequence[int] = (60,),
        renew_s: float = RENEW_S,
        rng: random.Random | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """`credentials`: for the account's own fees in `offers`; nothing else here needs any."""
        self._credentials = credentials or Credentials()
        self._rest = BinanceRest(rest_url)
        self._ws_url = ws_url
        self._simulator = simulator
        self._intervals = tuple(kline_intervals)
        self._renew_s = renew_s
        self._rng = rng or random.Random()

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Spot symbols with exact steps; raises VenueRefused for one that Binance does not know."""
        try:
            info = await self._rest.exchange_info(tuple(symbols))
        except VenueRefused as err:
            if err.code != UNKNOWN_SYMBOL:
                raise
            unknown = [symbol for symbol in symbols if not await self._is_known(symbol)]
            raise VenueRefused(f"Binance does not know {', '.join(unknown)}", err.code) from err
        by_symbol = {row.symbol: row for row in info.symbols}
        wanted = symbols or by_symbol
        return [instrument_of(by_symbol[name], info.serverTime, simulator=self._simulator) for name in wanted]

    async def _is_known(self, symbol: str) -> bool:
        try:
            return bool((await self._rest.exchange_info((symbol,))).symbols)
        except VenueRefused as err:
            if err.code != UNKNOWN_SYMBOL:
                raise
            return False

    async def offers(
        self, symbols: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None
    ) -> list[Offering]:
        """Spot symbols (None = all) with price, steps, limits, and the fee where credentials are given."""
        known = self._credentials
        try:
            signer = signer_of(known) if known.key and (known.secret or known.private_key) else None
        except ValueError as err:
            raise VenueRefused(str(err)) from err
        found = await self.instruments(symbols or ())
        return await offers.offers(self._rest, signer, found, each=bool(symbols), progress=progress)

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        """Trades, quotes, books and closed klines of `symbols` until cancelled.

        Raises:
            VenueRefused: more symbols than one connection can carry.
        """
        feed = MarketFeed(symbols, self._intervals, self._simulator, sink, self._rest)
        if len(feed.streams) > MOST_STREAMS:
            raise VenueRefused(f"{len(feed.streams)} streams are more than the {MOST_STREAMS} of one connection")
        clock = [] if self._simulator else [self._keep_clock(feed)]
        try:
            await together(self._stay_connected(feed), *clock)
        finally:
            await feed.aclose()

    async def _stay_connected(self, feed: MarketFeed) -> None:
        backoff = Backoff(self._rng)
        loop = asyncio.get_running_loop()
        current: StreamConnection | None = None
        lost = ""
        try:
            while True:
                try:
                    fresh = await self._connect(feed, current)
                except VenueUnavailable as err:
                    if current is None or not current.is_alive:
                        feed.sink.status("*", "unreachable", str(err))
                        lost = lost or str(err)
                    await asyncio.sleep(backoff.next_s())
                    continue
                began = loop.time()
                if current is not None:
                    await current.close()
                current = fresh
                if lost:
                    feed.sink.status("*", "reconnect", f"after: {lost}")
                lost = await self._reason_to_leave(current)
                if loop.time() - began >= HELD_S:
                    backoff.reset()
                if not current.is_alive:
                    feed.sink.status("*", "disconnect", lost)
                    await asyncio.sleep(backoff.next_s())
        finally:
            if current is not None:
                await current.close()

    async def _connect(self, feed: MarketFeed, predecessor: StreamConnection | None) -> StreamConnection:
        await self._rest.limits.take_connection(Priority.DATA)
        connection = StreamConnection(feed.on_data, feed.on_odd, successor_of=predecessor)
        try:
            await connection.open(self._ws_url)
            await connection.subscribe(feed.streams)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _reason_to_leave(self, connection: StreamConnection) -> str:
        try:
            async with asyncio.timeout(self._renew_s):
                return await asyncio.shield(connection.leaving)
        except TimeoutError:
            return f"renewed after {self._renew_s / 3600:g} h"

    async def _keep_clock(self, feed: MarketFeed) -> None:
        while True:
            sent = time.time_ns()
            try:
                venue = await self._rest.server_time()
            except VenueError as err:
                feed.sink.status("*", "clock_unknown", str(err))
            else:
                feed.clock.answered(sent, time.time_ns(), venue)
            await asyncio.sleep(CLOCK_S)

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """Closed klines; a length without klines of its own is put together from shorter ones."""
        return await history.bars(self._rest, symbol, interval_s, count, end or await self.server_time())

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        """Prints after trade id `after_seq`; with 0, the newest page only."""
        return await history.trades(self._rest, symbol, after_seq, until)

    async def server_time(self) -> Nanos:
        return await self._rest.server_time()

    def budgets(self) -> tuple[Budget, ...]:
        return self._rest.limits.budgets()

    async def aclose(self) -> None:
        await self._rest.aclose()
