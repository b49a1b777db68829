"""The symbols the simulated Deriv lists, what they offer, and what happens when a market is closed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

FOREX = {"contract_type": "CALL", "currency": "USD", "symbol": "frxEURUSD", "amount": 10, "basis": "stake"}
CLOSES = int(datetime(2026, 11, 20, 20, 55, tzinfo=UTC).timestamp())
OPENS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())


def code(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


def jump_to(desk: Any, epoch: int) -> None:
    desk.restart(seconds_away=epoch - desk.venue.now())


@pytest.fixture
def weekend(desk: Any) -> Any:
    jump_to(desk, CLOSES + 3600)
    return desk


def test_symbols_stand_in_their_markets(desk: Any) -> None:
    rows = {row["symbol"]: row for row in desk.client().ask(active_symbols="full")["active_symbols"]}
    assert len(rows) >= 40
    expected = {
        "1HZ100V": ("synthetic_index", "random_index", "stockindex", 0.01),
        "RDBEAR": ("synthetic_index", "random_daily", "stockindex", 0.0001),
        "BOOM300N": ("synthetic_index", "crash_index", "", 0.001),
        "stpRNG5": ("synthetic_index", "step_index", "", 0.1),
        "frxAUDJPY": ("forex", "major_pairs", "forex", 0.001),
    }
    for name, place in expected.items():
        row = rows[name]
        assert (row["market"], row["submarket"], row["symbol_type"], row["pip"]) == place
    assert (rows["1HZ100V"]["display_name"], rows["BOOM300N"]["display_name"]) == (
        "Volatility 100 (1s) Index",
        "Boom 300 Index",
    )
    assert [name for name, row in rows.items() if row["is_trading_suspended"]] == ["RB100", "RB200"]


def test_active_symbols_agree_with_the_recorded_rows(desk: Any, sample: Any) -> None:
    rows = {row["symbol"]: row for row in desk.client().ask(active_symbols="brief")["active_symbols"]}
    compared = 0
    for recorded in sample("v3_active_symbols_part_2023")["active_symbols"]:
        ours = rows.get(recorded["symbol"])
        if ours is None:
            continue
        compared += 1
        assert ours.keys() == recorded.keys()
        different = {name for name in recorded if ours[name] != recorded[name]}
        assert different <= {"display_order", "allow_forward_starting"}, recorded["symbol"]
    assert compared >= 4


def test_every_symbol_offers_exactly_what_can_be_priced_on_it(desk: Any) -> None:
    bets: dict[str, dict[str, Any]] = {
        "CALL": {"duration": 5, "duration_unit": "t"},
        "DIGITODD": {"duration": 5, "duration_unit": "t"},
        "MULTUP": {},
        "ACCU": {"growth_rate": 0.02},
    }
    for symbol in desk.venue.market.feeds:
        client = desk.client()
        answer = client.ask(contracts_for=symbol)
        rows = answer["contracts_for"]["available"] if "error" not in answer else []
        for kind, length in bets.items():
            offered = [row for row in rows if row["contract_type"] == kind]
            if kind in ("CALL", "DIGITODD"):
                offered = [row for row in offered if row["expiry_type"] == "tick"]
            parameters = {"contract_type": kind, "currency": "USD", "symbol": symbol, "amount": 10, "basis": "stake"}
            if kind == "MULTUP" and offered:
                parameters["multiplier"] = offered[0]["multiplier_range"][0]
            quoted = desk.client().ask(proposal=1, **parameters, **length)
            if symbol == "OTC_NDX":
                assert code(quoted) in ("MarketIsClosed", "OfferingsValidationError")
            else:
                assert ("proposal" in quoted) == bool(offered), (symbol, kind, quoted)


def test_closed_market_is_neither_streamed_nor_traded(weekend: Any) -> None:
    trader = weekend.trader()
    for request in (
        {"ticks": "frxEURUSD", "subscribe": 1},
        {"ticks_history": "frxEURUSD", "end": "latest", "subscribe": 1},
        {"proposal": 1, **FOREX, "duration": 15, "duration_unit": "m"},
        {"buy": "1", "price": 20, "parameters": {**FOREX, "duration": 15, "duration_unit": "m"}},
    ):
        assert code(trader.ask(**request)) == "MarketIsClosed"
    rows = {row["symbol"]: row for row in trader.ask(active_symbols="brief")["active_symbols"]}
    assert (rows["frxEURUSD"]["exchange_is_open"], rows["R_100"]["exchange_is_open"]) == (0, 1)
    offered = trader.ask(contracts_for="frxEURUSD")["contracts_for"]
    assert offered["open"] == OPENS
    assert "tick" in trader.ask(ticks="R_100"), "synthetic indices never close"


def test_history_of_a_closed_market_ends_with_its_last_tick(weekend: Any) -> None:
    client = weekend.client()
    history = client.ask(ticks_history="frxEURUSD", end="latest", count=3)["history"]
    assert history["times"] == [CLOSES - 4, CLOSES - 2, CLOSES]


def test_adjust_start_time_moves_the_window_to_when_the_market_was_open(weekend: Any) -> None:
    client, now = weekend.client(), weekend.venue.now()
    window = {"ticks_history": "frxEURUSD", "start": now - 600, "end": "latest", "style": "candles", "granularity": 60}
    assert client.ask(**window)["candles"] == []
    moved = client.ask(**window, adjust_start_time=1)["candles"]
    assert [candle["epoch"] for candle in moved] == list(range(CLOSES - 600, CLOSES + 1, 60))
    same = {"ticks_history": "R_100", "start": now - 60, "end": "latest"}
    assert client.ask(**same)["history"] == client.ask(**same, adjust_start_time=1)["history"]


def test_contract_that_would_end_after_the_close_is_refused(desk: Any) -> None:
    jump_to(desk, CLOSES - 1200)
    trader = desk.trader()
    assert "proposal" in trader.ask(proposal=1, **FOREX, duration=15, duration_unit="m")
    late = trader.ask(proposal=1, **FOREX, duration=30, duration_unit="m")
    assert (code(late), late["error"]["subcode"]) == ("ContractBuyValidationError", "ContractExpiryNotAllowed")
    assert code(trader.ask(proposal=1, **FOREX, duration=1, duration_unit="d")) == "ContractBuyValidationError"
    assert "proposal" in trader.ask(proposal=1, **FOREX, duration=3, duration_unit="d"), "a Monday"


def test_multiplier_waits_through_the_weekend_and_cannot_be_sold_in_it(desk: Any) -> None:
    jump_to(desk, CLOSES - 10)
    trader = desk.trader()
    parameters = {**FOREX, "contract_type": "MULTUP", "multiplier": 100}
    contract_id = trader.ask(buy="1", price=20, parameters=parameters)["buy"]["contract_id"]
    desk.pass_seconds(20)
    assert code(trader.ask(sell=contract_id, price=0)) == "MarketIsClosed"
    jump_to(desk, OPENS + 4)
    trader = desk.trader()
    assert trader.ask(sell=contract_id, price=0)["sell"]["sold_for"] == pytest.approx(10, abs=1)


def test_ticks_stop_with_the_close_and_go_on_with_the_opening(desk: Any) -> None:
    jump_to(desk, CLOSES - 4)
    client = desk.client()
    client.ask(ticks="frxEURUSD", subscribe=1)
    desk.pass_seconds(30)
    assert [message["tick"]["epoch"] for message in client.received] == [CLOSES - 4, CLOSES - 2, CLOSES]
    desk.clock.advance((OPENS - 1) * 10**9)
    desk.venue.advance_to(OPENS - 1)
    desk.pass_seconds(4)
    assert [message["tick"]["epoch"] for message in client.received][3:] == [OPENS, OPENS + 2]


def test_relative_barriers_only_on_short_contracts_of_forex(desk: Any) -> None:
    client = desk.client()
    timed = {**FOREX, "duration": 15, "duration_unit": "m"}
    assert "proposal" in client.ask(proposal=1, **timed, barrier="+0.00050")
    spot = client.ask(ticks="frxEURUSD")["tick"]["quote"]
    absolute = {"barrier": f"{spot + 0.001:.5f}"}
    assert client.ask(proposal=1, **timed, **absolute)["error"]["subcode"] == "InvalidBarrier"
    by_day = {**FOREX, "duration": 1, "duration_unit": "d"}
    assert "proposal" in client.ask(proposal=1, **by_day, **absolute)


def test_daily_reset_index_begins_each_day_at_its_level(desk: Any) -> None:
    midnight = desk.venue.now() // 86_400 * 86_400 + 86_400
    asked = {**FOREX, "symbol": "RDBULL", "duration": 5, "duration_unit": "t"}
    assert "proposal" in desk.client().ask(proposal=1, **asked)
    jump_to(desk, midnight - 8)
    over_midnight = desk.client().ask(proposal=1, **asked)
    assert over_midnight["error"]["subcode"] == "ContractExpiryNotAllowed"
    jump_to(desk, midnight + 10)
    history = desk.client().ask(ticks_history="RDBULL", end=str(midnight), count=2)["history"]
    assert history["times"] == [midnight - 2, midnight]
    assert history["prices"][1] == 1_000.0
