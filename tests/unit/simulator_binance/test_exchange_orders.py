"""Order types and times in force against the market's book: what fills, at what price, and what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from exchange_world import ME, OTHER, START_MS, SYMBOL, World, check_books, refusal

from services.simulator.binance.exchange.api import Page

ACK = ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
RESULT = [
    *ACK,
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("side", "qty", "price", "tif", "status", "fills", "reason"),
    [
        ("BUY", "1", "101", "IOC", "FILLED", [("101", "1")], None),
        ("BUY", "3", "102", "IOC", "FILLED", [("101", "2"), ("102", "1")], None),
        ("BUY", "3", "101", "IOC", "EXPIRED", [("101", "2")], "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("BUY", "1", "100", "IOC", "EXPIRED", [], "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("BUY", "7", "102", "FOK", "FILLED", [("101", "2"), ("102", "5")], None),
        ("BUY", "8", "102", "FOK", "EXPIRED", [], "UNFILLED_FOK_ORDER_EXPIRED"),
        ("BUY", "3", "101", "GTC", "PARTIALLY_FILLED", [("101", "2")], None),
        ("BUY", "1", "100", "GTC", "NEW", [], None),
        ("SELL", "0.06", "99", "IOC", "FILLED", [("99", "0.06")], None),
    ],
)
def test_a_limit_order_takes_what_its_price_allows_and_ends_by_its_time_in_force(
    world: World, side: str, qty: str, price: str, tif: str, status: str, fills: list[Any], reason: str | None
) -> None:
    answer = world.limit(side, qty, price, tif)
    assert answer["status"] == status
    assert [(float(row["price"]), float(row["qty"])) for row in answer["fills"]] == [
        (float(at), float(size)) for at, size in fills
    ]
    assert answer.get("expiryReason") == reason
    assert world.status(answer["orderId"]) == status
    check_books(world)


def test_the_three_kinds_of_answer_have_the_venues_keys_in_order(world: World) -> None:
    answers = [
        world.limit("BUY", "0.1", "101", "IOC", new_order_resp_type=kind, new_client_order_id=f"mine-{kind}")
        for kind in ("ACK", "RESULT", "FULL")
    ]
    assert list(answers[0]) == ACK
    assert list(answers[1]) == RESULT
    assert list(answers[2]) == [*RESULT[:-1], "fills", RESULT[-1]]
    assert answers[2]["clientOrderId"] == "mine-FULL"
    assert answers[2]["fills"][0] == {
        "price": "101.00000000",
        "qty": "0.10000000",
        "commission": "0.00010000",
        "commissionAsset": "BTC",
        "tradeId": answers[2]["fills"][0]["tradeId"],
    }
    assert answers[2]["cummulativeQuoteQty"] == "10.10000000"


def test_only_market_and_limit_orders_are_answered_in_full_by_default(world: World) -> None:
    assert "fills" in world.limit("BUY", "0.1", "100")
    assert "fills" in world.place("BUY", "MARKET", quantity="0.1")
    assert list(world.place("BUY", "LIMIT_MAKER", quantity="0.1", price="100")) == ACK
    assert list(world.place("SELL", "STOP_LOSS", quantity="0.06", stop_price="90")) == ACK


def test_an_id_is_made_when_none_is_given(world: World) -> None:
    made = {world.limit("BUY", "0.1", "100")["clientOrderId"] for _ in range(20)}
    assert {len(text) for text in made} == {22}
    assert len(made) == 20


def test_a_market_order_walks_the_book_and_the_rest_expires_for_want_of_liquidity(world: World) -> None:
    answer = world.place("BUY", "MARKET", quantity="9")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "7.00000000")
    assert answer["expiryReason"] == "INSUFFICIENT_LIQUIDITY"
    assert answer["price"] == "0.00000000"
    check_books(world)


def test_a_market_order_by_worth_buys_whole_lots_as_close_to_it_as_the_book_allows(world: World) -> None:
    answer = world.place("BUY", "MARKET", quote_order_qty="250")
    assert answer["status"] == "FILLED"
    assert answer["origQuoteOrderQty"] == "250.00000000"
    assert answer["executedQty"] == answer["origQty"] == "2.47058000"  # 2 at 101 and 0.47058 at 102
    assert answer["cummulativeQuoteQty"] == "249.99916000"


def test_a_market_sale_by_worth_receives_about_it(world: World) -> None:
    answer = world.place("SELL", "MARKET", quote_order_qty="9.9")
    assert (answer["executedQty"], answer["cummulativeQuoteQty"]) == ("0.10000000", "9.90000000")


def test_a_market_order_by_worth_beyond_the_book_expires_with_its_remainder(world: World) -> None:
    answer = world.place("BUY", "MARKET", quote_order_qty="9000")
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "7.00000000")
    check_books(world)


def test_without_any_liquidity_a_market_order_by_worth_is_refused(world: World) -> None:
    world.shows([], [])
    text = "Order book liquidity is less than symbol minimum quantity."
    assert refusal(lambda: world.place("BUY", "MARKET", quote_order_qty="50")) == (-2010, text)


def test_a_market_order_on_an_empty_book_expires(world: World) -> None:
    world.shows([], [])
    assert world.place("BUY", "MARKET", quantity="1")["expiryReason"] == "INSUFFICIENT_LIQUIDITY"


def test_a_limit_maker_that_would_take_is_refused_and_another_rests(world: World) -> None:
    call = lambda: world.place("BUY", "LIMIT_MAKER", quantity="1", price="101")  # noqa: E731
    assert refusal(call) == (-2010, "Order would immediately match and take.")
    assert world.balance("USDT") == ("10000.00000000", "0.00000000")
    order = world.place("BUY", "LIMIT_MAKER", quantity="1", price="100.99")
    assert world.status(order["orderId"]) == "NEW"


def test_nobody_spends_more_than_is_free(world: World) -> None:
    text = "Account has insufficient balance for requested action."
    assert refusal(lambda: world.limit("BUY", "99.01", "101")) == (-2010, text)
    assert refusal(lambda: world.limit("SELL", "0.10001", "99")) == (-2010, text)
    assert refusal(lambda: world.place("SELL", "MARKET", quantity="0.2")) == (-2010, text)
    world.limit("BUY", "99", "100.5")
    assert refusal(lambda: world.place("BUY", "MARKET", quantity="1")) == (-2010, text)
    assert refusal(lambda: world.place("BUY", "MARKET", quote_order_qty="60")) == (-2010, text)
    check_books(world)


def test_a_sale_of_all_that_was_bought_fails_by_the_commission(world: World) -> None:
    world.place("SELL", "MARKET", quantity="0.1")
    world.place("BUY", "MARKET", quantity="0.1")
    assert world.balance("BTC") == ("0.09990000", "0.00000000")
    code, _ = refusal(lambda: world.place("SELL", "MARKET", quantity="0.1"))
    assert code == -2010


def test_open_orders_lock_what_they_need_and_partial_fills_release_their_part(world: World) -> None:
    order = world.limit("BUY", "3", "101")  # 2 taken at 101, 1 rests
    assert world.balance("USDT") == ("9697.00000000", "101.00000000")
    world.prints("100.5", "0.4")
    assert world.balance("USDT") == ("9697.00000000", "60.60000000")
    world.cancel(order["orderId"])
    assert world.balance("USDT") == ("9757.60000000", "0.00000000")


def test_price_improvement_goes_to_the_taker(world: World) -> None:
    world.limit("BUY", "1", "150", "IOC")
    assert world.balance("USDT") == ("9899.00000000", "0.00000000")


def test_a_client_id_is_taken_only_while_its_order_is_open(world: World) -> None:
    world.limit("BUY", "1", "95", new_client_order_id="twice")
    duplicate = lambda: world.limit("BUY", "1", "94", new_client_order_id="twice")  # noqa: E731
    assert refusal(duplicate) == (-2010, "Duplicate order sent.")
    other = world.limit("BUY", "1", "94", new_client_order_id="twice", account=OTHER)
    assert other["status"] == "NEW"
    world.exchange.cancel_all(ME, SYMBOL)
    again = duplicate()
    assert world.row(again["orderId"])["clientOrderId"] == "twice"
    for _ in range(2):  # a filled market order is no protection against a repeat
        assert world.place("BUY", "MARKET", quantity="0.1", new_client_order_id="m")["status"] == "FILLED"


@pytest.mark.parametrize("status", ["HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"])
def test_a_halted_symbol_takes_no_orders_but_cancels(world: World, status: str) -> None:
    order = world.limit("BUY", "1", "95")
    world.exchange.set_status(SYMBOL, status)
    assert refusal(lambda: world.limit("BUY", "1", "95")) == (-2010, "Market is closed.")
    world.prints("90", "10")
    assert world.status(order["orderId"]) == "NEW"
    assert world.exchange.statuses == {SYMBOL: status}
    assert world.cancel(order["orderId"])["status"] == "CANCELED"
    world.exchange.set_status(SYMBOL, "TRADING")
    assert world.limit("BUY", "1", "95")["status"] == "NEW"


def test_only_known_symbols_and_states_can_be_set(world: World) -> None:
    assert refusal(lambda: world.exchange.set_status("NOPE", "HALT"))[0] == -1121
    assert refusal(lambda: world.exchange.set_status(SYMBOL, "ASLEEP"))[0] == -1122


def test_a_test_order_is_checked_and_leaves_nothing(world: World) -> None:
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="1", price="100")
    assert world.exchange.test(ME, new, compute_commission=False) == {}
    rates = world.exchange.test(ME, new, compute_commission=True)
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert world.exchange.all_orders(ME, SYMBOL, Page()) == []
    tiny = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="0.000011", price="100")
    assert refusal(lambda: world.exchange.test(ME, tiny, compute_commission=False))[0] == -1013


@pytest.mark.parametrize(
    ("side", "type_", "given", "code", "text"),
    [
        ("UP", "LIMIT", {}, -1117, "Invalid side."),
        ("BUY", "FANCY", {}, -1116, "Invalid orderType."),
        ("BUY", "LIMIT", {"quantity": "1", "price": "1"}, -1102, "timeInForce"),
        ("BUY", "LIMIT", {"quantity": "1", "time_in_force": "GTC"}, -1102, "price"),
        ("BUY", "LIMIT", {"price": "1", "time_in_force": "GTC"}, -1102, "quantity"),
        ("BUY", "LIMIT", {"quantity": "1", "price": "1", "time_in_force": "DAY"}, -1115, "Invalid timeInForce."),
        ("BUY", "MARKET", {}, -1102, "quoteOrderQty"),
        ("BUY", "MARKET", {"quantity": "1", "time_in_force": "GTC"}, -1106, "timeInForce"),
        ("BUY", "MARKET", {"quantity": "1", "price": "3"}, -1106, "price"),
        ("BUY", "MARKET", {"quantity": "1", "quote_order_qty": "3"}, -1106, "quoteOrderQty"),
        ("BUY", "STOP_LOSS", {"quantity": "1"}, -1102, "trailingDelta"),
        ("BUY", "LIMIT_MAKER", {"quantity": "1", "price": "3", "stop_price": "3"}, -1106, "stopPrice"),
        ("BUY", "LIMIT", {"quantity": "0", "price": "1", "time_in_force": "GTC"}, -1013, "Invalid quantity."),
        ("BUY", "LIMIT", {"quantity": "1", "price": "0", "time_in_force": "GTC"}, -1013, "Invalid price."),
        ("BUY", "LIMIT", {"quantity": "0.000000001", "price": "1", "time_in_force": "GTC"}, -1111, "quantity"),
        ("BUY", "MARKET", {"quantity": "1", "strategy_type": 9}, -1134, "strategyType"),
        (
            "BUY",
            "LIMIT",
            {"quantity": "1", "price": "9", "time_in_force": "IOC", "iceberg_qty": "0.5"},
            -1014,
            "Unsupported order combination.",
        ),
        (
            "BUY",
            "LIMIT",
            {"quantity": "1", "price": "99", "time_in_force": "GTC", "iceberg_qty": "2"},
            -2010,
            "IcebergQty exceeds QTY.",
        ),
        ("BUY", "LIMIT", {"symbol": "NOPE", "quantity": "1"}, -1121, "Invalid symbol."),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    world: World, side: str, type_: str, given: dict[str, Any], code: int, text: str
) -> None:
    got_code, got_text = refusal(lambda: world.place(side, type_, **given))
    assert got_code == code
    assert text in got_text


def test_a_first_order_asks_the_feed_to_play_its_symbol(world: World) -> None:
    world.exchange.account(ME, omit_zero=True)
    assert world.feed.subscribed_to == []
    world.limit("BUY", "1", "95")
    assert world.feed.subscribed_to == ["btcusdt@trade"]


def test_times_are_the_venues_clock(world: World) -> None:
    world.feed.ms = START_MS + 5_000
    order = world.limit("BUY", "1", "95")
    assert order["transactTime"] == order["workingTime"] == START_MS + 5_000
    world.feed.ms += 10
    world.prints("94", "0.5")
    row = world.row(order["orderId"])
    assert (row["time"], row["updateTime"], row["isWorking"]) == (START_MS + 5_000, START_MS + 5_010, True)
