"""Alpaca's market data: prints, quotes and bars of shares (IEX) and crypto assets, their past, and market hours."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from libs.core.types import MILLISECOND, SECOND, Bar, FeedState, Instrument, Nanos, Trade
from libs.venues.alpaca import codec, history
from libs.venues.alpaca.assets import AssetBook, instrument_of, is_crypto
from libs.venues.alpaca.codec import instant
from libs.venues.alpaca.feed import Feed
from libs.venues.alpaca.rest import AlpacaRest
from libs.venues.base import FeedSink, VenueError, VenueUnavailable
from libs.venues.budget import Budget
from libs.venues.checked import Absurd, line
from libs.venues.clock import OffsetEstimate
from libs.venues.credentials import Credentials
from libs.venues.pace import Backoff

CLOCK_S: Final = 10.0
HELD_S: Final = 10.0
LOOK_BACK_NS: Final = 3_600 * SECOND
"""How far back prints are looked for after one whose time is not remembered."""

REMEMBERED: Final = 1_000
STREAMS: Final = {False: "/v2/iex", True: "/v1beta3/crypto/us"}
"""Crypto or not to the path of the stream."""


class AlpacaMarketData:
    """Implements `MarketData`. `urls`: rest (trading API: listings and clock), data, stream_data."""

    name = codec.VENUE

    def __init__(self, urls: Mapping[str, str], credentials: Credentials, *, rng: random.Random | None = None) -> None:
        missing = [name for name in ("rest", "data", "stream_data") if not urls.get(name)]
        if missing:
            raise ValueError(f"alpaca needs an address for {', '.join(missing)}; set data.venues.urls")
        self._stream_url = urls["stream_data"].rstrip("/")
        self._credentials = credentials
        self._rest = AlpacaRest(urls["rest"], credentials, "requests")
        self._data = AlpacaRest(urls["data"], credentials, "data requests")
        self._assets = AssetBook(self._rest)
        self._rng = rng or random.Random()
        self._shares_trade = True
        self._newest: dict[str, deque[tuple[int, Nanos]]] = {}

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """Shares and crypto assets with exact steps; raises VenueRefused for one that Alpaca does not know."""
        now, shares_trade = await self._clock()
        self._assets.forget()
        listed = [await self._assets.of(symbol) for symbol in symbols] if symbols else await self._assets.all()
        return [instrument_of(asset, now, shares_trade=shares_trade) for asset in listed]

    async def _clock(self) -> tuple[Nanos, bool]:
        told = await self._rest.get("/v2/clock", codec.clock)
        try:
            return instant(told.timestamp), told.is_open
        except Absurd as err:
            raise VenueUnavailable(f"Alpaca's clock cannot be read: {err}") from err

    async def server_time(self) -> Nanos:
        now, _ = await self._clock()
        return now

    # --- what streams ------------------------------------------------------------------------------------------

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        """Prints, quotes and minute bars of `symbols` until cancelled; says when the exchanges open and close.

        Raises:
            VenueRefused: the key, or so many symbols, are not accepted.
        """
        wanted = list(dict.fromkeys(symbols))
        keeper = _Remembering(sink, self._newest)
        tasks = [asyncio.create_task(self._keep_clock(wanted, sink))]
        for crypto in (False, True):
            mine = [symbol for symbol in wanted if is_crypto(symbol) is crypto]
            if mine:
                tasks.append(asyncio.create_task(self._stay_connected(crypto, mine, keeper)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stay_connected(self, crypto: bool, symbols: Sequence[str], sink: FeedSink) -> None:
        backoff = Backoff(self._rng)

        def is_closed() -> bool:
            return not crypto and not self._shares_trade

        feed = Feed(f"{self._stream_url}{STREAMS[crypto]}", symbols, sink, self._credentials, is_closed)
        while True:
            began = time.monotonic()
            try:
                await feed.live()
            except VenueUnavailable as err:
                feed.lost(line(err))
            if time.monotonic() - began >= HELD_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _keep_clock(self, symbols: Sequence[str], sink: FeedSink) -> None:
        estimate, told_open = OffsetEstimate(MILLISECOND), True
        shares = [symbol for symbol in symbols if not is_crypto(symbol)]
        while True:
            sent = time.time_ns()
            try:
                venue, self._shares_trade = await self._clock()
            except VenueError as err:
                sink.status("*", "clock_unknown", str(err))
            else:
                now = time.time_ns()
                estimate.answered(sent, now, venue)
                closed = not self._shares_trade and len(shares) == len(symbols)
                state = FeedState.CLOSED if closed else FeedState.OPEN
                sink.clock(now + estimate.offset, now, extrapolate=True, speed=1.0, state=state)
                if told_open is not self._shares_trade:
                    told_open = self._shares_trade
                    for symbol in shares:
                        sink.status(symbol, "open" if told_open else "closed", "market hours")
            await asyncio.sleep(CLOCK_S)

    # --- what was ----------------------------------------------------------------------------------------------

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """Closed bars; [] for a length of which Alpaca has none. Minutes of shares without a print have no bar."""
        await self._assets.of(symbol)
        return await history.bars(self._data, symbol, interval_s, count, end or await self.server_time())

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        """Prints after `after_seq`, from its time on where that is remembered, else those of the last hour."""
        await self._assets.of(symbol)
        end = until or await self.server_time()
        start = next((at for seq, at in reversed(self._newest.get(symbol, ())) if seq <= after_seq), end - LOOK_BACK_NS)
        found = await history.trades(self._data, symbol, min(start, end), end)
        return [trade for trade in found if trade.seq > after_seq and trade.ts_event <= end]

    def budgets(self) -> tuple[Budget, ...]:
        return self._rest.budget, self._data.budget

    async def aclose(self) -> None:
        await self._rest.aclose()
        await self._data.aclose()


class _Remembering:
    """A sink before the sink: knows when the newest prints were, which history is asked by."""

    def __init__(self, sink: FeedSink, newest: dict[str, deque[tuple[int, Nanos]]]) -> None:
        self._newest = newest
        self._told = sink.trade
        self.quote, self.book, self.kline = sink.quote, sink.book, sink.kline
        self.clock, self.status, self.reject = sink.clock, sink.status, sink.reject

    def trade(self, symbol: str, trade: Trade, recv_ns: Nanos) -> None:
        self._newest.setdefault(symbol, deque(maxlen=REMEMBERED)).append((trade.seq, trade.ts_event))
        self._told(symbol, trade, recv_ns)
