"""A market set by hand and an exchange on it, with what every test of the engine may demand of its books."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec

from services.simulator.binance.book import Book
from services.simulator.binance.candles import Candle, Print
from services.simulator.binance.decimals import ONE, parse8, text8
from services.simulator.binance.exchange.api import Answer, ApiError, Event, NewList, NewOrder, OrderKey
from services.simulator.binance.exchange.engine import SpotExchange
from services.simulator.binance.exchange_info import Spot, spot
from services.simulator.faults.base import NoFaults
from services.simulator.record import Record

START_MS = 1_800_000_000_000
ME, OTHER = 1, 2
SYMBOL = "BTCUSDT"
_DECIMALS = frozenset({"quantity", "price", "stop_price", "quote_order_qty", "iceberg_qty"})


def count(text: str | D) -> int:
    return int(D(text) * ONE)


def book(bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]], last_id: int = 1) -> Book:
    def levels(rows: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
        return [(count(price), count(qty)) for price, qty in rows]

    return Book(last_id, levels(bids), levels(asks))


class HandFeed:
    """A feed whose book, prints and clock stand where they were put."""

    mode = "hand"
    finest = "1m"
    extrapolate = False
    ended = False

    def __init__(self, pairs: Iterable[Spot]) -> None:
        self.symbols: Mapping[str, Spot] = {pair.symbol: pair for pair in pairs}
        self.ms = START_MS
        self.books = {name: book([("99", "2"), ("98", "5")], [("101", "2"), ("102", "5")]) for name in self.symbols}
        self.prints: defaultdict[str, list[Print]] = defaultdict(list)
        self.subscribed_to: list[str] = []

    def now_ms(self) -> int:
        return self.ms

    def depth(self, symbol: str) -> Book:
        return self.books[symbol]

    async def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Sequence[Candle]:
        return []

    def trades(self, symbol: str, from_id: int | None, limit: int) -> Sequence[Print]:
        return self.prints[symbol][-limit:]

    def first_trade_at(self, symbol: str, ms: int) -> int:
        return 1

    def subscribed(self, streams: Sequence[str]) -> None:
        self.subscribed_to += streams

    async def run(self) -> None:
        return

    def close(self) -> None:
        return

    def state(self) -> dict[str, Any]:
        return {}


class KeepingRecord(Record):
    """A truth record that is also kept in memory."""

    def __init__(self) -> None:
        super().__init__(None)
        self.kept: list[dict[str, Any]] = []

    def write(self, venue: str, kind: str, symbol: str, seq: int, ts_ns: int, **fields: Any) -> bool:
        new = super().write(venue, kind, symbol, seq, ts_ns, **fields)
        if new:
            self.kept.append({"kind": kind, "symbol": symbol, "seq": seq, "ts": ts_ns, **fields})
        return new


class Silence(NoFaults):
    """The "fills" fault, switched by hand."""

    on = False
    asked = 0

    def silent(self, venue: str, what: str) -> bool:
        self.asked += 1
        return self.on and (venue, what) == ("binance", "fills")


class World:
    """One exchange, its market, and what the account ME hears."""

    def __init__(self, journal: Path | None = None, pairs: Sequence[Spot] = (), **options: Any) -> None:
        self.feed = HandFeed(pairs or [spot(SYMBOL)])
        self.record = KeepingRecord()
        self.faults = Silence()
        self.journal, self.options = journal, options
        self.exchange = SpotExchange(self.feed, self.record, journal, self.faults, **options)
        self.events: list[Event] = []
        self.exchange.subscribe(ME, self.events.append)
        self._print_id = 0

    def restart(self) -> SpotExchange:
        """Another exchange from the same journal and market."""
        return SpotExchange(self.feed, self.record, self.journal, self.faults, **self.options)

    # --- orders ------------------------------------------------------------------------------------------------

    def new(self, side: str, type_: str, **given: Any) -> NewOrder:
        values = {name: D(value) if name in _DECIMALS else value for name, value in given.items()}
        return NewOrder(symbol=values.pop("symbol", SYMBOL), side=side, type=type_, **values)

    def place(self, side: str, type_: str, *, account: int = ME, **given: Any) -> Answer:
        return self.exchange.place(account, self.new(side, type_, **given))

    def limit(self, side: str, quantity: str, price: str, tif: str = "GTC", **given: Any) -> Answer:
        return self.place(side, "LIMIT", time_in_force=tif, quantity=quantity, price=price, **given)

    def list(self, kind: str, *, account: int = ME, **legs: NewOrder) -> Answer:
        return self.exchange.place_list(account, NewList(kind=kind, symbol=SYMBOL, legs=legs))

    def cancel(self, order_id: int, account: int = ME) -> Answer:
        key = OrderKey(symbol=SYMBOL, order_id=order_id)
        return self.exchange.cancel(account, key, new_client_order_id=None, restrictions=None)

    def row(self, order_id: int, account: int = ME, symbol: str = SYMBOL) -> Answer:
        return self.exchange.order(account, OrderKey(symbol=symbol, order_id=order_id))

    def status(self, order_id: int, account: int = ME) -> str:
        return str(self.row(order_id, account)["status"])

    def balance(self, asset: str, account: int = ME) -> tuple[str, str]:
        rows = self.exchange.account(account, omit_zero=False)["balances"]
        return next((row["free"], row["locked"]) for row in rows if row["asset"] == asset)

    # --- the market --------------------------------------------------------------------------------------------

    def shows(self, bids: Iterable[tuple[str, str]], asks: Iterable[tuple[str, str]], symbol: str = SYMBOL) -> None:
        """Put another book there and tell of it."""
        self.feed.books[symbol] = book(bids, asks, self.feed.books[symbol].last_id + 1)
        self.exchange.on_book(symbol)

    def prints(self, price: str, qty: str = "1", *, seller: bool = True, symbol: str = SYMBOL) -> None:
        """Let the market trade; `seller` is the aggressor."""
        self._print_id += 1
        trade = Print(self._print_id, self.feed.ms, count(price), count(qty), seller)
        self.feed.prints[symbol].append(trade)
        self.exchange.on_trade(symbol, trade)

    # --- what was heard ----------------------------------------------------------------------------------------

    def reports(self, order_id: int | None = None) -> list[Event]:
        """The execution reports, of one order or all."""
        rows = [event for event in self.events if event["e"] == "executionReport"]
        return [event for event in rows if order_id in (None, event["i"])]

    def told(self, order_id: int) -> list[str]:
        """Execution types with states, in order."""
        return [f"{event['x']}/{event['X']}" for event in self.reports(order_id)]

    def last(self, kind: str) -> Event:
        return [event for event in self.events if event["e"] == kind][-1]


def refusal(call: Any) -> tuple[int, str]:
    """Code and text with which a call is refused."""
    try:
        call()
    except ApiError as error:
        return error.code, str(error)
    raise AssertionError("the call was not refused")


# --- what must always hold -------------------------------------------------------------------------------------


def ledger(record: KeepingRecord, assets: Mapping[str, tuple[str, str]]) -> dict[tuple[int, str], int]:
    """Every balance as the truth record alone tells it; `assets` is base and quote by symbol."""
    money: defaultdict[tuple[int, str], int] = defaultdict(int)
    for line in record.kept:
        account = line.get("account", 0)
        if line["kind"] == "transfer":
            amount = line["amount"]
            money[account, line["symbol"]] += -parse8(amount[1:]) if amount[0] == "-" else parse8(amount)
        elif line["kind"] == "fill":
            base, quote = assets[line["symbol"]]
            sign = 1 if line["side"] == "BUY" else -1
            money[account, base] += sign * parse8(line["qty"])
            money[account, quote] -= sign * parse8(line["quote"])
            money[account, line["fee_asset"]] -= parse8(line["fee"])
    return {key: amount for key, amount in money.items() if amount}


def check_books(world: World) -> None:
    """Money, locks, fills and orders agree with each other and with the truth record."""
    exchange = world.exchange
    state = exchange._core.state  # what is locked for a list has no public view
    assets = {name: (pair.base, pair.quote) for name, pair in world.feed.symbols.items()}
    held: dict[tuple[int, str], int] = {}
    for uid, account in state.accounts.items():
        needs: defaultdict[str, int] = defaultdict(int)
        shared: dict[int, int] = {}
        for order in state.open[uid].values():
            base, quote = assets[order.symbol]
            asset = quote if order.buy else base
            order_list = state.lists.get(order.list_id)
            if order_list is not None and order.id in order_list.pair:
                needs[asset] += max(0, order.need - shared.get(order.list_id, 0))
                shared[order.list_id] = max(order.need, shared.get(order.list_id, 0))
            else:
                needs[asset] += order.need
        for order_list in state.open_lists[uid].values():
            needs[assets[order_list.symbol][0]] += order_list.reserve
        for asset, balance in account.balances.items():
            assert balance.free >= 0, (uid, asset, balance)
            assert balance.locked == needs[asset], (uid, asset, balance, needs[asset])
            if total := balance.free + balance.locked:
                held[uid, asset] = total
    assert held == ledger(world.record, assets)
    fills: defaultdict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    trades: defaultdict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for line in world.record.kept:
        if line["kind"] == "fill":
            fills[line["symbol"], line["order"]].append(line)
            trades[line["symbol"], line["trade"]].append(line)
    for both in trades.values():
        if both[0]["counter"] == -1:
            assert len(both) == 1
        else:
            assert len(both) == 2
            assert {row["side"] for row in both} == {"BUY", "SELL"}
            assert both[0]["qty"] == both[1]["qty"]
            assert both[0]["quote"] == both[1]["quote"]
    for symbol, orders in state.orders.items():
        for order in orders:
            rows = fills[symbol, order.id]
            assert order.executed == sum(parse8(row["qty"]) for row in rows)
            assert order.spent == sum(parse8(row["quote"]) for row in rows)
            assert order.executed + order.prevented <= order.qty
            assert (order.status == "FILLED") <= (order.executed > 0 and order.left == 0)
            for row in rows:
                if order.limit:
                    price = parse8(row["price"])
                    assert price <= order.limit if order.buy else price >= order.limit


def contents(exchange: SpotExchange) -> dict[str, Any]:
    """All that a restart has to bring back; queue positions are found anew."""
    state = exchange._core.state
    orders = [msgspec.to_builtins(order) for rows in state.orders.values() for order in rows]
    for order in orders:
        order.pop("ahead", None)
    return {
        "balances": {
            (uid, asset): (text8(balance.free), text8(balance.locked))
            for uid, account in state.accounts.items()
            for asset, balance in account.balances.items()
        },
        "orders": orders,
        "open": {uid: sorted(rows) for uid, rows in state.open.items() if rows},
        "clients": {key: order.id for key, order in state.by_client.items()},
        "fills": {key: msgspec.to_builtins(rows) for key, rows in state.fills.items() if rows},
        "prevented": {key: msgspec.to_builtins(rows) for key, rows in state.prevented.items() if rows},
        "amendments": {key: msgspec.to_builtins(rows) for key, rows in state.amendments.items() if rows},
        "lists": msgspec.to_builtins(state.lists),
        "ids": {name: (row.execution, row.trade, row.prevented) for name, row in state.ids.items()},
        "transfers": dict(state.transfers),
        "resting": {
            name: [[order.id for order in side] for side in (rows.bids, rows.asks)]
            for name, rows in exchange._core.resting.items()
            if rows
        },
        "waiting": {name: sorted(rows) for name, rows in exchange._core.waiting.items() if rows},
    }
