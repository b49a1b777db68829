"""What is special about Binance's streams: books, klines, control answers, renewal, and the simulator's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from libs.core.types import SECOND, BarFlag, FeedState
from libs.venues.base import VenueRefused
from libs.venues.binance.market import BinanceMarketData

SYMBOL = "BTCUSDT"


def adapter_for(venue: Any, **options: Any) -> BinanceMarketData:
    at = f"127.0.0.1:{venue.port}"
    return BinanceMarketData(f"http://{at}", f"ws://{at}", **options)


@asynccontextmanager
async def streaming(venue: Any, sink: Any, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    adapter = adapter_for(venue, **options)
    task = asyncio.create_task(adapter.stream([SYMBOL], sink))
    try:
        yield task
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await adapter.aclose()


def update(first: int, last: int, bids: Any = (), asks: Any = ()) -> dict[str, Any]:
    return {"e": "depthUpdate", "E": 1_700_000_000_000, "s": SYMBOL, "U": first, "u": last, "b": bids, "a": asks}


def snapshot(last_id: int, bid: str = "100.0", ask: str = "101.0") -> dict[str, Any]:
    return {"lastUpdateId": last_id, "bids": [[bid, "1.0"], ["99.0", "2.0"]], "asks": [[ask, "1.0"], ["102.0", "2.0"]]}


def kline(venue: Any, *, closed: bool, trades: int = 12, interval: str = "1m") -> dict[str, Any]:
    opened = venue.newest // 60 * 60 * 1000
    body = {
        "t": opened,
        "T": opened + 59_999,
        "s": SYMBOL,
        "i": interval,
        "f": 100,
        "L": 111,
        "o": "100.0",
        "c": "100.5",
        "h": "101.0",
        "l": "99.5",
        "v": "6.0" if trades else "0.0",
        "n": trades,
        "x": closed,
        "q": "600",
        "V": "2.5" if trades else "0.0",
        "Q": "250",
        "B": "0",
    }
    return {"e": "kline", "E": opened + 60_001, "s": SYMBOL, "k": body}


async def test_the_book_is_snapshot_plus_updates(fake_binance: Any, sink: Any, eventually: Any) -> None:
    fake_binance.snapshots = [snapshot(10)]
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        await fake_binance.push("btcusdt@depth@100ms", update(9, 10))
        await eventually(lambda: fake_binance.depth_calls, "snapshot asked for")
        await eventually(lambda: sink.books, "the snapshot")
        await fake_binance.push("btcusdt@depth@100ms", update(11, 12, bids=[["100.5", "3.0"], ["99.0", "0.0"]]))
        await eventually(lambda: len(sink.books) == 2, "the updated book")
    symbol, bids, asks, last_id = sink.books[-1]
    assert (symbol, last_id) == (SYMBOL, 12)
    assert bids == ((100.5, 3.0), (100.0, 1.0))
    assert asks == ((101.0, 1.0), (102.0, 2.0))
    assert fake_binance.depth_calls == 1


async def test_a_hole_in_the_book_takes_a_new_snapshot(fake_binance: Any, sink: Any, eventually: Any) -> None:
    fake_binance.snapshots = [snapshot(10), snapshot(50)]
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        await fake_binance.push("btcusdt@depth@100ms", update(9, 10))
        await eventually(lambda: sink.books, "first snapshot")
        await fake_binance.push("btcusdt@depth@100ms", update(11, 11, bids=[["100.1", "1"]]))
        await fake_binance.push("btcusdt@depth@100ms", update(40, 45, bids=[["100.2", "1"]]))
        await eventually(lambda: sink.books[-1][3] == 50, "second snapshot")
        await fake_binance.push("btcusdt@depth@100ms", update(51, 52, bids=[["100.3", "1"]]))
        await eventually(lambda: sink.books[-1][3] == 52, "the book again")
    assert "resync" in sink.events()
    assert [last_id for _, _, _, last_id in sink.books] == [10, 11, 50, 52]
    assert sink.books[-1][1][0] == (100.3, 1.0)
    assert all(price != 100.2 for price, _ in sink.books[-1][1])


async def test_a_crossed_book_is_told_and_taken_anew(fake_binance: Any, sink: Any, eventually: Any) -> None:
    fake_binance.snapshots = [snapshot(10), snapshot(11)]
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        await fake_binance.push("btcusdt@depth@100ms", update(9, 10))
        await eventually(lambda: sink.books, "first snapshot")
        await fake_binance.push("btcusdt@depth@100ms", update(11, 11, bids=[["101.5", "1"]]))
        await eventually(lambda: fake_binance.depth_calls == 2, "second snapshot")
    assert "resync" in sink.events()
    assert all(bids[0][0] < asks[0][0] for _, bids, asks, _ in sink.books)


async def test_only_closed_klines_become_bars(fake_binance: Any, sink: Any, eventually: Any) -> None:
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        await fake_binance.push("btcusdt@kline_1m", kline(fake_binance, closed=False))
        await fake_binance.push("btcusdt@kline_1m", kline(fake_binance, closed=True))
        await eventually(lambda: sink.klines, "a bar")
    (bar,) = sink.klines
    assert bar.flags == BarFlag.VENUE
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 101.0, 99.5, 100.5)
    assert (bar.volume, bar.buy_volume, bar.trades, bar.last_seq) == (6.0, 2.5, 12, 111)
    assert bar.ts_event - bar.open_time == 60 * SECOND
    assert bar.ts_recv > 0


async def test_a_kline_without_trades_is_empty(fake_binance: Any, sink: Any, eventually: Any) -> None:
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        await fake_binance.push("btcusdt@kline_1m", kline(fake_binance, closed=True, trades=0))
        await eventually(lambda: sink.klines, "a bar")
    assert sink.klines[0].flags == BarFlag.VENUE | BarFlag.EMPTY


async def test_klines_are_subscribed_as_asked_and_lengths_without_one_left_out(
    fake_binance: Any, sink: Any, eventually: Any
) -> None:
    async with streaming(fake_binance, sink, kline_intervals=(1, 5, 300)):
        await eventually(fake_binance.subscriptions, "subscribed")
    (asked,) = [message["params"] for message in fake_binance.control]
    assert {name for name in asked if "kline" in name} == {"btcusdt@kline_1s", "btcusdt@kline_5m"}
    assert "!simClock" not in asked


async def test_the_simulator_s_clock_rules_where_it_is_told(fake_binance: Any, sink: Any, eventually: Any) -> None:
    async with streaming(fake_binance, sink, simulator=True):
        await eventually(fake_binance.subscriptions, "subscribed")
        clock = {"e": "simClock", "E": 1_723_161_255_208, "speed": 20.0, "extrapolate": False, "state": "open"}
        await fake_binance.push("!simClock", clock)
        await fake_binance.push("btcusdt@bookTicker", fake_binance.ticker(99.0, 100.0))
        await fake_binance.push("!simClock", clock | {"E": 1_723_161_256_000, "state": "ended"})
        await eventually(lambda: len(sink.clocks) == 2, "both clock messages")
    assert [(c[0], c[2], c[3], c[4]) for c in sink.clocks] == [
        (1_723_161_255_208_000_000, False, 20.0, FeedState.OPEN),
        (1_723_161_256_000_000_000, False, 20.0, FeedState.ENDED),
    ]
    assert [quote.ts_event for _, quote in sink.quotes] == [1_723_161_255_208_000_000]


async def test_a_replayed_trade_keeps_its_recorded_stamp(fake_binance: Any, sink: Any, eventually: Any) -> None:
    async with streaming(fake_binance, sink, simulator=True):
        await eventually(fake_binance.subscriptions, "subscribed")
        old = fake_binance.print_at(fake_binance.newest) | {"T": 1_723_161_255_342, "E": 1_723_161_255_343}
        await fake_binance.push("btcusdt@trade", old)
        await fake_binance.push("btcusdt@bookTicker", fake_binance.ticker(99.0, 100.0))
        await eventually(lambda: sink.quotes, "the quote")
    assert sink.trades[0][1].ts_event == 1_723_161_255_342_000_000
    assert sink.quotes[0][1].ts_event == 1_723_161_255_343_000_000


async def test_a_shutdown_notice_moves_to_a_new_connection_before_the_cut(
    fake_binance: Any, sink: Any, eventually: Any
) -> None:
    async with streaming(fake_binance, sink):
        await eventually(fake_binance.subscriptions, "subscribed")
        (first,) = fake_binance.connections
        fake_binance.prints_before_answering = True  # on both connections: it must be told once
        await fake_binance.send_raw('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')
        await eventually(lambda: first not in fake_binance.connections, "the old connection let go")
        assert fake_binance.subscriptions() == 1
        await fake_binance.publish()
        await eventually(lambda: any(t.ts_event == fake_binance.newest_ns for _, t in sink.trades), "a new print")
    assert "reconnect" in sink.events()
    assert "disconnect" not in sink.events()
    seqs = [trade.seq for _, trade in sink.trades]
    assert seqs == [fake_binance.seq(fake_binance.newest - 1), fake_binance.seq(fake_binance.newest)]


async def test_what_comes_before_the_subscription_s_answer_is_not_lost(
    fake_binance: Any, sink: Any, eventually: Any
) -> None:
    fake_binance.prints_before_answering = True
    async with streaming(fake_binance, sink):
        await eventually(lambda: sink.trades, "the early print")
    assert sink.trades[0][1].seq == fake_binance.seq(fake_binance.newest)


async def test_a_connection_is_renewed_before_the_venue_cuts_it(fake_binance: Any, sink: Any, eventually: Any) -> None:
    async with streaming(fake_binance, sink, renew_s=0.3):
        await eventually(fake_binance.subscriptions, "subscribed")
        (first,) = fake_binance.connections
        await eventually(lambda: first not in fake_binance.connections, "renewed")
        await eventually(fake_binance.subscriptions, "subscribed again")
    assert "disconnect" not in sink.events()


async def test_a_refused_subscription_is_told_and_tried_again(fake_binance: Any, sink: Any, eventually: Any) -> None:
    fake_binance.refuse_subscribe = True
    async with streaming(fake_binance, sink):
        await eventually(lambda: "unreachable" in sink.events(), "the complaint")
        fake_binance.refuse_subscribe = False
        await eventually(fake_binance.subscriptions, "subscribed at last")
    assert any("Invalid request" in detail for _, _, detail in sink.statuses)


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        ("btcusdt@trade", {"p": "abc"}),
        ("btcusdt@trade", {"q": "-1"}),
        ("btcusdt@trade", {"T": -5}),
        ("btcusdt@trade", {"T": 1_723_161_255_342_000}),
        ("btcusdt@trade", {"s": "ETHUSDT"}),
        ("btcusdt@trade", {"t": 10**30}),
        ("btcusdt@bookTicker", {"b": "nan"}),
        ("btcusdt@bookTicker", {"A": "-1"}),
        ("btcusdt@depth@100ms", {"b": [["-1", "1"]]}),
        ("btcusdt@depth@100ms", {"b": [["1"]]}),
        ("btcusdt@depth@100ms", {"U": 20, "u": 10}),
        ("btcusdt@kline_1m", {"k": {}}),
    ],
)
async def test_absurd_fields_are_rejected_under_their_symbol(
    fake_binance: Any, sink: Any, eventually: Any, stream: str, data: dict[str, Any]
) -> None:
    good: dict[str, dict[str, Any]] = {
        "btcusdt@trade": fake_binance.print_at(fake_binance.newest),
        "btcusdt@bookTicker": fake_binance.ticker(99.0, 100.0),
        "btcusdt@depth@100ms": update(1, 2),
        "btcusdt@kline_1m": kline(fake_binance, closed=True),
    }
    async with streaming(fake_binance, sink):
        await eventually(lambda: fake_binance.subscriptions() and sink.clocks, "subscribed")
        await fake_binance.push(stream, good[stream] | data)
        await eventually(lambda: sink.rejects, "a rejection")
    assert [symbol for symbol, _, _ in sink.rejects] == [SYMBOL]
    assert [*sink.trades, *sink.quotes, *sink.books, *sink.klines] == []


async def test_more_streams_than_a_connection_carries_are_refused(fake_binance: Any, sink: Any) -> None:
    adapter = adapter_for(fake_binance)
    with pytest.raises(VenueRefused, match="1024"):
        await adapter.stream([f"S{k}USDT" for k in range(300)], sink)
    await adapter.aclose()


async def test_control_messages_keep_below_the_venue_s_limit(fake_binance: Any, sink: Any, eventually: Any) -> None:
    adapter = adapter_for(fake_binance)
    task = asyncio.create_task(adapter.stream([f"S{k}USDT" for k in range(150)], sink))
    began = asyncio.get_running_loop().time()
    await eventually(lambda: sum(len(m["params"]) for m in fake_binance.control) == 600, "all subscribed")
    took = asyncio.get_running_loop().time() - began
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await adapter.aclose()
    assert len(fake_binance.control) == 6
    assert took >= 0.9  # four a second, so the fifth waits
