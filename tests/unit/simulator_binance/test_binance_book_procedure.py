"""A client that keeps its book as the venue documents it has exactly the server's book after every event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.binance.book import Book, difference
from services.simulator.binance.decimals import text8
from services.simulator.binance.live import LiveSymbol
from services.simulator.binance.model import LISTINGS, Market
from services.simulator.binance.publisher import Publisher
from services.simulator.binance.replay import ReplayFeed
from services.simulator.binance.wire import Level
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

ANCHOR_MS = 1_795_185_012_345
RECORDINGS = Path(__file__).parents[3].parent / "shared" / "data" / "binance-ws"

SIDE = st.dictionaries(st.integers(1, 40), st.integers(1, 9))


@given(before=SIDE, after=SIDE)
def test_the_difference_leads_from_one_side_to_the_other(before: dict[int, int], after: dict[int, int]) -> None:
    book = Book(1, before.items(), before.items())
    changes: list[Level] = difference(before, after)
    book.apply(2, changes, changes)
    assert book.bids == book.asks == after
    assert difference(after, after) == []


def test_an_event_that_the_book_already_holds_changes_nothing() -> None:
    book = Book(10, [(5, 1)], [(6, 1)])
    book.apply(10, [(5, 0)], [(6, 3)])
    assert (book.bids, book.asks, book.last_id) == ({5: 1}, {6: 1}, 10)


@settings(max_examples=10, deadline=None)
@given(
    listing=st.integers(0, 1),
    offset=st.integers(0, 200_000),
    steps=st.lists(st.integers(1, 900), min_size=20, max_size=120),
    snapshot_after=st.integers(0, 10),
    stream=st.sampled_from(["depth@100ms", "depth"]),
)
def test_the_modelled_book_can_be_followed(
    keeping_hub: Any,
    book_client: Any,
    listing: int,
    offset: int,
    steps: list[int],
    snapshot_after: int,
    stream: str,
) -> None:
    row = LISTINGS[listing]
    name = f"{row.symbol.lower()}@{stream}"
    hub = keeping_hub([name, f"{row.symbol.lower()}@bookTicker"])
    now_ms = ANCHOR_MS + offset
    symbol = LiveSymbol(row, Market(row, 3, ANCHOR_MS), Publisher(row.symbol, hub, Record(None)), now_ms)
    client = book_client()
    tickers: dict[int, dict[str, Any]] = {}
    compared = 0

    def watch(published: str, message: dict[str, Any]) -> None:
        nonlocal compared
        if published != name:
            tickers[message["u"]] = message
            return
        client.take(message)
        if client.last_id == symbol.book.last_id:
            assert (client.bids, client.asks) == (symbol.book.bids, symbol.book.asks)
            compared += 1

    hub.watchers.append(watch)
    for count, step in enumerate(steps):
        now_ms += step
        symbol.advance(now_ms)
        if count >= snapshot_after and client.last_id is None:
            client.start(symbol.book.last_id, symbol.book.bids, symbol.book.asks)
    assert client.last_id is not None
    assert not client.lost
    assert compared or now_ms < ANCHOR_MS + offset + 3_000
    assert max(symbol.book.bids) < min(symbol.book.asks)
    assert min(len(symbol.book.bids), len(symbol.book.asks)) > 200
    if symbol.book.last_id in tickers:
        (bid,), (ask,) = symbol.book.top(1)
        ticker = tickers[symbol.book.last_id]
        shown = [(ticker["b"], ticker["B"]), (ticker["a"], ticker["A"])]
        assert [text(bid), text(ask)] == shown


def text(level: Level) -> tuple[str, str]:
    return text8(level[0]), text8(level[1])


async def test_the_recorded_book_can_be_followed_from_any_position(keeping_hub: Any, book_client: Any) -> None:
    if not RECORDINGS.exists():
        pytest.skip("the recorded Binance sessions are not beside this checkout")
    streams = ["btcusdt@depth@100ms", "ethusdt@depth@100ms"]
    hub = keeping_hub(streams)
    feed = ReplayFeed(SimulatorOptions(data=RECORDINGS, speed=100_000), hub, Record(None), lambda: None)
    clients = {symbol: [book_client() for _ in range(2)] for symbol in feed.symbols}
    seen = dict.fromkeys(feed.symbols, 0)
    compared = 0

    def watch(_: str, message: dict[str, Any]) -> None:
        nonlocal compared
        symbol = message["s"]
        book = feed.depth(symbol)  # as of the event before this one
        for number, client in enumerate(clients[symbol]):
            if client.last_id is not None and client.last_id == book.last_id:
                assert (client.bids, client.asks) == (book.bids, book.asks)
                compared += 1
            client.take(message)
            if client.last_id is None and seen[symbol] >= number * 1_500:
                client.start(book.last_id, book.bids, book.asks)
            assert not client.lost
        seen[symbol] += 1

    hub.watchers.append(watch)
    feed.subscribed(streams)
    await feed.run()
    assert feed.ended
    assert compared > 10_000
    for symbol, followers in clients.items():
        for client in followers:
            assert (client.bids, client.asks) == (feed.depth(symbol).bids, feed.depth(symbol).asks)
