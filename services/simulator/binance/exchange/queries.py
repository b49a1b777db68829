"""What an account may ask about itself: orders, trades, lists, balances, rates. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from services.simulator.binance.decimals import ONE, text8
from services.simulator.binance.exchange import answers
from services.simulator.binance.exchange.accounts import DISCOUNT, DISCOUNT_ASSET, Account, Terms
from services.simulator.binance.exchange.api import Answer, ApiError, OrderKey, Page
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import Order, OrderList
from services.simulator.binance.intervals import DAY_MS

ARCHIVED_AFTER_MS: Final = 90 * DAY_MS
NO_SUCH_ORDER: Final = "Order does not exist."
_T = TypeVar("_T")


class Queries:
    """Answers from what the engine knows."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def order(self, account: int, key: OrderKey, now: int) -> Order:
        """Find an order. Raises ApiError as GET order does."""
        order = self.find(account, key)
        if order is None:
            raise ApiError(-2013, NO_SUCH_ORDER)
        if key.order_id is not None and key.orig_client_order_id not in (None, order.client_id):
            raise ApiError(-2039, "Client order ID is not correct for this order ID.")
        if not order.open and not order.executed and now - order.updated > ARCHIVED_AFTER_MS:
            text = "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
            raise ApiError(-2026, text)
        return order

    def find(self, account: int, key: OrderKey) -> Order | None:
        """Find an order by its id, else by its client id, of which the newest one counts. Raises ApiError."""
        if key.order_id is None and not key.orig_client_order_id:
            text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise ApiError(-1102, text)
        if key.order_id is None:
            return self._core.state.by_client.get((account, key.symbol, str(key.orig_client_order_id)))
        order = self._core.state.order(key.symbol, key.order_id)
        return order if order is not None and order.account == account else None

    def open_orders(self, account: int, symbol: str | None) -> list[Answer]:
        """Open orders, oldest first."""
        return [
            answers.row(order)
            for order in self._core.state.open[account].values()
            if symbol is None or order.symbol == symbol
        ]

    def all_orders(self, account: int, symbol: str, page: Page) -> list[Answer]:
        """Orders from an id on, of a span of their creation, or the newest."""
        orders = self._core.state.orders_of(account, symbol)
        return [answers.row(order) for order in _page(orders, page, lambda row: row.id, lambda row: row.created)]

    def trades(self, account: int, symbol: str, order_id: int | None, page: Page) -> list[Answer]:
        """Own trades."""
        fills = self._core.state.fills[account, symbol]
        if order_id is not None:
            fills = [fill for fill in fills if fill.order == order_id]
        return [answers.trade(fill) for fill in _page(fills, page, lambda row: row.trade, lambda row: row.ms)]

    def order_list(self, account: int, list_id: int | None, client_id: str | None) -> OrderList:
        """Find an order list. Raises ApiError."""
        if list_id is None and not client_id:
            text = "Param 'origClientOrderId' or 'orderListId' must be sent, but both were empty/null!"
            raise ApiError(-1102, text)
        state = self._core.state
        found = state.list_by_client.get((account, str(client_id))) if list_id is None else state.lists.get(list_id)
        if found is None or found.account != account or client_id not in (None, found.client_id):
            raise ApiError(-2018, "Order list does not exist.")
        return found

    def order_lists(self, account: int, page: Page) -> list[Answer]:
        """Lists from an id on, of a span, or the newest."""
        lists = [row for row in self._core.state.lists.values() if row.account == account]
        return [self.show(row) for row in _page(lists, page, lambda row: row.id, lambda row: row.ms)]

    def open_order_lists(self, account: int) -> list[Answer]:
        """Lists that are not done."""
        return [self.show(row) for row in self._core.state.open_lists[account].values()]

    def show(self, order_list: OrderList) -> Answer:
        """A list as queries show it."""
        return answers.order_list(order_list, self._core.legs(order_list))

    def account(self, account: Account, *, omit_zero: bool) -> Answer:
        """Balances, rates and permissions."""
        terms = account.terms
        listed = dict.fromkeys(name for pair in self._core.feed.symbols.values() for name in (pair.base, pair.quote))
        balances = [(asset, account.balances.get(asset)) for asset in sorted({**listed, **account.balances})]
        rows = [(asset, row.free if row else 0, row.locked if row else 0) for asset, row in balances]
        answer: Answer = {
            "makerCommission": _bips(terms.maker),
            "takerCommission": _bips(terms.taker),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": _rates(terms),
            "canTrade": terms.may_trade,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": account.updated,
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": text8(free), "locked": text8(locked)}
                for asset, free, locked in rows
                if free or locked or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": account.uid,
        }
        if terms.trade_group != -1:
            answer["tradeGroupId"] = terms.trade_group
        return answer

    def commission(self, account: Account, symbol: str) -> Answer:
        """Commission rates on a symbol."""
        zero = {name: text8(0) for name in ("maker", "taker", "buyer", "seller")}
        return {
            "symbol": symbol,
            "standardCommission": _rates(account.terms),
            "specialCommission": zero,
            "taxCommission": zero,
            "discount": _discount(account.terms),
        }

    def order_commission(self, account: Account) -> Answer:
        """Commission rates on a test order."""
        zero = {"maker": text8(0), "taker": text8(0)}
        return {
            "standardCommissionForOrder": {"maker": text8(account.terms.maker), "taker": text8(account.terms.taker)},
            "specialCommissionForOrder": zero,
            "taxCommissionForOrder": zero,
            "discount": _discount(account.terms),
        }

    def prevented(self, account: int, symbol: str, order_id: int | None, page: Page, one: int | None) -> list[Answer]:
        """Prevented matches of an order, or the one with an id."""
        rows = [
            row
            for row in self._core.state.prevented[symbol]
            if account in (row.taker_account, row.maker_account)
            and (order_id is None or order_id in (row.taker, row.maker))
            and (one is None or row.id == one)
        ]
        return [answers.prevented_match(row) for row in _page(rows, page, lambda row: row.id, lambda row: row.ms)]

    def amendments(self, account: int, symbol: str, order_id: int, page: Page) -> list[Answer]:
        """Amendments of one order, from an execution id on."""
        rows = [row for row in self._core.state.amendments[symbol, order_id] if row.account == account]
        first = Page(from_id=page.from_id or 0, start=page.start, end=page.end, limit=page.limit)
        return [answers.amendment(row) for row in _page(rows, first, lambda row: row.execution, lambda row: row.ms)]


def _page(rows: Sequence[_T], page: Page, identity: Callable[[_T], int], moment: Callable[[_T], int]) -> Sequence[_T]:
    """Select as the venue does: from an id or a start on the oldest, else the newest; always oldest first."""
    if page.from_id is not None:
        first = page.from_id
        rows = [row for row in rows if identity(row) >= first]
    if page.start is not None or page.end is not None:
        low, high = page.start or 0, page.end
        rows = [row for row in rows if moment(row) >= low and (high is None or moment(row) <= high)]
    if page.from_id is not None or page.start is not None:
        return rows[: page.limit]
    return rows[max(0, len(rows) - page.limit) :]


def _bips(rate: int) -> int:
    return rate * 10_000 // ONE


def _rates(terms: Terms) -> Answer:
    return {"maker": text8(terms.maker), "taker": text8(terms.taker), "buyer": text8(0), "seller": text8(0)}


def _discount(terms: Terms) -> Answer:
    return {
        "enabledForAccount": terms.discounted,
        "enabledForSymbol": True,
        "discountAsset": DISCOUNT_ASSET,
        "discount": text8(DISCOUNT),
    }
