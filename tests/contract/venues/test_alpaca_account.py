"""Alpaca at a stub: shares and their hours, orders that are there already, money that moved, and a rude data stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from conftest import RecordingSink, eventually

from libs.core.types import Action, BarFlag, FeedState, Mode, Order, OrderState, ReportKind, Side
from libs.venues.alpaca import trading as trading_module
from libs.venues.alpaca.activities import Moves
from libs.venues.alpaca.market import AlpacaMarketData
from libs.venues.alpaca.rest import AlpacaRest
from libs.venues.alpaca.trading import AlpacaTrading
from libs.venues.base import VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.credentials import Credentials
from tests.acceptance.alpaca_stub import KEY, SECRET, AlpacaStub

D = Decimal
KEYS = Credentials(key=KEY, secret=SECRET)
INTENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[AlpacaStub]:
    stub = AlpacaStub(tmp_path)
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def market(stub: AlpacaStub) -> AsyncIterator[AlpacaMarketData]:
    adapter = AlpacaMarketData(stub.urls, KEYS)
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def account(stub: AlpacaStub) -> AsyncIterator[AlpacaTrading]:
    adapter = AlpacaTrading(stub.urls, KEYS, currency="USD")
    yield adapter
    await adapter.aclose()


def order(**changes: Any) -> Order:
    given: dict[str, Any] = {
        "id": f"{INTENT}-1",
        "ts_event": time.time_ns(),
        "intent_id": INTENT,
        "revision": 1,
        "state": OrderState.SENT,
        "mode": Mode.LIVE,
        "venue": "alpaca",
        "account": "main",
        "symbol": "AAPL",
        "strategy": "s",
        "side": Side.BUY,
        "action": Action.ENTER,
        "quantity": D("3.7"),
        "worst_price": D("250.019"),
        "position_id": INTENT,
        "reason": "entry",
    }
    return Order(**given | changes)


def leaving(**changes: Any) -> Order:
    return order(intent_id=f"{INTENT[:-1]}e", side=Side.SELL, action=Action.EXIT, reason="exit", **changes)


# --- orders --------------------------------------------------------------------------------------------------------


async def test_shares_are_bought_whole_and_at_once(
    stub: AlpacaStub, market: AlpacaMarketData, account: AlpacaTrading
) -> None:
    (share,) = await market.instruments(["AAPL"])
    reports = await account.submit(order(), share)
    (sent,) = stub.orders.values()
    assert (sent["qty"], sent["time_in_force"], sent["type"]) == ("3", "ioc", "limit")
    assert sum(r.quantity or D(0) for r in reports if r.kind is ReportKind.FILLED) == 3
    assert reports[-1].kind is ReportKind.CANCELLED  # seven tenths of a share were never asked for
    assert await account.balances() == {"USD": stub.cash, "AAPL": D(3)}


@pytest.mark.parametrize(("held", "terms"), [("3", "ioc"), ("2.5", "day")])
async def test_a_fraction_of_a_share_leaves_as_a_day_order(
    stub: AlpacaStub, market: AlpacaMarketData, account: AlpacaTrading, held: str, terms: str
) -> None:
    (share,) = await market.instruments(["AAPL"])
    stub.markets["AAPL"].qty_step = D("0.000000001")
    stub.positions["AAPL"] = D(held)
    await account.close(leaving(quantity=D(held)), "", share)
    (sent,) = stub.orders.values()
    assert (sent["qty"], sent["time_in_force"], sent["type"]) == (held, terms, "market")
    assert await account.balances() == {"USD": stub.cash}


async def test_an_order_that_is_there_already_is_looked_up_and_never_doubled(
    stub: AlpacaStub, market: AlpacaMarketData, account: AlpacaTrading
) -> None:
    (share,) = await market.instruments(["AAPL"])
    reports = await account.submit(order(), share)
    with pytest.raises(VenueUnresolved, match="already"):
        await account.submit(order(), share)
    assert await account.resolve(order()) == reports
    assert await account.cancel(order()) == reports
    assert stub.executed == 1


async def test_what_alpaca_never_had_is_absent_only_after_a_while(
    account: AlpacaTrading, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await account.resolve(order()) is None
    assert await account.cancel(order()) == []
    monkeypatch.setattr(trading_module, "ABSENT_S", 0.0)
    assert await account.resolve(order()) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"quantity": D("0.9")},
        {"side": Side.SELL},
        {"worst_price": D("0.009")},
        {"quantity": D(10**8)},
    ],
)
async def test_what_cannot_be_is_refused_without_effect(
    stub: AlpacaStub, market: AlpacaMarketData, account: AlpacaTrading, bad: dict[str, Any]
) -> None:
    (share,) = await market.instruments(["AAPL"])
    with pytest.raises(VenueRefused):
        await account.submit(order(**bad), share)
    assert stub.orders == {}


async def test_an_order_that_still_works_is_not_called_over(
    stub: AlpacaStub, market: AlpacaMarketData, account: AlpacaTrading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trading_module, "LOOKS_S", (0.01,))
    (share,) = await market.instruments(["AAPL"])
    await account.submit(order(), share)
    for working in ("new", "accepted", "partially_filled", "pending_cancel", "held", "something_new"):
        next(iter(stub.orders.values()))["status"] = working
        assert await account.resolve(order()) is None


async def test_money_that_moved_is_told_once_with_its_sign(stub: AlpacaStub) -> None:
    rest = AlpacaRest(stub.urls["rest"], KEYS, "requests")
    moves = Moves(rest)
    assert await moves.new("USD") == []
    stub.deposit(D("100.50"))
    stub.activities.append({"id": "f", "activity_type": "FEE", "net_amount": "-0.03"})
    stub.activities.append(
        {"id": "c", "activity_type": "CFEE", "net_amount": "0", "symbol": "BTC/USD", "qty": "-0.0001"}
    )
    moved = await moves.new("USD")
    assert [(asset, amount) for asset, amount, _ in moved] == [
        ("USD", D("100.50")),
        ("USD", D("-0.03")),
        ("BTC", D("-0.0001")),
    ]
    assert await moves.new("USD") == []
    await rest.aclose()


async def test_limits_that_alpaca_tells_are_taken_over(account: AlpacaTrading) -> None:
    for _ in range(3):
        await account.balance()
    (budget,) = account.budgets()
    assert (budget.state().limit, budget.state().used) == (200, 3)


@pytest.mark.parametrize("urls", [{}, {"rest": "http://x"}])
def test_addresses_that_are_missing_are_named(urls: dict[str, str]) -> None:
    for make in (lambda: AlpacaMarketData(urls, KEYS), lambda: AlpacaTrading(urls, KEYS, currency="USD")):
        with pytest.raises(ValueError, match="alpaca needs an address for"):
            make()


# --- hours ---------------------------------------------------------------------------------------------------------


async def test_when_the_exchanges_are_closed_shares_are_and_crypto_is_not(
    stub: AlpacaStub, market: AlpacaMarketData
) -> None:
    stub.is_open = False
    share, coin = await market.instruments(["AAPL", "BTC/USD"])
    assert (share.is_open, coin.is_open) == (False, True)
    for symbols, state in ((["AAPL"], FeedState.CLOSED), (["AAPL", "BTC/USD"], FeedState.OPEN)):
        sink = RecordingSink()
        feed = asyncio.create_task(market.stream(symbols, sink))
        await eventually(lambda sink=sink: sink.clocks and sink.statuses, "hours")
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        assert sink.clocks[-1][4] is state
        assert ("AAPL", "closed") in {status[:2] for status in sink.statuses}
        assert "BTC/USD" not in {status[0] for status in sink.statuses}


# --- a rude data stream --------------------------------------------------------------------------------------------


class Rude:
    """A data stream that says, after the greeting, whatever a test wants it to."""

    def __init__(self, *frames: str, login: str = '[{"T":"success","msg":"authenticated"}]') -> None:
        self.frames, self.login, self.lives = frames, login, 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        self.lives += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('[{"T":"success","msg":"connected"}]')
        await socket.receive()
        await socket.send_str(self.login)
        await socket.receive()
        await socket.send_str('[{"T":"subscription","trades":["BTC/USD"]}]')
        for frame in self.frames:
            await socket.send_str(frame)
        with suppress(asyncio.CancelledError):
            await socket.receive()
        return socket


async def heard(stub: AlpacaStub, rude: Rude, enough: Any) -> RecordingSink:
    app = web.Application()
    app.add_routes([web.get("/v1beta3/crypto/us", rude.serve)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    market, sink = AlpacaMarketData({**stub.urls, "stream_data": url}, KEYS), RecordingSink()
    feed = asyncio.create_task(market.stream(["BTC/USD"], sink))
    try:
        await eventually(lambda: feed.done() or enough(sink), "enough of the stream")
        if feed.done():
            feed.result()
    finally:
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)
        await market.aclose()
        await runner.cleanup()
    return sink


GOOD = '{"T":"t","S":"BTC/USD","p":64000.5,"s":0.25,"t":"2024-03-12T10:38:50.79613221Z","i":9,"tks":"S"}'


async def test_prints_quotes_and_bars_are_told_as_they_are(stub: AlpacaStub) -> None:
    quote = '{"T":"q","S":"BTC/USD","bp":64000,"bs":1.5,"ap":64001.5,"as":2,"t":"2024-03-12T10:38:50Z"}'
    bar = '{"T":"b","S":"BTC/USD","o":1,"h":3,"l":1,"c":2,"v":4.5,"n":7,"t":"2024-03-12T10:38:00Z"}'
    sink = await heard(stub, Rude(f"[{GOOD},{quote}]", f"[{bar}]"), lambda sink: sink.klines)
    ((symbol, trade),) = sink.trades
    assert (symbol, trade.price, trade.size, trade.side, trade.seq) == ("BTC/USD", 64000.5, 0.25, -1, 9)
    assert trade.ts_event == 1_710_239_930_796_132_210
    ((_, told),) = sink.quotes
    assert (told.bid, told.bid_size, told.ask, told.ask_size) == (64000.0, 1.5, 64001.5, 2.0)
    (kline,) = sink.klines
    assert (kline.open_time, kline.close, kline.trades) == (1_710_239_880_000_000_000, 2.0, 7)
    assert kline.flags == BarFlag.VENUE
    assert sink.rejects == []


@pytest.mark.parametrize(
    "bad",
    [
        "nonsense",
        "{}",
        "[[[[",
        "[1]",
        '[{"T":7}]',
        '[{"T":"t","S":"BTC/USD","p":"64000","s":1,"t":"2024-03-12T10:38:50Z","i":1}]',
        '[{"T":"t","S":"BTC/USD","p":-1,"s":1,"t":"2024-03-12T10:38:50Z","i":1}]',
        '[{"T":"t","S":"BTC/USD","p":1e999,"s":1,"t":"2024-03-12T10:38:50Z","i":1}]',
        '[{"T":"t","S":"BTC/USD","p":1,"s":1,"t":"yesterday","i":1}]',
        '[{"T":"t","S":"ETH/USD","p":1,"s":1,"t":"2024-03-12T10:38:50Z","i":1}]',
        '[{"T":"q","S":"BTC/USD","bp":2,"bs":1,"ap":1,"as":1,"t":"2024-03-12T10:38:50Z"}]',
        '[{"T":"b","S":"BTC/USD","o":1,"h":0.5,"l":1,"c":2,"v":4.5,"t":"2024-03-12T10:38:00Z"}]',
        '[{"T":"b","S":"BTC/USD","o":1,"h":3,"l":1,"c":[],"v":4.5,"t":"2024-03-12T10:38:00Z"}]',
    ],
)
async def test_what_cannot_be_true_is_rejected_and_the_stream_goes_on(stub: AlpacaStub, bad: str) -> None:
    sink = await heard(stub, Rude(bad, f"[{GOOD}]"), lambda sink: sink.trades)
    assert [trade.seq for _, trade in sink.trades] == [9]
    assert len(sink.rejects) == 1
    assert sink.quotes == [] == sink.klines


async def test_a_key_that_is_not_accepted_ends_the_stream(stub: AlpacaStub) -> None:
    rude = Rude(login='[{"T":"error","code":402,"msg":"auth failed"}]')
    with pytest.raises(VenueRefused, match="auth failed"):
        await heard(stub, rude, lambda sink: False)


async def test_too_many_connections_are_tried_again(stub: AlpacaStub) -> None:
    rude = Rude(login='[{"T":"error","code":406,"msg":"connection limit exceeded"}]')
    sink = await heard(stub, rude, lambda sink: rude.lives >= 2)
    assert "connection limit exceeded" in sink.statuses[0][2]


async def test_an_unknown_share_is_named(market: AlpacaMarketData) -> None:
    for ask in (
        market.instruments(["NOSUCH"]),
        market.history_trades("NOSUCH", 0),
        market.history_bars("NOSUCH", 60, 1),
    ):
        with pytest.raises(VenueRefused, match="NOSUCH"):
            await ask


async def test_bars_come_page_by_page_and_a_length_that_there_is_not_has_none(market: AlpacaMarketData) -> None:
    bars = await market.history_bars("AAPL", 300, 20)
    assert len(bars) == 20
    assert [bar.open_time for bar in bars] == sorted({bar.open_time for bar in bars})
    assert await market.history_bars("AAPL", 7, 20) == []


async def test_a_stub_that_is_gone_is_unavailable(stub: AlpacaStub, account: AlpacaTrading) -> None:
    await stub.stop()
    with pytest.raises(VenueUnavailable):
        await account.balance()
