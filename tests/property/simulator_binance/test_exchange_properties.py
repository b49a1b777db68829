"""Any sequence of calls and market events: money is conserved, locks fit, and a restart forgets nothing."""

from __future__ import annotations

import contextlib
import tempfile
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from exchange_world import ME, OTHER, SYMBOL, World, check_books, contents
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.simulator.binance.exchange.accounts import Terms
from services.simulator.binance.exchange.api import ApiError, NewOrder, OrderKey
from services.simulator.binance.exchange_info import STP_MODES, Spot, spot

ACCOUNTS = st.sampled_from([ME, OTHER])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(90, 110).map(str)
FINE_PRICES = st.integers(9_000, 11_000).map(lambda number: str(D(number) / 100))
QUANTITIES = st.integers(1, 40).map(lambda number: str(D(number) / 4))
TIFS = st.sampled_from(["GTC", "GTC", "IOC", "FOK"])
RANGE = {"bidLimitMultUp": "1.05", "bidLimitMultDown": "0.9", "askLimitMultUp": "1.1", "askLimitMultDown": "0.95"}
PAIRS = [
    Spot(SYMBOL, "BTC", "USDT", 10**6, 10**3, price_range=RANGE, stp_modes=("NONE", *STP_MODES)),
    spot("BNBUSDT"),
]
MODES = st.sampled_from(["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"])


