"""The simulated Deriv answers good and bad requests the way the real one is documented to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.deriv.validation import CALLS

MULTIPLIER = {"contract_type": "MULTUP", "currency": "USD", "symbol": "R_100", "amount": 10, "multiplier": 100}


def code(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


def test_envelope_repeats_request_id_and_passthrough_and_hides_the_token(desk: Any) -> None:
    client = desk.client()
    answer = client.ask(ping=1, req_id=7, passthrough={"a": [1]})
    assert answer == {
        "ping": "pong",
        "msg_type": "ping",
        "req_id": 7,
        "passthrough": {"a": [1]},
        "echo_req": {"ping": 1, "req_id": 7, "passthrough": {"a": [1]}},
    }
    assert client.ask(authorize="demo-token")["echo_req"] == {"authorize": "<not shown>"}
    assert "req_id" not in client.ask(time=1)


def test_unknown_property_is_refused_as_recorded(desk: Any, sample: Any) -> None:
    recorded = sample("options_v1_error_symbol_rejected")
    answer = desk.client().ask(**{**recorded["echo_req"], "underlying_symbol": "R_100"})
    assert answer["error"] == {
        **recorded["error"],
        "message": recorded["error"]["message"].replace("symbol", "underlying_symbol"),
    }
    assert (answer["msg_type"], answer["req_id"]) == ("proposal", 2)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("not json", "BadRequest"),
        ("[1, 2]", "BadRequest"),
        ('"ping"', "BadRequest"),
        (b"\xff\xfe", "BadRequest"),
        ("[" * 100_000, "BadRequest"),
        ("{}", "UnrecognisedRequest"),
        ('{"pong": 1}', "UnrecognisedRequest"),
        ('{"ping": 2}', "InputValidationFailed"),
        ('{"ticks": {}}', "InputValidationFailed"),
        ('{"ticks": "FOO"}', "InvalidSymbol"),
        ('{"contracts_for": "FOO"}', "InvalidSymbol"),
        ('{"ticks_history": "FOO", "end": "latest"}', "InvalidSymbol"),
        ('{"ticks_history": "R_100", "end": "5", "start": 6}', "InvalidStartEnd"),
        ('{"ticks_history": "R_100"}', "InputValidationFailed"),
        ('{"authorize": "wrong"}', "InvalidToken"),
        ('{"balance": 1}', "AuthorizationRequired"),
        ('{"buy": "1", "price": 1}', "AuthorizationRequired"),
    ],
)
def test_bad_frame_is_answered_and_the_connection_goes_on(desk: Any, frame: str | bytes, expected: str) -> None:
    client = desk.client()
    (answer,) = client.send(frame)
    assert code(answer) == expected
    assert client.ask(ping=1)["ping"] == "pong"


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        ({"multiplier": 99}, "ContractBuyValidationError", "Accepts 40,100,200,300,400."),
        ({"amount": 0.5}, "ContractBuyValidationError", "at least 1.00"),
        ({"amount": 2000.01}, "ContractBuyValidationError", "2000.00"),
        ({"amount": 1e300}, "ContractBuyValidationError", "2000.00"),
        ({"amount": 10.005}, "ContractBuyValidationError", "decimal places"),
        ({"currency": "EUR"}, "ContractBuyValidationError", "EUR"),
        ({"limit_order": {"stop_loss": 11}}, "ContractBuyValidationError", "stop loss"),
        ({"limit_order": {"take_profit": 0}}, "ContractBuyValidationError", "take profit"),
        ({"duration": 5, "duration_unit": "t"}, "ContractBuyValidationError", "duration"),
        ({"cancellation": "7m"}, "ContractBuyValidationError", "cancellation"),
        ({"symbol": "FOO"}, "OfferingsInvalidSymbol", "FOO"),
        ({"contract_type": "ACCU"}, "ContractBuyValidationError", "multiplier"),
        ({"contract_type": "RUNHIGH"}, "OfferingsValidationError", "not offered"),
        ({"contract_type": "CALL"}, "ContractBuyValidationError", "multiplier"),
    ],
)
def test_contract_that_is_not_offered_is_refused(desk: Any, changes: Any, expected: str, text: str) -> None:
    trader = desk.trader()
    refused = trader.ask(proposal=1, **{**MULTIPLIER, **changes})
    assert code(refused) == expected
    assert text.lower() in refused["error"]["message"].lower()
    bought = trader.ask(buy="1", price=1e6, parameters={**MULTIPLIER, **changes})
    assert bought["error"] == refused["error"]
    assert trader.ask(portfolio=1)["portfolio"]["contracts"] == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ContractBuyValidationError"),
        ({"duration": 11, "duration_unit": "t"}, "ContractBuyValidationError"),
        ({"duration": 14, "duration_unit": "s"}, "OfferingsValidationError"),
        ({"duration": 366, "duration_unit": "d"}, "OfferingsValidationError"),
        ({"duration": 5, "duration_unit": "t", "barrier": "+0.10"}, "ContractBuyValidationError"),
        ({"duration": 1, "duration_unit": "m", "barrier": "+0.001"}, "ContractBuyValidationError"),
        ({"duration": 1, "duration_unit": "m", "barrier": "99999"}, "ContractBuyValidationError"),
        ({"duration": 1, "duration_unit": "m", "barrier": "-900"}, "ContractBuyValidationError"),
    ],
)
def test_rise_fall_outside_the_offer_is_refused(desk: Any, changes: Any, expected: str) -> None:
    asked = {"contract_type": "CALL", "currency": "USD", "symbol": "R_100", "amount": 10, "basis": "stake"}
    assert code(desk.client().ask(proposal=1, **{**asked, **changes})) == expected


def test_second_equal_subscription_is_refused_until_forgotten(desk: Any) -> None:
    client = desk.client()
    first = client.ask(ticks="R_100", subscribe=1)
    again = client.ask(ticks="R_100", subscribe=1)
    assert again["error"] == {"code": "AlreadySubscribed", "message": "You are already subscribed to ticks."}
    assert client.ask(ticks="R_100")["tick"]["symbol"] == "R_100"
    assert client.ask(forget=first["subscription"]["id"])["forget"] == 1
    assert client.ask(forget=first["subscription"]["id"])["forget"] == 0
    assert "error" not in client.ask(ticks="R_100", subscribe=1)


def test_ticks_come_on_the_grid_with_the_ids_of_their_subscription(desk: Any, sample: Any) -> None:
    client = desk.client()
    first = client.ask(ticks="R_100", subscribe=1, req_id=5)
    desk.pass_seconds(6)
    ticks = client.received
    assert [message["tick"]["epoch"] - first["tick"]["epoch"] for message in ticks] == [0, 2, 4, 6]
    assert {message["subscription"]["id"] for message in ticks} == {first["subscription"]["id"]}
    assert {message["req_id"] for message in ticks} == {5}
    assert first["tick"].keys() == sample("v3_tick_R_100")["tick"].keys()
    recorded = sample("v3_tick_R_100")["tick"]
    spread = (first["tick"]["ask"] - first["tick"]["bid"]) / first["tick"]["quote"]
    assert spread == pytest.approx((recorded["ask"] - recorded["bid"]) / recorded["quote"], rel=0.05)
    client.ask(forget_all="ticks")
    desk.pass_seconds(4)
    assert len(client.received) == len(ticks)


def test_candle_stream_is_text_and_agrees_with_candle_history(desk: Any, sample: Any) -> None:
    client = desk.client()
    client.ask(ticks_history="R_100", end="latest", style="candles", granularity=60, count=1, subscribe=1)
    desk.pass_seconds(130)
    updates = [message["ohlc"] for message in client.received if message["msg_type"] == "ohlc"]
    assert len(updates) == 65
    recorded = sample("v3_ohlc_stream_R_100")[0]["ohlc"]
    assert {name: type(value) for name, value in updates[0].items()} == {
        name: type(value) for name, value in recorded.items()
    }
    closed = {update["open_time"]: update for update in updates}
    history = client.ask(ticks_history="R_100", end="latest", style="candles", granularity=60, count=3)["candles"]
    for candle in history[-2:]:
        last = closed[candle["epoch"]]
        assert [float(last[name]) for name in ("open", "high", "low", "close")] == [
            candle[name] for name in ("open", "high", "low", "close")
        ]


def test_history_pages_backwards_without_hole_or_overlap(desk: Any) -> None:
    client = desk.client()
    whole = client.ask(ticks_history="1HZ100V", end="latest", count=5000)["history"]
    newest = client.ask(ticks_history="1HZ100V", end="latest", count=2000)["history"]
    older = client.ask(ticks_history="1HZ100V", end=str(newest["times"][0] - 1), count=3000)["history"]
    assert older["times"] + newest["times"] == whole["times"]
    assert older["prices"] + newest["prices"] == whole["prices"]
    assert len(client.ask(ticks_history="1HZ100V", end="latest", count=9000)["history"]["times"]) == 5000
    bounded = client.ask(ticks_history="1HZ100V", end="latest", start=whole["times"][-3])["history"]
    assert bounded["times"] == whole["times"][-3:]


def test_history_never_tells_the_future_and_before_its_start_tells_the_latest(desk: Any) -> None:
    client = desk.client()
    now = client.ask(time=1)["time"]
    ahead = client.ask(ticks_history="1HZ100V", end=str(now + 500), count=2)["history"]
    assert ahead["times"] == [now - 1, now]
    ancient = client.ask(ticks_history="1HZ100V", end="1000000000", count=2)["history"]
    assert ancient["times"] == [now - 1, now]


def test_streamed_ticks_are_what_history_tells_afterwards(desk: Any) -> None:
    client = desk.client()
    client.ask(ticks="PLANTED", subscribe=1)
    desk.pass_seconds(30)
    streamed = [(message["tick"]["epoch"], message["tick"]["quote"]) for message in client.received]
    history = client.ask(ticks_history="PLANTED", end="latest", count=31)["history"]
    assert list(zip(history["times"], history["prices"], strict=True)) == streamed


def test_calls_over_the_quota_are_refused_until_a_minute_has_passed(desk: Any) -> None:
    trader = desk.trader()
    answers = [trader.ask(portfolio=1) for _ in range(31)]
    assert ["error" in answer for answer in answers] == [False] * 30 + [True]
    assert answers[-1]["error"]["message"] == "You have reached the rate limit for portfolio."
    assert trader.ask(ping=1)["ping"] == "pong"
    assert code(desk.trader().ask(portfolio=1)) == "RateLimit", "the quota belongs to the user"
    desk.pass_seconds(61)
    assert "portfolio" in trader.ask(portfolio=1)


def test_quotas_are_the_ones_website_status_tells(desk: Any) -> None:
    limits = desk.client().ask(website_status=1)["website_status"]["api_call_limits"]
    assert limits["max_requestes_general"]["minutely"] == 220
    assert limits["max_requests_pricing"]["minutely"] == 80
    assert limits["max_requests_outcome"]["minutely"] == 30


def test_sixth_proposal_stream_is_refused(desk: Any) -> None:
    client = desk.client()
    answers = [client.ask(proposal=1, subscribe=1, **{**MULTIPLIER, "amount": 10 + n}) for n in range(6)]
    assert [("error" in answer) for answer in answers] == [False] * 5 + [True]
    assert code(client.ask(proposal=1, subscribe=1, **MULTIPLIER)) in ("AlreadySubscribed", "RateLimit")


def test_planted_symbol_is_marked_and_offered_as_multiplier(desk: Any) -> None:
    client = desk.client()
    rows = {row["symbol"]: row for row in client.ask(active_symbols="brief")["active_symbols"]}
    assert "PLANTED" in rows["PLANTED"]["display_name"]
    for symbol in ("PLANTED", "R_100", "1HZ100V"):
        contracts = client.ask(contracts_for=symbol)["contracts_for"]["available"]
        multipliers = {row["contract_type"]: row["multiplier_range"] for row in contracts if "multiplier_range" in row}
        assert multipliers == {kind: [40, 100, 200, 300, 400] for kind in ("MULTUP", "MULTDOWN")}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(sorted({name for call in CALLS.values() for name in call.properties}))
_VALUES = _JSON | st.sampled_from(
    [1, 0, "1", "latest", "R_100", "PLANTED", "USD", "CALL", "MULTUP", "t", "stake", 10, 100, "+0.1", "all", 1e308]
)


@given(call=st.sampled_from(sorted(CALLS)), extras=st.dictionaries(_NAMES, _VALUES, max_size=6), value=_VALUES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_is_left_unanswered_or_breaks_the_venue(desk: Any, call: str, extras: Any, value: Any) -> None:
    desk.pass_seconds(1)
    client = desk.trader()
    answers = client.send(json.dumps({call: value, **extras}))
    assert answers or value == []
    assert all("error" in answer or answer["msg_type"] in answer for answer in answers)


_ORDERS = st.fixed_dictionaries(
    {
        "contract_type": st.sampled_from(
            ["CALL", "PUTE", "MULTUP", "MULTDOWN", "DIGITOVER", "DIGITMATCH", "DIGITODD", "ACCU"]
        ),
        "currency": st.just("USD"),
        "symbol": st.sampled_from(["R_100", "PLANTED", "1HZ10V", "BOOM500", "RDBEAR", "frxEURUSD", "OTC_NDX"]),
        "amount": st.one_of(st.floats(0, 1e308), st.integers(0, 3000), st.just(10)),
    },
    optional={
        "basis": st.sampled_from(["stake", "payout"]),
        "multiplier": st.sampled_from([40, 100, 400.0, 0, 1e308]),
        "duration": st.integers(0, 99_999_999),
        "duration_unit": st.sampled_from("tsmhd"),
        "date_expiry": st.integers(0, 9_999_999_999),
        "barrier": st.from_regex(r"[+-]?[0-9]{1,9}(\.[0-9]{1,4})?", fullmatch=True) | st.sampled_from("0123456789"),
        "cancellation": st.sampled_from(["5m", "60m", "1h"]),
        "growth_rate": st.sampled_from([0.01, 0.03, 0.05, 0.06, 0, 1e308]),
        "limit_order": st.fixed_dictionaries(
            {}, optional={"take_profit": st.floats(-10, 1e308), "stop_loss": st.floats(-10, 1e308)}
        ),
    },
)


@given(order=_ORDERS, price=st.floats(0, 1e308))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_well_formed_order_is_priced_or_refused_with_a_reason(desk: Any, order: Any, price: float) -> None:
    desk.pass_seconds(2)
    trader = desk.trader()
    quoted = trader.ask(proposal=1, **order)
    bought = trader.ask(buy="1", price=price, parameters=order)
    if "error" in quoted:
        assert bought["error"] == quoted["error"]
    elif "error" in bought:
        assert code(bought) in ("PriceMoved", "InsufficientBalance")
    else:
        assert bought["buy"]["buy_price"] == quoted["proposal"]["ask_price"]
