"""Our book beside the market's: queues, prints, crossings, and liquidity that is there only once."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, OTHER, SYMBOL, World, check_books, count
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.binance.candles import Print
from services.simulator.binance.exchange.api import Page


@pytest.fixture
def world() -> World:
    return World()


def executed(world: World, order: Any, account: int = ME) -> float:
    return float(world.row(order["orderId"], account)["executedQty"])


def test_liquidity_is_taken_once_at_one_state_of_the_book(world: World) -> None:
    world.limit("BUY", "1.5", "101", "IOC")
    assert world.limit("BUY", "1.5", "101", "IOC")["executedQty"] == "0.50000000"
    assert world.limit("BUY", "1", "101", "IOC", account=OTHER)["executedQty"] == "0.00000000"
    world.shows([("99", "2")], [("101", "2")])
    assert world.limit("BUY", "1", "101", "IOC")["executedQty"] == "1.00000000"


def test_a_resting_order_waits_behind_the_displayed_quantity(world: World) -> None:
    order = world.limit("BUY", "1", "99")  # 2 displayed before it
    world.prints("99", "1.5")
    assert executed(world, order) == 0
    world.prints("99", "1")  # half of it is the rest of the queue
    assert executed(world, order) == 0.5
    world.prints("99", "5", seller=False)  # somebody bought at 99: that is not our side
    assert executed(world, order) == 0.5
    world.prints("99", "5")
    assert world.status(order["orderId"]) == "FILLED"


def test_a_shrinking_level_shortens_the_queue_and_a_growing_one_does_not_lengthen_it(world: World) -> None:
    order = world.limit("BUY", "1", "99")
    world.shows([("99", "0.25")], [("101", "2")])
    world.shows([("99", "50")], [("101", "2")])
    world.prints("99", "0.75")
    assert executed(world, order) == 0.5


def test_a_print_through_the_price_fills_without_a_queue_at_the_orders_own_price(world: World) -> None:
    order = world.limit("BUY", "1", "99")
    world.prints("98.5", "0.6")
    assert executed(world, order) == 0.6
    trade = world.exchange.my_trades(ME, SYMBOL, order["orderId"], Page())[0]
    assert (trade["price"], trade["isMaker"], trade["isBuyer"]) == ("99.00000000", True, True)


def test_one_print_fills_no_more_than_its_quantity_best_price_and_oldest_first(world: World) -> None:
    late = world.limit("BUY", "1", "99.5", account=OTHER)
    best = world.limit("BUY", "1", "100")
    later = world.limit("BUY", "1", "99.5")
    world.prints("99.2", "1.5")
    assert [executed(world, best), executed(world, late, OTHER), executed(world, later)] == [1.0, 0.5, 0.0]
    check_books(world)


def test_a_book_that_moves_through_an_order_fills_it_at_its_price(world: World) -> None:
    order = world.limit("BUY", "3", "100")
    world.shows([("97", "1")], [("98", "1"), ("99.5", "1"), ("100.5", "9")])
    assert executed(world, order) == 2
    assert world.row(order["orderId"])["cummulativeQuoteQty"] == "200.00000000"
    check_books(world)


def test_own_orders_trade_with_each_other_behind_the_market_at_the_same_price(world: World) -> None:
    world.exchange.deposit(OTHER, "BTC", D("10"))
    resting = world.limit("SELL", "1", "101", account=OTHER)  # behind the 2 displayed
    taker = world.limit("BUY", "2.5", "101", "IOC")
    trades = world.exchange.my_trades(ME, SYMBOL, taker["orderId"], Page())
    assert [row["qty"] for row in trades] == ["2.00000000", "0.50000000"]
    assert executed(world, resting, OTHER) == 0.5
    theirs = world.exchange.my_trades(OTHER, SYMBOL, None, Page())
    assert [(row["id"], row["isMaker"], row["commissionAsset"]) for row in theirs] == [(trades[1]["id"], True, "USDT")]
    check_books(world)


def test_a_better_own_price_comes_before_the_market(world: World) -> None:
    world.limit("SELL", "0.05", "100.5", account=OTHER)
    answer = world.limit("BUY", "1", "101", "IOC")
    assert [row["price"] for row in answer["fills"]] == ["100.50000000", "101.00000000"]


def test_an_iceberg_shows_a_part_and_queues_anew_with_the_next(world: World) -> None:
    world.exchange.deposit(OTHER, "BTC", D("10"))
    world.exchange.deposit(3, "BTC", D("10"))
    iceberg = world.limit("SELL", "3", "100.5", account=OTHER, iceberg_qty="1")
    plain = world.limit("SELL", "1", "100.5", account=3)
    answer = world.limit("BUY", "1.5", "100.5", "IOC")
    assert [row["qty"] for row in answer["fills"]] == ["1.00000000", "0.50000000"]  # its part, then the other order
    assert executed(world, plain, 3) == 0.5
    world.limit("BUY", "2.5", "100.5", "IOC")
    assert executed(world, plain, 3) == 1
    assert world.status(iceberg["orderId"], OTHER) == "FILLED"
    row = world.row(iceberg["orderId"], OTHER)
    assert row["icebergQty"] == "1.00000000"
    check_books(world)


def test_public_ids_and_own_trade_ids_never_meet(world: World) -> None:
    world.prints("100")
    world.limit("BUY", "1", "101", "IOC")
    trade = world.exchange.my_trades(ME, SYMBOL, None, Page())[0]
    assert trade["id"] > 10**12


def test_a_print_is_followed_once(world: World) -> None:
    order = world.limit("BUY", "1", "100")
    world.prints("99.9", "0.25")
    world.exchange.on_trade(SYMBOL, world.feed.prints[SYMBOL][-1])
    assert executed(world, order) == 0.25


def test_an_order_is_not_filled_by_prints_from_before_it(world: World) -> None:
    early = _print(2, world.feed.ms, "98", "0.5")
    world.feed.ms += 40
    order = world.limit("BUY", "1", "99.5")
    world.exchange.on_trade(SYMBOL, early)  # the venue tells of its trades a moment late
    assert executed(world, order) == 0
    world.exchange.on_trade(SYMBOL, _print(3, world.feed.ms, "98", "0.5"))
    assert executed(world, order) == 0.5


@pytest.mark.parametrize(
    ("side", "price", "status"), [("BUY", "101", "FILLED"), ("BUY", "130", "EXPIRED"), ("SELL", "99", "FILLED")]
)
def test_a_taker_beyond_the_price_range_expires(world: World, side: str, price: str, status: str) -> None:
    world.prints("100")
    world.shows([("99", "2")], [(price, "1")] if side == "BUY" else [("140", "1")])
    answer = world.place(side, "MARKET", quantity="0.06")
    assert answer["status"] == status
    expected = "EXECUTION_RULE_PRICE_RANGE_EXCEEDED" if status == "EXPIRED" else None
    assert answer.get("expiryReason") == expected


def test_the_price_range_ends_an_order_after_what_it_may_take(world: World) -> None:
    world.prints("100")
    world.shows([("99", "2")], [("119", "1"), ("121", "5")])
    answer = world.limit("BUY", "3", "125")
    assert (answer["executedQty"], answer["status"]) == ("1.00000000", "EXPIRED")
    assert answer["expiryReason"] == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([1, 2, 3]), st.integers(9_600, 9_999), st.integers(1, 8)), min_size=1, max_size=12
    ),
    sold=st.integers(1, 60),
    as_print=st.booleans(),
)
def test_price_then_time_whoever_sells(rows: list[tuple[int, int, int]], sold: int, as_print: bool) -> None:
    world = World(opening={"USDT": D("100000"), "BTC": D("100")})
    world.shows([], [])
    orders = []
    for account, cents, quarters in rows:
        price, qty = D(cents) / 100, D(quarters) / 4
        orders.append((account, world.limit("BUY", str(qty), str(price), account=account), price, qty))
    size = D(sold) / 4
    if as_print:
        world.prints("95", str(size))
    else:
        world.limit("SELL", str(size), "95", "IOC", account=4)
    left = size
    for account, order, _, qty in sorted(orders, key=lambda each: (-each[2], each[1]["orderId"])):
        due = min(qty, left)
        left -= due
        assert D(world.row(order["orderId"], account)["executedQty"]) == due
    check_books(world)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=4, max_size=4),
    takers=st.lists(st.tuples(st.integers(1, 40), st.integers(100, 105)), min_size=1, max_size=8),
)
def test_takers_together_get_what_each_level_showed_and_no_more(
    sizes: list[int], takers: list[tuple[int, int]]
) -> None:
    world = World(opening={"USDT": D("100000")})
    shown = {101 + index: D(size) / 4 for index, size in enumerate(sizes)}
    world.shows([], [(str(price), str(qty)) for price, qty in shown.items()])
    expected = dict(shown)
    for quarters, limit in takers:
        answer = world.limit("BUY", str(D(quarters) / 4), str(limit), "IOC")
        left = D(quarters) / 4
        got = [(D(row["price"]), D(row["qty"])) for row in answer["fills"]]
        due = []
        for price in sorted(expected):
            part = min(left, expected[price]) if price <= limit else D(0)
            if part:
                due.append((D(price), part))
                expected[price] -= part
                left -= part
        assert got == due


def _print(number: int, ms: int, price: str, qty: str) -> Print:
    return Print(number, ms, count(price), count(qty), True)
