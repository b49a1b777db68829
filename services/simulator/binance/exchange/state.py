"""Everything the engine knows, by the keys it is asked for, and how a journal brings it back."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from services.simulator.binance.exchange.accounts import Account, Terms
from services.simulator.binance.exchange.journal import Line
from services.simulator.binance.exchange.orders import (
    FIRST_ORDER_ID,
    Amendment,
    Fact,
    Fill,
    Order,
    OrderList,
    Prevented,
)

TRADE_IDS: Final = 10**12
"""Ids of our own fills begin above it, far from those of the public trades they stand beside."""


class Ids:
    """The last numbers given out for one symbol."""

    __slots__ = ("execution", "prevented", "trade")

    def __init__(self) -> None:
        self.execution = 0
        self.trade = TRADE_IDS
        self.prevented = -1


class State:
    """Accounts, orders and what became of them. Order ids count up from FIRST_ORDER_ID on each symbol."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.ids: defaultdict[str, Ids] = defaultdict(Ids)
        self.orders: defaultdict[str, list[Order]] = defaultdict(list)
        self._of_account: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self.by_client: dict[tuple[int, str, str], Order] = {}
        self.open: defaultdict[int, dict[tuple[str, int], Order]] = defaultdict(dict)
        self.fills: defaultdict[tuple[int, str], list[Fill]] = defaultdict(list)
        self.prevented: defaultdict[str, list[Prevented]] = defaultdict(list)
        self.amendments: defaultdict[tuple[str, int], list[Amendment]] = defaultdict(list)
        self.lists: dict[int, OrderList] = {}
        self.list_by_client: dict[tuple[int, str], OrderList] = {}
        self.open_lists: defaultdict[int, dict[int, OrderList]] = defaultdict(dict)
        self.transfers: defaultdict[str, int] = defaultdict(int)
        self.seq = 0

    def account(self, uid: int, terms: Terms) -> Account:
        """The account `uid`, begun empty with `terms` when it is new."""
        found = self.accounts.get(uid)
        if found is None:
            found = self.accounts[uid] = Account(uid, terms)
        return found

    def order(self, symbol: str, order_id: int) -> Order | None:
        """One order by its id."""
        orders = self.orders[symbol]
        index = order_id - FIRST_ORDER_ID
        return orders[index] if 0 <= index < len(orders) else None

    def orders_of(self, account: int, symbol: str) -> list[Order]:
        """The orders of an account on a symbol, oldest first."""
        orders = self.orders[symbol]
        return [orders[order_id - FIRST_ORDER_ID] for order_id in self._of_account[account, symbol]]

    def next_order_id(self, symbol: str) -> int:
        """The id that the next order kept will have."""
        return FIRST_ORDER_ID + len(self.orders[symbol])

    def next_list_id(self) -> int:
        """The id that the next list kept will have."""
        return len(self.lists)

    def next_seq(self) -> int:
        """The next place in time."""
        self.seq += 1
        return self.seq

    def keep_order(self, order: Order) -> None:
        """Take in a new order, or another image of one."""
        orders, index = self.orders[order.symbol], order.id - FIRST_ORDER_ID
        if index == len(orders):
            orders.append(order)
            self._of_account[order.account, order.symbol].append(order.id)
        elif orders[index] is not order:
            self._forget_client(orders[index])
            orders[index] = order
        self.keep_client(order)
        self.seq = max(self.seq, order.seq)
        if order.open:
            self.open[order.account][order.symbol, order.id] = order
        else:
            self.open[order.account].pop((order.symbol, order.id), None)

    def keep_client(self, order: Order) -> None:
        """Let the order be found by its client id; the newest order of an id wins."""
        found = self.by_client.get((order.account, order.symbol, order.client_id))
        if found is None or found.id <= order.id:
            self.by_client[order.account, order.symbol, order.client_id] = order

    def rename(self, order: Order, client_id: str) -> None:
        """Give an order another client id; the old one finds it no more."""
        self._forget_client(order)
        order.client_id = client_id
        self.keep_client(order)

    def _forget_client(self, order: Order) -> None:
        key = (order.account, order.symbol, order.client_id)
        if self.by_client.get(key) is order:
            del self.by_client[key]

    def keep_list(self, order_list: OrderList) -> None:
        """Take in a new list, or another image of one."""
        self.lists[order_list.id] = order_list
        self.list_by_client[order_list.account, order_list.client_id] = order_list
        if order_list.done:
            self.open_lists[order_list.account].pop(order_list.id, None)
        else:
            self.open_lists[order_list.account][order_list.id] = order_list

    def keep_fill(self, fill: Fill) -> None:
        """Take in one side of a trade."""
        self.fills[fill.account, fill.symbol].append(fill)

    def keep_fact(self, fact: Fact) -> None:
        """Remember the numbers that a fact has used up."""
        if fact.kind == "transfer":
            self.transfers[fact.symbol] = fact.seq

    def apply(self, line: Line, terms: Terms) -> None:
        """Bring back one step of the journal."""
        for order in line.orders:
            self.keep_order(order)
        for uid, asset, free, locked in line.balances:
            account = self.account(uid, terms)
            account.updated = line.ms
            balance = account.balance(asset)
            balance.free, balance.locked = free, locked
        for fill in line.fills:
            self.keep_fill(fill)
        for prevented in line.prevented:
            self.prevented[prevented.symbol].append(prevented)
        for amendment in line.amendments:
            self.amendments[amendment.symbol, amendment.order].append(amendment)
        for order_list in line.lists:
            self.keep_list(order_list)
        for fact in line.facts:
            self.keep_fact(fact)
        for symbol, execution, trade, prevented_id in line.ids:
            ids = self.ids[symbol]
            ids.execution, ids.trade, ids.prevented = execution, trade, prevented_id
