"""Alpaca's values: times to the nanosecond, debts, listings, and executions that must make their order."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import Action, InstrumentKind, Mode, Order, OrderState, ReportKind, Side
from libs.venues.alpaca import codec
from libs.venues.alpaca.assets import instrument_of, parts_of
from libs.venues.alpaca.codec import Activity, Asset, OrderRow, instant, signed, told_at
from libs.venues.alpaca.reports import reports_of
from libs.venues.checked import Absurd
from libs.venues.errors import VenueUnavailable

D = Decimal
LIKE_A_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"
AMOUNTS = st.decimals(min_value="1e-9", max_value=10**9, places=9, allow_nan=False, allow_infinity=False)


@given(st.integers(min_value=1, max_value=codec.LATEST - 1))
def test_a_time_survives_to_the_nanosecond(ns: int) -> None:
    assert instant(told_at(ns)) == ns


@pytest.mark.parametrize(
    ("told", "ns"),
    [
        ("2021-02-22T15:51:44.208Z", 1_614_009_104_208_000_000),
        ("2021-02-22T10:51:44-05:00", 1_614_009_104_000_000_000),
        ("2018-04-01T12:00:00.000000001Z", 1_522_584_000_000_000_001),
    ],
)
def test_times_as_alpaca_writes_them(told: str, ns: int) -> None:
    assert instant(told) == ns


@given(st.one_of(st.text(max_size=40), st.none(), st.integers(), st.from_regex(LIKE_A_TIME, fullmatch=True)))
def test_any_time_is_read_or_absurd(told: Any) -> None:
    with suppress(Absurd):
        assert 0 < instant(told) < codec.LATEST


@given(AMOUNTS)
def test_a_debt_is_an_amount(amount: Decimal) -> None:
    assert signed(f"-{amount:f}", "cash") == -amount
    assert signed(f"{amount:f}", "cash") == amount


@pytest.mark.parametrize("bad", ["--1", "-NaN", "", "1e99", 1.5, None])
def test_what_is_no_amount_is_absurd(bad: Any) -> None:
    with pytest.raises(Absurd):
        signed(bad, "cash")


# --- listings ------------------------------------------------------------------------------------------------------


def asset(**changes: Any) -> Asset:
    told = {
        "id": "i",
        "class": "crypto",
        "symbol": "BTC/USD",
        "status": "active",
        "tradable": True,
        "min_order_size": "0.000013",
        "min_trade_increment": "0.000000001",
        "price_increment": "0.05",
    }
    return codec.asset.decode(msgspec.json.encode(told | changes))


def test_steps_of_a_crypto_asset_are_exact() -> None:
    found = instrument_of(asset(), 1, shares_trade=False)
    assert (found.price_step, found.qty_step, found.min_qty) == (D("0.05"), D("1E-9"), D("0.000013"))
    assert (found.base, found.quote, found.canonical, found.is_open) == ("BTC", "USD", "BTC/USD", True)
    assert found.kind is InstrumentKind.SPOT


def test_shares_come_whole_and_keep_hours() -> None:
    share = asset(**{"class": "us_equity", "symbol": "AAPL", "price_increment": None})
    found = instrument_of(share, 1, shares_trade=False)
    assert (found.price_step, found.qty_step, found.min_qty, found.is_open) == (D("0.01"), 1, 1, False)
    assert (found.base, found.quote) == ("AAPL", "USD") == parts_of("AAPL")
    assert instrument_of(share, 1, shares_trade=True).is_open


def test_what_cannot_be_traded_is_for_looking_only() -> None:
    assert instrument_of(asset(tradable=False), 1, shares_trade=True).kind is InstrumentKind.QUOTE_ONLY
    assert instrument_of(asset(price_increment=None), 1, shares_trade=True).kind is InstrumentKind.QUOTE_ONLY
    with pytest.raises(VenueUnavailable, match="BTC/USD"):
        instrument_of(asset(min_order_size="NaN"), 1, shares_trade=True)


# --- reports -------------------------------------------------------------------------------------------------------


def an_order(quantity: Decimal) -> Order:
    return Order(
        id="i-1",
        ts_event=1_700_000_000_000_000_000,
        intent_id="i",
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="alpaca",
        account="main",
        symbol="BTC/USD",
        strategy="s",
        side=Side.BUY,
        action=Action.ENTER,
        quantity=quantity,
        worst_price=D(10**9),
        position_id="i",
        reason="entry",
    )


def row(status: str, filled: Decimal) -> OrderRow:
    at = "2024-01-01T00:00:00Z"
    return OrderRow("o", "i", "BTC/USD", status, f"{filled:f}", at, at)


def executions(*parts: tuple[Decimal, Decimal]) -> list[Activity]:
    return [
        Activity(f"a{n}", "FILL", "o", "2024-01-01T00:00:00Z", f"{price:f}", f"{quantity:f}")
        for n, (price, quantity) in enumerate(parts)
    ]


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=5))
def test_executions_reach_the_reports_to_the_last_digit(parts: list[tuple[Decimal, Decimal]]) -> None:
    total = sum((quantity for _, quantity in parts), D(0))
    told = reports_of(an_order(total), row("filled", total), executions(*parts))
    fills = [report for report in told if report.kind is ReportKind.FILLED]
    assert [(fill.price, fill.quantity) for fill in fills] == parts
    assert told[0].kind is ReportKind.ACKNOWLEDGED
    assert len(told) == len(parts) + 1
    assert reports_of(an_order(total), row("filled", total), executions(*parts)) == told


@pytest.mark.parametrize(
    ("status", "filled", "ends"),
    [
        ("canceled", "1", ReportKind.CANCELLED),
        ("canceled", "0", ReportKind.CANCELLED),
        ("expired", "1", ReportKind.CANCELLED),
        ("rejected", "0", ReportKind.REJECTED),
    ],
)
def test_how_an_order_ends(status: str, filled: str, ends: ReportKind) -> None:
    parts = executions((D(5), D(filled))) if D(filled) else []
    assert reports_of(an_order(D(2)), row(status, D(filled)), parts)[-1].kind is ends


def test_executions_that_do_not_make_the_order_are_absurd() -> None:
    with pytest.raises(Absurd, match="make no executed quantity"):
        reports_of(an_order(D(2)), row("filled", D(2)), executions((D(5), D(1))))
