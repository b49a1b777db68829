"""Market data of any exchange that ccxt knows: streams where it has them, politely asked for where it has none."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ccxt

from libs.core.types import MILLISECOND, SECOND, Bar, FeedState, Instrument, Nanos, Trade
from libs.venues.base import FeedSink, VenueError, VenueUnavailable
from libs.venues.budget import Budget
from libs.venues.ccxt.exchange import close, make_exchange
from libs.venues.ccxt.feed import Feed, trade_of
from libs.venues.ccxt.markets import instrument_of, market_of
from libs.venues.ccxt.outcome import question
from libs.venues.ccxt.quirks import quirk_of
from libs.venues.checked import Absurd, bar_of, price, size, stamp
from libs.venues.clock import OffsetEstimate
from libs.venues.credentials import Credentials
from libs.venues.pace import Backoff

CLOCK_S: Final = 10.0
HELD_S: Final = 10.0
CANDLES: Final = 300
"""Asked for at once; an exchange that gives fewer is asked again."""

MOST_PAGES: Final = 200


class CcxtMarketData:
    """Implements `MarketData`. Raises ValueError for an exchange that ccxt does not know.

    `urls` (rest, ws, ws_api) move every address of the exchange; empty = its own. `sandbox`: its test network.
    """

    def __init__(
        self,
        exchange_id: str,
        urls: Mapping[str, str] | None = None,
        *,
        credentials: Credentials | None = None,
        sandbox: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self.name = f"ccxt:{exchange_id}"
        self._id, self._urls, self._sandbox = exchange_id, dict(urls or {}), sandbox
        self._credentials = credentials or Credentials()
        self._rng = rng or random.Random()
        self._quirk = quirk_of(exchange_id)
        self._rest = self._make(exact=True)

    def _make(self, **options: Any) -> Any:
        return make_exchange(self._id, self._urls, self._credentials, sandbox=self._sandbox, **options)

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Spot markets with exact steps; raises VenueRefused for those that the exchange does not list."""
        rest = self._rest
        async with question(rest):
            await rest.load_markets(True)
        now = await self.server_time()
        wanted = symbols or [market["id"] for market in rest.markets.values() if market.get("spot")]
        return [instrument_of(rest, symbol, market_of(rest, symbol), now) for symbol in wanted]

    async def _pair(self, symbol: str) -> str:
        """ccxt's name of `symbol`. Raises VenueRefused, VenueUnavailable."""
        async with question(self._rest):
            await self._rest.load_markets()
        return str(market_of(self._rest, symbol)["symbol"])

    # --- what streams ------------------------------------------------------------------------------------------

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        """Prints, books and the quotes on top of them until cancelled.

        Raises:
            VenueRefused: a symbol that the exchange does not list.
        """
        backoff = Backoff(self._rng)
        pairs: dict[str, str] = {}
        while not pairs:
            try:
                pairs = {symbol: await self._pair(symbol) for symbol in dict.fromkeys(symbols)}
            except VenueUnavailable as err:
                sink.status("*", "unreachable", str(err))
                await asyncio.sleep(backoff.next_s())
        feed = Feed(self.name, pairs, sink)
        clock = asyncio.create_task(self._keep_clock(feed))
        try:
            while True:
                began = time.monotonic()
                exchange = self._make(exact=False, budget=self._rest.budget, on_odd=feed.on_odd)
                try:
                    exchange.set_markets_from_exchange(self._rest)
                    reason = await feed.live(exchange)
                finally:
                    await close(exchange)
                feed.lost(reason)
                if time.monotonic() - began >= HELD_S:
                    backoff.reset()
                await asyncio.sleep(backoff.next_s())
        finally:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)

    async def _keep_clock(self, feed: Feed) -> None:
        estimate = OffsetEstimate(MILLISECOND)
        while True:
            sent = time.time_ns()
            try:
                venue = await self.server_time()
            except VenueError as err:
                feed.sink.status("*", "clock_unknown", str(err))
            else:
                now = time.time_ns()
                estimate.answered(sent, now, venue)
                feed.offset = estimate.offset
                state = FeedState.OPEN
                feed.sink.clock(now + estimate.offset, now, extrapolate=True, speed=1.0, state=state)
            await asyncio.sleep(CLOCK_S)

    # --- what was ----------------------------------------------------------------------------------------------

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """Closed candles; [] for a length of which the exchange has none."""
        pair = await self._pair(symbol)
        frame = next((name for name in self._rest.timeframes or {} if _seconds(name) == interval_s), None)
        if count <= 0 or frame is None:
            return []
        end_ms = (end or await self.server_time()) // SECOND // interval_s * interval_s * 1000
        start_ms = end_ms - count * interval_s * 1000
        found: dict[Nanos, Bar] = {}
        for _ in range(MOST_PAGES):
            async with question(self._rest):
                rows = await self._rest.fetch_ohlcv(pair, frame, start_ms, min(count, CANDLES))
            page = self._bars(symbol, interval_s, rows)
            found |= {bar.open_time: bar for bar in page if bar.ts_event <= end_ms * MILLISECOND}
            latest = max((bar.open_time for bar in page), default=0) // MILLISECOND
            if latest < start_ms or latest + interval_s * 1000 >= end_ms:
                break
            start_ms = latest + interval_s * 1000
        return [found[at] for at in sorted(found)][-count:]

    def _bars(self, symbol: str, interval_s: int, rows: Any) -> list[Bar]:
        try:
            return [
                bar_of(
                    self.name,
                    symbol,
                    interval_s,
                    stamp(row[0]),
                    (price(row[1]), price(row[2]), price(row[3]), price(row[4])),
                    volume=size(row[5]),
                )
                for row in rows
            ]
        except (Absurd, TypeError, IndexError, KeyError) as err:
            raise VenueUnavailable(f"{self.name}: candles of {symbol} cannot be read: {err}") from err

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        """Prints after sequence `after_seq`, as far back as the exchange tells; with 0, its newest page."""
        pair, quirk = await self._pair(symbol), self._quirk
        found: dict[int, Trade] = {}
        after = after_seq
        for _ in range(MOST_PAGES):
            pages = after and quirk.prints_after is not None and self._rest.apiKey
            params = quirk.prints_after(after) if pages and quirk.prints_after else {}
            async with question(self._rest):
                rows = await self._rest.fetch_trades(pair, None, quirk.prints, params)
            page = self._prints(symbol, rows, after_seq)
            found |= {trade.seq: trade for trade in page}
            newest = max((trade.seq for trade in page), default=0)
            if not params or newest <= after or (until and found[newest].ts_event > until):
                break
            after = newest
        return [found[seq] for seq in sorted(found) if not until or found[seq].ts_event <= until]

    def _prints(self, symbol: str, rows: Any, after_seq: int) -> list[Trade]:
        try:
            return [trade for row in rows if (trade := trade_of(row)).seq > after_seq]
        except (Absurd, TypeError, AttributeError) as err:
            raise VenueUnavailable(f"{self.name}: prints of {symbol} cannot be read: {err}") from err

    async def server_time(self) -> Nanos:
        """The exchange's clock; the machine's where it shows none."""
        if not self._rest.has.get("fetchTime"):
            return time.time_ns()
        async with question(self._rest):
            told = await self._rest.fetch_time()
        try:
            return stamp(told)
        except Absurd as err:
            raise VenueUnavailable(f"{self.name}: its time cannot be read: {err}") from err

    def budgets(self) -> tuple[Budget, ...]:
        return (self._rest.budget,)

    async def aclose(self) -> None:
        await close(self._rest)


def _seconds(timeframe: str) -> int:
    try:
        return int(ccxt.Exchange.parse_timeframe(timeframe))
    except (ValueError, TypeError, ccxt.NotSupported):  # a spelling that some exchange has beside the usual ones
        return 0
