"""Self-trade prevention: every mode, for one account and for accounts of one trade group."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, OTHER, SYMBOL, World, check_books

from services.simulator.binance.exchange.accounts import Terms
from services.simulator.binance.exchange.api import Page
from services.simulator.binance.exchange_info import STP_MODES, Spot


def world_of(group: int = -1) -> World:
    """An empty market for two accounts, all modes allowed."""
    pair = Spot(SYMBOL, "BTC", "USDT", 10**6, 10**3, stp_modes=("NONE", *STP_MODES))
    world = World(pairs=[pair], opening={"USDT": D(10_000), "BTC": D(20)}, terms=Terms(trade_group=group))
    world.shows([], [])
    return world


def order(world: World, side: str, qty: str, price: str, mode: str, account: int = ME, tif: str = "GTC") -> Any:
    return world.limit(side, qty, price, tif, account=account, self_trade_prevention_mode=mode)


@pytest.mark.parametrize(
    ("mode", "maker_qty", "taker_qty", "maker", "taker"),
    [
        # what the maker and the taker want; then state, executed and prevented quantity of both
        ("NONE", "1", "1", ("FILLED", 1, 0), ("FILLED", 1, 0)),
        ("EXPIRE_TAKER", "1", "3", ("NEW", 0, 0), ("EXPIRED_IN_MATCH", 0, 3)),
        ("EXPIRE_MAKER", "1", "3", ("EXPIRED_IN_MATCH", 0, 1), ("NEW", 0, 0)),
        ("EXPIRE_BOTH", "1", "3", ("EXPIRED_IN_MATCH", 0, 1), ("EXPIRED_IN_MATCH", 0, 3)),
        ("DECREMENT", "6", "2", ("NEW", 0, 2), ("EXPIRED_IN_MATCH", 0, 2)),
        ("DECREMENT", "2", "6", ("EXPIRED_IN_MATCH", 0, 2), ("NEW", 0, 2)),
        ("DECREMENT", "2", "2", ("EXPIRED_IN_MATCH", 0, 2), ("EXPIRED_IN_MATCH", 0, 2)),
        ("TRANSFER", "6", "2", ("NEW", 0, 2), ("EXPIRED_IN_MATCH", 0, 2)),
    ],
)
def test_the_takers_mode_decides(
    mode: str, maker_qty: str, taker_qty: str, maker: tuple[str, int, int], taker: tuple[str, int, int]
) -> None:
    world = world_of()
    resting = order(world, "BUY", maker_qty, "50", "NONE")
    arriving = order(world, "SELL", taker_qty, "50", mode)
    for answer, expected in ((resting, maker), (arriving, taker)):
        row = world.row(answer["orderId"])
        prevented = float(row.get("preventedQuantity", "0"))
        assert (row["status"], float(row["executedQty"]), prevented) == expected
    assert ("preventedMatches" in arriving) == (mode != "NONE")
    check_books(world)


def test_an_order_in_front_of_the_own_one_trades_first() -> None:
    world = world_of()
    order(world, "BUY", "1", "51", "NONE", account=OTHER)
    mine = order(world, "BUY", "1", "50", "NONE")
    answer = order(world, "SELL", "3", "49", "EXPIRE_TAKER")
    assert [row["price"] for row in answer["fills"]] == ["51.00000000"]
    assert (answer["status"], answer["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "2.00000000")
    assert world.status(mine["orderId"]) == "NEW"


def test_several_own_orders_expire_one_by_one_and_a_market_order_then_finds_nothing() -> None:
    world = world_of()
    first = order(world, "BUY", "1", "51", "NONE")
    second = order(world, "BUY", "1", "50", "NONE")
    answer = world.place("SELL", "MARKET", quantity="3", self_trade_prevention_mode="EXPIRE_MAKER")
    assert (answer["status"], answer["expiryReason"]) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
    assert answer["preventedMatches"] == [
        {
            "preventedMatchId": number,
            "makerSymbol": SYMBOL,
            "makerOrderId": maker["orderId"],
            "price": f"{price}.00000000",
            "makerPreventedQuantity": "1.00000000",
        }
        for number, (maker, price) in enumerate([(first, 51), (second, 50)])
    ]
    assert world.told(first["orderId"]) == ["NEW/NEW", "TRADE_PREVENTION/EXPIRED_IN_MATCH"]
    event = world.reports(first["orderId"])[-1]
    assert (event["v"], event["A"], event["B"], event["U"]) == (0, "1.00000000", "1.00000000", answer["orderId"])


def test_a_fill_or_kill_order_foresees_what_would_be_prevented() -> None:
    world = world_of()
    order(world, "BUY", "1", "50", "NONE", account=OTHER)
    order(world, "BUY", "1", "50", "NONE")
    assert order(world, "SELL", "2", "50", "EXPIRE_MAKER", tif="FOK")["status"] == "EXPIRED"
    assert order(world, "SELL", "2", "50", "NONE", tif="FOK")["status"] == "FILLED"
    check_books(world)


def test_accounts_of_one_trade_group_are_one_owner_and_strangers_are_not() -> None:
    world = world_of(group=4)
    order(world, "BUY", "1", "50", "NONE", account=OTHER)
    answer = order(world, "SELL", "1", "50", "EXPIRE_TAKER")
    assert (answer["status"], answer["tradeGroupId"]) == ("EXPIRED_IN_MATCH", 4)
    assert world.exchange.account(ME, omit_zero=True)["tradeGroupId"] == 4
    strangers = world_of()
    order(strangers, "BUY", "1", "50", "NONE", account=OTHER)
    assert order(strangers, "SELL", "1", "50", "EXPIRE_TAKER")["status"] == "FILLED"


def test_a_transfer_moves_the_money_without_a_trade_when_both_sides_say_so() -> None:
    world = world_of(group=1)
    maker = order(world, "BUY", "6", "2", "TRANSFER", account=OTHER)
    taker = order(world, "SELL", "4", "2", "TRANSFER")
    assert (taker["status"], world.status(maker["orderId"], OTHER)) == ("EXPIRED_IN_MATCH", "NEW")
    assert world.balance("BTC") == ("16.00000000", "0.00000000")
    assert world.balance("USDT") == ("10008.00000000", "0.00000000")
    assert world.balance("BTC", OTHER) == ("24.00000000", "0.00000000")
    assert world.balance("USDT", OTHER) == ("9988.00000000", "4.00000000")
    assert world.exchange.my_trades(ME, SYMBOL, None, Page()) == []
    event = world.reports(taker["orderId"])[-1]
    assert (event["u"], event["pl"], event["pL"], event["pY"]) == (1, "4.00000000", "2.00000000", "8.00000000")
    check_books(world)


def test_a_transfer_meets_another_mode_as_a_decrement() -> None:
    world = world_of(group=1)
    order(world, "BUY", "6", "2", "NONE", account=OTHER)
    order(world, "SELL", "4", "2", "TRANSFER")
    assert world.balance("BTC") == ("20.00000000", "0.00000000")
    assert world.exchange.prevented_matches(ME, SYMBOL, None, Page())[0]["selfTradePreventionMode"] == "DECREMENT"
    check_books(world)


def test_prevented_matches_are_listed_by_order_and_by_id() -> None:
    world = world_of()
    maker = order(world, "BUY", "1", "50", "NONE")
    taker = order(world, "SELL", "3", "50", "EXPIRE_BOTH")
    row = {
        "symbol": SYMBOL,
        "preventedMatchId": 0,
        "takerOrderId": taker["orderId"],
        "makerSymbol": SYMBOL,
        "makerOrderId": maker["orderId"],
        "tradeGroupId": -1,
        "selfTradePreventionMode": "EXPIRE_BOTH",
        "price": "50.00000000",
        "takerPreventedQuantity": "3.00000000",
        "makerPreventedQuantity": "1.00000000",
        "transactTime": world.feed.ms,
    }
    ask = world.exchange.prevented_matches
    assert ask(ME, SYMBOL, maker["orderId"], Page()) == [row]
    assert ask(ME, SYMBOL, None, Page(), 0) == [row]
    assert ask(ME, SYMBOL, 99, Page()) == []
    assert ask(OTHER, SYMBOL, None, Page()) == []
