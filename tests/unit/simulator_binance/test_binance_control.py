"""Control messages: the exact answers, and nothing a client sends can break the session."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.binance.control import MAX_STREAMS, Session

VARIANTS = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


def ask(session: Session, frame: Any) -> Any:
    return json.loads(session.handle(frame if isinstance(frame, str | bytes) else json.dumps(frame)))


def test_a_whole_conversation_gets_the_documented_answers() -> None:
    session = Session()
    assert ask(session, {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1}) == {
        "result": None,
        "id": 1,
    }
    assert ask(session, {"method": "UNSUBSCRIBE", "params": ["ethusdt@trade"], "id": 2}) == {"result": None, "id": 2}
    assert ask(session, {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": ["btcusdt@trade"], "id": 3}
    assert ask(session, {"method": "GET_PROPERTY", "params": ["combined"], "id": 4}) == {"result": False, "id": 4}
    assert ask(session, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}) == {"result": None, "id": 5}
    assert ask(session, {"method": "GET_PROPERTY", "params": ["combined"], "id": 6}) == {"result": True, "id": 6}
    assert session.combined


def test_subscribing_to_an_unknown_symbol_succeeds() -> None:
    assert ask(Session(), {"method": "SUBSCRIBE", "params": ["nosuch@trade"], "id": "abc9"}) == {
        "result": None,
        "id": "abc9",
    }


@pytest.mark.parametrize(
    ("frame", "code", "text"),
    [
        ({"method": "GET_PROPERTY", "params": ["speed"], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["speed", True], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1, "Invalid value type: expected Boolean"),
        (
            {"method": "FLY", "id": 1},
            2,
            f"Invalid request: unknown variant `FLY`, expected one of {VARIANTS}",
        ),
        ({"params": ["btcusdt@trade"], "id": 1}, 2, "Invalid request: missing field `method`"),
        ({"method": "SUBSCRIBE", "id": 1}, 2, "Invalid request: missing parameters"),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2, "Invalid request: params must be an array"),
        ({"method": "LIST_SUBSCRIPTIONS", "params": ["x"], "id": 1}, 2, "Invalid request: too many parameters"),
        ({"method": "GET_PROPERTY", "params": ["combined", 1], "id": 1}, 2, "Invalid request: too many parameters"),
        ({"method": "GET_PROPERTY", "params": [3], "id": 1}, 2, "Invalid request: property name must be a string"),
    ],
)
def test_a_wrong_request_is_refused_with_its_code(frame: Any, code: int, text: str) -> None:
    session = Session(["ethusdt@trade"])
    assert ask(session, frame) == {"code": code, "msg": text, "id": 1}
    assert list(session.streams) == ["ethusdt@trade"]


@pytest.mark.parametrize("bad_id", [1.5, True, [], {}, "x" * 37, "a b", 2**63, -(2**63) - 1])
def test_an_id_of_the_wrong_kind_is_refused(bad_id: Any) -> None:
    session = Session()
    answer = ask(session, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": bad_id})
    assert answer["code"] == 2
    assert "result" not in answer
    assert not session.streams


@pytest.mark.parametrize("good_id", [0, -5, 2**63 - 1, "a1B2", "0f62de7b-eaf6-45df-b580-fe2eec7abb6e", None])
def test_the_id_comes_back_as_it_was(good_id: Any) -> None:
    assert ask(Session(), {"method": "LIST_SUBSCRIPTIONS", "id": good_id}) == {"result": [], "id": good_id}


@pytest.mark.parametrize("frame", ["", "{", "nonsense", b"\xff\xfe", "NaN", "[" * 100_000])
def test_what_is_not_json_is_code_3(frame: str | bytes) -> None:
    answer = ask(Session(), frame)
    assert answer["code"] == 3
    assert answer["msg"].startswith("Invalid JSON")


def test_no_more_streams_than_the_venue_allows() -> None:
    session = Session()
    names = [f"s{number}@trade" for number in range(MAX_STREAMS + 1)]
    assert ask(session, {"method": "SUBSCRIBE", "params": names, "id": 1})["code"] == 2
    assert not session.streams


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"])
        | JSON,
        "params": JSON,
        "id": JSON,
    },
).map(json.dumps)


@given(st.lists(st.text() | st.binary() | REQUESTS, max_size=5))
def test_any_garbage_gets_one_answer_and_leaves_a_sound_session(frames: list[str | bytes]) -> None:
    session = Session()
    for frame in frames:
        answer = ask(session, frame)
        assert ("result" in answer) != ("code" in answer)
        assert "result" in answer or answer["code"] in (0, 1, 2, 3)
    assert all(isinstance(name, str) for name in session.streams)
