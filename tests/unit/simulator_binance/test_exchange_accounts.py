"""Accounts: opening money, rates, commission in BNB, and how many orders may be open and unfilled."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from exchange_world import ME, OTHER, SYMBOL, World, check_books, refusal

from services.simulator.binance.exchange.accounts import Terms
from services.simulator.binance.exchange.api import ApiError, OrderKey, Page
from services.simulator.binance.exchange_info import spot

LIMITS = (
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 3},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 5},
)


def counts(world: World, account: int = ME) -> list[int]:
    return [row["count"] for row in world.exchange.order_counts(account)]


def test_a_new_account_begins_with_the_opening_money() -> None:
    world = World()
    answer = world.exchange.account(ME, omit_zero=True)
    assert {row["asset"]: row["free"] for row in answer["balances"]} == {
        "BNB": "1.00000000",
        "BTC": "0.10000000",
        "ETH": "1.00000000",
        "USDT": "10000.00000000",
    }
    assert list(answer) == [
        *("makerCommission", "takerCommission", "buyerCommission", "sellerCommission", "commissionRates"),
        *("canTrade", "canWithdraw", "canDeposit", "brokered", "requireSelfTradePrevention", "preventSor"),
        *("updateTime", "accountType", "balances", "permissions", "uid"),
    ]
    assert (answer["makerCommission"], answer["commissionRates"]["taker"], answer["uid"]) == (10, "0.00100000", ME)
    world.exchange.deposit(ME, "ETH", D(-1))
    shown = world.exchange.account(ME, omit_zero=True)["balances"]
    assert "ETH" not in [row["asset"] for row in shown]
    assert "ETH" in [row["asset"] for row in world.exchange.account(ME, omit_zero=False)["balances"]]


def test_maker_and_taker_pay_their_own_rates() -> None:
    world = World(terms=Terms(maker=10**4, taker=4 * 10**4))
    world.limit("BUY", "1", "101")
    order = world.limit("BUY", "1", "100")["orderId"]
    world.prints("99.5", "5")
    trades = world.exchange.my_trades(ME, SYMBOL, None, Page())
    assert [row["commission"] for row in trades] == ["0.00040000", "0.00010000"]
    assert trades[1]["orderId"] == order
    rates = world.exchange.commission(ME, SYMBOL)
    assert rates["standardCommission"]["maker"] == "0.00010000"
    assert rates["discount"]["enabledForAccount"] is False


def test_a_discounted_account_pays_in_bnb_while_it_has_some() -> None:
    world = World(
        pairs=[spot(SYMBOL), spot("BNBUSDT")],
        opening={"USDT": D(10_000), "BNB": D("0.0002")},
        terms=Terms(discounted=True),
    )
    world.prints("500", symbol="BNBUSDT")
    fill = world.limit("BUY", "1", "101")["fills"][0]
    assert (fill["commissionAsset"], fill["commission"]) == ("BNB", "0.00015150")  # 101 * 0.1 % / 500 * 0.75
    assert world.balance("BTC") == ("1.00000000", "0.00000000")
    assert world.balance("BNB") == ("0.00004850", "0.00000000")
    fill = world.limit("BUY", "1", "101")["fills"][0]
    assert (fill["commissionAsset"], fill["commission"]) == ("BTC", "0.00100000")
    check_books(world)


def test_without_a_price_of_bnb_the_received_asset_pays() -> None:
    world = World(terms=Terms(discounted=True))
    assert world.limit("BUY", "1", "101")["fills"][0]["commissionAsset"] == "BTC"


def test_an_account_that_may_not_trade_is_told_so() -> None:
    world = World(terms=Terms(may_trade=False))
    assert refusal(lambda: world.limit("BUY", "1", "95"))[0] == -2010
    assert world.exchange.account(ME, omit_zero=True)["canTrade"] is False


def test_too_many_unfilled_orders_are_refused_until_the_window_ends() -> None:
    world = World(rate_limits=LIMITS)
    for _ in range(3):
        world.limit("BUY", "1", "95")
    with pytest.raises(ApiError) as refused:
        world.limit("BUY", "1", "95")
    assert (refused.value.code, refused.value.status) == (-1015, 429)
    assert str(refused.value) == "Too many new orders; current limit is 3 orders per 10 SECOND."
    assert world.limit("BUY", "1", "95", account=OTHER)["status"] == "NEW"
    world.feed.ms += 10_000 - world.feed.ms % 10_000
    assert counts(world) == [0, 3]
    for _ in range(2):
        world.limit("BUY", "1", "95")
    with pytest.raises(ApiError, match="5 orders per 1 DAY"):
        world.limit("BUY", "1", "95")


def test_the_first_fill_gives_units_back_more_for_a_maker_and_never_below_zero() -> None:
    world = World()
    first = world.limit("BUY", "1", "100")["orderId"]
    for _ in range(3):
        world.limit("BUY", "1", "90")
    assert counts(world) == [4, 4]
    world.limit("BUY", "1", "101")
    assert counts(world) == [4, 4]
    world.cancel(first)
    assert counts(world) == [4, 4]
    second = world.limit("BUY", "1", "100")["orderId"]
    world.prints("99.5", "0.25")
    assert counts(world) == [0, 0]
    world.limit("BUY", "1", "90")
    world.prints("99.5", "5")
    assert world.status(second) == "FILLED"
    assert counts(world) == [1, 1]


def test_refused_orders_are_not_counted() -> None:
    world = World()
    refusal(lambda: world.limit("BUY", "1000", "95"))
    refusal(lambda: world.limit("BUY", "0.0000001", "95"))
    assert counts(world) == [0, 0]


def test_at_the_limit_a_replacement_cancels_only_when_asked_to() -> None:
    world = World(rate_limits=LIMITS)
    order, _, _ = (world.limit("BUY", "1", "95")["orderId"] for _ in range(3))
    new = world.new("BUY", "LIMIT", time_in_force="GTC", quantity="1", price="96")

    def replace(rate_limit_mode: str | None) -> Any:
        return world.exchange.cancel_replace(
            ME,
            "STOP_ON_FAILURE",
            OrderKey(symbol=SYMBOL, order_id=order),
            new,
            cancel_new_client_order_id=None,
            restrictions=None,
            rate_limit_mode=rate_limit_mode,
        )

    assert refusal(lambda: replace(None))[0] == -1015
    assert world.status(order) == "NEW"
    with pytest.raises(ApiError) as refused:
        replace("CANCEL_ONLY")
    assert (refused.value.code, refused.value.status) == (-2021, 409)
    assert refused.value.data is not None
    assert refused.value.data["newOrderResponse"]["code"] == -1015
    assert world.status(order) == "CANCELED"
