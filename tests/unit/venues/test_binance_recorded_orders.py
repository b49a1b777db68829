"""What was recorded of orders, accounts and filters is read as it was meant."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.core.types import ReportKind, Side
from libs.venues.binance import reports, trade_codec
from libs.venues.binance.exchange_info import ExchangeInfo, decode_exchange_info, instrument_of
from libs.venues.binance.filters import Rules
from libs.venues.binance.limits import Limits

SAMPLES = Path(__file__).parents[3].parent / "shared" / "protocols" / "binance-samples"
D = Decimal


def sample(name: str) -> bytes:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the recorded Binance messages are not on this machine")
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def event(name: str) -> bytes:
    """An event, without the wrapping that some recorders left around it."""
    told: Any = json.loads(sample(f"fixtures-nautilus/{name}.json"))
    return json.dumps(told.get("data", told)).encode()


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("user-data/execution_report_trade", [ReportKind.FILLED]),
        ("user-data/execution_report_canceled", [ReportKind.CANCELLED]),
        ("user-data/execution_report_new", []),
        ("ws/ws_spot_execution_report_custom_client_id", [ReportKind.FILLED]),
        ("ws/ws_spot_execution_report_expired", [ReportKind.CANCELLED]),
        ("ws/ws_spot_execution_report_rejected", [ReportKind.REJECTED]),
        ("ws/ws_spot_execution_report_trade_l_zero_expired", [ReportKind.CANCELLED]),
        ("ws/ws_spot_execution_report_trade_l_zero_partial", []),
    ],
)
def test_an_execution_report_is_a_trade_an_end_or_neither(name: str, kinds: list[ReportKind]) -> None:
    told = trade_codec.execution.decode(event(name))
    of = reports.subject_of(told)
    trade, end = reports.execution_of(told), reports.end_of(of, told)
    found = [*([reports.filled(of, trade)] if trade is not None else []), *([end] if end is not None else [])]
    assert [report.kind for report in found] == kinds
    assert of.intent_id == told.c


def test_a_trade_s_fee_is_in_the_asset_that_the_venue_names() -> None:
    told = trade_codec.execution.decode(event("user-data/execution_report_trade"))
    trade = reports.execution_of(told)
    assert trade is not None
    report = reports.filled(reports.subject_of(told), trade)
    assert (report.price, report.quantity, report.fee, report.fee_asset) == (D(2500), D(1), D("0.001"), "ETH")
    assert (report.trade_id, report.venue_order_id) == ("98765432", "12345678")
    assert report.ts_event == 1709654401000 * 1_000_000


def test_a_transfer_and_the_trades_of_an_account_are_read() -> None:
    moved = trade_codec.balance_update.decode(event("user-data/balance_update"))
    assert (moved.a, moved.d, moved.T) == ("BTC", D("0.001"), 1709654400000)
    (row,) = trade_codec.trade_rows.decode(sample("fixtures-nautilus/http-rs/account_trades_response.json"))
    (trade,) = reports.of_trades([row])
    assert (trade.trade_id, trade.price, trade.quantity, trade.fee, trade.fee_asset) == (
        28457,
        D("4.000001"),
        D(12),
        D("10.1"),
        "BNB",
    )


def info(name: str) -> ExchangeInfo:
    return decode_exchange_info(sample(f"rest/{name}"))


@pytest.mark.parametrize(
    "name",
    [
        "exchangeInfo.binance-me-host.full-2183-symbols.json.gz",
        "exchangeInfo.spot.2021-10-12.full-1695-symbols.json.gz",
        "exchangeInfo.us.BTCUSD.2026-09-04.json",
        "exchangeInfo.spot.TSLABUSDT.2026-09.trimmed.json",
    ],
)
def test_the_filters_of_every_listed_symbol_shape_an_order(name: str) -> None:
    told = info(name)
    shaped = 0
    for row in told.symbols:
        instrument, rules = instrument_of(row, told.serverTime), Rules(row)
        if instrument.price_step == 0 or instrument.qty_step == 0:
            continue
        bounds = next(f for f in row.filters if f.filterType == "PRICE_FILTER")
        price = min(bounds.minPrice * 1000, bounds.maxPrice)
        quantity = instrument.min_notional / price + 3 * instrument.min_qty
        if quantity > instrument.max_qty:
            continue
        limit = rules.limit(Side.BUY, quantity, price)
        assert limit.price == price
        assert quantity - instrument.qty_step < limit.quantity <= quantity
        assert limit.quantity % instrument.qty_step == 0
        shaped += 1
    assert shaped > 0.5 * len(told.symbols)


def test_the_limits_in_force_are_the_recorded_ones() -> None:
    limits = Limits(places_orders=True)
    limits.learn(info("exchangeInfo.us.BTCUSD.2026-09-04.json").rateLimits)
    assert {b.name: b.limit for b in limits.budgets()} == {
        "binance request weight per min": 6000,
        "binance raw requests per 5 min": 300_000,
        "binance orders per 10 s": 100,
        "binance orders per day": 200_000,
        "binance connections": 300,
    }
