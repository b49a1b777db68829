"""Filters: what is sent passes every one of them, costs no more than allowed, and what cannot pass names which."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.core.types import Side
from libs.venues.base import VenueRefused, VenueUnavailable
from libs.venues.binance.exchange_info import SymbolInfo, decode_exchange_info
from libs.venues.binance.filters import Rules, Shaped
from libs.venues.checked import spelled

D = Decimal
PRICE = {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"}
LOT = {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"}
MARKET_LOT = {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00", "maxQty": "58.20788284", "stepSize": "0.00000000"}
NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "5.0", "applyMinToMarket": True, "maxNotional": "9000000.0"}
PERCENT = {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2", "avgPriceMins": 5}
BY_SIDE = {
    "filterType": "PERCENT_PRICE_BY_SIDE",
    "bidMultiplierUp": "1.1",
    "bidMultiplierDown": "0.8",
    "askMultiplierUp": "1.2",
    "askMultiplierDown": "0.9",
}


def info(filters: list[dict[str, Any]]) -> SymbolInfo:
    row = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters}
    body = msgspec.json.encode({"serverTime": 1_700_000_000_000, "symbols": [row]})
    return decode_exchange_info(body).symbols[0]


def rules(*filters: dict[str, Any], reference: str | None = None) -> Rules:
    return Rules(info([*(filters or (PRICE, LOT, MARKET_LOT, NOTIONAL))]), D(reference) if reference else None)


def attempted(shape: Callable[[], Shaped]) -> Shaped | str:
    try:
        return shape()
    except VenueRefused as err:
        return str(err)


steps = st.sampled_from([D("0.00000001"), D("0.001"), D("0.05"), D("0.25"), D(1), D(10)])
amounts = st.decimals(D("0.00000001"), D("99999999"), places=8)


@given(amounts, amounts, steps, steps, steps, amounts, st.sampled_from(Side))
def test_what_is_sent_is_on_every_grid_and_never_worse_than_asked(
    quantity: D, worst: D, tick: D, step: D, market_step: D, least: D, side: Side
) -> None:
    lot = LOT | {"minQty": str(step), "stepSize": str(step)}
    market = MARKET_LOT | {"stepSize": str(market_step), "maxQty": "1000"}
    subject = rules(PRICE | {"tickSize": str(tick)}, lot, market, NOTIONAL | {"minNotional": str(least)})
    limit = attempted(lambda: subject.limit(side, quantity, worst))
    if isinstance(limit, str):
        assert "filter" in limit
    else:
        assert limit.price is not None
        assert limit.price <= worst if side is Side.BUY else limit.price >= worst
        assert limit.price % tick == 0
        assert limit.quantity % step == 0
        assert step <= limit.quantity <= min(quantity, D(9000))
        assert least <= limit.price * limit.quantity
    at_market = attempted(lambda: subject.market(quantity))
    if isinstance(at_market, str):
        assert "LOT_SIZE" in at_market
    else:
        assert at_market.price is None
        assert at_market.quantity % step == at_market.quantity % market_step == 0
        assert 0 < at_market.quantity <= min(quantity, D(1000))


@given(st.integers(1, 900_000_000), st.integers(1, 100_000_000), st.sampled_from(Side))
def test_a_price_on_the_grid_and_a_quantity_on_the_grid_are_sent_as_they_are(
    units: int, ticks: int, side: Side
) -> None:
    quantity, worst = units * D("0.00001"), ticks * D("0.01")
    assume(5 <= quantity * worst <= 9_000_000)
    shaped = rules().limit(side, quantity, worst)
    assert (shaped.quantity, shaped.price) == (quantity, worst)
    assert D(spelled(shaped.quantity)) == quantity


@pytest.mark.parametrize(
    ("side", "quantity", "worst", "name"),
    [
        (Side.BUY, "0.000009", "100000", "LOT_SIZE"),
        (Side.BUY, "0.00001", "100", "NOTIONAL"),
        (Side.BUY, "1", "0.009", "PRICE_FILTER"),
        (Side.SELL, "1", "1000000.01", "PRICE_FILTER"),
    ],
)
def test_a_refusal_names_the_filter(side: Side, quantity: str, worst: str, name: str) -> None:
    with pytest.raises(VenueRefused, match=f"BTCUSDT: filter {name}: ") as caught:
        rules().limit(side, D(quantity), D(worst))
    assert caught.value.code == "-1013"


def test_the_older_form_of_the_notional_filter_counts_too() -> None:
    with pytest.raises(VenueRefused, match=r"filter MIN_NOTIONAL: 9\.99 USDT is below the minimum of 10"):
        rules(PRICE, LOT, {"filterType": "MIN_NOTIONAL", "minNotional": "10"}).limit(Side.BUY, D("0.1"), D("99.9"))


def test_an_order_larger_than_the_venue_takes_is_cut() -> None:
    subject = rules()
    assert subject.limit(Side.BUY, D(20_000), D(100)).quantity == 9000
    assert subject.limit(Side.BUY, D(9000), D(10_000)).quantity == 900
    assert subject.market(D(100)).quantity == D("58.20788")


@pytest.mark.parametrize("percent", [PERCENT, BY_SIDE])
def test_a_price_outside_the_band_is_moved_only_to_our_side(percent: dict[str, Any]) -> None:
    subject = rules(PRICE, LOT, percent, reference="100")
    up = D(495) if percent is PERCENT else D("108.9")  # drawn in by a hundredth, which the reference may have moved
    down = D("20.2") if percent is PERCENT else D("90.9")
    assert subject.limit(Side.BUY, D(1), D(10_000)).price == up
    assert subject.limit(Side.SELL, D(1), D("0.01")).price == down
    for side, worst in ((Side.BUY, D("0.01")), (Side.SELL, D(10_000))):
        with pytest.raises(VenueRefused, match=str(percent["filterType"])):
            subject.limit(side, D(1), worst)


def test_without_a_reference_price_the_band_is_left_to_the_venue() -> None:
    assert rules(PRICE, LOT, BY_SIDE).limit(Side.BUY, D(1), D(10_000)).price == 10_000


def test_more_orders_than_the_symbol_takes_are_refused() -> None:
    subject = rules(PRICE, LOT, {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 3})
    subject.limit(Side.BUY, D(1), D(100), open_orders=2)
    with pytest.raises(VenueRefused, match="MAX_NUM_ORDERS"):
        subject.limit(Side.BUY, D(1), D(100), open_orders=3)


def test_a_number_that_is_none_makes_no_rule() -> None:
    for odd in ("NaN", "sNaN", "-1", "Infinity", "1e400", "1" * 60):
        with pytest.raises(VenueUnavailable):
            info([LOT | {"stepSize": odd}])


def test_numbers_are_spelled_without_exponent() -> None:
    assert [spelled(D(text)) for text in ("1E+3", "0.00001000", "1e-8", "5")] == ["1000", "0.00001", "0.00000001", "5"]
