"""Binance Spot under test: BTCUSDT and ETHUSDT of the seeded model, one account with an HMAC key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from acceptance_world import House, Part, filled

from libs.core.types import Instrument, ReportKind, Side, VenueReport
from libs.venues.base import MarketData, Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading
from services.simulator.binance.book import Book
from services.simulator.binance.publisher import Publisher
from services.simulator.binance.server import ACCOUNT

UNIT = Decimal(10) ** 8
DEEP = 40
"""Levels of each book that are kept to compare with."""


def amount(units: int) -> Decimal:
    """From the engine's 1e-8."""
    return Decimal(units) / UNIT


class BinanceHouse(House):
    """Spot."""

    title = "binance"
    parts = frozenset({Part.SIMULATOR, Part.QUOTES, Part.BOOK, Part.KLINES, Part.ASSETS, Part.TRANSFERS, Part.PRIVATE})
    symbol, other = "BTCUSDT", "ETHUSDT"
    entries = exits = ("order.place", "POST /api/v3/order")
    histories = ("GET /api/v3/klines",)
    balances_calls = ("account.status", "GET /api/v3/account")
    soaked = ("BTCUSDT", "ETHUSDT")
    streams = ("btcusdt@*", "ethusdt@*")
    speed = 50.0
    venue = "binance"
    WRONG = "wrongkey0000wrongkey"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._books: dict[int, tuple[list[Any], list[Any]]] = {}

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        depth = Publisher.depth

        def followed(publisher: Any, event_ms: int, first_id: int, last_id: int, book: Book, *changes: Any) -> None:
            if publisher.symbol == self.symbol:
                sides = book.top(DEEP)
                self._books[last_id] = tuple([(amount(p), amount(q)) for p, q in side] for side in sides)  # type: ignore[assignment]
            depth(publisher, event_ms, first_id, last_id, book, *changes)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Publisher, "depth", followed)
            async with super().life():
                yield

    @property
    def urls(self) -> dict[str, str]:
        binance = self.simulator.binance
        return {"rest": binance.rest_url, "ws": binance.ws_url, "ws_api": binance.ws_api_url}

    @property
    def credentials(self) -> Credentials:
        return Credentials(key=self.simulator.state.key, secret=self.simulator.state.secret)

    def wrong_credentials(self) -> Credentials:
        return Credentials(key=self.WRONG, secret=self.WRONG)

    def make_market_data(self) -> MarketData:
        return make_market_data("binance", endpoint="simulator", endpoints=self.urls, simulator=True)

    def make_trading(self, **changes: Any) -> Trading:
        given: dict[str, Any] = {"credentials": self.credentials, "currency": "USDT"}
        return make_trading("binance", endpoint="simulator", endpoints=self.urls, simulator=True, **given | changes)

    # --- orders --------------------------------------------------------------------------------------------------

    def quantity(self, instrument: Instrument) -> Decimal:
        """Worth some two hundred of the quote currency."""
        lots = (Decimal(200) / self.best(instrument.symbol, Side.BUY) / instrument.qty_step).to_integral_value()
        return lots * instrument.qty_step

    def far(self, instrument: Instrument, side: Side) -> Decimal:
        """A tenth beyond the best price: within the venue's own rule for prices."""
        best = self.best(instrument.symbol, side)
        return self.on_grid(instrument, best * (Decimal("1.1") if side is Side.BUY else Decimal("0.9")))

    def on_grid(self, instrument: Instrument, price: Decimal) -> Decimal:
        return price // instrument.price_step * instrument.price_step

    def best(self, symbol: str, side: Side) -> Decimal:
        """The price at which an order of this side trades first."""
        bids, asks = self.simulator.binance.feed.depth(symbol).top(1)
        return amount((asks if side is Side.BUY else bids)[0][0])

    def sellable(self, instrument: Instrument, reports: list[VenueReport]) -> Decimal:
        """What came in, less what was taken from it as a fee, in whole lots."""
        fees = {r.trade_id: r.fee for r in reports if r.kind is ReportKind.FILLED and r.fee_asset == instrument.base}
        net = filled(reports) - sum(fees.values(), Decimal(0))
        return net // instrument.qty_step * instrument.qty_step

    def too_small(self, instrument: Instrument) -> Decimal:
        return instrument.qty_step

    def impoverish(self) -> None:
        self.simulator.binance.exchange.deposit(ACCOUNT, "USDT", Decimal("-9999"))

    def out_of_reach(self, instrument: Instrument, side: Side) -> Decimal:
        best = self.best(instrument.symbol, side)
        return self.on_grid(instrument, best * (Decimal("0.97") if side is Side.BUY else Decimal("1.03")))

    def more_than_there_is(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """A quantity beyond what stands within a limit of one per mille, with the money to pay it."""
        limit = self.on_grid(instrument, self.best(instrument.symbol, Side.BUY) * Decimal("1.001"))
        asks = self.simulator.binance.feed.depth(instrument.symbol).asks
        there = sum((amount(qty) for price, qty in asks.items() if amount(price) <= limit), Decimal(0))
        quantity = (3 * there + 1) // instrument.qty_step * instrument.qty_step
        self.simulator.binance.exchange.deposit(ACCOUNT, "USDT", (quantity * limit).quantize(Decimal(1)) + 1)
        return quantity, limit

    async def deposit(self) -> Decimal:
        moved = Decimal("12.34567891")
        self.simulator.binance.exchange.deposit(ACCOUNT, "USDT", moved)
        return moved

    # --- truth ---------------------------------------------------------------------------------------------------

    def follow_books(self) -> dict[int, tuple[list[Any], list[Any]]]:
        """The venue's books by update id, as they come to be."""
        return self._books

    def truth_balances(self) -> dict[str, Decimal]:
        answer = self.simulator.binance.exchange.account(ACCOUNT, omit_zero=True)
        return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in answer["balances"]}

    def _fills(self) -> list[dict[str, Any]]:
        return [line for line in self.record("fill") if line["account"] == ACCOUNT]

    def truth_executed(self) -> int:
        return len({(line["symbol"], line["order"]) for line in self._fills()})

    def truth_executions(self) -> int:
        return len(self._fills())

    def truth_working(self) -> int:
        return len(self.simulator.binance.exchange.open_orders(ACCOUNT, None))

    def truth_positions(self) -> set[str]:
        return set()

    def truth_prints(self, symbol: str) -> dict[int, tuple[Decimal, int]]:
        return {
            line["seq"]: (Decimal(line["price"]), line["ts"])
            for line in self.record("trade")
            if line["symbol"] == symbol
        }

    def overruns(self) -> int:
        return self.simulator.binance.limits.refusals

    def listed(self) -> dict[str, Any]:
        return {
            "price_step": Decimal("0.01"),
            "qty_step": Decimal("0.00001"),
            "min_qty": Decimal("0.00001"),
            "min_notional": Decimal("5"),
            "base": "BTC",
            "quote": "USDT",
            "decimals": 2,
        }
