"""What is special about Deriv's market data: opening hours, verified multipliers, empty seconds, the planted symbol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest

from libs.core.types import SECOND, BarFlag, InstrumentKind
from libs.venues.base import MarketData
from libs.venues.deriv import feed
from libs.venues.deriv.codec import codec_for
from libs.venues.deriv.connection import Connection
from libs.venues.registry import make_market_data


@pytest.fixture
async def adapter(fake_deriv: Any) -> AsyncIterator[MarketData]:
    made = make_market_data("deriv", endpoints={"ws": f"ws://127.0.0.1:{fake_deriv.port}/websockets/v3"})
    yield made
    await made.aclose()


@asynccontextmanager
async def streaming(adapter: MarketData, symbols: list[str], sink: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(adapter.stream(symbols, sink))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_closed_market_is_told_and_the_open_one_streams(
    fake_deriv: Any, adapter: MarketData, sink: Any, eventually: Any
) -> None:
    async with streaming(adapter, ["R_100", "frxEURUSD"], sink):
        await eventually(lambda: ("frxEURUSD", "closed") in [s[:2] for s in sink.statuses], "closed")
        await eventually(lambda: sink.trades, "a price of the open one")
    assert {symbol for symbol, _ in sink.trades} == {"R_100"}


async def test_a_market_that_opens_is_subscribed(
    fake_deriv: Any, adapter: MarketData, sink: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HOURS_S", 0.1)
    fake_deriv.closed = {"R_100"}
    async with streaming(adapter, ["R_100"], sink):
        await eventually(lambda: "closed" in sink.events(), "closed")
        assert sink.trades == []
        fake_deriv.closed = set()
        await eventually(lambda: "open" in sink.events() and sink.trades, "open, with prices")
    assert sink.events().count("closed") == 1


async def test_a_symbol_that_is_refused_does_not_disturb_the_others(
    fake_deriv: Any, adapter: MarketData, sink: Any, eventually: Any
) -> None:
    async with streaming(adapter, ["NOPE", "R_100"], sink):
        await eventually(lambda: sink.trades, "a price")
    assert ("NOPE", "refused") in [status[:2] for status in sink.statuses]


async def test_a_late_answer_to_a_call_given_up_is_nothing_odd_but_a_second_one_is(
    fake_deriv: Any, eventually: Any
) -> None:
    codec, odd = codec_for("v3"), list[str]()
    url = f"ws://127.0.0.1:{fake_deriv.port}/websockets/v3"
    line = await Connection.open(url, codec, codec.limits(), on_odd=lambda frame, reason: odd.append(reason))
    fake_deriv.answers["time"] = lambda request: None
    call = asyncio.create_task(line.call(codec.time()))
    await eventually(lambda: fake_deriv.calls, "the question")
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    (ws,) = fake_deriv.connections
    late = json.dumps({"msg_type": "time", "time": fake_deriv.newest, "req_id": fake_deriv.calls[0]["req_id"]})
    await ws.send(late)
    await line.call(codec.ping())
    assert odd == []
    await ws.send(late)
    await line.call(codec.ping())
    await line.close()
    assert odd == ["unexpected time"]


async def test_a_tick_from_the_future_is_rejected_and_does_not_move_the_clock(
    fake_deriv: Any, adapter: MarketData, sink: Any, eventually: Any
) -> None:
    async with streaming(adapter, ["R_100"], sink):
        await eventually(lambda: sink.clocks and fake_deriv.subscriptions(), "ready")
        await fake_deriv.push_tick(fake_deriv.tick(fake_deriv.newest + 10_000))
        await eventually(lambda: sink.rejects, "a rejection")
    assert "epoch" in sink.rejects[0][2]
    assert all(abs(ts - recv) <= 1.1 * SECOND for ts, recv, *_ in sink.clocks)


async def test_the_clock_is_sharpened_beyond_the_venue_s_whole_seconds(
    adapter: MarketData, sink: Any, eventually: Any
) -> None:
    async with streaming(adapter, ["R_100"], sink):
        await eventually(lambda: len(sink.clocks) >= 4, "a few answers")
    ts_event, recv_ns, *_ = sink.clocks[-1]
    assert abs(ts_event - recv_ns) < 0.25 * SECOND


async def test_a_symbol_is_a_multiplier_only_when_contracts_for_says_so(adapter: MarketData) -> None:
    by_symbol = {row.symbol: row for row in await adapter.instruments()}
    volatility, forex, planted = by_symbol["R_100"], by_symbol["frxEURUSD"], by_symbol["PLANT50"]
    assert volatility.kind is InstrumentKind.MULTIPLIER
    assert (volatility.multiplier, volatility.multipliers) == (40, (40, 100, 200))
    assert volatility.commission_rate == Decimal("0.00036")
    assert volatility.synthetic
    assert not volatility.planted
    assert forex.kind is InstrumentKind.QUOTE_ONLY
    assert (forex.multiplier, forex.multipliers) == (0, ())
    assert not forex.is_open
    assert (forex.decimals, forex.price_step) == (5, Decimal("0.00001"))
    assert planted.planted
    assert planted.commission_rate == Decimal("0.00018")


async def test_a_symbol_whose_contracts_are_refused_is_quote_only(fake_deriv: Any, adapter: MarketData) -> None:
    error = {"code": "OfferingsInvalidSymbol", "message": "no"}
    fake_deriv.answers["contracts_for"] = lambda request: {"msg_type": "contracts_for", "error": error}
    (row,) = await adapter.instruments(["R_100"])
    assert row.kind is InstrumentKind.QUOTE_ONLY


async def test_one_direction_alone_is_no_multiplier(fake_deriv: Any, adapter: MarketData) -> None:
    rows = {"available": [{"contract_type": "MULTUP", "multiplier_range": [40]}]}
    fake_deriv.answers["contracts_for"] = lambda request: {"msg_type": "contracts_for", "contracts_for": rows}
    (row,) = await adapter.instruments(["R_100"])
    assert row.kind is InstrumentKind.QUOTE_ONLY


async def test_seconds_without_a_tick_are_flat_and_empty(fake_deriv: Any, adapter: MarketData) -> None:
    base = fake_deriv.newest - fake_deriv.newest % 60 - 60
    times = [base + offset for offset in (0, 1, 4, 5)]
    history = {"times": times, "prices": [10.0, 11.0, 14.0, 15.0]}
    fake_deriv.answers["ticks_history"] = lambda request: {"msg_type": "history", "history": history, "pip_size": 2}
    bars = await adapter.history_bars("R_100", 1, 6, (base + 6) * SECOND)
    assert [bar.close for bar in bars] == [10.0, 11.0, 11.0, 11.0, 14.0, 15.0]
    assert [bool(bar.flags & BarFlag.EMPTY) for bar in bars] == [False, False, True, True, False, False]
    assert [bar.trades for bar in bars] == [1, 1, 0, 0, 1, 1]
    assert [bar.last_seq for bar in bars] == [base, base + 1, 0, 0, base + 4, base + 5]


async def test_the_running_candle_is_left_out(fake_deriv: Any, adapter: MarketData) -> None:
    bars = await adapter.history_bars("R_100", 60, 3, fake_deriv.newest_ns)
    assert all(bar.ts_event <= fake_deriv.newest_ns for bar in bars)
    assert len(bars) == 3


async def test_history_beyond_one_page_is_paged_backwards(fake_deriv: Any, adapter: MarketData) -> None:
    fake_deriv.oldest = fake_deriv.newest - 12_000
    trades = await adapter.history_trades("R_100", fake_deriv.newest - 11_000)
    assert [t.seq for t in trades] == list(range(fake_deriv.newest - 10_999, fake_deriv.newest + 1))


async def test_answers_outside_the_question_are_not_taken_for_history(fake_deriv: Any, adapter: MarketData) -> None:
    late = {"times": [fake_deriv.newest], "prices": [1.0]}
    fake_deriv.answers["ticks_history"] = lambda request: {"msg_type": "history", "history": late, "pip_size": 2}
    assert await adapter.history_trades("R_100", 1_000, 2_000 * SECOND) == []
