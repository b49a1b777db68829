"""Stops, take profits, trailing stops and pegged orders: when they begin and what becomes of them."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, SYMBOL, World, check_books, refusal


@pytest.fixture
def world() -> World:
    world = World(opening={"USDT": D("10000"), "BTC": D("10")})
    world.prints("100")
    return world


@pytest.mark.parametrize(
    ("side", "type_", "stop", "before", "at"),
    [
        ("BUY", "STOP_LOSS", "103", "102.99", "103"),
        ("SELL", "STOP_LOSS", "97", "97.01", "97"),
        ("BUY", "TAKE_PROFIT", "97", "97.01", "97"),
        ("SELL", "TAKE_PROFIT", "103", "102.99", "103"),
    ],
)
def test_a_stop_waits_for_its_price_and_then_trades_at_market(
    world: World, side: str, type_: str, stop: str, before: str, at: str
) -> None:
    order = world.place(side, type_, quantity="1", stop_price=stop)["orderId"]
    row = world.row(order)
    assert (row["status"], row["isWorking"], row["workingTime"]) == ("NEW", False, -1)
    world.prints(before)
    assert world.status(order) == "NEW"
    world.prints(at)
    row = world.row(order)
    assert (row["status"], row["isWorking"]) == ("FILLED", True)
    assert world.told(order) == ["NEW/NEW", "NEW/NEW", "TRADE/FILLED"]
    assert [event["w"] for event in world.reports(order)] == [False, True, False]
    assert "W" not in world.reports(order)[0]
    check_books(world)


@pytest.mark.parametrize(
    ("side", "type_", "stop"),
    [
        ("BUY", "STOP_LOSS", "100"),
        ("SELL", "STOP_LOSS", "100"),
        ("BUY", "TAKE_PROFIT", "101"),
        ("SELL", "TAKE_PROFIT", "99"),
    ],
)
def test_a_stop_on_the_wrong_side_of_the_last_price_is_refused(world: World, side: str, type_: str, stop: str) -> None:
    call = lambda: world.place(side, type_, quantity="1", stop_price=stop)  # noqa: E731
    assert refusal(call) == (-2010, "Order would trigger immediately.")


def test_a_stop_limit_becomes_a_limit_order_that_may_rest(world: World) -> None:
    order = world.place("SELL", "STOP_LOSS_LIMIT", quantity="1", price="99.5", stop_price="98", time_in_force="GTC")[
        "orderId"
    ]
    assert world.balance("BTC") == ("9.00000000", "1.00000000")
    world.prints("97.5")
    assert world.row(order)["isWorking"] is True
    assert world.status(order) == "NEW"
    world.prints("99.6", seller=False)
    assert world.status(order) == "FILLED"
    check_books(world)


def test_a_triggered_order_that_cannot_be_paid_expires(world: World) -> None:
    order = world.place("BUY", "STOP_LOSS", quantity="95", stop_price="103")["orderId"]
    assert world.balance("USDT")[1] == "9785.00000000"
    world.shows([("99", "2")], [("110", "100")])
    world.prints("104")
    row = world.row(order)
    assert (row["status"], row["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert world.balance("USDT") == ("10000.00000000", "0.00000000")


def test_the_trade_of_one_print_sets_off_several_stops_in_turn(world: World) -> None:
    first = world.place("SELL", "STOP_LOSS", quantity="1", stop_price="98")["orderId"]
    second = world.place("SELL", "STOP_LOSS", quantity="1.5", stop_price="97")["orderId"]
    world.prints("96")
    assert world.row(first)["cummulativeQuoteQty"] == "99.00000000"
    assert world.row(second)["cummulativeQuoteQty"] == "148.00000000"  # 1 left at 99, 0.5 at 98


def test_a_trailing_stop_follows_the_best_price_and_fires_on_the_way_back(world: World) -> None:
    order = world.place("SELL", "STOP_LOSS_LIMIT", quantity="1", price="90", trailing_delta=700, time_in_force="GTC")[
        "orderId"
    ]
    row = world.row(order)
    assert (row["trailingDelta"], row["trailingTime"]) == (700, world.feed.ms)
    for price in ("105", "98.75", "113.75"):
        world.prints(price)
    assert world.status(order) == "NEW"
    world.prints("105.79")  # 113.75 * 0.93 = 105.7875
    assert world.status(order) == "NEW"
    world.prints("105.78")
    assert world.status(order) == "FILLED"


def test_a_trailing_stop_with_a_stop_price_tracks_only_from_there(world: World) -> None:
    order = world.place("BUY", "STOP_LOSS", quantity="1", stop_price="110", trailing_delta=500)["orderId"]
    assert world.row(order)["trailingTime"] == -1
    for price in ("92.5", "110", "115", "105"):
        world.prints(price)
    assert world.row(order)["trailingTime"] == world.feed.ms
    assert world.status(order) == "NEW"
    world.prints("110.24")
    assert world.status(order) == "NEW"
    world.prints("110.25")  # 105 * 1.05
    assert world.status(order) == "FILLED"
    assert world.reports(order)[-1]["d"] == 500
    assert world.reports(order)[-1]["D"] == world.feed.ms


@pytest.mark.parametrize(
    ("side", "peg", "levels", "price"),
    [
        ("BUY", "PRIMARY_PEG", None, "99.00000000"),
        ("SELL", "PRIMARY_PEG", None, "101.00000000"),
        ("BUY", "PRIMARY_PEG", 1, "98.00000000"),
        ("BUY", "MARKET_PEG", None, "101.00000000"),
        ("SELL", "MARKET_PEG", 1, "98.00000000"),
    ],
)
def test_a_pegged_order_takes_its_price_from_the_book(
    world: World, side: str, peg: str, levels: int | None, price: str
) -> None:
    given: dict[str, Any] = {"peg_price_type": peg}
    if levels is not None:
        given |= {"peg_offset_type": "PRICE_LEVEL", "peg_offset_value": levels}
    answer = world.place(side, "LIMIT", time_in_force="GTC", quantity="1", **given)
    assert (answer["price"], answer["pegPriceType"], answer["peggedPrice"]) == ("0.00000000", peg, price)
    assert ("pegOffsetValue" in answer) == (levels is not None)
    assert world.row(answer["orderId"])["peggedPrice"] == price
    assert world.reports()[0]["gp"] == price
    check_books(world)


def test_pegs_that_cannot_be_are_refused(world: World) -> None:
    limit = {"time_in_force": "GTC", "quantity": "1"}
    far = {**limit, "peg_price_type": "PRIMARY_PEG", "peg_offset_type": "PRICE_LEVEL", "peg_offset_value": 2}
    text = "Order book liquidity is too low for this pegged order."
    assert refusal(lambda: world.place("BUY", "LIMIT", **far)) == (-2010, text)
    for type_, given, code in (
        ("MARKET", {"quantity": "1", "peg_price_type": "PRIMARY_PEG"}, -2010),
        ("LIMIT_MAKER", {"quantity": "1", "peg_price_type": "MARKET_PEG"}, -2010),
        ("LIMIT", {**limit, "peg_price_type": "MID"}, -1210),
        ("LIMIT", {**far, "peg_offset_type": "BIPS"}, -1211),
        ("LIMIT", {**limit, "price": "90", "peg_offset_value": 2}, -1128),
        ("LIMIT", {**far, "peg_offset_value": 101}, -1130),
    ):
        assert refusal(lambda type_=type_, given=given: world.place("BUY", type_, **given))[0] == code


def test_a_pegged_stop_limit_finds_its_price_when_it_is_triggered(world: World) -> None:
    order = world.place(
        "SELL", "STOP_LOSS_LIMIT", quantity="1", stop_price="95", time_in_force="GTC", peg_price_type="PRIMARY_PEG"
    )["orderId"]
    assert "peggedPrice" not in world.row(order)
    world.shows([("94", "2")], [("96", "2")])
    world.prints("94.5")
    assert world.row(order)["peggedPrice"] == "96.00000000"
    assert world.status(order) == "NEW"


def test_stops_are_set_off_by_trades_of_their_own_symbol_only(world: World) -> None:
    order = world.place("SELL", "STOP_LOSS", quantity="1", stop_price="97")["orderId"]
    world.shows([("90", "2")], [("91", "2")])
    assert world.status(order) == "NEW"
    assert world.exchange.open_orders(ME, SYMBOL)[0]["type"] == "STOP_LOSS"
