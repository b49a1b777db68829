"""The seeded market: the same past in every process, a book that trades hit, history that agrees with the tape."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.binance.candles import Candle, CandleBook, Print, aggregate
from services.simulator.binance.decimals import parse8
from services.simulator.binance.history import History
from services.simulator.binance.intervals import INTERVALS, end_of, open_of
from services.simulator.binance.live import LiveSymbol
from services.simulator.binance.model import CHUNK_MS, CHUNKS_A_DAY, DENSE_DAYS, LISTINGS, Market
from services.simulator.binance.publisher import Publisher
from services.simulator.record import Record

ANCHOR_MS = 1_795_185_012_345
DAY_MS = 86_400_000


def market(seed: int = 7, listing: int = 0) -> Market:
    return Market(LISTINGS[listing], seed, ANCHOR_MS)


def live(keeping_hub: Any, streams: list[str], start_ms: int, seed: int = 7) -> tuple[LiveSymbol, Any]:
    hub = keeping_hub(streams)
    publisher = Publisher("BTCUSDT", hub, Record(None))
    publisher.followed = True
    return LiveSymbol(LISTINGS[0], market(seed), publisher, start_ms), hub


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    now_ms=st.integers(ANCHOR_MS, ANCHOR_MS + 10 * DAY_MS),
    ago=st.integers(0, 5_000_000),
)
def test_a_restarted_market_has_the_same_trades_whatever_was_asked_before(seed: int, now_ms: int, ago: int) -> None:
    first, second = History(market(seed)), History(market(seed))
    for day in range(0, 13, 2):  # a process that has already seen more of the path, and piece by piece
        second.klines("1m", None, None, 3, ANCHOR_MS + day * DAY_MS)
    last = first.last_trade_id(now_ms)
    assert second.last_trade_id(now_ms) == last
    wanted = (max(1, last - ago), max(1, last - ago) + 50)
    assert first.prints(*wanted) == second.prints(*wanted)


def test_another_seed_is_another_market() -> None:
    ids = (5_000, 5_010)
    assert History(market(1)).prints(*ids) != History(market(2)).prints(*ids)


def test_trade_ids_are_consecutive_across_minutes_and_the_change_of_activity() -> None:
    history = History(market())
    dense_from = market().first_trade_id(ANCHOR_MS // CHUNK_MS - DENSE_DAYS * CHUNKS_A_DAY)
    trades = history.prints(dense_from - 100, dense_from + 1_000)
    assert [trade.id for trade in trades] == list(range(dense_from - 100, dense_from + 1_001))
    assert all(a.ms <= b.ms for a, b in pairwise(trades))
    assert all(trade.qty > 0 and trade.price > 0 for trade in trades)


@pytest.mark.parametrize("ms", [ANCHOR_MS, ANCHOR_MS - 3_600_000, ANCHOR_MS - 30 * DAY_MS, ANCHOR_MS + DAY_MS])
def test_the_trade_at_a_moment_is_found(ms: int) -> None:
    history = History(market())
    first = history.first_id_at(ms)
    before, after = history.prints(first - 1, first)
    assert before.ms < ms <= after.ms
    assert history.last_trade_id(ms - 1) == first - 1


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h"])
def test_klines_are_those_of_the_trades(interval: str) -> None:
    history = History(market())
    now_ms = ANCHOR_MS
    start = open_of("1h", now_ms - 2 * 3_600_000)
    built = CandleBook("1s")
    for trade in history.prints(history.first_id_at(start), history.last_trade_id(now_ms)):
        built.trade(trade)
    expected = aggregate(built.candles, interval)
    rows = history.klines(interval, start, None, 100_000, now_ms)
    assert rows[: len(expected)] == expected
    assert all(row.trades == 0 for row in rows[len(expected) :])


@pytest.mark.parametrize("interval", INTERVALS)
def test_history_is_there_at_once_in_every_interval(interval: str) -> None:
    rows = History(market()).klines(interval, None, None, 300, ANCHOR_MS)
    assert rows[-1].open_ms == open_of(interval, ANCHOR_MS)
    assert all(end_of(interval, a.open_ms) == b.open_ms for a, b in pairwise(rows))
    assert all(row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high for row in rows)
    assert len(rows) == 300 or interval in ("3d", "1w", "1M")


def test_fifteen_hundred_five_second_bars_can_be_had_from_one_second_klines() -> None:
    history = History(market())
    seconds = history.klines("1s", ANCHOR_MS - 7_500_000, None, 7_500, ANCHOR_MS)
    assert len(seconds) == 7_500
    assert sum(row.trades for row in seconds) > 40_000


def test_klines_respect_start_end_and_limit() -> None:
    history = History(market())
    opens = [row.open_ms for row in history.klines("1m", None, None, 10, ANCHOR_MS)]
    assert [row.open_ms for row in history.klines("1m", opens[2] - 1, opens[5], 10, ANCHOR_MS)] == opens[2:6]
    assert [row.open_ms for row in history.klines("1m", opens[2], None, 3, ANCHOR_MS)] == opens[2:5]
    assert [row.open_ms for row in history.klines("1m", None, opens[5], 3, ANCHOR_MS)] == opens[3:6]
    assert history.klines("1m", ANCHOR_MS + DAY_MS, None, 3, ANCHOR_MS) == []
    assert history.klines("1m", 0, 1_000, 3, ANCHOR_MS) == []


@pytest.mark.parametrize(("listing", "volatility"), [(0, 0.50), (1, 0.65)])
def test_volatility_is_that_of_the_listing_at_every_scale(listing: int, volatility: float) -> None:
    drawn = market(listing=listing)
    last = ANCHOR_MS // CHUNK_MS
    tape = drawn.tape(last - CHUNKS_A_DAY, last)
    for step, per_year in ((tape.activity.quotes, 365 * CHUNKS_A_DAY), (15, 365 * 86_400)):
        returns = np.diff(np.log(tape.bid[::step].astype(float)))
        assert math.isclose(float(returns.std()) * math.sqrt(per_year), volatility, rel_tol=0.1)


def test_the_stream_and_the_history_tell_the_same_trades(keeping_hub: Any) -> None:
    start = ANCHOR_MS // CHUNK_MS * CHUNK_MS + 58_700
    symbol, hub = live(keeping_hub, ["btcusdt@trade"], start)
    for now_ms in range(start, start + 65_000, 37):
        symbol.advance(now_ms)
    sent = [Print(row["t"], row["T"], parse8(row["p"]), parse8(row["q"]), row["m"]) for row in hub.of("btcusdt@trade")]
    history = History(market())
    assert len(sent) > 300
    assert sent == history.prints(sent[0].id, sent[-1].id)
    assert sent[-1].id == history.last_trade_id(now_ms)


def test_every_trade_takes_from_the_best_price_it_met(keeping_hub: Any) -> None:
    symbol, hub = live(keeping_hub, ["btcusdt@trade", "btcusdt@bookTicker"], ANCHOR_MS)
    symbol.advance(ANCHOR_MS + 61_000)
    ticker: dict[str, Any] | None = None
    checked = 0
    taken: tuple[str, str, int] | None = None
    for stream, message in hub.published:
        if stream.endswith("trade"):
            if ticker is not None:
                side = ("b", "B") if message["m"] else ("a", "A")
                assert message["p"] == ticker[side[0]]
                left = parse8(ticker[side[1]]) - parse8(message["q"])
                assert left > 0
                taken = (*side, left)
            continue
        if taken is not None:
            assert parse8(message[taken[1]]) == taken[2]
            checked += 1
            taken = None
        assert ticker is None or message["u"] == ticker["u"] + 1
        assert parse8(message["b"]) < parse8(message["a"])
        ticker = message
    assert checked > 300


def test_each_kline_closes_once_with_the_bar_of_the_history(keeping_hub: Any) -> None:
    symbol, hub = live(keeping_hub, ["btcusdt@kline_1s", "btcusdt@kline_1m"], ANCHOR_MS)
    history = History(market())
    ahead_ms = ANCHOR_MS + 500  # the running bar may know trades that the stream has yet to tell
    for interval, _ in symbol.publisher.missing_klines():
        symbol.publisher.follow_kline(interval, history.klines(interval, None, None, 1, ahead_ms)[0])
    for now_ms in range(ANCHOR_MS, ANCHOR_MS + 130_000, 53):
        symbol.advance(now_ms)
    for interval in ("1s", "1m"):
        closed = [message["k"] for message in hub.of(f"btcusdt@kline_{interval}") if message["k"]["x"]]
        rows = history.klines(interval, closed[0]["t"], None, len(closed), now_ms)
        assert [bar_of(kline) for kline in closed] == rows
        assert len(closed) > 1


def bar_of(kline: dict[str, Any]) -> Candle:
    return Candle(
        open_ms=kline["t"],
        open=parse8(kline["o"]),
        high=parse8(kline["h"]),
        low=parse8(kline["l"]),
        close=parse8(kline["c"]),
        volume=parse8(kline["v"]),
        quote=parse8(kline["q"]) * 10**8,
        trades=kline["n"],
        taker_base=parse8(kline["V"]),
        taker_quote=parse8(kline["Q"]) * 10**8,
        first_id=kline["f"],
        last_id=kline["L"],
    )
