"""Whatever a venue sends, handling it never raises, and what reaches the sink is sane."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import SECOND, Bar, FeedState, Quote, Trade
from libs.venues.binance import codec
from libs.venues.binance.feed import MarketFeed
from libs.venues.binance.rest import BinanceRest
from libs.venues.clock import OffsetEstimate
from libs.venues.deriv.codec import CodecError, codec_for
from libs.venues.deriv.feed import TickFeed


class Suspicious:
    """A sink that accepts only what can be true."""

    def __init__(self) -> None:
        self.told = 0
        self.rejected: list[str] = []

    def trade(self, symbol: str, trade: Trade, recv_ns: int) -> None:
        assert 0 < trade.price < math.inf
        assert 0 <= trade.size < math.inf
        assert 0 < trade.ts_event < 2**63
        assert 0 <= trade.seq < 2**63
        assert trade.side in (-1, 0, 1)
        self.told += 1

    def quote(self, symbol: str, quote: Quote, recv_ns: int) -> None:
        assert 0 < quote.bid <= quote.ask < math.inf
        assert 0 <= quote.bid_size < math.inf
        assert 0 <= quote.ask_size < math.inf
        assert 0 <= quote.seq < 2**63
        self.told += 1

    def book(self, symbol: str, bids: Any, asks: Any, first: int, last: int, ts_event: int, *told: Any) -> None:
        self.told += 1

    def kline(self, bar: Bar, recv_ns: int) -> None:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < math.inf
        assert bar.ts_event - bar.open_time == bar.interval_s * SECOND
        self.told += 1

    def clock(self, ts_event: int, recv_ns: int, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        assert 0 < ts_event < 2**63
        self.told += 1

    def status(self, symbol: str, event: str, detail: str) -> None:
        assert "\n" not in detail

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        assert reason
        self.rejected.append(reason)


odd = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "nan", "inf", "-1", "0", "1e999", "1.5", "BTCUSDT", "R_100"])
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)

TRADE = {"E": 1_700_000_000_000, "s": "BTCUSDT", "t": 5, "p": "1.5", "q": "2", "T": 1_700_000_000_000, "m": True}
TICKER = {"u": 4, "s": "BTCUSDT", "b": "1.0", "B": "2", "a": "1.1", "A": "2"}
BODY = {"t": 0, "i": "1m", "o": "1", "h": "2", "l": "1", "c": "2", "v": "3", "n": 4, "x": True, "V": "1", "L": 9}
CLOCK = {"E": 1_700_000_000_000, "extrapolate": False, "speed": 2.0, "state": "open"}
TICK = {"symbol": "R_100", "epoch": 1_700_000_000, "quote": 5.0, "bid": 4.9, "ask": 5.1}


def spoiled(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """`good` with some fields replaced or gone."""
    replaced = st.dictionaries(st.sampled_from(sorted(good)), odd, max_size=3)
    gone = st.sets(st.sampled_from(sorted(good)), max_size=1)
    return st.builds(lambda new, out: {k: v for k, v in (good | new).items() if k not in out}, replaced, gone)


messages = st.one_of(
    st.tuples(st.just("btcusdt@trade"), spoiled(TRADE)),
    st.tuples(st.just("btcusdt@bookTicker"), spoiled(TICKER)),
    st.tuples(
        st.just("btcusdt@kline_1m"),
        spoiled({**BODY, "t": 1_700_000_040_000}).map(lambda k: {"E": 1_700_000_100_001, "s": "BTCUSDT", "k": k}),
    ),
    st.tuples(st.just("!simClock"), spoiled(CLOCK)),
    st.tuples(st.text(max_size=12), odd),
)


@given(st.lists(messages, min_size=1, max_size=10))
def test_binance_messages_are_told_or_rejected(sent: list[tuple[str, Any]]) -> None:
    sink = Suspicious()
    feed = MarketFeed(["BTCUSDT"], (60,), True, sink, BinanceRest("http://127.0.0.1:9"))
    for stream, data in sent:
        payload = json.dumps({"stream": stream, "data": data}, allow_nan=True).encode()
        try:
            frame = codec.frame.decode(payload)
        except ValueError:
            continue  # the connection rejects what is no JSON before it comes here
        feed.on_data(frame, payload, 1_700_000_000_000_000_000)


def test_the_good_messages_behind_the_spoiled_ones_are_told() -> None:
    sink = Suspicious()
    feed = MarketFeed(["BTCUSDT"], (60,), True, sink, BinanceRest("http://127.0.0.1:9"))
    kline = {"E": 1_700_000_100_001, "s": "BTCUSDT", "k": {**BODY, "t": 1_700_000_040_000}}
    for stream, data in (("!simClock", CLOCK), ("btcusdt@trade", TRADE), ("btcusdt@bookTicker", TICKER)):
        payload = json.dumps({"stream": stream, "data": data}).encode()
        feed.on_data(codec.frame.decode(payload), payload, 1)
    payload = json.dumps({"stream": "btcusdt@kline_1m", "data": kline}).encode()
    feed.on_data(codec.frame.decode(payload), payload, 1)
    assert (sink.told, sink.rejected) == (4, [])


@given(st.lists(spoiled(TICK), min_size=1, max_size=10), st.booleans())
def test_deriv_ticks_are_told_or_rejected(sent: list[dict[str, Any]], clock_known: bool) -> None:
    sink = Suspicious()
    clock = OffsetEstimate(SECOND)
    now = 1_700_000_000 * SECOND
    if clock_known:
        clock.answered(now, now, now)
    feed = TickFeed(["R_100"], sink, clock)
    for tick in sent:
        payload = json.dumps({"msg_type": "tick", "tick": tick}, allow_nan=True).encode()
        try:
            head = codec_for("v3").head(payload)
        except CodecError:
            continue
        if head.tick is not None:
            feed.on_tick(head.tick, payload, now)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_codec_error(frame: bytes) -> None:
    with suppress(CodecError):
        assert isinstance(codec_for("v3").head(frame).msg_type, str)
