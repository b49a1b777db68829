"""Order lists: OCO, OTO, OTOCO and the two that pay from what the working order has bought."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, SYMBOL, World, check_books, refusal

from services.simulator.binance.exchange.api import NewOrder, OrderKey, Page


@pytest.fixture
def world() -> World:
    world = World(opening={"USDT": D(10_000), "BTC": D(10)})
    world.prints("100")
    return world


def limit(world: World, side: str, price: str, qty: str = "1", **given: Any) -> NewOrder:
    return world.new(side, "LIMIT", time_in_force="GTC", quantity=qty, price=price, **given)


def sell_pair(world: World, qty: str | None = "1") -> dict[str, NewOrder]:
    """A profit at 110 above and a stop at 90 below."""
    size = {} if qty is None else {"quantity": qty}
    stop = {"price": "89", "stop_price": "90", "time_in_force": "GTC"}
    return {
        "above": world.new("SELL", "LIMIT_MAKER", price="110", **size),
        "below": world.new("SELL", "STOP_LOSS_LIMIT", **stop, **size),
    }


def ids(answer: Any) -> list[int]:
    return [row["orderId"] for row in answer["orders"]]


def states(world: World, answer: Any) -> list[str]:
    return [world.status(order) for order in ids(answer)]


def list_states(world: World) -> list[tuple[str, str]]:
    return [(event["l"], event["L"]) for event in world.events if event["e"] == "listStatus"]


def test_an_oco_is_answered_with_both_legs_and_locks_its_quantity_once(world: World) -> None:
    answer = world.list("oco", **sell_pair(world))
    assert list(answer) == [
        "orderListId",
        "contingencyType",
        "listStatusType",
        "listOrderStatus",
        "listClientOrderId",
        "transactionTime",
        "symbol",
        "orders",
        "orderReports",
    ]
    assert (answer["contingencyType"], answer["listStatusType"], answer["listOrderStatus"]) == (
        "OCO",
        "EXEC_STARTED",
        "EXECUTING",
    )
    above, below = answer["orderReports"]
    assert (above["type"], above["workingTime"]) == ("LIMIT_MAKER", world.feed.ms)
    assert (below["type"], below["workingTime"], below["stopPrice"]) == ("STOP_LOSS_LIMIT", -1, "90.00000000")
    assert world.balance("BTC") == ("9.00000000", "1.00000000")
    assert list_states(world) == [("EXEC_STARTED", "EXECUTING")]
    listed = world.exchange.open_order_lists(ME)
    assert listed == [{key: value for key, value in answer.items() if key != "orderReports"}]
    check_books(world)


def test_a_buying_oco_locks_the_dearer_leg(world: World) -> None:
    legs = {
        "above": world.new("BUY", "STOP_LOSS_LIMIT", quantity="1", price="112", stop_price="110", time_in_force="GTC"),
        "below": world.new("BUY", "LIMIT_MAKER", quantity="1", price="90"),
    }
    answer = world.list("oco", **legs)
    assert world.balance("USDT")[1] == "112.00000000"
    world.prints("89", "0.25")
    assert states(world, answer) == ["EXPIRED", "PARTIALLY_FILLED"]
    assert world.balance("USDT")[1] == "67.50000000"
    check_books(world)


def test_the_limit_leg_of_an_oco_ends_the_stop_with_its_first_fill(world: World) -> None:
    answer = world.list("oco", **sell_pair(world))
    world.prints("111", "0.4", seller=False)
    assert states(world, answer) == ["PARTIALLY_FILLED", "EXPIRED"]
    assert world.row(ids(answer)[1])["expiryReason"] == "OCO_TRIGGER"
    assert world.last("listStatus")["L"] == "EXECUTING"
    world.prints("111", "4", seller=False)
    assert states(world, answer) == ["FILLED", "EXPIRED"]
    assert list_states(world)[-1] == ("ALL_DONE", "ALL_DONE")
    assert world.exchange.open_order_lists(ME) == []
    assert world.exchange.order_list(ME, answer["orderListId"], None)["listOrderStatus"] == "ALL_DONE"
    check_books(world)


def test_the_stop_leg_of_an_oco_ends_the_limit_when_it_is_triggered(world: World) -> None:
    answer = world.list("oco", **sell_pair(world))
    world.prints("90")
    assert states(world, answer) == ["EXPIRED", "FILLED"]
    assert world.told(ids(answer)[0]) == ["NEW/NEW", "EXPIRED/EXPIRED"]
    assert world.reports(ids(answer)[0])[-1]["eR"] == "OCO_TRIGGER"
    assert list_states(world)[-1] == ("ALL_DONE", "ALL_DONE")
    check_books(world)


def test_canceling_one_leg_cancels_the_list(world: World) -> None:
    answer = world.list("oco", **sell_pair(world))
    canceled = world.cancel(ids(answer)[1])
    assert (canceled["listOrderStatus"], [row["status"] for row in canceled["orderReports"]]) == (
        "ALL_DONE",
        ["CANCELED", "CANCELED"],
    )
    assert {row["origClientOrderId"] for row in canceled["orderReports"]} == {
        row["clientOrderId"] for row in answer["orders"]
    }
    assert states(world, answer) == ["CANCELED", "CANCELED"]
    assert world.balance("BTC") == ("10.00000000", "0.00000000")
    check_books(world)


def test_a_list_is_canceled_by_either_of_its_ids(world: World) -> None:
    first, second = (world.list("oco", **sell_pair(world)) for _ in range(2))
    exchange = world.exchange
    assert exchange.cancel_list(ME, SYMBOL, first["orderListId"], None)["listStatusType"] == "ALL_DONE"
    gone = exchange.cancel_list(ME, SYMBOL, None, second["listClientOrderId"], "my-cancel")
    assert {row["clientOrderId"] for row in gone["orderReports"]} == {"my-cancel"}
    assert refusal(lambda: exchange.cancel_list(ME, SYMBOL, first["orderListId"], None)) == (
        -2011,
        "Unknown order sent.",
    )
    assert [row["orderListId"] for row in exchange.all_order_lists(ME, Page())] == [0, 1]


def test_cancel_all_answers_lists_as_lists(world: World) -> None:
    world.list("oco", **sell_pair(world))
    single = world.limit("BUY", "1", "95")
    rows = world.exchange.cancel_all(ME, SYMBOL)
    assert [row.get("orderId", row.get("contingencyType")) for row in rows] == [single["orderId"], "OCO"]
    assert refusal(lambda: world.exchange.cancel_all(ME, SYMBOL)) == (-2011, "Unknown order sent.")
    check_books(world)


@pytest.mark.parametrize(
    ("side", "above", "below", "code"),
    [
        ("SELL", ("STOP_LOSS", "110"), ("STOP_LOSS", "90"), -1197),
        ("BUY", ("STOP_LOSS", "110"), ("STOP_LOSS", "90"), -1196),
        ("SELL", ("LIMIT_MAKER", "110"), ("LIMIT_MAKER", "90"), -1168),
        ("SELL", ("TAKE_PROFIT", "110"), ("LIMIT_MAKER", "90"), -1166),
        ("BUY", ("LIMIT_MAKER", "110"), ("TAKE_PROFIT", "90"), -1165),
        ("BUY", ("TAKE_PROFIT", "110"), ("TAKE_PROFIT", "90"), -1198),
        ("SELL", ("TAKE_PROFIT", "110"), ("TAKE_PROFIT", "90"), -1199),
        ("SELL", ("MARKET", ""), ("STOP_LOSS", "90"), -1158),
        ("SELL", ("LIMIT_MAKER", "99"), ("STOP_LOSS", "98"), -2010),
        ("SELL", ("LIMIT_MAKER", "110"), ("STOP_LOSS", "101"), -2010),
        ("BUY", ("STOP_LOSS", "99"), ("LIMIT_MAKER", "90"), -2010),
        ("SELL", ("TAKE_PROFIT", "110"), ("STOP_LOSS", "90"), 0),
        ("BUY", ("STOP_LOSS", "110"), ("TAKE_PROFIT", "90"), 0),
    ],
)
def test_the_legs_of_an_oco_have_their_places(
    world: World, side: str, above: tuple[str, str], below: tuple[str, str], code: int
) -> None:
    def leg(type_: str, price: str) -> NewOrder:
        if type_ == "MARKET":
            return world.new(side, type_, quantity="1")
        return world.new(side, type_, quantity="1", **{"price" if type_ == "LIMIT_MAKER" else "stop_price": price})

    call = lambda: world.list("oco", above=leg(*above), below=leg(*below))  # noqa: E731
    if code == 0:
        assert call()["listOrderStatus"] == "EXECUTING"
        return
    got, text = refusal(call)
    assert got == code
    if code == -2010:
        assert text == "The relationship of the prices for the orders is not correct."
    assert world.exchange.open_orders(ME, None) == []
    check_books(world)


def test_a_pending_order_waits_until_the_working_one_is_wholly_filled(world: World) -> None:
    answer = world.list("oto", working=limit(world, "BUY", "95"), pending=limit(world, "SELL", "120"))
    assert [row["status"] for row in answer["orderReports"]] == ["NEW", "PENDING_NEW"]
    assert [row["workingTime"] for row in answer["orderReports"]] == [world.feed.ms, -1]
    assert answer["contingencyType"] == "OTO"
    world.prints("94", "0.5")
    assert states(world, answer) == ["PARTIALLY_FILLED", "PENDING_NEW"]
    world.prints("94", "0.5")
    assert states(world, answer) == ["FILLED", "NEW"]
    assert world.row(ids(answer)[1])["isWorking"] is True
    assert len(world.exchange.open_order_lists(ME)) == 1
    world.prints("121", "1", seller=False)
    assert states(world, answer) == ["FILLED", "FILLED"]
    assert list_states(world) == [("EXEC_STARTED", "EXECUTING"), ("ALL_DONE", "ALL_DONE")]
    check_books(world)


def test_a_working_order_filled_at_once_still_shows_its_pending_one_as_pending(world: World) -> None:
    answer = world.list("oto", working=limit(world, "BUY", "101"), pending=world.new("SELL", "MARKET", quantity="1"))
    assert [row["status"] for row in answer["orderReports"]] == ["FILLED", "PENDING_NEW"]
    assert states(world, answer) == ["FILLED", "FILLED"]
    check_books(world)


def test_a_pending_order_that_the_engine_refuses_expires(world: World) -> None:
    answer = world.list("oto", working=limit(world, "BUY", "101"), pending=limit(world, "SELL", "120", "50"))
    row = world.row(ids(answer)[1])
    assert (row["status"], row["expiryReason"]) == ("EXPIRED", "REJECTED")
    assert world.last("listStatus")["L"] == "ALL_DONE"


def test_a_working_order_that_expires_takes_the_pending_ones_with_it(world: World) -> None:
    working = world.new("BUY", "LIMIT", time_in_force="IOC", quantity="1", price="95")
    answer = world.list("oto", working=working, pending=limit(world, "SELL", "120"))
    rows = [world.row(order) for order in ids(answer)]
    assert [row["expiryReason"] for row in rows] == ["UNFILLED_IOC_QUANTITY_EXPIRED", "OTO_PHASE_ONE_EXPIRED"]
    check_books(world)


def test_an_otoco_places_its_pair_and_one_leg_ends_the_other(world: World) -> None:
    pair = sell_pair(world)
    answer = world.list(
        "otoco",
        working=limit(world, "BUY", "101"),
        pending_above=pair["above"],
        pending_below=pair["below"],
    )
    assert states(world, answer) == ["FILLED", "NEW", "NEW"]
    assert world.balance("BTC") == ("9.99900000", "1.00000000")
    world.prints("111", "2", seller=False)
    assert states(world, answer) == ["FILLED", "FILLED", "EXPIRED"]
    assert world.last("listStatus")["L"] == "ALL_DONE"
    check_books(world)


def test_canceling_an_otoco_in_its_first_phase_ends_all_three(world: World) -> None:
    pair = sell_pair(world)
    answer = world.list(
        "otoco", working=limit(world, "BUY", "95"), pending_above=pair["above"], pending_below=pair["below"]
    )
    world.cancel(ids(answer)[0])
    assert states(world, answer) == ["CANCELED"] * 3
    assert world.balance("USDT") == ("10000.00000000", "0.00000000")


def test_an_opo_locks_what_it_buys_and_sells_just_that(world: World) -> None:
    world.exchange.deposit(ME, "BTC", D("-10"))
    answer = world.list(
        "opo",
        working=limit(world, "BUY", "100.5", "1.5"),
        pending=world.new("SELL", "LIMIT", time_in_force="GTC", price="120"),
    )
    assert "origQty" not in answer["orderReports"][1]
    world.prints("100", "0.5")
    assert world.balance("BTC") == ("0.00000000", "0.49950000")  # nothing else there to pay the commission from
    check_books(world)
    world.prints("100", "1")
    row = world.row(ids(answer)[1])
    assert (row["status"], row["origQty"]) == ("NEW", "1.49850000")
    assert world.balance("BTC") == ("0.00000000", "1.49850000")
    check_books(world)


def test_an_opo_pays_its_commission_from_other_coins_where_there_are_some(world: World) -> None:
    answer = world.list(
        "opo",
        working=limit(world, "BUY", "101"),
        pending=world.new("SELL", "LIMIT", time_in_force="GTC", price="120"),
    )
    assert world.row(ids(answer)[1])["origQty"] == "1.00000000"
    check_books(world)


def test_an_opo_canceled_in_its_first_phase_gives_back_what_it_kept(world: World) -> None:
    answer = world.list(
        "opo",
        working=limit(world, "BUY", "100.5"),
        pending=world.new("SELL", "LIMIT", time_in_force="GTC", price="120"),
    )
    world.prints("100", "0.5")
    world.cancel(ids(answer)[0])
    assert states(world, answer) == ["CANCELED", "CANCELED"]
    assert world.balance("BTC")[1] == "0.00000000"
    check_books(world)


def test_an_opoco_places_both_legs_with_what_was_bought(world: World) -> None:
    pair = sell_pair(world, None)
    answer = world.list(
        "opoco", working=limit(world, "BUY", "101"), pending_above=pair["above"], pending_below=pair["below"]
    )
    assert [world.row(order)["origQty"] for order in ids(answer)] == ["1.00000000"] * 3
    assert states(world, answer) == ["FILLED", "NEW", "NEW"]
    check_books(world)


@pytest.mark.parametrize(
    ("kind", "working", "pending", "code"),
    [
        ("oto", ("BUY", "MARKET"), ("SELL", "MARKET"), -1116),
        ("opo", ("SELL", "LIMIT"), ("SELL", "LIMIT"), -1222),
        ("opo", ("BUY", "LIMIT"), ("BUY", "LIMIT"), -1223),
        ("opo", ("BUY", "LIMIT"), ("SELL", "MARKET"), -1225),
    ],
)
def test_the_orders_of_a_staged_list_have_their_kinds(
    world: World, kind: str, working: tuple[str, str], pending: tuple[str, str], code: int
) -> None:
    def leg(side: str, type_: str, sized: bool) -> NewOrder:
        if type_ == "MARKET":
            return world.new(side, type_, quantity="1")
        size = {"quantity": "1"} if sized else {}
        return world.new(side, type_, time_in_force="GTC", price="95", **size)

    legs = {"working": leg(*working, True), "pending": leg(*pending, kind == "oto")}
    assert refusal(lambda: world.list(kind, **legs))[0] == code


def test_a_list_counts_as_all_its_orders(world: World) -> None:
    world.list("oto", working=limit(world, "BUY", "95"), pending=limit(world, "SELL", "120"))
    assert [row["count"] for row in world.exchange.order_counts(ME)] == [2, 2]


def test_names_of_lists_and_legs_are_taken_while_open(world: World) -> None:
    same = {"new_client_order_id": "leg"}
    legs = {"working": limit(world, "BUY", "95", **same), "pending": limit(world, "SELL", "120", **same)}
    assert refusal(lambda: world.list("oto", **legs)) == (-2010, "Duplicate order sent.")


def test_amending_one_leg_of_an_oco_amends_both(world: World) -> None:
    answer = world.list("oco", **sell_pair(world))
    key = OrderKey(symbol=SYMBOL, order_id=ids(answer)[0])
    amended = world.exchange.amend(ME, key, D("0.6"), "smaller")
    assert amended["listStatus"]["orders"][0]["clientOrderId"] == "smaller"
    assert [world.row(order)["origQty"] for order in ids(answer)] == ["0.60000000", "0.60000000"]
    assert world.balance("BTC")[1] == "0.60000000"
    assert list_states(world)[-1] == ("UPDATED", "EXECUTING")
    check_books(world)


def test_an_unknown_list_is_refused(world: World) -> None:
    assert refusal(lambda: world.exchange.order_list(ME, 7, None))[0] == -2018
    assert refusal(lambda: world.exchange.order_list(ME, None, None))[0] == -1102
