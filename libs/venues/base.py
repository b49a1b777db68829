"""The contract of a venue adapter, on one page: market data in, orders out, nothing blocks, answers come as events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec

from libs.core.bars import Depth
from libs.core.types import Bar, FeedState, Instrument, Nanos, Order, Quote, Side, Trade, VenueReport
from libs.venues.budget import Budget
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved

__all__ = [
    "Discovery",
    "FeedSink",
    "Holds",
    "Level",
    "MarketData",
    "Offering",
    "PrivateSink",
    "Trading",
    "VenueError",
    "VenuePosition",
    "VenueRefused",
    "VenueUnavailable",
    "VenueUnresolved",
]

Level = tuple[float, float]
"""Price in quote currency and size in base units."""


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue offers on one symbol; None and empty where it does not say or the kind does not have it.

    Attributes:
        group: the venue's own grouping (submarket, quote asset). products: its contract or order types.
        verified: the venue confirmed it for this symbol, not only listed it; otherwise `note` says why not.
        price: newest, in quote currency. price_step, size_step: increments.
        min_size, max_size: per order, in base units or, with `multipliers`, stake. min_notional: price x size.
        fee_rate: fraction of the notional (price x size, or stake x multiplier) taken at entry.
        stop_out: fraction of the price that it may move against the lowest multiplier until the stake is lost.
    """

    symbol: str
    name: str
    group: str = ""
    is_open: bool = True
    verified: bool = False
    products: tuple[str, ...] = ()
    price: Decimal | None = None
    price_step: Decimal | None = None
    multipliers: tuple[int, ...] = ()
    fee_rate: Decimal | None = None
    min_size: Decimal | None = None
    max_size: Decimal | None = None
    size_step: Decimal | None = None
    min_notional: Decimal | None = None
    stop_out: Decimal | None = None
    note: str = ""


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
        depth: Depth | None = None,
    ) -> None:
        """The top levels after a book update, best first; the update's ids at the venue; `depth` asks for the rest."""

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

    def budgets(self) -> tuple[Budget, ...]:
        """The rate limits that it spends from."""

    async def aclose(self) -> None:
        """Close every connection."""


@runtime_checkable
class Discovery(Protocol):
    """An optional part of market data: what there is to choose from, before anything is configured."""

    async def offers(
        self, symbols: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None
    ) -> list[Offering]:
        """What the venue offers on `symbols` (None = all), asked within its limits: that may take minutes.

        `progress` is called with how many are done and how many there are. Raises VenueUnavailable, VenueRefused
        (unknown symbol).
        """


class Holds(StrEnum):
    """What an account of a venue is made of, and so what is compared with the ledger."""

    CONTRACTS = "contracts"  # each position is a contract of its own with an id; cash is one currency (Deriv)
    ASSETS = "assets"  # positions are balances of assets beside the cash (spot, shares)


class VenuePosition(msgspec.Struct, frozen=True):
    """A contract that the venue holds for us. `quantity`: its stake; `opened` ns UTC, 0 when unknown."""

    id: str
    symbol: str
    side: Side
    quantity: Decimal
    opened: Nanos = 0


class PrivateSink(Protocol):
    """Where the private stream of an account goes. Calls return once the ledger has what they tell."""

    async def report(self, report: VenueReport) -> None:
        """Something happened to an order or a position of ours; the same one may be told several times."""

    async def transfer(self, asset: str, amount: Decimal, ts_event: Nanos, identity: str) -> None:
        """Money moved without an order: a deposit, a withdrawal, a top-up. `identity` is the venue's own."""

    async def resumed(self, detail: str) -> None:
        """The private stream is (again) complete from here on, and was not before: reconcile everything open."""


class Trading(Protocol):
    """Orders of one account at one venue.

    Reports are facts, and repeating one is harmless: a FILLED report carries the venue's trade id, and an order that
    ended with a part unfilled gets a CANCELLED report after its fills.
    """

    name: str
    holds: Holds

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """Place it once: it may fill up to `order.quantity`, never beyond `order.worst_price`, and does not rest.

        Raises VenueRefused (proof of no effect), VenueUnresolved (no proof), VenueUnavailable (not sent).
        """

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """Close at market what `order` exits: the contract, or `order.quantity` of an asset. Raises as `submit`."""

    async def cancel(self, order: Order) -> list[VenueReport]:
        """Cancel what of `order` still works at the venue; [] where nothing rests. Raises as `submit`."""

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """What became of an order whose fate is unknown: [] = proven never placed, None = still unknown.

        `order.ts_event` says when it was sent. One that still works at the venue is told as ACKNOWLEDGED.
        """

    async def balance(self) -> tuple[Decimal, str]:
        """Cash of the account, free and locked, and its currency."""

    async def balances(self) -> dict[str, Decimal]:
        """Every asset held, free and locked together, cash among them.

        By the name that `Instrument.base` has for it: under that name the ledger expects what was bought.
        """

    async def open_positions(self) -> list[VenuePosition]:
        """Every contract held; [] where the account holds assets."""

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        """What has happened to an open contract since it was opened (CLOSED once settled); [] for assets."""

    async def listen(self, sink: PrivateSink) -> None:
        """Follow the account's private stream until cancelled: reconnects with back-off, and says `resumed` each time.

        Raises VenueRefused when the credentials are not accepted.
        """

    def budgets(self) -> tuple[Budget, ...]:
        """The rate limits that it spends from."""

    async def aclose(self) -> None:
        """Close every connection."""
