"""The calls of the exchange that change nothing, and those of its owner: money in and out."""

from __future__ import annotations

from decimal import Decimal

from services.simulator.binance.decimals import text8
from services.simulator.binance.exchange import answers
from services.simulator.binance.exchange.api import Answer, ApiError, OrderKey, Page
from services.simulator.binance.exchange.composition import amount as to_count
from services.simulator.binance.exchange.events import balance_update
from services.simulator.binance.exchange.running import Running
from services.simulator.binance.exchange_info import filters_of


class Asking(Running):
    """See Exchange for what every call means."""

    def order(self, account: int, key: OrderKey) -> Answer:
        """One order."""
        self._listed(key.symbol)
        return answers.row(self._queries.order(account, key, self.now_ms()))

    def open_orders(self, account: int, symbol: str | None) -> list[Answer]:
        """Open orders, of one symbol or all."""
        if symbol is not None:
            self._listed(symbol)
        return self._queries.open_orders(account, symbol)

    def all_orders(self, account: int, symbol: str, page: Page) -> list[Answer]:
        """Orders of a symbol, whatever became of them."""
        self._listed(symbol)
        return self._queries.all_orders(account, symbol, page)

    def my_trades(self, account: int, symbol: str, order_id: int | None, page: Page) -> list[Answer]:
        """Own trades on a symbol."""
        self._listed(symbol)
        return self._queries.trades(account, symbol, order_id, page)

    def order_list(self, account: int, list_id: int | None, list_client_order_id: str | None) -> Answer:
        """One order list."""
        return self._queries.show(self._queries.order_list(account, list_id, list_client_order_id))

    def all_order_lists(self, account: int, page: Page) -> list[Answer]:
        """Order lists, whatever became of them."""
        return self._queries.order_lists(account, page)

    def open_order_lists(self, account: int) -> list[Answer]:
        """Order lists that are not done."""
        return self._queries.open_order_lists(account)

    def account(self, account: int, *, omit_zero: bool) -> Answer:
        """Balances, rates and permissions."""
        return self._queries.account(self._account(account), omit_zero=omit_zero)

    def commission(self, account: int, symbol: str) -> Answer:
        """Commission rates."""
        self._listed(symbol)
        return self._queries.commission(self._account(account), symbol)

    def my_filters(self, account: int, symbol: str) -> Answer:
        """The filters that an order of the account on a symbol has to pass."""
        pair = self._feed.symbols[self._listed(symbol)]
        limits = self._account(account).terms.limits
        return {
            "exchangeFilters": self._exchange_filters,
            "symbolFilters": filters_of(pair),
            "assetFilters": [
                {"filterType": "MAX_ASSET", "asset": asset, "limit": text8(limits[asset])}
                for asset in (pair.base, pair.quote)
                if asset in limits
            ],
        }

    def prevented_matches(
        self, account: int, symbol: str, order_id: int | None, page: Page, prevented_match_id: int | None = None
    ) -> list[Answer]:
        """Prevented self-trades, oldest first."""
        self._listed(symbol)
        return self._queries.prevented(account, symbol, order_id, page, prevented_match_id)

    def amendments(self, account: int, symbol: str, order_id: int, page: Page) -> list[Answer]:
        """Amendments of one order, oldest first."""
        self._listed(symbol)
        return self._queries.amendments(account, symbol, order_id, page)

    def order_counts(self, account: int) -> list[Answer]:
        """The unfilled order counts."""
        return self._core.counts.rows(account, self.now_ms())

    def reference_price(self, symbol: str) -> Answer:
        """The reference price. Raises ApiError (-2043) when nothing has ever traded."""
        market = self._core.market(self._listed(symbol))
        reference = market.reference()
        if not market.prices.last:
            raise ApiError(-2043, "This symbol doesn't have a reference price.")
        price = text8(reference) if reference else None
        return {"symbol": symbol, "referencePrice": price, "timestamp": self.now_ms()}

    def deposit(self, account: int, asset: str, amount: Decimal) -> None:
        """Move money in (negative: out) from outside. Raises ApiError when more is to go than is free."""
        change = to_count(amount, "amount")
        owner = self._account(account)
        if owner.free(asset) + change < 0:
            raise ApiError(-2010, "Account has insufficient balance for requested action.")
        with self._step(account) as step:
            owner.add(asset, change)
            step.money(account, asset)
            step.transfer(account, asset, change, "deposit" if change > 0 else "withdrawal")
            if self._core.listened(account):
                step.events.append((account, balance_update(asset, change, step.now)))

    # --- who and what ------------------------------------------------------------------------------------------

    def _listed(self, symbol: str) -> str:
        if symbol not in self._feed.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol
