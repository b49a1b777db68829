"""The contract of a venue adapter, on one page: market data in, orders out, nothing blocks, answers come as events."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from libs.core.types import Bar, FeedState, Instrument, Nanos, Order, Quote, Trade, VenueReport

Level = tuple[float, float]
"""Price in quote currency and size in base units."""


class VenueError(Exception):
    """Root of what a venue can answer with. The text is one line for people: what is wrong and what to do."""


class VenueUnavailable(VenueError):
    """Network, maintenance or rate limit: try again later with back-off."""


class VenueRefused(VenueError):
    """The venue answered no, with proof: the request had no effect. `code` is the venue's own."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class VenueUnresolved(VenueError):
    """Sent, and no proof either way: the order is unresolved until the venue has been asked."""


class FeedSink(Protocol):
    """Where an adapter's market data goes. Calls are cheap and never raise; `recv_ns` is the machine clock."""

    def trade(self, symbol: str, trade: Trade, recv_ns: Nanos) -> None:
        """A print (or a Deriv tick as a Trade of size 0)."""

    def quote(self, symbol: str, quote: Quote, recv_ns: Nanos) -> None:
        """A new best bid and ask."""

    def book(
        self,
        symbol: str,
        bids: Sequence[Level],
        asks: Sequence[Level],
        first_id: int,
        last_id: int,
        ts_event: Nanos,
        recv_ns: Nanos,
    ) -> None:
        """The top levels after a book update, best first; the update's ids at the venue."""

    def kline(self, bar: Bar, recv_ns: Nanos) -> None:
        """The venue's own closed bar (flags VENUE)."""

    def clock(self, ts_event: Nanos, recv_ns: Nanos, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        """The venue's clock at `recv_ns`; `extrapolate` False in a replay."""

    def status(self, symbol: str, event: str, detail: str) -> None:
        """Something happened to the feed of `symbol` ("*" = all): reconnect, resync, hole, closed, open."""

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        """A message that could not be used; `symbol` "" when it could not be told."""


class MarketData(Protocol):
    """Market data of one venue."""

    name: str

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        """What can be traded; only `symbols` when given. Raises VenueUnavailable, VenueRefused (unknown symbol)."""

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        """Feed `sink` until cancelled: one upstream subscription per symbol, reconnects with back-off and jitter."""

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        """The newest `count` closed bars that end at or before `end` (0 = now), oldest first (flags HISTORY).

        May be fewer than asked: what the venue has. Raises VenueUnavailable, VenueRefused.
        """

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        """Every print after venue sequence `after_seq` up to `until` (0 = now), oldest first."""

    async def server_time(self) -> Nanos:
        """The venue's clock now, ns UTC."""

    async def aclose(self) -> None:
        """Close every connection."""


class Trading(Protocol):
    """Orders of one account at one venue."""

    name: str

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """Place it once.

        Raises VenueRefused (proof of no effect), VenueUnresolved (no proof), VenueUnavailable (not sent).
        """

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """Close or sell the venue position that `order` exits. Raises as `submit`."""

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """What became of an order whose fate is unknown: [] = proven never placed, None = still unknown."""

    async def balance(self) -> tuple[Decimal, str]:
        """Cash and its currency."""

    async def open_positions(self) -> list[tuple[str, str]]:
        """Venue position id and symbol of everything open."""

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        """What has happened to an open venue position since it was opened (CLOSED once settled)."""

    async def aclose(self) -> None:
        """Close every connection."""
