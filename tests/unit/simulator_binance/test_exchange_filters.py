"""Every filter at its edges: what just passes and what is refused by name."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, OTHER, SYMBOL, World, refusal

from services.simulator.binance.exchange.accounts import Terms
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange_info import Spot, exchange_info, execution_rules, filters_of, spot

LIMIT = {"time_in_force": "GTC", "quantity": "1", "price": "100"}
ROWS: dict[str, dict[str, Any]] = {
    "PRICE_FILTER": {"minPrice": "50.00000000", "maxPrice": "150.00000000", "tickSize": "0.50000000"},
    "LOT_SIZE": {"minQty": "0.10000000", "maxQty": "20.00000000", "stepSize": "0.10000000"},
    "MARKET_LOT_SIZE": {"minQty": "0.20000000", "maxQty": "3.00000000", "stepSize": "0.20000000"},
    "NOTIONAL": {
        "minNotional": "50.00000000",
        "applyMinToMarket": True,
        "maxNotional": "900.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
    "MIN_NOTIONAL": {"minNotional": "50.00000000", "applyToMarket": False, "avgPriceMins": 5},
    "PERCENT_PRICE": {"multiplierUp": "1.1", "multiplierDown": "0.9", "avgPriceMins": 5},
    "PERCENT_PRICE_BY_SIDE": {
        "bidMultiplierUp": "1.1",
        "bidMultiplierDown": "0.8",
        "askMultiplierUp": "1.2",
        "askMultiplierDown": "0.9",
        "avgPriceMins": 5,
    },
    "ICEBERG_PARTS": {"limit": 4},
    "TRAILING_DELTA": {
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 100,
        "minTrailingBelowDelta": 200,
        "maxTrailingBelowDelta": 300,
    },
    "MAX_NUM_ORDERS": {"maxNumOrders": 2},
    "MAX_NUM_ALGO_ORDERS": {"maxNumAlgoOrders": 1},
    "MAX_NUM_ICEBERG_ORDERS": {"maxNumIcebergOrders": 1},
    "MAX_NUM_ORDER_LISTS": {"maxNumOrderLists": 1},
    "MAX_POSITION": {"maxPosition": "2.00000000"},
}


def world_with(*names: str, last: str = "100", **options: Any) -> World:
    """A market with these filters alone, much money, and one trade at `last`."""
    rows = tuple({"filterType": name, **ROWS[name]} for name in names)
    pair = Spot(SYMBOL, "BTC", "USDT", 10**6, 10**3, filters=rows, price_range=None)
    world = World(pairs=[pair], opening={"USDT": D(100_000), "BTC": D(50)}, **options)
    world.prints(last)
    return world


def verdict(world: World, side: str, type_: str, **given: Any) -> str:
    """The filter that refuses an order, "" when none does."""
    try:
        world.exchange.test(ME, world.new(side, type_, **given), compute_commission=False)
    except ApiError as error:
        refused = error
    else:
        return ""
    assert (refused.code, refused.status) == (-1013, 400)
    text = str(refused)
    assert text.startswith("Filter failure: ")
    return text.removeprefix("Filter failure: ")


@pytest.mark.parametrize(
    ("name", "side", "type_", "given", "refused"),
    [
        ("PRICE_FILTER", "BUY", "LIMIT", {**LIMIT, "price": "50"}, False),
        ("PRICE_FILTER", "BUY", "LIMIT", {**LIMIT, "price": "49.5"}, True),
        ("PRICE_FILTER", "BUY", "LIMIT", {**LIMIT, "price": "150"}, False),
        ("PRICE_FILTER", "BUY", "LIMIT", {**LIMIT, "price": "150.5"}, True),
        ("PRICE_FILTER", "BUY", "LIMIT", {**LIMIT, "price": "100.25"}, True),
        ("PRICE_FILTER", "BUY", "STOP_LOSS", {"quantity": "1", "stop_price": "100.25"}, True),
        ("PRICE_FILTER", "BUY", "MARKET", {"quantity": "1"}, False),
        ("LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "quantity": "0.1"}, False),
        ("LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "quantity": "0.05"}, True),
        ("LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "quantity": "20.1"}, True),
        ("LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "quantity": "1.05"}, True),
        ("LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "iceberg_qty": "0.25"}, True),
        ("LOT_SIZE", "BUY", "MARKET", {"quantity": "0.15"}, True),
        ("MARKET_LOT_SIZE", "BUY", "MARKET", {"quantity": "3"}, False),
        ("MARKET_LOT_SIZE", "BUY", "MARKET", {"quantity": "3.2"}, True),
        ("MARKET_LOT_SIZE", "BUY", "MARKET", {"quantity": "0.1"}, True),
        ("MARKET_LOT_SIZE", "BUY", "LIMIT", {**LIMIT, "quantity": "3.3"}, False),
        ("NOTIONAL", "BUY", "LIMIT", {**LIMIT, "quantity": "0.5"}, False),
        ("NOTIONAL", "BUY", "LIMIT", {**LIMIT, "quantity": "0.49"}, True),
        ("NOTIONAL", "BUY", "LIMIT", {**LIMIT, "quantity": "9.1"}, True),
        ("NOTIONAL", "BUY", "MARKET", {"quantity": "0.49"}, True),
        ("NOTIONAL", "BUY", "MARKET", {"quantity": "0.5"}, False),
        ("NOTIONAL", "BUY", "MARKET", {"quantity": "9.1"}, False),
        ("NOTIONAL", "BUY", "MARKET", {"quote_order_qty": "49"}, True),
        ("NOTIONAL", "BUY", "MARKET", {"quote_order_qty": "50"}, False),
        ("MIN_NOTIONAL", "BUY", "LIMIT", {**LIMIT, "quantity": "0.49"}, True),
        ("MIN_NOTIONAL", "BUY", "MARKET", {"quantity": "0.49"}, False),
        ("PERCENT_PRICE", "BUY", "LIMIT", {**LIMIT, "price": "110"}, False),
        ("PERCENT_PRICE", "BUY", "LIMIT", {**LIMIT, "price": "110.01"}, True),
        ("PERCENT_PRICE", "SELL", "LIMIT", {**LIMIT, "price": "89.99"}, True),
        ("PERCENT_PRICE_BY_SIDE", "BUY", "LIMIT", {**LIMIT, "price": "80"}, False),
        ("PERCENT_PRICE_BY_SIDE", "BUY", "LIMIT", {**LIMIT, "price": "79.99"}, True),
        ("PERCENT_PRICE_BY_SIDE", "BUY", "LIMIT", {**LIMIT, "price": "110.01"}, True),
        ("PERCENT_PRICE_BY_SIDE", "SELL", "LIMIT", {**LIMIT, "price": "120"}, False),
        ("PERCENT_PRICE_BY_SIDE", "SELL", "LIMIT", {**LIMIT, "price": "120.01"}, True),
        ("PERCENT_PRICE_BY_SIDE", "SELL", "LIMIT", {**LIMIT, "price": "89.99"}, True),
        ("PERCENT_PRICE_BY_SIDE", "SELL", "MARKET", {"quantity": "1"}, False),
        ("ICEBERG_PARTS", "BUY", "LIMIT", {**LIMIT, "iceberg_qty": "0.25"}, False),
        ("ICEBERG_PARTS", "BUY", "LIMIT", {**LIMIT, "iceberg_qty": "0.24"}, True),
        ("TRAILING_DELTA", "BUY", "STOP_LOSS", {"quantity": "1", "trailing_delta": 100}, False),
        ("TRAILING_DELTA", "BUY", "STOP_LOSS", {"quantity": "1", "trailing_delta": 101}, True),
        ("TRAILING_DELTA", "SELL", "TAKE_PROFIT", {"quantity": "1", "trailing_delta": 9}, True),
        ("TRAILING_DELTA", "SELL", "STOP_LOSS", {"quantity": "1", "trailing_delta": 100}, True),
        ("TRAILING_DELTA", "BUY", "TAKE_PROFIT", {"quantity": "1", "trailing_delta": 200}, False),
        ("MAX_POSITION", "SELL", "LIMIT", LIMIT, False),
        ("MAX_POSITION", "BUY", "LIMIT", LIMIT, True),
    ],
)
def test_a_filter_refuses_beyond_its_edge_and_not_before(
    name: str, side: str, type_: str, given: dict[str, Any], refused: bool
) -> None:
    assert verdict(world_with(name), side, type_, **given) == (name if refused else "")


@pytest.mark.parametrize("name", ["PRICE_FILTER", "MARKET_LOT_SIZE"])
def test_a_zero_switches_a_rule_off(name: str) -> None:
    zeros = dict.fromkeys(ROWS[name], "0.00000000")
    rows = ({"filterType": name, **zeros},)
    pair = Spot(SYMBOL, "BTC", "USDT", 10**6, 10**3, filters=rows)
    world = World(pairs=[pair], opening={"USDT": D(100_000)})
    world.prints("100")
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "price": "100.123"}) == ""
    assert verdict(world, "BUY", "MARKET", quantity="77.777") == ""


def test_the_position_counts_what_is_held_and_what_is_being_bought() -> None:
    world = world_with("MAX_POSITION")
    world.exchange.deposit(ME, "BTC", D("-49"))
    world.limit("BUY", "0.6", "90")
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "quantity": "0.4"}) == ""
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "quantity": "0.41"}) == "MAX_POSITION"


def test_open_orders_are_counted_and_only_open_ones() -> None:
    world = world_with("MAX_NUM_ORDERS")
    first = world.limit("BUY", "1", "90")
    world.limit("BUY", "1", "90")
    assert refusal(lambda: world.limit("BUY", "1", "90")) == (-1013, "Filter failure: MAX_NUM_ORDERS")
    assert world.limit("BUY", "1", "90", account=OTHER)["status"] == "NEW"
    world.cancel(first["orderId"])
    assert world.limit("BUY", "1", "90")["status"] == "NEW"


def test_algo_orders_icebergs_and_lists_have_counts_of_their_own() -> None:
    world = world_with("MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_LISTS")
    world.place("SELL", "STOP_LOSS", quantity="1", stop_price="90")
    again = lambda: world.place("SELL", "TAKE_PROFIT", quantity="1", stop_price="120")  # noqa: E731
    assert refusal(again)[1] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    world.limit("BUY", "1", "90", iceberg_qty="0.5")
    assert refusal(lambda: world.limit("BUY", "1", "90", iceberg_qty="0.5"))[1] == (
        "Filter failure: MAX_NUM_ICEBERG_ORDERS"
    )
    assert world.limit("BUY", "1", "90")["status"] == "NEW"
    legs = {
        "working": world.new("BUY", "LIMIT", time_in_force="GTC", quantity="1", price="90"),
        "pending": world.new("SELL", "MARKET", quantity="1"),
    }
    world.list("oto", **legs)
    assert refusal(lambda: world.list("oto", **legs))[1] == "Filter failure: MAX_NUM_ORDER_LISTS"


def test_exchange_filters_count_over_all_symbols() -> None:
    rows = [{"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 2}]
    world = World(pairs=[spot("BTCUSDT"), spot("ETHUSDT")], exchange_filters=rows)
    world.limit("BUY", "1", "90")
    world.limit("BUY", "1", "90", symbol="ETHUSDT")
    assert refusal(lambda: world.limit("BUY", "1", "90")) == (-1013, "Filter failure: EXCHANGE_MAX_NUM_ORDERS")
    assert world.exchange.my_filters(ME, SYMBOL)["exchangeFilters"] == rows


def test_asset_limits_of_an_account_stand_in_its_filters_alone() -> None:
    world = World(terms=Terms(limits={"BTC": 2 * 10**8, "USDT": 150 * 10**8}))
    world.prints("100")
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "quantity": "2", "price": "75"}) == ""
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "quantity": "2.00001", "price": "30"}) == "MAX_ASSET"
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "quantity": "1", "price": "151"}) == "MAX_ASSET"
    assert world.exchange.my_filters(ME, SYMBOL)["assetFilters"] == [
        {"filterType": "MAX_ASSET", "asset": "BTC", "limit": "2.00000000"},
        {"filterType": "MAX_ASSET", "asset": "USDT", "limit": "150.00000000"},
    ]
    assert world.exchange.my_filters(ME, SYMBOL)["symbolFilters"] == filters_of(spot(SYMBOL))


def test_percent_filters_follow_the_reference_price_and_without_one_the_average_of_minutes() -> None:
    world = world_with("PERCENT_PRICE")
    world.feed.ms += 60_000
    world.prints("200", "3")  # average of the minutes (100 + 3 * 200) / 4 = 175, reference of the last 10 s: 200
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "price": "220"}) == ""
    assert world.exchange.reference_price(SYMBOL)["referencePrice"] == "200.00000000"
    world.feed.ms += 60_000
    assert world.exchange.reference_price(SYMBOL)["referencePrice"] is None
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "price": "192.5"}) == ""
    assert verdict(world, "BUY", "LIMIT", **{**LIMIT, "price": "192.51"}) == "PERCENT_PRICE"


def test_the_reference_price_counts_its_oldest_second_in_proportion() -> None:
    world = World()
    assert refusal(lambda: world.exchange.reference_price(SYMBOL))[0] == -2043
    world.prints("100")
    world.feed.ms += 5_000
    world.prints("110")
    assert world.exchange.reference_price(SYMBOL)["referencePrice"] == "105.00000000"
    world.feed.ms += 5_500  # the first second lies half outside the ten: (100 / 2 + 110) / 1.5
    assert world.exchange.reference_price(SYMBOL)["referencePrice"] == "106.66666666"


def test_exchange_info_tells_of_halts_and_rules() -> None:
    pair = spot(SYMBOL)
    info = exchange_info(0, [pair], {SYMBOL: "HALT"})["symbols"][0]
    assert info["status"] == "HALT"
    assert exchange_info(0, [pair])["symbols"][0]["status"] == "TRADING"
    rule = execution_rules([pair])["symbolRules"][0]["rules"][0]
    assert rule["ruleType"] == "PRICE_RANGE"
    assert len(rule) == 5


@pytest.mark.parametrize(("mode", "passes"), [("DECREMENT", True), ("NONE", False)])
def test_self_trade_modes_are_those_of_the_symbol(mode: str, passes: bool) -> None:
    world = World()
    new = world.new("BUY", "LIMIT", **{**LIMIT, "price": "90"}, self_trade_prevention_mode=mode)
    if passes:
        assert world.exchange.test(ME, new, compute_commission=False) == {}
    else:
        text = "This symbol does not allow the specified self-trade prevention mode."
        assert refusal(lambda: world.exchange.test(ME, new, compute_commission=False)) == (-1013, text)
