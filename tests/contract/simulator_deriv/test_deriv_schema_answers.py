"""Every answer and every update of the simulated Deriv validates against the official receive schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.simulator.deriv.validation import CALLS, check

SCHEMA_OF = {
    "tick": "ticks",
    "history": "ticks_history",
    "candles": "ticks_history",
    "ohlc": "ticks_history",
}


class Official:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[str] = set()

    def check(self, message: dict[str, Any]) -> None:
        name = SCHEMA_OF.get(message["msg_type"], message["msg_type"])
        schema = json.loads((self.folder / name / "receive.json").read_text())
        jsonschema.Draft4Validator(schema).validate(message)
        assert message["msg_type"] in message, f"no result in {message}"
        self.seen.add(message["msg_type"])


@pytest.fixture
def official(schema_folder: Path) -> Official:
    return Official(schema_folder)


def test_answers_of_a_trading_day_validate(desk: Any, orders: Any, official: Official) -> None:
    trader = desk.trader()
    trader.ask(ping=1, req_id=1)
    trader.ask(time=1, passthrough={"a": 1})
    trader.ask(website_status=1, subscribe=1)
    trader.ask(active_symbols="brief")
    trader.ask(active_symbols="full", product_type="basic")
    trader.ask(trading_times="today")
    for symbol in ("R_100", "1HZ10V", "PLANTED"):
        trader.ask(contracts_for=symbol, currency="USD")
    trader.ask(ticks="R_50")
    trader.ask(ticks=["R_100", "PLANTED"], subscribe=1)
    trader.ask(ticks_history="R_75", end="latest", count=10, subscribe=1)
    trader.ask(ticks_history="R_100", end="latest", style="candles", granularity=60, count=3, subscribe=1)
    trader.ask(balance=1, account="all", subscribe=1)
    trader.ask(balance=1)
    trader.ask(transaction=1, subscribe=1)
    trader.ask(proposal_open_contract=1, subscribe=1)
    for name, parameters in orders.items():
        trader.ask(proposal=1, subscribe=1, **parameters)
        bought = trader.ask(buy="1", price=50, parameters=parameters)
        assert "buy" in bought, (name, bought)
    trader.ask(portfolio=1)
    desk.pass_seconds(1)
    multiplier = next(iter(desk.venue.account.contracts))
    trader.ask(contract_update=1, contract_id=multiplier, limit_order={"take_profit": None, "stop_loss": 9})
    trader.ask(contract_update_history=1, contract_id=multiplier)
    desk.pass_seconds(69)
    trader.ask(sell=multiplier, price=0)
    trader.ask(proposal_open_contract=1, contract_id=multiplier)
    trader.ask(portfolio=1, contract_type=["CALL"])
    cancellable = {**orders["multiplier"], "cancellation": "60m", "limit_order": {}}
    cancelled = trader.ask(buy="1", price=50, parameters=cancellable)["buy"]["contract_id"]
    desk.pass_seconds(1)
    trader.ask(cancel=cancelled)
    trader.ask(topup_virtual=1)
    trader.ask(statement=1, description=1)
    trader.ask(profit_table=1, description=1)
    trader.ask(forget="x" * 32)
    trader.ask(forget_all=["ticks", "proposal"])
    trader.ask(logout=1)
    for message in trader.received:
        official.check(message)
    expected = set(CALLS) - {"ticks", "ticks_history"} | set(SCHEMA_OF)
    assert official.seen == expected


OTHER_KINDS: list[dict[str, Any]] = [
    {"contract_type": "CALLE", "symbol": "R_100", "duration": 2, "duration_unit": "t"},
    {"contract_type": "PUTE", "symbol": "JD10", "duration": 1, "duration_unit": "m"},
    {"contract_type": "CALL", "symbol": "R_75", "duration": 1, "duration_unit": "d"},
    {"contract_type": "DIGITMATCH", "symbol": "R_10", "barrier": "7", "duration": 5, "duration_unit": "t"},
    {"contract_type": "DIGITODD", "symbol": "1HZ10V", "duration": 1, "duration_unit": "t"},
    {"contract_type": "ACCU", "symbol": "1HZ100V", "growth_rate": 0.03, "limit_order": {"take_profit": 2}},
    {"contract_type": "ACCU", "symbol": "R_100", "growth_rate": 0.01},
    {"contract_type": "MULTUP", "symbol": "R_100", "multiplier": 40, "cancellation": "60m"},
    {"contract_type": "MULTDOWN", "symbol": "stpRNG", "multiplier": 750, "limit_order": {"take_profit": 3}},
    {"contract_type": "CALL", "symbol": "frxEURUSD", "duration": 15, "duration_unit": "m", "barrier": "+0.00050"},
]


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=lambda kind: f"{kind['contract_type']} {kind['symbol']}")
def test_answers_about_every_kind_of_contract_validate(desk: Any, official: Official, kind: dict[str, Any]) -> None:
    trader = desk.trader()
    parameters = {"currency": "USD", "amount": 10, "basis": "stake", **kind}
    trader.ask(transaction=1, subscribe=1)
    quoted = trader.ask(proposal=1, subscribe=1, **parameters)
    contract_id = trader.ask(buy=quoted["proposal"]["id"], price=50, subscribe=1)["buy"]["contract_id"]
    trader.ask(portfolio=1)
    desk.pass_seconds(6)
    trader.ask(contracts_for=kind["symbol"])
    trader.ask(proposal_open_contract=1, contract_id=contract_id)
    desk.pass_seconds(70)
    trader.ask(proposal_open_contract=1, contract_id=contract_id)
    trader.ask(statement=1, description=1)
    trader.ask(profit_table=1, description=1)
    for message in trader.received:
        official.check(message)
    assert {"proposal", "buy", "proposal_open_contract", "contracts_for"} <= official.seen


def _closed_properties(schema: dict[str, Any]) -> set[str]:
    return set(schema.get("properties", {})) - {"subscribe"} if schema.get("additionalProperties") is False else set()


@pytest.mark.parametrize("call", sorted(CALLS))
def test_request_rules_are_those_of_the_official_send_schema(call: str, schema_folder: Path) -> None:
    schema = json.loads((schema_folder / call / "send.json").read_text())
    ours = CALLS[call]
    assert set(ours.properties) == set(schema["properties"])
    assert ours.required == set(schema["required"])
    if call == "buy":
        theirs = schema["properties"]["parameters"]
        assert set(ours.properties["parameters"].properties) == set(theirs["properties"])  # type: ignore[attr-defined]
        assert ours.properties["parameters"].required == set(theirs["required"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", sorted(CALLS))
def test_official_example_request_is_accepted(call: str, schema_folder: Path) -> None:
    check(call, json.loads((schema_folder / call / "example.json").read_text()))


@pytest.mark.parametrize(
    "request_",
    [
        {"ticks": "R_100", "subscribe": 2},
        {"ticks_history": "R_100", "end": "soon"},
        {"ticks_history": "R_100", "end": "latest", "granularity": 61},
        {"proposal": 1, "contract_type": "MULTUPP", "currency": "USD", "symbol": "R_100"},
        {"proposal": 1, "contract_type": "CALL", "currency": "USD", "symbol": "R_100", "amount": -1},
        {"buy": "short", "price": 1},
        {"statement": 1, "limit": 1000},
        {"balance": 1, "account": "CR"},
        {"forget_all": ["ticks", "nothing"]},
        {"ping": 1, "req_id": "1"},
        {"ping": True},
        {"ping": 1, "passthrough": []},
    ],
)
def test_what_the_official_schema_refuses_we_refuse(request_: dict[str, Any], desk: Any, schema_folder: Path) -> None:
    call = next(iter(request_))
    schema = json.loads((schema_folder / call / "send.json").read_text())
    assert not jsonschema.Draft4Validator(schema).is_valid(request_)
    answer = desk.trader().ask(**request_)
    assert answer["error"]["code"] == "InputValidationFailed"
    assert answer["error"]["details"]
