"""The real adapters against the real simulator: every price once, history that joins, orders that open and close."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from libs.core.types import (
    SECOND,
    BarFlag,
    FeedState,
    InstrumentKind,
)
from libs.venues.base import MarketData, VenueRefused
from libs.venues.registry import make_market_data
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions

DATA = Path(__file__).parents[3].parent / "shared" / "data"


class Tape:
    """A FeedSink that keeps what arrives."""

    def __init__(self) -> None:
        self.trades: dict[str, list[Any]] = {}
        self.quotes: dict[str, list[Any]] = {}
        self.books: dict[str, list[Any]] = {}
        self.klines: list[Any] = []
        self.clocks: list[tuple[int, int, bool, float, FeedState]] = []
        self.statuses: list[tuple[str, str, str]] = []
        self.rejects: list[str] = []

    def trade(self, symbol: str, trade: Any, recv_ns: int) -> None:
        self.trades.setdefault(symbol, []).append(trade)

    def quote(self, symbol: str, quote: Any, recv_ns: int) -> None:
        self.quotes.setdefault(symbol, []).append(quote)

    def book(self, symbol: str, bids: Any, asks: Any, first: int, last: int, ts_event: int, *told: Any) -> None:
        self.books.setdefault(symbol, []).append((bids, asks, last))

    def kline(self, bar: Any, recv_ns: int) -> None:
        self.klines.append(bar)

    def clock(self, ts_event: int, recv_ns: int, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        self.clocks.append((ts_event, recv_ns, extrapolate, speed, state))

    def status(self, symbol: str, event: str, detail: str) -> None:
        self.statuses.append((symbol, event, detail))

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        self.rejects.append(f"{reason}: {payload[:200]!r}")


async def eventually(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def simulator(**options: Any) -> AsyncIterator[dict[str, Any]]:
    running = Simulator(SimulatorOptions(seed=11, **options))
    await running.start()
    try:
        yield running.describe()
    finally:
        await running.stop()


@asynccontextmanager
async def streaming(adapter: MarketData, symbols: list[str], tape: Tape) -> AsyncIterator[None]:
    task = asyncio.create_task(adapter.stream(symbols, tape))
    try:
        yield
        assert not task.done(), "stream ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def deriv(facts: dict[str, Any]) -> MarketData:
    return make_market_data("deriv", api="v3", endpoints={"ws": facts["deriv_url"]})


def binance(facts: dict[str, Any], kline_intervals: tuple[int, ...] = (60,)) -> MarketData:
    endpoints = {"rest": facts["binance_rest_url"], "ws": facts["binance_ws_url"]}
    return make_market_data("binance", endpoints=endpoints, simulator=True, kline_intervals=kline_intervals)


async def test_deriv_ticks_join_its_history_without_a_seam() -> None:
    tape = Tape()
    async with simulator() as facts:
        adapter = deriv(facts)
        async with streaming(adapter, ["1HZ100V"], tape):
            await eventually(lambda: len(tape.trades.get("1HZ100V", [])) >= 4, "four ticks")
        live = tape.trades["1HZ100V"]
        past = await adapter.history_trades("1HZ100V", live[0].seq, live[-1].ts_event)
        assert past == live[1:]
        bars = await adapter.history_bars("1HZ100V", 1, 120, live[-1].ts_event)
        await adapter.aclose()
    assert len(bars) == 120
    assert all(later.open_time - bar.open_time == SECOND for bar, later in itertools.pairwise(bars))
    assert bars[-1].close == live[-2].price
    assert tape.rejects == []


async def test_deriv_instruments_include_the_planted_symbol_marked() -> None:
    async with simulator() as facts:
        adapter = deriv(facts)
        instruments = await adapter.instruments()
        await adapter.aclose()
    planted = [row for row in instruments if row.planted]
    assert len(planted) == 1
    assert planted[0].kind is InstrumentKind.MULTIPLIER
    assert {"R_100", "1HZ100V"} <= {row.symbol for row in instruments if row.kind is InstrumentKind.MULTIPLIER}


async def test_binance_model_streams_trades_quotes_and_a_true_book() -> None:
    tape = Tape()
    async with simulator() as facts:
        adapter = binance(facts)
        async with streaming(adapter, ["BTCUSDT", "ETHUSDT"], tape):
            await eventually(
                lambda: all(
                    len(kept.get(symbol, [])) >= 5
                    for symbol in ("BTCUSDT", "ETHUSDT")
                    for kept in (tape.trades, tape.quotes, tape.books)
                ),
                "trades, quotes and books of both",
            )
        live = tape.trades["BTCUSDT"]
        past = await adapter.history_trades("BTCUSDT", live[0].seq, live[-1].ts_event)
        await adapter.aclose()
    assert [t.seq for t in live] == list(range(live[0].seq, live[0].seq + len(live)))
    assert past[: len(live) - 1] == live[1:]
    for bids, asks, _ in tape.books["BTCUSDT"]:
        assert bids[0][0] < asks[0][0]
    assert tape.rejects == []
    assert tape.clocks[0][2] is True


async def test_a_recording_is_played_with_its_own_stamps() -> None:
    if not (DATA / "binance-ws").exists():
        pytest.skip("the recorded Binance sessions are not on this machine")
    tape = Tape()
    async with simulator(data=DATA / "binance-ws", speed=60.0) as facts:
        adapter = binance(facts)
        async with streaming(adapter, ["BTCUSDT"], tape):
            await eventually(lambda: len(tape.trades.get("BTCUSDT", [])) >= 500, "trades", 40.0)
        await adapter.aclose()
    trades = tape.trades["BTCUSDT"]
    assert all(1_723_161_250 * SECOND < t.ts_event < 1_723_161_605 * SECOND for t in trades)
    assert [t.seq for t in trades] == list(range(trades[0].seq, trades[0].seq + len(trades)))
    assert all(not extrapolate for _, _, extrapolate, _, _ in tape.clocks)
    assert all(q.ts_event < 1_723_161_605 * SECOND for q in tape.quotes["BTCUSDT"])
    assert all(bids[0][0] < asks[0][0] for bids, asks, _ in tape.books["BTCUSDT"])
    assert tape.rejects == []


async def test_a_bar_file_comes_as_closed_klines() -> None:
    path = DATA / "bars" / "binance_BTCUSDT_1m_2025.parquet"
    if not path.exists():
        pytest.skip("the recorded bars are not on this machine")
    tape = Tape()
    async with simulator(data=path, speed=600.0) as facts:
        adapter = binance(facts)
        async with streaming(adapter, ["BTCUSDT"], tape):
            await eventually(lambda: len(tape.klines) >= 10, "ten bars")
        first = tape.klines[0]
        past = await adapter.history_bars("BTCUSDT", 60, 5, first.ts_event)
        with pytest.raises(VenueRefused, match="ETHUSDT"):
            await adapter.instruments(["ETHUSDT"])
        await adapter.aclose()
    opens = [bar.open_time for bar in tape.klines]
    assert opens == list(range(opens[0], opens[0] + 60 * SECOND * len(opens), 60 * SECOND))
    assert all(bar.flags & BarFlag.VENUE for bar in tape.klines)
    assert past[-1].id == first.id
    assert (past[-1].open, past[-1].close, past[-1].volume) == (first.open, first.close, first.volume)
    assert tape.trades == {}


async def test_a_simulator_that_was_away_is_found_again(tmp_path: Path) -> None:
    tape = Tape()
    async with simulator(state_dir=tmp_path) as facts:
        adapter = deriv(facts)
        task = asyncio.create_task(adapter.stream(["1HZ100V"], tape))
        await eventually(lambda: tape.trades, "a tick")
    port = int(facts["deriv_url"].rpartition(":")[2].partition("/")[0])
    before = len(tape.trades["1HZ100V"])
    async with simulator(state_dir=tmp_path, deriv_port=port):
        await eventually(lambda: "reconnect" in [event for _, event, _ in tape.statuses], "the reconnect")
        await eventually(lambda: len(tape.trades["1HZ100V"]) > before + 1, "ticks again")
        seen = {t.seq: t.price for t in tape.trades["1HZ100V"]}
        past = await adapter.history_trades("1HZ100V", min(seen) - 1, max(seen) * SECOND)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await adapter.aclose()
    assert [t.seq for t in past] == list(range(min(seen), max(seen) + 1))
    assert all(past[seq - min(seen)].price == price for seq, price in seen.items())
