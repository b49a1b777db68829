"""Both codecs of Deriv: worded as the official schemas allow, reading what was recorded, and never fooled."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.venues.budget import Priority
from libs.venues.deriv.codec import Codec, CodecError, Request, codec_for
from libs.venues.deriv.limits import Bucket
from libs.venues.deriv.model import Ask

PROTOCOLS = Path(__file__).parents[3].parent / "shared" / "protocols"
APIS = ("v3", "options")
RISE = Ask(contract_type="CALL", symbol="R_100", stake=Decimal("1.10"), currency="USD", duration=5, duration_unit="t")
UP = Ask(
    contract_type="MULTUP",
    symbol="R_100",
    stake=Decimal(10),
    currency="USD",
    multiplier=40,
    stop_loss=Decimal("4.32"),
    take_profit=Decimal("8.10"),
)


def requests(codec: Codec) -> dict[str, list[Request[Any]]]:
    """Every call that the adapter makes, by the folder of its schema."""
    login, site = codec.login("a-token"), codec.site()
    made: dict[str, list[Request[Any]]] = {
        "ping": [codec.ping()],
        "time": [codec.time()],
        "active_symbols": [codec.listings()],
        "contracts_for": [codec.offer("R_100")],
        "ticks": [codec.ticks("R_100")],
        "ticks_history": [codec.tick_page("R_100", 1, 2, 3), codec.candle_page("R_100", 60, 1, 2, 3)],
        "proposal": [codec.proposal(RISE), codec.proposal(UP)],
        "buy": [codec.buy("a" * 36, Decimal("10.5"))],
        "sell": [codec.sell(7, Decimal(0))],
        "proposal_open_contract": [codec.contract(7, follow=True), codec.contract(7, follow=False)],
        "portfolio": [codec.holdings()],
        "profit_table": [codec.closed(1_700_000_000)],
        "statement": [codec.bookings(1, 0)],
        "transaction": [codec.transactions()],
        "balance": [codec.balance()],
    }
    return made | ({"authorize": [login]} if login else {}) | ({"website_status": [site]} if site else {})


CALLS = [(api, call, request) for api in APIS for call, each in requests(codec_for(api)).items() for request in each]


@pytest.mark.parametrize(("api", "call", "request_"), CALLS)
def test_every_call_is_worded_as_the_official_schema_allows(api: str, call: str, request_: Request[Any]) -> None:
    file = "v3/{}/send.json" if api == "v3" else "options-v1/{}/request.json"
    path = PROTOCOLS / "deriv-schemas" / file.format(call)
    if not path.exists():
        pytest.skip("the official Deriv schemas are not on this machine")
    wire = json.loads(msgspec.json.Encoder(decimal_format="number").encode(request_.body | {"req_id": 1}))
    jsonschema.validate(wire, json.loads(path.read_text()))


def test_each_api_logs_in_and_counts_its_own_way() -> None:
    v3, options = codec_for("v3"), codec_for("options")
    assert codec_for("").login("t") == v3.login("t")
    assert options.login("t") is None
    assert options.site() is None
    assert (v3.buy("x", Decimal(1)).bucket, options.buy("x", Decimal(1)).bucket) == (Bucket.GENERAL, Bucket.TRADING)
    assert (v3.balance().bucket, options.balance().bucket) == (Bucket.GENERAL, Bucket.ACCOUNT)
    assert (v3.bookings(1, 0).bucket, options.bookings(1, 0).bucket) == (Bucket.OUTCOME, Bucket.ACCOUNT)
    with pytest.raises(ValueError, match="v3 or options"):
        codec_for("v4")


def test_what_reduces_risk_goes_first() -> None:
    codec = codec_for("v3")
    assert codec.sell(1, Decimal(0)).priority is Priority.EXIT
    assert codec.buy("x", Decimal(1)).priority is codec.proposal(UP).priority is Priority.ENTRY
    assert codec.tick_page("R_100", 1, 2, 3).priority is codec.balance().priority is Priority.DATA


def sample(name: str) -> bytes:
    path = PROTOCOLS / "deriv-samples" / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded Deriv messages are not on this machine")
    return path.read_bytes()


def test_a_recorded_contract_of_the_options_api() -> None:
    read = codec_for("options").contract(1, follow=True).read
    contract = read(sample("options_v1_poc_MULTUP_1HZ100V_243687440268"))
    assert contract is not None
    assert (contract.symbol, contract.contract_type) == ("1HZ100V", "MULTUP")
    assert (contract.buy_price, contract.commission) == (Decimal(10), Decimal("0.36"))
    assert (contract.entry_spot, contract.current_spot) == (Decimal("782.35"), Decimal("807.2"))
    assert (contract.is_sold, contract.buy_transaction_id) == (False, 486015531488)


def test_a_recorded_proposal_of_the_options_api() -> None:
    proposal = codec_for("options").proposal(RISE).read(sample("options_v1_proposal_1HZ100V_5t"))
    assert (proposal.ask_price, proposal.payout, proposal.spot) == (Decimal(10), Decimal("18.18"), Decimal("842.28"))
    assert (proposal.stake.min, proposal.stake.max) == (Decimal("0.35"), None)


def test_a_recorded_refusal_of_the_options_api() -> None:
    head = codec_for("options").head(sample("options_v1_error_symbol_rejected"))
    assert head.error is not None
    assert (head.req_id, head.error.code) == (2, "InputValidationFailed")


def test_recorded_limits() -> None:
    site = codec_for("v3").site()
    assert site is not None
    quotas = site.read(sample("v3_website_status_limits_2018")).quotas
    assert quotas[Bucket.GENERAL] == (180, 14_400)
    assert quotas[Bucket.OUTCOME] == (25, 1_500)


def test_recorded_rows_of_the_profit_table() -> None:
    multiplier, rise = codec_for("v3").closed(1).read(sample("v3_profit_table_rows"))
    assert (multiplier.symbol, multiplier.contract_type, multiplier.buy_price) == ("R_100", "MULTUP", Decimal("11.29"))
    assert rise.purchase_time == 1718367170


@pytest.mark.parametrize(
    ("told", "step"),
    [(0.01, "0.01"), ("0.00001", "0.00001"), (2, "0.01"), ("3", "0.001"), (0, "1"), (0.1, "0.1"), (1, "0.1")],
)
def test_a_pip_is_a_size_or_a_number_of_decimals(told: Any, step: str) -> None:
    row = {
        "underlying_symbol": "R_100",
        "underlying_symbol_name": "Volatility 100 Index",
        "market": "synthetic_index",
        "submarket": "random_index",
        "pip_size": told,
        "exchange_is_open": 1,
        "is_trading_suspended": 0,
        "trade_count": 5,
    }
    (listing,) = codec_for("options").listings().read(json.dumps({"active_symbols": [row]}).encode())
    assert (listing.symbol, listing.name, listing.pip) == ("R_100", "Volatility 100 Index", Decimal(step))


GOOD: dict[str, dict[str, Any]] = {
    "authorize": {"authorize": {"balance": 1, "currency": "USD"}},
    "website_status": {"website_status": {"site_status": "up", "message": "", "api_call_limits": {}}},
    "time": {"time": 1},
    "active_symbols": {
        "active_symbols": [
            {
                "symbol": "R_100",
                "display_name": "V",
                "market": "m",
                "submarket": "s",
                "pip": 0.01,
                "exchange_is_open": 1,
                "is_trading_suspended": 0,
            }
        ]
    },
    "contracts_for": {"contracts_for": {"available": [{"contract_type": "MULTUP", "multiplier_range": [40]}]}},
    "ticks_history": {"history": {"prices": [1.0], "times": [1]}, "candles": []},
    "proposal": {"proposal": {"id": "p", "ask_price": 10, "spot": 5, "spot_time": 1, "commission": 0.1, "payout": 0}},
    "buy": {
        "buy": {
            "contract_id": 1,
            "transaction_id": 2,
            "buy_price": 3,
            "balance_after": 4,
            "purchase_time": 5,
            "shortcode": "s",
        }
    },
    "sell": {"sell": {"contract_id": 1, "transaction_id": 2, "sold_for": 3, "balance_after": 4}},
    "proposal_open_contract": {
        "proposal_open_contract": {"contract_id": 1, "buy_price": "3", "sell_price": 2, "sell_time": 7, "is_sold": 1}
    },
    "portfolio": {
        "portfolio": {"contracts": [{"contract_id": 1, "transaction_id": 2, "buy_price": 3, "purchase_time": 4}]}
    },
    "profit_table": {
        "profit_table": {"transactions": [{"contract_id": 1, "transaction_id": 2, "buy_price": 3, "purchase_time": 4}]}
    },
    "statement": {
        "statement": {
            "transactions": [
                {
                    "action_type": "buy",
                    "amount": -1,
                    "balance_after": 5,
                    "transaction_id": 6,
                    "transaction_time": 7,
                }
            ]
        }
    },
    "transaction": {
        "transaction": {"action": "sell", "amount": 1, "balance": 2, "transaction_id": 3, "transaction_time": 4}
    },
    "balance": {"balance": {"balance": 1, "currency": "USD"}},
}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["", "NaN", "Infinity", "-1", "1e999999999", "1e-999999999", "9" * 60, "1.5", "R_100"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def spoil(value: Any, replace: Any, at: int) -> tuple[Any, int]:
    """`value` with its `at`-th part, counted depth first, replaced; and what is left of the count."""
    if at == 0:
        return replace, -1
    at -= 1
    if isinstance(value, dict):
        changed = {}
        for key, part in value.items():
            changed[key], at = spoil(part, replace, at) if at >= 0 else (part, at)
        return changed, at
    if isinstance(value, list):
        parts = []
        for part in value:
            kept, at = spoil(part, replace, at) if at >= 0 else (part, at)
            parts.append(kept)
        return parts, at
    return value, at


def numbers(value: Any) -> list[Any]:
    if isinstance(value, msgspec.Struct):
        return [found for field in value.__struct_fields__ for found in numbers(getattr(value, field))]
    if isinstance(value, list | tuple):
        return [found for item in value for found in numbers(item)]
    return [value] if isinstance(value, Decimal) else []


@given(st.sampled_from(CALLS), odd, st.integers(0, 20))
def test_a_spoiled_answer_is_a_codec_error_or_sane(case: tuple[str, str, Request[Any]], bad: Any, at: int) -> None:
    _, call, request = case
    answer, _ = spoil(GOOD.get(call, {}), bad, at)
    try:
        value = request.read(json.dumps(answer).encode())
    except CodecError:
        return
    for money in numbers(value):
        assert money.is_finite()
        assert math.isfinite(float(money * 2 + 1))


@given(st.sampled_from(CALLS), st.binary(max_size=100))
def test_any_bytes_are_an_answer_or_a_codec_error(case: tuple[str, str, Request[Any]], frame: bytes) -> None:
    _, call, request = case
    if call in ("ping", "ticks"):
        return  # nothing is read from those
    with pytest.raises(CodecError):
        request.read(frame)


def test_a_frame_nested_without_end_is_a_codec_error() -> None:
    codec = codec_for("v3")
    for frame in (b"[" * 1_000_000, b'{"deep":' * 200_000, b'{"proposal_open_contract":' + b"[" * 100_000):
        with pytest.raises(CodecError):
            codec.head(frame)
        with pytest.raises(CodecError):
            codec.contract(1, follow=False).read(frame)
