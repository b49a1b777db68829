"""What an account hears: keys, their order, the conditional ones, and silence on demand."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from exchange_world import ME, OTHER, START_MS, SYMBOL, World, refusal

REPORT = [
    *("e", "E", "s", "c", "S", "o", "f", "q", "p", "P", "F", "g", "C", "x", "X", "r", "i", "l", "z", "L", "n", "N"),
    *("T", "t", "I", "w", "m", "M", "O", "Z", "Y", "Q", "W", "V"),
]


@pytest.fixture
def world() -> World:
    return World()


def test_an_order_and_its_fills_are_told_in_turn_and_the_money_last(world: World) -> None:
    answer = world.limit("BUY", "3", "102", new_client_order_id="mine")
    assert [event["e"] for event in world.events] == ["executionReport"] * 3 + ["outboundAccountPosition"]
    new, first, second, money = world.events
    assert [list(event) for event in (new, first, second)] == [REPORT] * 3
    assert new == {
        "e": "executionReport",
        "E": START_MS,
        "s": SYMBOL,
        "c": "mine",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "3.00000000",
        "p": "102.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": answer["orderId"],
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": START_MS,
        "t": -1,
        "I": new["I"],
        "w": True,
        "m": False,
        "M": False,
        "O": START_MS,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": START_MS,
        "V": "EXPIRE_MAKER",
    }
    told = [(event["x"], event["X"], event["l"], event["z"], event["L"], event["Z"]) for event in (first, second)]
    assert told == [
        ("TRADE", "PARTIALLY_FILLED", "2.00000000", "2.00000000", "101.00000000", "202.00000000"),
        ("TRADE", "FILLED", "1.00000000", "3.00000000", "102.00000000", "304.00000000"),
    ]
    assert [event["t"] for event in (first, second)] == [row["tradeId"] for row in answer["fills"]]
    assert (first["n"], first["N"], first["Y"], first["m"], first["M"]) == (
        "0.00200000",
        "BTC",
        "202.00000000",
        False,
        True,
    )
    assert money == {
        "e": "outboundAccountPosition",
        "E": START_MS,
        "u": START_MS,
        "B": [
            {"a": "USDT", "f": "9696.00000000", "l": "0.00000000"},
            {"a": "BTC", "f": "3.09700000", "l": "0.00000000"},
        ],
    }


def test_execution_ids_rise_and_repeat_for_no_event(world: World) -> None:
    world.limit("BUY", "3", "102")
    order = world.limit("BUY", "3", "95")
    world.cancel(order["orderId"])
    numbers = [event["I"] for event in world.reports()]
    assert numbers == sorted(set(numbers))


def test_a_cancel_is_told_with_its_own_id_and_the_orders(world: World) -> None:
    order = world.limit("BUY", "1", "95", new_client_order_id="mine")
    canceled = world.cancel(order["orderId"])
    event = world.reports()[-1]
    assert (event["x"], event["X"], event["C"], event["c"]) == (
        "CANCELED",
        "CANCELED",
        "mine",
        canceled["clientOrderId"],
    )
    assert (event["w"], event["l"], event["L"], event["t"]) == (False, "0.00000000", "0.00000000", -1)
    assert world.events[-1]["B"] == [{"a": "USDT", "f": "10000.00000000", "l": "0.00000000"}]


def test_conditional_keys_stand_only_where_they_apply(world: World) -> None:
    world.prints("100")
    world.place(
        "BUY",
        "STOP_LOSS_LIMIT",
        quantity="1",
        price="120",
        trailing_delta=100,
        time_in_force="GTC",
        strategy_id=7,
        strategy_type=1_000_001,
    )
    event = world.reports()[-1]
    extra = [key for key in event if key not in REPORT]
    assert extra == ["d", "D", "j", "J"]
    assert (event["d"], event["j"], event["J"], event["w"]) == (100, 7, 1_000_001, False)
    assert "W" not in event
    world.limit("BUY", "9", "101", "IOC")
    assert world.reports()[-1]["eR"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert all("eR" not in row for row in world.reports()[:-1])


def test_money_from_outside_is_told_with_its_change(world: World) -> None:
    world.exchange.deposit(ME, "BNB", D("2.5"))
    world.exchange.deposit(ME, "BNB", D("-3"))
    updates = [event for event in world.events if event["e"] == "balanceUpdate"]
    assert [event["d"] for event in updates] == ["2.50000000", "-3.00000000"]
    assert updates[0] == {"e": "balanceUpdate", "E": START_MS, "a": "BNB", "d": "2.50000000", "T": START_MS}
    assert world.events[-1]["B"] == [{"a": "BNB", "f": "0.50000000", "l": "0.00000000"}]
    assert refusal(lambda: world.exchange.deposit(ME, "BNB", D("-1")))[0] == -2010


def test_nobody_hears_another_account_and_nothing_after_the_end(world: World) -> None:
    heard: list[object] = []
    end = world.exchange.subscribe(OTHER, heard.append)
    world.limit("BUY", "1", "95")
    assert heard == []
    world.limit("BUY", "1", "95", account=OTHER)
    before = len(heard)
    end()
    end()
    world.limit("BUY", "1", "95", account=OTHER)
    assert len(heard) == before == 2


def test_under_the_fills_fault_nothing_follows_a_partial_fill(world: World) -> None:
    order = world.limit("BUY", "1", "100")
    world.faults.on = True
    world.prints("99.5", "0.25")
    assert world.told(order["orderId"]) == ["NEW/NEW", "TRADE/PARTIALLY_FILLED"]
    heard = len(world.events)
    world.prints("99.5", "0.25")
    assert world.row(order["orderId"])["executedQty"] == "0.50000000"
    assert len(world.events) == heard
    other = world.limit("BUY", "1", "95")
    assert world.told(other["orderId"]) == ["NEW/NEW"]
    assert not world.exchange.silent(ME)
    world.faults.on = False
    world.prints("99.5", "5")
    assert world.told(order["orderId"])[-1] == "TRADE/FILLED"


def test_a_call_that_fills_in_parts_is_not_answered_under_the_fills_fault(world: World) -> None:
    world.faults.on = True
    world.limit("BUY", "1", "101", "IOC")
    assert not world.exchange.silent(ME)
    world.shows([("99", "2")], [("101", "2"), ("102", "5")])
    order = world.place("BUY", "MARKET", quantity="3", account=ME)
    assert world.exchange.silent(ME)
    assert not world.exchange.silent(OTHER)
    assert world.told(order["orderId"]) == ["NEW/NEW", "TRADE/PARTIALLY_FILLED"]
    assert world.events[-1]["e"] == "executionReport"
    resting = world.limit("BUY", "9", "102")["orderId"]
    world.cancel(resting)
    assert world.exchange.silent(ME)
    assert world.told(resting)[-1] == "TRADE/PARTIALLY_FILLED"
    world.exchange.test(ME, world.new("BUY", "MARKET", quantity="1"), compute_commission=False)
    assert not world.exchange.silent(ME)


def test_the_fills_fault_is_asked_once_for_a_step_that_it_may_strike(world: World) -> None:
    world.faults.on = True
    world.limit("BUY", "1", "95")
    world.limit("BUY", "1", "101", "IOC")
    assert world.faults.asked == 0
    world.place("BUY", "MARKET", quantity="2")
    assert world.faults.asked == 1


def test_what_is_not_listened_to_is_counted_all_the_same(world: World) -> None:
    world.limit("BUY", "1", "95", account=OTHER)
    order = world.limit("BUY", "1", "95")
    assert world.reports(order["orderId"])[0]["I"] == 2