class Exchange(RuleBasedStateMachine):
    """Two accounts of one trade group, on one symbol, and a market that moves as it likes."""

    world: World

    @initialize(group=st.sampled_from([-1, 7]), discounted=st.booleans(), bnb=st.sampled_from(["0.001", "9"]))
    def open(self, group: int, discounted: bool, bnb: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(
            Path(self.folder.name) / "journal.jsonl",
            opening={"USDT": D(2_000), "BTC": D(20), "BNB": D(bnb)},
            terms=Terms(trade_group=group, discounted=discounted),
            pairs=PAIRS,
        )
        self.world.exchange.subscribe(OTHER, lambda _: None)
        self.world.prints("100")
        self.world.prints("50", symbol="BNBUSDT")

    def teardown(self) -> None:
        self.world.exchange.close()
        self.folder.cleanup()

    def attempt(self, call: Any) -> None:
        with contextlib.suppress(ApiError):  # a refusal is an answer; the invariants say that it changed nothing
            call()

    @rule(account=ACCOUNTS, side=SIDES, qty=QUANTITIES, price=PRICES, tif=TIFS, mode=MODES)
    def limit(self, account: int, side: str, qty: str, price: str, tif: str, mode: str) -> None:
        self.attempt(lambda: self.world.limit(side, qty, price, tif, account=account, self_trade_prevention_mode=mode))

    @rule(account=ACCOUNTS, side=SIDES, qty=QUANTITIES, price=FINE_PRICES)
    def maker(self, account: int, side: str, qty: str, price: str) -> None:
        self.attempt(lambda: self.world.place(side, "LIMIT_MAKER", account=account, quantity=qty, price=price))

    @rule(account=ACCOUNTS, side=SIDES, qty=QUANTITIES, price=PRICES, mode=MODES)
    def iceberg(self, account: int, side: str, qty: str, price: str, mode: str) -> None:
        given = {"iceberg_qty": str(D(qty) / 4), "self_trade_prevention_mode": mode}
        self.attempt(lambda: self.world.limit(side, qty, price, account=account, **given))

    @rule(account=ACCOUNTS, side=SIDES, qty=QUANTITIES, mode=MODES)
    def market(self, account: int, side: str, qty: str, mode: str) -> None:
        self.attempt(
            lambda: self.world.place(side, "MARKET", account=account, quantity=qty, self_trade_prevention_mode=mode)
        )

    @rule(account=ACCOUNTS, side=SIDES, worth=st.integers(5, 900))
    def market_for(self, account: int, side: str, worth: int) -> None:
        self.attempt(lambda: self.world.place(side, "MARKET", account=account, quote_order_qty=str(worth)))

    @rule(
        account=ACCOUNTS,
        side=SIDES,
        kind=st.sampled_from(["STOP_LOSS", "TAKE_PROFIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]),
        qty=QUANTITIES,
        price=PRICES,
        stop=PRICES,
        trailing=st.sampled_from([None, None, 100, 300]),
    )
    def contingent(
        self, account: int, side: str, kind: str, qty: str, price: str, stop: str, trailing: int | None
    ) -> None:
        given: dict[str, Any] = {"quantity": qty, "trailing_delta": trailing}
        if trailing != 100:
            given["stop_price"] = stop
        if kind.endswith("LIMIT"):
            given |= {"price": price, "time_in_force": "GTC"}
        self.attempt(lambda: self.world.place(side, kind, account=account, **given))

    @rule(
        account=ACCOUNTS,
        side=SIDES,
        qty=QUANTITIES,
        peg=st.sampled_from(["PRIMARY_PEG", "MARKET_PEG"]),
        level=st.integers(0, 2),
    )
    def pegged(self, account: int, side: str, qty: str, peg: str, level: int) -> None:
        given = {"peg_price_type": peg, "peg_offset_type": "PRICE_LEVEL", "peg_offset_value": level}
        self.attempt(
            lambda: self.world.place(side, "LIMIT", account=account, time_in_force="GTC", quantity=qty, **given)
        )

    @rule(account=ACCOUNTS, side=SIDES, qty=QUANTITIES, high=PRICES, low=PRICES, resting=st.booleans())
    def oco(self, account: int, side: str, qty: str, high: str, low: str, resting: bool) -> None:
        above, below = self._pair(side, qty, high, low, resting)
        self.attempt(lambda: self.world.list("oco", account=account, above=above, below=below))

    def _pair(self, side: str, qty: str | None, high: str, low: str, resting: bool) -> tuple[NewOrder, NewOrder]:
        size = {} if qty is None else {"quantity": qty}
        profit, stop = (low, high) if side == "BUY" else (high, low)
        first = (
            self.world.new(side, "LIMIT_MAKER", price=profit, **size)
            if resting
            else self.world.new(side, "TAKE_PROFIT", stop_price=profit, **size)
        )
        second = self.world.new(side, "STOP_LOSS_LIMIT", price=stop, stop_price=stop, time_in_force="GTC", **size)
        return (second, first) if side == "BUY" else (first, second)

    @rule(
        account=ACCOUNTS,
        kind=st.sampled_from(["oto", "opo", "otoco", "opoco"]),
        side=SIDES,
        qty=QUANTITIES,
        price=PRICES,
        high=PRICES,
        low=PRICES,
        mode=MODES,
    )
    def staged(self, account: int, kind: str, side: str, qty: str, price: str, high: str, low: str, mode: str) -> None:
        opo = kind.startswith("opo")
        working_side = "BUY" if opo else side
        pending_side = "SELL" if opo else side
        given = {"time_in_force": "GTC", "self_trade_prevention_mode": mode}
        legs = {"working": self.world.new(working_side, "LIMIT", quantity=qty, price=price, **given)}
        if kind.endswith("oco"):
            size = None if opo else qty
            legs["pending_above"], legs["pending_below"] = self._pair(pending_side, size, high, low, True)
        elif opo:
            legs["pending"] = self.world.new(pending_side, "LIMIT", price=high, time_in_force="GTC")
        else:
            legs["pending"] = self.world.new(pending_side, "MARKET", quantity=qty)
        self.attempt(lambda: self.world.list(kind, account=account, **legs))

    @rule(account=ACCOUNTS, pick=st.integers(0, 1_000))
    def cancel(self, account: int, pick: int) -> None:
        rows = self.world.exchange.open_orders(account, None)
        if rows:
            self.attempt(lambda: self.world.cancel(rows[pick % len(rows)]["orderId"], account))

    @rule(account=ACCOUNTS)
    def cancel_all(self, account: int) -> None:
        self.attempt(lambda: self.world.exchange.cancel_all(account, SYMBOL))
        assert self.world.exchange.open_orders(account, SYMBOL) == []

    @rule(account=ACCOUNTS, pick=st.integers(0, 1_000), qty=QUANTITIES)
    def amend(self, account: int, pick: int, qty: str) -> None:
        rows = self.world.exchange.open_orders(account, None)
        if rows:
            key = OrderKey(symbol=SYMBOL, order_id=rows[pick % len(rows)]["orderId"])
            self.attempt(lambda: self.world.exchange.amend(account, key, D(qty), None))

    @rule(account=ACCOUNTS, pick=st.integers(0, 1_000), side=SIDES, qty=QUANTITIES, price=PRICES)
    def replace(self, account: int, pick: int, side: str, qty: str, price: str) -> None:
        rows = self.world.exchange.open_orders(account, None)
        if not rows:
            return
        key = OrderKey(symbol=SYMBOL, order_id=rows[pick % len(rows)]["orderId"])
        new = self.world.new(side, "LIMIT", time_in_force="GTC", quantity=qty, price=price)
        self.attempt(
            lambda: self.world.exchange.cancel_replace(
                account,
                "ALLOW_FAILURE",
                key,
                new,
                cancel_new_client_order_id=None,
                restrictions=None,
                rate_limit_mode=None,
            )
        )

    @rule(account=ACCOUNTS, asset=st.sampled_from(["USDT", "BTC"]), amount=st.integers(-300, 300))
    def transfer(self, account: int, asset: str, amount: int) -> None:
        self.attempt(lambda: self.world.exchange.deposit(account, asset, D(amount)))

    @rule(price=st.integers(92, 108), qty=QUANTITIES, seller=st.booleans())
    def trade(self, price: int, qty: str, seller: bool) -> None:
        self.world.feed.ms += 137
        self.world.prints(str(price), qty, seller=seller)

    @rule(mid=st.integers(94, 106), sizes=st.lists(QUANTITIES, min_size=6, max_size=6))
    def book(self, mid: int, sizes: list[str]) -> None:
        bids = [(str(mid - 1 - step), sizes[step]) for step in range(3)]
        asks = [(str(mid + 1 + step), sizes[3 + step]) for step in range(3)]
        self.world.feed.ms += 100
        self.world.shows(bids, asks)

    @rule()
    @precondition(lambda self: self.world.exchange.open_orders(ME, None))
    def die_and_return(self) -> None:
        before = contents(self.world.exchange)
        again = self.world.restart()
        assert contents(again) == before
        again.close()

    @invariant()
    def books_are_right(self) -> None:
        check_books(self.world)


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
