"""One step of the engine: what it changes, tells and puts on record, made durable before anybody hears of it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from services.simulator.binance.decimals import text8
from services.simulator.binance.exchange import events
from services.simulator.binance.exchange.api import Event
from services.simulator.binance.exchange.journal import Line
from services.simulator.binance.exchange.orders import Fact, Fill, Order, OrderList, Prevented

if TYPE_CHECKING:
    from services.simulator.binance.exchange.core import Core


class Step:
    """Gathers everything between one call or market event and its commit.

    `now` is ms UTC of the venue's clock, `feed_ms` the feed's, which the venue's may have jumped away from.
    `orders` are those touched, `partial` those that a fill has left open.
    """

    def __init__(self, core: Core, now: int, feed_ms: int) -> None:
        self.now, self.feed_ms = now, feed_ms
        self.line = Line(ms=now)
        self.events: list[tuple[int, Event]] = []
        self.ready: deque[OrderList] = deque()
        self._core = core
        self.orders: dict[tuple[str, int], Order] = {}
        self.partial: set[tuple[str, int]] = set()
        self._lists: dict[int, OrderList] = {}
        self._money: dict[tuple[int, str], None] = {}
        self._symbols: dict[str, None] = {}

    def touch(self, order: Order) -> None:
        """The order has changed."""
        self.orders[order.symbol, order.id] = order

    def touch_list(self, order_list: OrderList) -> None:
        """The list has changed."""
        self._lists[order_list.id] = order_list

    def money(self, account: int, asset: str) -> None:
        """A balance may have changed."""
        self._money[account, asset] = None

    def fact(self, kind: str, symbol: str, seq: int, **fields: str | int | bool) -> None:
        """Put a line on the truth record."""
        self.line.facts.append(Fact(kind, symbol, seq, self.now, fields))

    def fills_of(self, order: Order) -> list[Fill]:
        """The fills of one order in this step."""
        return [row for row in self.line.fills if row.order == order.id and row.symbol == order.symbol]

    def prevented_of(self, order: Order) -> list[Prevented]:
        """The prevented matches in which the order was the taker in this step."""
        return [row for row in self.line.prevented if row.taker == order.id and row.symbol == order.symbol]

    def report(
        self,
        order: Order,
        kind: str,
        *,
        fill: Fill | None = None,
        prevented: Prevented | None = None,
        client_id: str = "",
        reject: str = "NONE",
        execution: int = 0,
    ) -> int:
        """Tell the owner of an order what has become of it; returns the execution id."""
        self.touch(order)
        if not execution:
            execution = self.next_execution(order.symbol)
        if fill is not None and order.status == "PARTIALLY_FILLED":
            self.partial.add((order.symbol, order.id))
        if self._core.listened(order.account):
            event = events.execution_report(
                order,
                kind,
                self.now,
                execution,
                fill=fill,
                prevented=prevented,
                client_id=client_id,
                reject=reject,
                trade_group=self._core.state.accounts[order.account].terms.trade_group,
            )
            self.events.append((order.account, event))
        return execution

    def tell_list(self, order_list: OrderList, status: str) -> None:
        """Tell the owner of a list where it stands."""
        if self._core.listened(order_list.account):
            event = events.list_status(order_list, self._core.legs(order_list), status, self.now)
            self.events.append((order_list.account, event))

    def next_execution(self, symbol: str) -> int:
        """The next execution id of a symbol."""
        self._symbols[symbol] = None
        ids = self._core.state.ids[symbol]
        ids.execution += 1
        return ids.execution

    def next_trade(self, symbol: str) -> int:
        """The next id of a trade of our own."""
        self._symbols[symbol] = None
        ids = self._core.state.ids[symbol]
        ids.trade += 1
        return ids.trade

    def next_prevented(self, symbol: str) -> int:
        """The next id of a prevented match."""
        self._symbols[symbol] = None
        ids = self._core.state.ids[symbol]
        ids.prevented += 1
        return ids.prevented

    def transfer(self, account: int, asset: str, amount: int, why: str) -> None:
        """Put money on record that comes from outside or another account (negative: goes there)."""
        state = self._core.state
        state.transfers[asset] += 1
        self.fact("transfer", asset, state.transfers[asset], account=account, amount=text8(amount), why=why)

    def close(self) -> Line:
        """Complete the line and the events: after-images of everything touched."""
        state = self._core.state
        for order in self.orders.values():
            state.keep_order(order)
            self.line.orders.append(order)
        for order_list in self._lists.values():
            state.keep_list(order_list)
            self.line.lists.append(order_list)
        told: dict[int, list[str]] = {}
        for uid, asset in self._money:
            account = state.accounts[uid]
            account.updated = self.now
            balance = account.balance(asset)
            self.line.balances.append((uid, asset, balance.free, balance.locked))
            if self._core.listened(uid):
                told.setdefault(uid, []).append(asset)
        for uid, assets in told.items():
            self.events.append((uid, events.account_position(state.accounts[uid], assets, self.now)))
        for symbol in self._symbols:
            ids = state.ids[symbol]
            self.line.ids.append((symbol, ids.execution, ids.trade, ids.prevented))
        return self.line

    @property
    def empty(self) -> bool:
        """Whether nothing has changed."""
        return not (self.orders or self._lists or self._money or self.line.facts or self.line.amendments)
