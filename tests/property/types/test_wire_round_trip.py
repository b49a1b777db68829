"""Everything that travels comes back equal; what is no message of ours is refused with a reason, never a crash."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import (
    AccountState,
    Bar,
    Mode,
    Quote,
    Ticks,
    Trade,
    WireError,
    decode,
    encode,
    interval_seconds,
    interval_token,
    message_id,
    stable_id,
    stream_of,
    subject_of,
    to_json,
    token,
    untoken,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
stamps = st.integers(0, 2**62)
money = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12)
items = st.one_of(
    st.builds(Trade, stamps, finite, finite, st.sampled_from((-1, 0, 1)), stamps),
    st.builds(Quote, stamps, finite, finite, finite, finite, stamps),
)


@given(st.text(min_size=1), stamps, st.lists(items).map(tuple))
def test_ticks_come_back_equal(symbol: str, ts: int, batch: tuple[Trade | Quote, ...]) -> None:
    ticks = Ticks(id="x", ts_event=ts, venue="binance", symbol=symbol, items=batch)
    assert decode(encode(ticks)) == ticks


@given(money, money, st.dictionaries(st.text(), money))
def test_money_stays_exact(balance: Decimal, equity: Decimal, by_symbol: dict[str, Decimal]) -> None:
    account = AccountState(
        id="a", ts_event=1, account="a", venue="deriv", mode=Mode.PAPER, currency="USD", balance=balance, equity=equity,
        peak_equity=equity, day=1, day_start_equity=equity, realised_today_by_symbol=by_symbol,
    )  # fmt: skip
    again = decode(encode(account))
    assert again == account
    assert str(again.balance) == str(balance)


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    try:
        event = decode(payload)
    except WireError:
        return
    assert decode(encode(event)) == event


def test_unknown_fields_are_ignored_and_missing_ones_refused() -> None:
    bar = Bar(
        id="b", ts_event=2, venue="deriv", symbol="R_100", interval_s=1, open_time=1, open=1, high=1, low=1, close=1
    )
    raw = msgspec.msgpack.decode(encode(bar))
    assert decode(msgspec.msgpack.encode({**raw, "from_the_future": 1})) == bar
    del raw["close"]
    with pytest.raises(WireError, match="close"):
        decode(msgspec.msgpack.encode(raw))
    raw["close"] = "one"
    with pytest.raises(WireError, match=r"\$\.close"):
        decode(msgspec.msgpack.encode(raw))
    assert b'"interval_s":1' in to_json(bar)


@given(st.text())
def test_any_symbol_becomes_one_safe_subject_token(symbol: str) -> None:
    made = token(symbol)
    assert made
    assert not set(made) & set(" .*>\t\r\n")
    assert untoken(made) == symbol


@given(st.integers(1, 10**6))
def test_intervals_are_written_and_read_alike(seconds: int) -> None:
    assert interval_seconds(interval_token(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "s", "0s", "1x", "-1s", "1.5m", "m1"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no interval"):
        interval_seconds(text)


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_ids_depend_on_every_part(one: list[str], other: list[str]) -> None:
    assert stable_id(*one) == stable_id(*one)
    if "\x1f".join(one) != "\x1f".join(other):
        assert stable_id(*one) != stable_id(*other)


def test_a_message_knows_its_subject_stream_and_id() -> None:
    ticks = Ticks(id="x", ts_event=1, venue="binance", symbol="BTC/USD.P", items=())
    subject = subject_of(ticks)
    assert subject == "md.tick.binance.BTC%2FUSD%2EP"
    assert stream_of(subject) == "MARKET"
    assert message_id(subject, ticks) != message_id("md.tick.binance.ETHUSDT", ticks)
