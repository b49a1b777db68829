"""Canceling, replacing, amending and asking for orders, by either of their ids."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, OTHER, SYMBOL, World, check_books, refusal

from services.simulator.binance.exchange.api import Answer, ApiError, NewOrder, OrderKey, Page
from services.simulator.binance.intervals import DAY_MS

UNKNOWN = (-2011, "Unknown order sent.")


@pytest.fixture
def world() -> World:
    return World()


def key(order_id: int | None = None, client_id: str | None = None) -> OrderKey:
    return OrderKey(symbol=SYMBOL, order_id=order_id, orig_client_order_id=client_id)


def cancel(world: World, one: OrderKey, restrictions: str | None = None, account: int = ME) -> Answer:
    return world.exchange.cancel(account, one, new_client_order_id="cancel-1", restrictions=restrictions)


def test_a_cancel_answers_with_the_order_as_it_ends(world: World) -> None:
    order = world.limit("BUY", "1", "95", new_client_order_id="mine")
    assert cancel(world, key(client_id="mine")) == {
        "symbol": SYMBOL,
        "origClientOrderId": "mine",
        "orderId": order["orderId"],
        "orderListId": -1,
        "clientOrderId": "cancel-1",
        "transactTime": world.feed.ms,
        "price": "95.00000000",
        "origQty": "1.00000000",
        "executedQty": "0.00000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "CANCELED",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    assert refusal(lambda: cancel(world, key(client_id="mine"))) == UNKNOWN


def test_what_is_not_there_cannot_be_canceled(world: World) -> None:
    order = world.limit("BUY", "1", "95", new_client_order_id="mine")["orderId"]
    filled = world.limit("BUY", "1", "101")["orderId"]
    for wrong in (key(99), key(client_id="other"), key(order, "other"), key(filled)):
        assert refusal(lambda wrong=wrong: cancel(world, wrong)) == UNKNOWN
    assert refusal(lambda: cancel(world, key(order), account=OTHER)) == UNKNOWN
    assert refusal(lambda: cancel(world, key()))[0] == -1102
    assert world.status(order) == "NEW"


def test_a_cancel_may_be_restricted_to_a_state(world: World) -> None:
    order = world.limit("BUY", "1", "100")["orderId"]
    text = "Order was not canceled due to cancel restrictions."
    assert refusal(lambda: cancel(world, key(order), "ONLY_PARTIALLY_FILLED")) == (-2011, text)
    assert refusal(lambda: cancel(world, key(order), "ONLY_MINE"))[0] == -1145
    world.prints("99.5", "0.25")
    assert refusal(lambda: cancel(world, key(order), "ONLY_NEW")) == (-2011, text)
    assert cancel(world, key(order), "ONLY_PARTIALLY_FILLED")["executedQty"] == "0.25000000"


def test_orders_are_found_by_both_ids_and_told_apart(world: World) -> None:
    order = world.limit("BUY", "1", "95", new_client_order_id="mine")["orderId"]
    ask = lambda one: world.exchange.order(ME, one)  # noqa: E731
    assert ask(key(order)) == ask(key(client_id="mine")) == ask(key(order, "mine"))
    assert list(ask(key(order))) == [
        *("symbol", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty"),
        *("cummulativeQuoteQty", "status", "timeInForce", "type", "side", "stopPrice", "icebergQty", "time"),
        *("updateTime", "isWorking", "workingTime", "origQuoteOrderQty", "selfTradePreventionMode"),
    ]
    assert refusal(lambda: ask(key(99))) == (-2013, "Order does not exist.")
    assert refusal(lambda: ask(key(order, "other"))) == (
        -2039,
        "Client order ID is not correct for this order ID.",
    )
    assert refusal(lambda: ask(key()))[0] == -1102
    assert refusal(lambda: world.exchange.order(OTHER, key(order)))[0] == -2013


def test_the_newest_order_of_a_client_id_is_found(world: World) -> None:
    for _ in range(2):
        newest = world.limit("BUY", "0.1", "101", new_client_order_id="again")["orderId"]
    assert world.exchange.order(ME, key(client_id="again"))["orderId"] == newest


def test_unfilled_orders_are_archived_after_ninety_days(world: World) -> None:
    gone = world.limit("BUY", "1", "95")["orderId"]
    world.cancel(gone)
    traded = world.limit("BUY", "3", "101", "IOC")["orderId"]
    world.feed.ms += 90 * DAY_MS
    assert world.status(gone) == "CANCELED"
    world.feed.ms += 1
    assert refusal(lambda: world.row(gone))[0] == -2026
    assert world.status(traded) == "EXPIRED"


def test_lists_of_orders_and_trades_come_oldest_first_in_pages(world: World) -> None:
    numbers = []
    for _ in range(4):
        numbers.append(world.limit("BUY", "0.1", "101")["orderId"])
        world.feed.ms += 1_000
    pages = [
        (Page(), numbers),
        (Page(limit=2), numbers[2:]),
        (Page(from_id=numbers[1], limit=2), numbers[1:3]),
        (Page(start=world.feed.ms - 3_000, limit=2), numbers[1:3]),
        (Page(end=world.feed.ms - 2_000, limit=2), numbers[1:3]),
        (Page(start=world.feed.ms - 3_000, end=world.feed.ms - 2_000), numbers[1:3]),
    ]
    for page, expected in pages:
        assert [row["orderId"] for row in world.exchange.all_orders(ME, SYMBOL, page)] == expected
    trades = world.exchange.my_trades(ME, SYMBOL, None, Page())
    assert [row["orderId"] for row in trades] == numbers
    assert [row["id"] for row in world.exchange.my_trades(ME, SYMBOL, None, Page(from_id=trades[2]["id"]))] == [
        trades[2]["id"],
        trades[3]["id"],
    ]
    assert trades[0] == {
        "symbol": SYMBOL,
        "id": trades[0]["id"],
        "orderId": numbers[0],
        "orderListId": -1,
        "price": "101.00000000",
        "qty": "0.10000000",
        "quoteQty": "10.10000000",
        "commission": "0.00010000",
        "commissionAsset": "BTC",
        "time": trades[0]["time"],
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
    }


def replace(world: World, one: OrderKey, new: NewOrder, mode: str = "STOP_ON_FAILURE", **given: Any) -> Answer:
    return world.exchange.cancel_replace(
        ME, mode, one, new, cancel_new_client_order_id=None, restrictions=None, rate_limit_mode=None, **given
    )


def replaced(world: World, one: OrderKey, new: NewOrder, mode: str = "STOP_ON_FAILURE") -> ApiError:
    with pytest.raises(ApiError) as refused:
        replace(world, one, new, mode)
    return refused.value


def test_a_replacement_cancels_and_places(world: World) -> None:
    order = world.limit("BUY", "100", "95")["orderId"]  # nearly all the money there is
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="100", price="96")
    answer = replace(world, key(order), new)
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["status"] == "CANCELED"
    assert answer["newOrderResponse"]["status"] == "NEW"
    assert world.status(order) == "CANCELED"
    check_books(world)


def test_a_replacement_whose_cancel_fails_is_not_tried_or_tried_as_it_was_asked(world: World) -> None:
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="1", price="96")
    error = replaced(world, key(99), new)
    assert (error.code, str(error), error.status) == (-2022, "Order cancel-replace failed.", 400)
    assert error.data == {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    assert [row["count"] for row in world.exchange.order_counts(ME)] == [1, 1]
    error = replaced(world, key(99), new, "ALLOW_FAILURE")
    assert (error.code, error.status) == (-2021, 409)
    assert error.data is not None
    assert error.data["newOrderResponse"]["status"] == "NEW"


def test_a_replacement_that_the_engine_refuses_leaves_the_cancel_and_a_rejected_order(world: World) -> None:
    order = world.limit("BUY", "1", "95")["orderId"]
    error = replaced(world, key(order), world.new("BUY", "LIMIT_MAKER", quantity="1", price="105"))
    assert (error.code, str(error), error.status) == (-2021, "Order cancel-replace partially failed.", 409)
    assert error.data is not None
    assert error.data["newOrderResponse"] == {"code": -2010, "msg": "Order would immediately match and take."}
    assert world.status(order) == "CANCELED"
    event = world.reports()[-1]
    assert (event["x"], event["X"], event["r"]) == ("REJECTED", "REJECTED", "WOULD_MATCH_IMMEDIATELY")
    error = replaced(world, key(99), world.new("SELL", "MARKET", quantity="9"), "ALLOW_FAILURE")
    assert (error.code, error.status) == (-2022, 400)
    check_books(world)


def test_a_replacement_may_take_the_place_and_the_name_of_what_it_replaces(world: World) -> None:
    order = world.limit("BUY", "1", "95", new_client_order_id="mine")["orderId"]
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="1", price="96", new_client_order_id="mine")
    answer = replace(world, key(order), new)
    assert world.exchange.order(ME, key(client_id="mine"))["orderId"] == answer["newOrderResponse"]["orderId"]


def test_a_replacement_that_a_filter_refuses_cancels_nothing(world: World) -> None:
    order = world.limit("BUY", "1", "95")["orderId"]
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="0.000001", price="96")
    assert refusal(lambda: replace(world, key(order), new))[0] == -1013
    assert world.status(order) == "NEW"


def test_an_amendment_makes_an_order_smaller_where_it_stands(world: World) -> None:
    first = world.limit("BUY", "2", "100", new_client_order_id="mine")["orderId"]
    second = world.limit("BUY", "1", "100", account=OTHER)["orderId"]
    answer = world.exchange.amend(ME, key(first), D("0.5"), "less")
    assert list(answer) == ["transactTime", "executionId", "amendedOrder"]
    assert list(answer["amendedOrder"]) == [
        *("symbol", "orderId", "orderListId", "origClientOrderId", "clientOrderId", "price", "qty", "executedQty"),
        *("preventedQty", "quoteOrderQty", "cumulativeQuoteQty", "status", "timeInForce", "type", "side"),
        *("workingTime", "selfTradePreventionMode"),
    ]
    assert world.balance("USDT")[1] == "50.00000000"
    event = world.reports(first)[-1]
    assert (event["x"], event["C"], event["c"], event["q"]) == ("REPLACED", "mine", "less", "0.50000000")
    assert event["I"] == answer["executionId"]
    world.prints("99.5", "0.75")
    assert [world.status(first), world.status(second, OTHER)] == ["FILLED", "PARTIALLY_FILLED"]
    rows = world.exchange.amendments(ME, SYMBOL, first, Page())
    assert rows == [
        {
            "symbol": SYMBOL,
            "orderId": first,
            "executionId": answer["executionId"],
            "origClientOrderId": "mine",
            "newClientOrderId": "less",
            "origQty": "2.00000000",
            "newQty": "0.50000000",
            "time": rows[0]["time"],
        }
    ]
    check_books(world)


def test_amendments_that_cannot_be_are_refused(world: World) -> None:
    order = world.limit("BUY", "2", "100")["orderId"]
    amend = lambda qty: world.exchange.amend(ME, key(order), D(qty), None)  # noqa: E731
    assert refusal(lambda: amend("3")) == (-2038, "Order amend (quantity increase) is not supported.")
    assert refusal(lambda: amend("2")) == (-2038, "The requested action would change no state; rejecting.")
    assert refusal(lambda: amend("0.01")) == (-1013, "Filter failure: NOTIONAL")
    assert refusal(lambda: world.exchange.amend(ME, key(99), D(1), None)) == (-2038, "Unknown order sent.")
    for step in range(1, 11):
        amend(str(D(2) - D(step) / 10))
    assert refusal(lambda: amend("0.9")) == (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
    check_books(world)


def test_an_amendment_to_what_is_executed_already_ends_the_order(world: World) -> None:
    order = world.limit("BUY", "2", "100")["orderId"]
    world.prints("99.5", "0.5")
    world.exchange.amend(ME, key(order), D("0.5"), None)
    row = world.row(order)
    assert (row["status"], row["origQty"], row["executedQty"]) == ("EXPIRED", "0.50000000", "0.50000000")
    check_books(world)
