"""Alpaca under test: crypto assets at a stub of the venue, as there is no simulator of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from acceptance_world import House, Part, filled
from alpaca_stub import KEY, SECRET, VENUE, AlpacaStub, Market

from libs.core.types import Instrument, Side, VenueReport
from libs.venues.base import MarketData, Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading


class AlpacaHouse(House):
    """Against the stub."""

    title = "alpaca (stub)"
    parts = frozenset({Part.SIMULATOR, Part.QUOTES, Part.ASSETS, Part.TRANSFERS, Part.PRIVATE})
    symbol, other = "BTC/USD", "ETH/USD"
    entries = exits = ("POST /v2/orders",)
    histories = ("GET bars",)
    balances_calls = ("GET /v2/account",)
    venue = VENUE
    WRONG = "wrongkey0000wrongkey"
    simulator: Any

    def make_simulator(self) -> AlpacaStub:
        return AlpacaStub(self.folder)

    def make_market_data(self) -> MarketData:
        return make_market_data(
            VENUE, endpoint="simulator", endpoints=self.simulator.urls, credentials=Credentials(key=KEY, secret=SECRET)
        )

    def make_trading(self, **changes: Any) -> Trading:
        given: dict[str, Any] = {"credentials": Credentials(key=KEY, secret=SECRET), "currency": "USD"}
        return make_trading(VENUE, endpoint="simulator", endpoints=self.simulator.urls, **given | changes)

    def wrong_credentials(self) -> Credentials:
        return Credentials(key=self.WRONG, secret=self.WRONG)

    @property
    def market(self) -> Market:
        market: Market = self.simulator.markets[self.symbol]
        return market

    # --- orders --------------------------------------------------------------------------------------------------

    def quantity(self, instrument: Instrument) -> Decimal:
        return Decimal("0.0031")

    def best(self, symbol: str, side: Side) -> Decimal:
        """The price at which an order of this side trades first."""
        market = self.simulator.markets[symbol]
        price: Decimal = (market.asks if side is Side.BUY else market.bids)[0][0]
        return price

    def far(self, instrument: Instrument, side: Side) -> Decimal:
        best = self.best(instrument.symbol, side) * (Decimal("1.1") if side is Side.BUY else Decimal("0.9"))
        return best // instrument.price_step * instrument.price_step

    def sellable(self, instrument: Instrument, reports: list[VenueReport]) -> Decimal:
        return filled(reports)

    def too_small(self, instrument: Instrument) -> Decimal:
        return instrument.min_qty / 10

    def impoverish(self) -> None:
        self.simulator.cash = Decimal("7.5")

    def out_of_reach(self, instrument: Instrument, side: Side) -> Decimal:
        mid = self.market.mid * (Decimal("0.9") if side is Side.BUY else Decimal("1.1"))
        return mid // instrument.price_step * instrument.price_step

    def more_than_there_is(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        there = sum((size for _, size in self.market.asks), Decimal(0))
        self.simulator.cash = Decimal(10**7)
        return there * 3, self.far(instrument, Side.BUY)

    async def deposit(self) -> Decimal:
        moved = Decimal("12.34")
        self.simulator.deposit(moved)
        return moved

    # --- truth ---------------------------------------------------------------------------------------------------

    def truth_balances(self) -> dict[str, Decimal]:
        held = {name.partition("/")[0]: quantity for name, quantity in self.simulator.positions.items()}
        return {"USD": self.simulator.cash, **held}

    def truth_executed(self) -> int:
        return int(self.simulator.executed)

    def truth_executions(self) -> int:
        return int(self.simulator.executions)

    def truth_working(self) -> int:
        return 0

    def truth_positions(self) -> set[str]:
        return set()

    def truth_prints(self, symbol: str) -> dict[int, tuple[Decimal, int]]:
        return {
            line["seq"]: (Decimal(line["price"]), line["ts"])
            for line in self.record("trade")
            if line["symbol"] == symbol
        }

    def overruns(self) -> int:
        return int(self.simulator.overruns)

    def listed(self) -> dict[str, Any]:
        return {
            "price_step": Decimal("0.05"),
            "qty_step": Decimal("1E-9"),
            "min_qty": Decimal("0.00001"),
            "base": "BTC",
            "quote": "USD",
            "decimals": 2,
        }
