"""Recorded contracts, lived through again on their recorded ticks, look on the wire as they did."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.simulator.deriv import ledger_views, pricing, quotes, views
from services.simulator.deriv.chunks import Floats
from services.simulator.deriv.contracts import Closing, Contract
from services.simulator.deriv.kinds import make_contract
from services.simulator.deriv.market import Feed, Market
from services.simulator.deriv.symbols import SYMBOLS
from services.simulator.deriv.terms import Terms, multiplier_expiry

SAMPLES = Path(__file__).parents[3].parent / "shared" / "protocols" / "deriv-samples"


def sample(name: str) -> Any:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded Deriv messages are not on this machine")
    return json.loads((SAMPLES / f"{name}.json").read_text())


class Recorded:
    """A price path of recorded quotes; between them the last one holds."""

    def __init__(self, quotes_: dict[int, float], period_secs: int) -> None:
        self._quotes = quotes_
        self._period = period_secs

    def prices(self, first: int, last: int) -> Floats:
        known = sorted(self._quotes)
        return np.array(
            [
                self._quotes[max((e for e in known if e <= index * self._period), default=known[0])]
                for index in range(first, last + 1)
            ]
        )


def feed_of(symbol: str, ticks: dict[int, float], present: int) -> Feed:
    listed = SYMBOLS[symbol]
    feed = Feed(listed, Recorded(ticks, listed.period_secs), min(ticks) - 10)
    feed.present = present
    return feed


def live_through(contract: Contract, feed: Feed) -> None:
    for tick in feed.between(contract.terms.date_start, feed.present):
        contract.on_tick(tick)
        contract.on_second(tick.epoch)


def test_recorded_rise_fall_contract_is_reproduced_field_by_field() -> None:
    recorded = sample("v3_poc_CALL_R_100_1t_expired_not_sold")["proposal_open_contract"]
    ticks = {row["epoch"]: row["tick"] for row in recorded["audit_details"]["all_ticks"]}
    start = recorded["date_start"]
    terms = Terms(
        contract_type="CALL",
        symbol="R_100",
        currency="USD",
        date_start=start,
        date_expiry=start + 4,
        buy_price=Decimal("1.00"),
        payout=pricing.digital_payout(Decimal(1), 0.5),
        ticks=1,
    )
    contract = make_contract(recorded["contract_id"], recorded["transaction_ids"]["buy"], terms)
    feed = feed_of("R_100", ticks, start + 4)
    live_through(contract, feed)
    assert views.open_contract(contract, feed, start + 4) == {
        name: value for name, value in recorded.items() if name != "id"
    }


def test_recorded_multiplier_is_reproduced_field_by_field() -> None:
    recorded = sample("options_v1_poc_MULTUP_1HZ100V_243687440268")["proposal_open_contract"]
    start = recorded["date_start"]
    terms = Terms(
        contract_type="MULTUP",
        symbol="1HZ100V",
        currency="USD",
        date_start=start,
        date_expiry=multiplier_expiry(start),
        buy_price=Decimal("10.00"),
        stake=Decimal("10.00"),
        multiplier=100,
        commission=pricing.multiplier_commission(Decimal(10), 100, SYMBOLS["1HZ100V"].sigma),
    )
    contract = make_contract(recorded["contract_id"], recorded["transaction_ids"]["buy"], terms)
    ticks = {start + 1: 782.35, recorded["current_spot_time"]: 807.20}
    feed = feed_of("1HZ100V", ticks, recorded["current_spot_time"])
    live_through(contract, feed)
    ours = views.open_contract(contract, feed, feed.present)
    for name, value in recorded.items():
        if name in ("id", "underlying_symbol", "entry_spot_time", "limit_order"):
            continue
        assert ours[name] == (float(value) if isinstance(value, str) and name not in _WORDS else value), name
    assert ours["entry_tick_time"] == recorded["entry_spot_time"]
    stop_out = ours["limit_order"]["stop_out"]
    assert {name: stop_out[name] for name in recorded["limit_order"]["stop_out"]} == recorded["limit_order"]["stop_out"]


_WORDS = ("contract_type", "currency", "longcode", "shortcode", "status")


def test_recorded_portfolio_row_is_reproduced() -> None:
    recorded = sample("v3_portfolio_R_25")["portfolio"]["contracts"][0]
    start = recorded["date_start"]
    terms = Terms(
        contract_type="CALL",
        symbol="R_25",
        currency="USD",
        date_start=start,
        date_expiry=start + 60,
        buy_price=Decimal("1.00"),
        payout=Decimal("1.95"),
    )
    row = views.portfolio_row(make_contract(recorded["contract_id"], recorded["transaction_id"], terms))
    assert {**row, "app_id": recorded["app_id"]} == recorded


def test_recorded_rows_of_the_profit_table_are_reproduced() -> None:
    levered, rise = sample("v3_profit_table_rows")["profit_table"]["transactions"]
    stake, fee = Decimal("10.00"), pricing.cancellation_fee(Decimal(10), 30, 1.0, 3600)
    terms = Terms(
        contract_type="MULTUP",
        symbol="R_100",
        currency="USD",
        date_start=levered["purchase_time"],
        date_expiry=multiplier_expiry(levered["purchase_time"]),
        buy_price=stake + fee,
        stake=stake,
        multiplier=30,
        cancellation_secs=3600,
        cancellation_price=fee,
    )
    six_hours = Terms(
        contract_type="CALL",
        symbol="R_100",
        currency="USD",
        date_start=rise["purchase_time"],
        date_expiry=rise["purchase_time"] + 6 * 3600,
        buy_price=stake,
        payout=pricing.digital_payout(stake, pricing.digital_probability(True, 1.0, 1.0, 1.0, 6 * 3600)),
    )
    for recorded, bought in ((levered, terms), (rise, six_hours)):
        contract = make_contract(recorded["contract_id"], recorded["transaction_id"], bought)
        contract.closing = Closing(
            contract_id=contract.contract_id,
            transaction_id=0,
            status="sold",
            price=Decimal(str(recorded["sell_price"])),
            time=recorded["sell_time"],
        )
        row = ledger_views.profit_row(contract, described=True)
        assert {name: value for name, value in row.items() if name != "app_id"} == recorded


def test_recorded_price_of_a_minute_with_a_barrier_is_near() -> None:
    """CALL R_100 for 60 s with a barrier of +0.10: recorded p 0.4793 and c 0.0117, at the level of the recording."""
    market = Market(7, 1_795_000_000)
    parameters = {"contract_type": "CALL", "currency": "USD", "symbol": "R_100", "amount": 100, "basis": "payout"}
    plain = quotes.quote({**parameters, "duration": 60}, market, market.present)
    away = quotes.quote({**parameters, "duration": 60, "barrier": "+0.10"}, market, market.present)
    spot = market.feeds["R_100"].last().quote
    lower = 100 * 0.3989 * (0.10 / spot) / (60 / 31_536_000) ** 0.5
    assert float(plain.buy_price - away.buy_price) == pytest.approx(lower, abs=0.06)
