"""The Options API: every answer validates against its official schema, every request is judged as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv.dispatch import handle
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.options.accounts import demo_id
from services.simulator.deriv.options.api import OPTIONS
from services.simulator.deriv.options.limits import ConnectionMeter, RestMeter, user_meter
from services.simulator.deriv.options.requests import RULES
from services.simulator.deriv.options.shown import number_text, show

DEMO = demo_id("VRTC1859315")
SCHEMA_OF = {"tick": "ticks", "history": "ticks_history", "candles": "ticks_history", "ohlc": "ticks_history"}
REST_ONLY = {
    *("bulk_purchase", "create_account", "get_accounts", "health", "legacy_accounts", "legacy_migration_status"),
    *("legacy_statement", "reset_demo_balance", "websocket"),
}
Message = dict[str, Any]


class OptionsClient:
    """One connection to the Options API, logged in unless it is public."""

    def __init__(self, venue: Any, *, public: bool = False) -> None:
        self.venue = venue
        self.received: list[Message] = []
        self.session = venue.connect(
            lambda frame: self.received.append(json.loads(frame)), show=partial(show, "" if public else DEMO)
        )
        self.session.may_log_in = False
        self.session.meter = ConnectionMeter(user_meter())
        if not public:
            self.session.log_in(ConnectionMeter(user_meter()))

    def ask_all(self, **request: Any) -> list[Message]:
        before = len(self.received)
        handle(self.venue, self.session, json.dumps(request), OPTIONS)
        return self.received[before:]

    def ask(self, **request: Any) -> Message:
        return self.ask_all(**request)[0]


@pytest.fixture
def trader(desk: Any) -> OptionsClient:
    return OptionsClient(desk.venue)


@pytest.fixture
def public(desk: Any) -> OptionsClient:
    return OptionsClient(desk.venue, public=True)


@pytest.fixture(scope="session")
def options_folder(schema_folder: Path) -> Path:
    return schema_folder.parent / "options-v1"


@pytest.fixture
def offers(orders: dict[str, Message]) -> dict[str, Message]:
    """Parameters of one contract of each kind, in the words of this API."""
    worded = {
        name: {("underlying_symbol" if key == "symbol" else key): value for key, value in terms.items()}
        for name, terms in orders.items()
    }
    worded["barrier"]["contract_type"] = "HIGHER"
    return worded


Check = Callable[[Message], None]


@pytest.fixture
def official(options_folder: Path) -> Check:
    @cache
    def judge(name: str) -> Any:
        return jsonschema.Draft4Validator(json.loads((options_folder / name / "response.json").read_text()))

    def check(message: Message) -> None:
        judge(SCHEMA_OF.get(message["msg_type"], message["msg_type"])).validate(message)
        assert message["msg_type"] in message, f"no result in {message}"

    return check


def test_answers_of_a_trading_day_validate(desk: Any, trader: OptionsClient, offers: Any, official: Check) -> None:
    trader.ask(ping=1, req_id=1)
    trader.ask(time=1, passthrough={"a": 1})
    trader.ask(active_symbols="brief")
    trader.ask(active_symbols="full", contract_type=["HIGHER"])
    trader.ask(contracts_list=1)
    for symbol in ("R_100", "1HZ10V", "PLANTED"):
        trader.ask(contracts_for=symbol)
    trader.ask(trading_times="today")
    trader.ask(ticks=["R_100", "PLANTED"], subscribe=1)
    trader.ask(ticks_history="R_75", end="latest", count=10, subscribe=1)
    trader.ask(ticks_history="R_100", end="latest", style="candles", granularity=60, count=3, subscribe=1)
    trader.ask(balance=1, subscribe=1)
    trader.ask(balance=1)
    trader.ask(transaction=1, subscribe=1)
    trader.ask(proposal_open_contract=1, subscribe=1)
    bought = {}
    for name, parameters in offers.items():
        priced = trader.ask(proposal=1, subscribe=1, **parameters)["proposal"]
        bought[name] = trader.ask(buy=priced["id"], price=50)["buy"]["contract_id"]
    trader.ask(portfolio=1)
    desk.pass_seconds(3)
    trader.ask(contract_update=1, contract_id=bought["multiplier"], limit_order={"take_profit": 4, "stop_loss": None})
    trader.ask(contract_update_history=1, contract_id=bought["multiplier"])
    desk.pass_seconds(70)
    if bought["multiplier"] in desk.venue.account.open:
        trader.ask(sell=bought["multiplier"], price=0)
    trader.ask(proposal_open_contract=1, contract_id=bought["multiplier"])
    covered = {**offers["multiplier"], "cancellation": "60m"}
    del covered["limit_order"]
    insured = trader.ask(buy="1", price=50, parameters=covered)["buy"]["contract_id"]
    desk.pass_seconds(3)
    trader.ask(cancel=insured)
    trader.ask(portfolio=1, contract_type=["CALL"])
    trader.ask(statement=1, description=1)
    trader.ask(statement=1, action_type="deposit")
    trader.ask(profit_table=1, description=1)
    trader.ask(forget="x" * 32)
    trader.ask(forget_all=["ticks", "proposal"])
    trader.ask(logout=1)
    for message in trader.received:
        official(message)
    seen = {message["msg_type"] for message in trader.received}
    assert seen == set(RULES) - {"ticks", "ticks_history"} | set(SCHEMA_OF)


def test_calls_are_those_of_the_official_schemas(options_folder: Path) -> None:
    official = {folder.name for folder in options_folder.iterdir() if folder.is_dir()}
    assert set(RULES) == official - REST_ONLY


@pytest.mark.parametrize("call", sorted(RULES))
def test_request_rules_are_those_of_the_official_schema(call: str, options_folder: Path) -> None:
    schema = json.loads((options_folder / call / "request.json").read_text())
    assert set(RULES[call].properties) == set(schema["properties"])
    assert RULES[call].required == set(schema["required"])
    assert (call in OPTIONS.private) == bool(schema["auth_required"])
    if call == "buy":
        theirs, ours = schema["properties"]["parameters"], RULES[call].properties["parameters"]
        assert set(ours.properties) == set(theirs["properties"])  # type: ignore[attr-defined]
        assert ours.required == set(theirs["required"])  # type: ignore[attr-defined]


_TERMS = {"contract_type": "CALL", "currency": "USD", "underlying_symbol": "R_100"}


@pytest.mark.parametrize(
    "request_",
    [
        {"proposal": 1, **_TERMS, "symbol": "R_100"},
        {"proposal": 1, **_TERMS, "date_start": 1},
        {"proposal": 1, **_TERMS, "product_type": "basic"},
        {"proposal": 1, **_TERMS, "contract_type": "LBHIGHLOW"},
        {"proposal": 1, **_TERMS, "contract_type": ["CALL"]},
        {"proposal": 1, "contract_type": "CALL", "currency": "USD"},
        {"buy": "1", "price": 1, "parameters": {**_TERMS, "symbol": "R_100"}},
        {"balance": 1, "account": "all"},
        {"portfolio": 1, "loginid": "VRTC1"},
        {"portfolio": 1, "contract_type": "CALL"},
        {"contracts_for": "R_100", "currency": "USD"},
        {"active_symbols": "brief", "product_type": "basic"},
        {"forget_all": "website_status"},
        {"statement": 1, "action_type": "virtual_credit"},
        {"transaction": 1},
        {"contracts_list": 2},
    ],
)
def test_what_the_official_schema_refuses_is_refused(
    request_: Message, trader: OptionsClient, options_folder: Path
) -> None:
    call = next(iter(request_))
    schema = json.loads((options_folder / call / "request.json").read_text())
    assert not jsonschema.Draft4Validator(schema).is_valid(request_)
    assert trader.ask(**request_)["error"]["code"] == "InputValidationFailed"


@pytest.mark.parametrize(
    "request_",
    [
        {"proposal": 1, **_TERMS, "contract_type": "LOWER", "barrier": "-0.1", "duration": 1, "duration_unit": "m"},
        {"portfolio": 1, "contract_type": ["HIGHER", "MULTUP"]},
        {"forget_all": ["ticks", "candles"]},
        {"statement": 1, "action_type": "withdrawal"},
        {"logout": 1, "loginid": "DOT1"},
    ],
)
def test_what_the_official_schema_takes_is_taken(
    request_: Message, trader: OptionsClient, options_folder: Path
) -> None:
    schema = json.loads((options_folder / next(iter(request_)) / "request.json").read_text())
    jsonschema.Draft4Validator(schema).validate(request_)
    assert "error" not in trader.ask(**{**request_, **({"amount": 10} if "proposal" in request_ else {})})


def test_refusal_of_symbol_is_as_recorded(trader: OptionsClient, sample: Callable[[str], Any]) -> None:
    recorded = sample("options_v1_error_symbol_rejected")
    answer = trader.ask(**recorded["echo_req"])
    assert answer["error"]["code"] == recorded["error"]["code"]
    assert answer["error"]["details"] == recorded["error"]["details"]
    assert "Properties not allowed: symbol" in answer["error"]["message"]
    assert {name: answer[name] for name in ("echo_req", "msg_type", "req_id")} == {
        name: recorded[name] for name in ("echo_req", "msg_type", "req_id")
    }


def test_open_multiplier_has_the_fields_and_types_of_the_recorded_one(
    desk: Any, trader: OptionsClient, offers: Any, sample: Callable[[str], Any]
) -> None:
    recorded = sample("options_v1_poc_MULTUP_1HZ100V_243687440268")["proposal_open_contract"]
    parameters = {name: value for name, value in offers["multiplier"].items() if name != "limit_order"}
    contract_id = trader.ask(buy="1", price=10, parameters=parameters)["buy"]["contract_id"]
    desk.pass_seconds(3)
    ours = trader.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
    assert set(recorded) - {"id"} <= set(ours)
    for name in set(recorded) & set(ours) - {"profit_percentage"}:
        assert type(ours[name]) is type(recorded[name]), name


@pytest.mark.parametrize("call", ["authorize", "website_status", "topup_virtual", "payout_currencies", "sell_expired"])
def test_calls_that_are_gone_are_unknown(call: str, trader: OptionsClient) -> None:
    answer = trader.ask(**{call: 1}, req_id=6)
    assert (answer["error"]["code"], answer["msg_type"], answer["req_id"]) == ("UnrecognisedRequest", "error", 6)


def test_public_connection_sees_the_market_and_no_account(
    public: OptionsClient, offers: Any, options_folder: Path
) -> None:
    assert "tick" in public.ask(ticks="R_100")
    assert "proposal" in public.ask(proposal=1, **offers["ticks"])
    for call, arguments in {
        "buy": {"buy": "1", "price": 1, "parameters": offers["ticks"]},
        "balance": {"balance": 1},
        "portfolio": {"portfolio": 1},
        "transaction": {"transaction": 1, "subscribe": 1},
    }.items():
        assert public.ask(**arguments)["error"]["code"] == "AuthorizationRequired", call


def test_higher_is_a_call_with_a_barrier(desk: Any, trader: OptionsClient, offers: Any) -> None:
    v3 = desk.trader()
    bought = trader.ask(buy="1", price=50, parameters=offers["barrier"])["buy"]
    assert bought["shortcode"].startswith("CALL_R_100_")
    mine = trader.ask(portfolio=1)["portfolio"]["contracts"][0]
    theirs = v3.ask(portfolio=1)["portfolio"]["contracts"][0]
    assert (mine["contract_type"], theirs["contract_type"]) == ("HIGHER", "CALL")
    assert (mine["underlying_symbol"], theirs["symbol"]) == ("R_100", "R_100")
    without = {name: value for name, value in offers["barrier"].items() if name != "barrier"}
    assert trader.ask(proposal=1, **without)["error"]["subcode"] == "InvalidBarrier"
    listed = trader.ask(contracts_for="R_100")["contracts_for"]["available"]
    assert {"HIGHER", "LOWER", "CALL", "PUT"} <= {row["contract_type"] for row in listed}


def test_both_apis_show_one_and_the_same_money(desk: Any, trader: OptionsClient, offers: Any) -> None:
    v3 = desk.trader()
    v3.ask(transaction=1, subscribe=1)
    trader.ask(buy="1", price=10, parameters=offers["multiplier"])
    told = v3.received[-1]["transaction"]
    mine = trader.ask(balance=1)["balance"]
    theirs = v3.ask(balance=1)["balance"]
    assert told["action"] == "buy"
    assert mine["balance"] == theirs["balance"] == told["balance"] == 9_990
    assert (mine["loginid"], theirs["loginid"]) == (DEMO, "VRTC1859315")


def test_money_of_an_open_contract_is_what_v3_says(desk: Any, trader: OptionsClient, offers: Any) -> None:
    v3 = desk.trader()
    for parameters in offers.values():
        trader.ask(buy="1", price=50, parameters=parameters)
    desk.pass_seconds(90)
    for contract_id in desk.venue.account.contracts:
        mine = trader.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
        theirs = v3.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
        for name in ("bid_price", "buy_price", "payout", "profit", "current_spot", "entry_spot", "sell_price"):
            if name in theirs:
                assert Decimal(mine[name]) == Decimal(str(theirs[name])), name
        assert mine["entry_spot_time"] == theirs["entry_tick_time"]
        assert mine["underlying_symbol"] == theirs["underlying"]


def test_buy_with_subscribe_beside_the_stream_of_all_contracts_follows_once(
    desk: Any, trader: OptionsClient, offers: Any
) -> None:
    trader.ask(proposal_open_contract=1, subscribe=1)
    told = trader.ask_all(buy="1", price=10, parameters=offers["multiplier"], subscribe=1, req_id=4)
    assert [message["msg_type"] for message in told] == ["buy", "proposal_open_contract"]
    before = len(trader.received)
    desk.pass_seconds(1)
    assert [message["req_id"] for message in trader.received[before:]] == [4]


@given(st.decimals(-100_000, 100_000, places=4))
def test_number_as_text_is_exact_and_bare(value: Decimal) -> None:
    text = number_text(float(value))
    assert Decimal(text) == Decimal(str(float(value)))
    assert "E" not in text.upper()
    assert "." not in text or text[-1] != "0"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_VALUES = _JSON | st.sampled_from([1, 0, "1", "latest", "R_100", "USD", "HIGHER", "MULTUP", "t", "stake", 10, "+0.1"])
_NAMES = st.sampled_from(sorted({name for rule in RULES.values() for name in rule.properties}))


@given(call=st.sampled_from(sorted(RULES)), extras=st.dictionaries(_NAMES, _VALUES, max_size=6), value=_VALUES)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_the_answer_is_an_error_or_official(
    desk: Any, official: Check, call: str, extras: Any, value: Any
) -> None:
    desk.pass_seconds(1)
    answers = OptionsClient(desk.venue).ask_all(**{call: value, **extras})
    assert answers or value == []
    for answer in answers:
        if "error" not in answer:
            official(answer)


def _offer(kinds: list[str], **terms: Any) -> st.SearchStrategy[Message]:
    common = {
        "contract_type": st.sampled_from(kinds),
        "currency": st.just("USD"),
        "underlying_symbol": st.sampled_from(["R_100", "PLANTED", "1HZ100V"]),
        "amount": st.sampled_from([1, 10, 12.5]),
        "basis": st.just("stake"),
    }
    return st.fixed_dictionaries({**common, **{name: st.sampled_from(values) for name, values in terms.items()}})


_TICKS = {"duration": [1, 3, 5], "duration_unit": ["t"]}
_TIME = {"duration": [15, 20], "duration_unit": ["s"]}
_LEVERED = ["MULTUP", "MULTDOWN"]
_OFFERS = st.one_of(
    _offer(["CALL", "PUT", "CALLE", "PUTE"], **_TICKS),
    _offer(["CALL", "PUT"], **_TIME),
    _offer(["HIGHER", "LOWER"], barrier=["+0.10", "-0.10"], **_TIME),
    _offer(["DIGITMATCH", "DIGITDIFF", "DIGITOVER"], barrier=["5"], **_TICKS),
    _offer(["DIGITODD", "DIGITEVEN"], **_TICKS),
    _offer(_LEVERED, multiplier=[40, 400], limit_order=[{}, {"take_profit": 3}, {"stop_loss": 0.5}]),
    _offer(_LEVERED, multiplier=[100], cancellation=["5m", "60m"]),
    _offer(["ACCU"], growth_rate=[0.01, 0.05]),
)


@given(offers=st.lists(_OFFERS, min_size=1, max_size=8), seconds=st.integers(1, 30))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_contracts_of_every_kind_are_told_officially_through_their_lives(
    desk: Any, official: Check, offers: list[Message], seconds: int
) -> None:
    trader = OptionsClient(desk.venue)
    trader.ask(proposal_open_contract=1, subscribe=1)
    trader.ask(transaction=1, subscribe=1)
    for offer in offers:
        trader.ask(proposal=1, **offer)
        trader.ask(buy="1", price=2_000, parameters=offer, subscribe=1)
    told = {message["msg_type"] for message in trader.received if "error" not in message}
    assert {"proposal", "buy", "proposal_open_contract"} <= told
    desk.pass_seconds(seconds)
    for contract_id in tuple(desk.venue.account.open):
        trader.ask(sell=contract_id, price=0)
    trader.ask(profit_table=1, description=1, limit=20)
    trader.ask(portfolio=1)
    for message in trader.received:
        if "error" not in message:
            official(message)


# --- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "allowed"),
    [
        (("proposal_open_contract",), 360),
        (("proposal", "buy"), 360),
        (("balance", "statement"), 100),
        (("portfolio", "profit_table"), 30),
        (("time", "ticks_history"), 220),
    ],
)
def test_buckets_hold_what_is_documented(calls: tuple[str, ...], allowed: int) -> None:
    first, second = (ConnectionMeter(user) for user in (user_meter(),) * 2)
    for count in range(allowed):
        (first, second)[count % 2].take(calls[count % len(calls)], 1_000.0)
    for meter in (first, second):
        with pytest.raises(ApiError, match=r"^RateLimit"):
            meter.take(calls[0], 1_059.9)
    first.take(calls[0], 1_060.1)


def test_pings_are_counted_by_the_connection() -> None:
    user = user_meter()
    first, second = ConnectionMeter(user), ConnectionMeter(user)
    for _ in range(10):
        first.take("ping", 5.0)
    second.take("ping", 5.0)
    with pytest.raises(ApiError, match=r"^RateLimit"):
        first.take("ping", 5.5)
    first.take("ping", 6.1)


def test_refusal_for_the_rate_names_the_call(desk: Any, trader: OptionsClient) -> None:
    for _ in range(30):
        assert "portfolio" in trader.ask(portfolio=1)
    assert trader.ask(portfolio=1)["error"] == {
        "code": "RateLimit",
        "message": "You have reached the rate limit for portfolio.",
    }
    assert desk.venue.refused["RateLimit"] == 1
    desk.clock.advance(desk.clock.now_ns() + 61 * NANOSECONDS)
    assert "portfolio" in trader.ask(portfolio=1)


def test_rest_counts_by_address_and_by_user() -> None:
    meter = RestMeter()
    assert sum(meter.of_user(1.0) for _ in range(200)) == 80
    assert sum(meter.of_address("a", 1.0) for _ in range(400)) == 300
    assert meter.of_address("b", 1.0)
    assert sum(meter.of_address("c", float(second)) for second in range(500) for _ in range(4)) == 1_000
