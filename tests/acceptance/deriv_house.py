"""Deriv under test: multipliers on a volatility index, over either of its two APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from acceptance_world import House, Part, filled

from libs.core.types import SECOND, Instrument, Side, VenueReport
from libs.venues.base import MarketData, Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading
from services.simulator.deriv import limits
from services.simulator.deriv.errors import ApiError


class DerivHouse(House):
    """`api` v3."""

    title = "deriv v3"
    parts = frozenset({Part.SIMULATOR, Part.QUOTES, Part.CONTRACTS, Part.SHORT, Part.PRIVATE, Part.TRANSFERS})
    symbol, other = "1HZ100V", "R_50"
    entries, exits, histories = ("buy",), ("sell",), ("ticks_history",)
    api = "v3"

    soaked, streams = ("1HZ100V", "R_50", "1HZ75V"), ("1HZ100V", "R_50", "1HZ75V")
    balances_calls = ("balance",)
    WRONG = "wrong-token-000"

    venue = "deriv"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._overruns = 0

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        take = limits.CallMeter.take

        def counted(meter: Any, *args: Any) -> Any:
            try:
                return take(meter, *args)
            except ApiError:
                self._overruns += 1
                raise

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limits.CallMeter, "take", counted)
            async with super().life():
                yield

    async def deposit(self) -> Decimal:
        """Move money in from outside; the amount."""
        amount = Decimal("12.34")
        self.simulator.deriv.venue.move_cash(self.account, "deposit", amount)
        return amount

    @property
    def urls(self) -> dict[str, str]:
        return {"ws": self.simulator.describe()["deriv_url"]}

    @property
    def credentials(self) -> Credentials:
        return Credentials(token=self.simulator.state.token)

    def make_market_data(self) -> MarketData:
        return make_market_data("deriv", api=self.api, endpoint="simulator", endpoints=self.urls, simulator=True)

    def make_trading(self, **changes: Any) -> Trading:
        given: dict[str, Any] = {"credentials": self.credentials, "currency": "USD"}
        return make_trading(
            "deriv", api=self.api, endpoint="simulator", endpoints=self.urls, simulator=True, **given | changes
        )

    def quantity(self, instrument: Instrument) -> Decimal:
        """Each order has a stake of its own, as the books at Deriv tell orders apart by nothing else."""
        return Decimal("10") + Decimal(self.orders) / 100

    def sellable(self, instrument: Instrument, reports: list[VenueReport]) -> Decimal:
        return filled(reports)

    def too_small(self, instrument: Instrument) -> Decimal:
        return Decimal("0.01")

    def impoverish(self) -> None:
        """Leave the account too little for any order."""
        self.account.balance = Decimal("3.21")

    def wrong_credentials(self) -> Credentials:
        return Credentials(token=self.WRONG)

    # --- truth ---------------------------------------------------------------------------------------------------

    @property
    def account(self) -> Any:
        return self.simulator.deriv.venue.account

    def truth_balances(self) -> dict[str, Decimal]:
        return {"USD": self.account.balance}

    def truth_executed(self) -> int:
        return len(self.account.contracts)

    def truth_executions(self) -> int:
        return sum(entry.action in ("buy", "sell") for entry in self.account.statement)

    def truth_positions(self) -> set[str]:
        return {str(contract_id) for contract_id in self.account.open}

    def truth_prints(self, symbol: str) -> dict[int, tuple[Decimal, int]]:
        return {
            line["seq"]: (Decimal(line["price"]), line["seq"] * SECOND)
            for line in self.record("tick")
            if line["symbol"] == symbol
        }

    def truth_working(self) -> int:
        return 0

    def overruns(self) -> int:
        return self._overruns

    def listed(self) -> dict[str, Any]:
        return {
            "price_step": Decimal("0.01"),
            "qty_step": Decimal("0.01"),
            "decimals": 2,
            "base": "1HZ100V",
            "quote": "USD",
            "multipliers": (40, 100, 200, 300, 400),
            "multiplier": 40,
        }

    def spot(self, symbol: str) -> Decimal:
        return Decimal(repr(self.simulator.deriv.venue.market.feeds[symbol].last().quote))

    def out_of_reach(self, instrument: Instrument, side: Side) -> Decimal:
        """A limit that the market does not meet."""
        spot = self.spot(instrument.symbol)
        return spot / 2 if side is Side.BUY else spot * 2


class DerivOptionsHouse(DerivHouse):
    """The current Options API, on the demo account."""

    title = "deriv options"
    api = "options"

    @property
    def urls(self) -> dict[str, str]:
        facts = self.simulator.describe()
        return {"ws": facts["deriv_options_ws_url"], "rest": facts["deriv_options_rest_url"]}

    @property
    def credentials(self) -> Credentials:
        return Credentials(token=self.simulator.state.token, app_id="1089")

    def wrong_credentials(self) -> Credentials:
        return Credentials(token=self.WRONG, app_id="1089")
