"""Sources that are venues: against the simulator, a recorded Kraken, and answers that are not what was asked for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sources_stub import DAY, T0, Stub, rows
from websockets.asyncio.server import ServerConnection, serve

from libs.core.history import Columns, Kind
from libs.core.types import SECOND
from libs.venues.binance.codec import INTERVALS
from libs.venues.budget import Budget
from libs.venues.deriv.history import GRANULARITIES
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.registry import make_market_data
from libs.venues.sources.base import WORDS, Ask, Source, steady
from libs.venues.sources.registry import CLASSES, facts_of, make_source
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
VENUES_TESTS = Path(__file__).parents[1] / "venues"


@pytest.fixture
async def simulator() -> AsyncIterator[dict[str, Any]]:
    running = Simulator(SimulatorOptions(seed=7))
    await running.start()
    yield running.describe()
    await running.stop()


@pytest.fixture
async def binance(simulator: dict[str, Any]) -> AsyncIterator[Source]:
    source = make_source("binance", urls={"rest": simulator["binance_rest_url"]})
    yield source
    await source.aclose()


@pytest.fixture
async def deriv(simulator: dict[str, Any]) -> AsyncIterator[Source]:
    source = make_source("deriv", urls={"ws": simulator["deriv_url"]})
    yield source
    await source.aclose()


def as_rows(columns: Columns) -> list[tuple[Any, ...]]:
    return list(zip(*(values.tolist() for values in columns.values()), strict=True))


# --- Binance ----------------------------------------------------------------------------------------------------------


async def test_binance_klines_are_those_of_the_adapter(binance: Source, simulator: dict[str, Any]) -> None:
    end = await binance.now() // HOUR * HOUR
    found = await rows(binance, Ask("BTCUSDT", "1m", end - 40 * HOUR, end))
    assert (np.diff(found["open_time"]) == MINUTE).all()
    assert (found["open_time"][0], found["open_time"][-1]) == (end - 40 * HOUR, end - MINUTE)
    market = make_market_data(
        "binance", endpoint="simulator", endpoints={k: simulator[f"binance_{k}_url"] for k in ("rest", "ws")}
    )
    try:
        bars = await market.history_bars("BTCUSDT", 60, 30, end)
    finally:
        await market.aclose()
    told = [(b.open_time, b.open, b.high, b.low, b.close, b.volume, b.buy_volume, b.trades) for b in bars]
    assert as_rows(found)[-30:] == told


async def test_binance_gives_no_bar_that_still_runs(binance: Source) -> None:
    now = await binance.now()
    found = await rows(binance, Ask("BTCUSDT", "1m", now - 10 * MINUTE, now))
    assert found["open_time"][-1] + MINUTE <= now
    assert found["open_time"][0] >= now - 10 * MINUTE


@pytest.mark.parametrize("interval", ["trades", "aggtrades"])
async def test_binance_prints_of_a_span_are_all_there(binance: Source, interval: str) -> None:
    end = await binance.now() - 5 * SECOND
    found = await rows(binance, Ask("BTCUSDT", interval, end - 10 * MINUTE, end))
    times, numbers = found["ts_event"], found["seq"]
    assert times[0] >= end - 10 * MINUTE
    assert times[-1] < end
    assert (np.diff(numbers) == 1).all()
    assert set(found["side"].tolist()) == {-1, 1}
    wider = await rows(binance, Ask("BTCUSDT", interval, end - 11 * MINUTE, end + SECOND))
    inside = (wider["ts_event"] >= end - 10 * MINUTE) & (wider["ts_event"] < end)
    assert wider["seq"][inside].tolist() == numbers.tolist()


async def test_binance_prints_build_its_klines(binance: Source) -> None:
    minute = (await binance.now() - 5 * SECOND) // MINUTE * MINUTE - MINUTE
    prints = await rows(binance, Ask("ETHUSDT", "trades", minute, minute + MINUTE))
    (bar,) = as_rows(await rows(binance, Ask("ETHUSDT", "1m", minute, minute + MINUTE)))
    price, size = prints["price"], prints["size"]
    assert bar[1:5] == (price[0], price.max(), price.min(), price[-1])
    assert (bar[5], bar[6]) == pytest.approx((size.sum(), size[prints["side"] > 0].sum()))
    assert bar[7] == len(price)


async def test_binance_does_not_know_every_symbol(binance: Source) -> None:
    with pytest.raises(VenueRefused, match="Invalid symbol"):
        await rows(binance, Ask("NOSUCH", "1m", T0, T0 + DAY))


# --- Deriv ------------------------------------------------------------------------------------------------------------


async def test_deriv_ticks_are_paged_backwards_and_none_is_lost(deriv: Source) -> None:
    end = await deriv.now() - 10 * SECOND
    pages = [page async for page in deriv.pages(Ask("1HZ100V", "ticks", end - 4 * HOUR, end))]
    assert [page.columns["ts_event"][-1] for page in pages] == sorted(
        (page.columns["ts_event"][-1] for page in pages), reverse=True
    )
    found = await rows(deriv, Ask("1HZ100V", "ticks", end - 4 * HOUR, end))
    assert len(pages) == 3
    assert (np.diff(found["ts_event"]) == SECOND).all()
    assert (found["ts_event"][0], found["ts_event"][-1]) == (end - 4 * HOUR, end - SECOND)
    assert not found["size"].any()


async def test_deriv_candles_agree_with_its_ticks(deriv: Source) -> None:
    end = await deriv.now() // MINUTE * MINUTE
    ticks = await rows(deriv, Ask("R_100", "ticks", end - 30 * MINUTE, end))
    candles = await rows(deriv, Ask("R_100", "1m", end - 30 * MINUTE, end))
    assert len(candles["open_time"]) == 30
    for at, high, low, close in zip(*(candles[n].tolist() for n in ("open_time", "high", "low", "close")), strict=True):
        inside = ticks["price"][(ticks["ts_event"] >= at) & (ticks["ts_event"] < at + MINUTE)]
        assert (high, low, close) == (inside.max(), inside.min(), inside[-1])


async def test_more_candles_than_a_page_holds(deriv: Source) -> None:
    end = await deriv.now() // MINUTE * MINUTE
    found = await rows(deriv, Ask("R_100", "1m", end - 7000 * MINUTE, end))
    assert (found["open_time"] == end - 7000 * MINUTE + np.arange(7000) * MINUTE).all()


class HostileDeriv:
    """Answers ticks_history with `told`, whatever was asked."""

    def __init__(self) -> None:
        self.told: list[list[int]] = []
        self.asked: list[dict[str, Any]] = []

    async def serve(self, ws: ServerConnection) -> None:
        async for text in ws:
            ask = json.loads(text)
            if "ticks_history" not in ask:
                continue
            self.asked.append(ask)
            times = self.told.pop(0) if self.told else []
            history = {"times": times, "prices": [100.0 + t % 7 for t in times]}
            answer = {"msg_type": "history", "req_id": ask["req_id"], "history": history, "pip_size": 2}
            await ws.send(json.dumps({"echo_req": ask, **answer}))


@pytest.fixture
async def hostile() -> AsyncIterator[tuple[HostileDeriv, Source]]:
    told = HostileDeriv()
    async with serve(told.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        source = make_source("deriv", urls={"ws": f"ws://127.0.0.1:{port}/websockets/v3"})
        yield told, source
        await source.aclose()


async def test_the_latest_ticks_in_place_of_forgotten_ones_are_no_answer(hostile: tuple[HostileDeriv, Source]) -> None:
    """Asked for times before what it has kept, Deriv tells its newest ticks and does not say so."""
    told, source = hostile
    second = T0 // SECOND
    told.told = [list(range(second + 10**6, second + 10**6 + 5000))]
    found = await rows_once(source, Ask("R_100", "ticks", T0, T0 + HOUR))
    assert len(found["ts_event"]) == 0
    assert len(told.asked) == 1


async def test_ticks_that_go_round_in_circles_end(hostile: tuple[HostileDeriv, Source]) -> None:
    told, source = hostile
    second = T0 // SECOND
    told.told = [list(range(second + 5000, second + 10_000))] * 5
    found = await rows_once(source, Ask("R_100", "ticks", T0, T0 + 10_000 * SECOND))
    assert found["ts_event"].tolist() == [T0 + s * SECOND for s in range(5000, 10_000)]
    assert len(told.asked) <= 3


async def test_ticks_of_the_second_at_which_a_page_ends_are_complete(hostile: tuple[HostileDeriv, Source]) -> None:
    told, source = hostile
    second = T0 // SECOND
    told.told = [[second + 9] + [second + 10 + i for i in range(4999)], [second + 8, second + 9, second + 9]]
    found = await rows_once(source, Ask("R_100", "ticks", T0, T0 + DAY))
    assert told.asked[1]["end"] == str(second + 9)
    assert found["ts_event"].tolist()[:2] == [(second + 8) * SECOND, (second + 9) * SECOND]


async def test_ticks_out_of_order_are_refused(hostile: tuple[HostileDeriv, Source]) -> None:
    told, source = hostile
    second = T0 // SECOND
    told.told = [[second + 5, second + 3]]
    with pytest.raises(VenueUnavailable, match="out of order"):
        await rows_once(source, Ask("R_100", "ticks", T0, T0 + HOUR))


async def rows_once(source: Source, ask: Ask) -> Columns:
    from libs.core.history import joined

    return joined(ask.kind, [page.columns async for page in source.pages(ask)])


# --- ccxt -------------------------------------------------------------------------------------------------------------


async def test_an_exchange_behind_ccxt_tells_what_it_tells_directly(binance: Source, simulator: dict[str, Any]) -> None:
    urls = {"rest": simulator["binance_rest_url"], "ws": simulator["binance_ws_url"]}
    source = make_source("ccxt:binance", urls=urls)
    hurry(source)
    try:
        end = await binance.now() // HOUR * HOUR
        ask = Ask("BTCUSDT", "1m", end - 20 * HOUR, end)
        theirs, ours = await rows(source, ask), await rows(binance, ask)
        same = ("open_time", "open", "high", "low", "close", "volume")
        assert [theirs[n].tolist() for n in same] == [ours[n].tolist() for n in same]
    finally:
        await source.aclose()


def hurry(source: Any) -> None:
    """A stub bears more than a request a second."""
    source._exchange.budget = Budget("stub", 1000, 1.0)
    source._exchange.enableRateLimit = False


@pytest.fixture
async def kraken() -> AsyncIterator[tuple[Any, Source]]:
    if str(VENUES_TESTS) not in sys.path:
        sys.path.append(str(VENUES_TESTS))
    from kraken_stub import SAMPLES, KrakenStub

    if not SAMPLES.is_dir():
        pytest.skip("the recorded answers of Kraken are not here")
    stub = KrakenStub()
    source = make_source("ccxt:kraken", urls=await stub.start())
    hurry(source)
    yield stub, source
    await source.aclose()
    await stub.stop()


async def test_recorded_candles_of_kraken(kraken: tuple[Any, Source]) -> None:
    stub, source = kraken
    told = stub.answers["OHLC"]["result"]["XBTUSDT"]
    first, last = told[0][0], told[-1][0]
    found = await rows(source, Ask("BTC/USDT", "1m", first * SECOND, last * SECOND))
    assert found["open_time"].tolist() == [row[0] * SECOND for row in told if row[0] < last]
    assert found["close"].tolist() == [float(row[4]) for row in told[:-1]]
    assert found["volume"].tolist() == [float(row[6]) for row in told[:-1]]


async def test_prints_of_kraken_are_paged_by_their_time(kraken: tuple[Any, Source]) -> None:
    stub, source = kraken
    second = T0 // SECOND
    prints = [[f"{100 + i}.0", "0.5", second + i // 3, "b" if i % 2 else "s", "m", "", i + 1] for i in range(2500)]

    def told(since: str) -> Any:
        """A thousand prints since a time, as Kraken does; in seconds or ns."""
        from_s = int(since) / (SECOND if len(since) > 12 else 1)
        page = [row for row in prints if row[2] >= from_s][:1000]
        return {"error": [], "result": {"XBTUSDT": page, "last": str(second * SECOND)}}

    stub.answers = _Live(stub, told)
    found = await rows_once(source, Ask("BTC/USDT", "trades", T0, T0 + DAY))
    assert found["seq"].tolist() == list(range(1, 2501))
    assert found["side"].tolist()[:2] == [-1, 1]


class _Live(dict[str, Any]):
    """The answers of a stub, of which that to Trades depends on the question."""

    def __init__(self, stub: Any, trades: Any) -> None:
        super().__init__(stub.answers)
        self._stub, self._trades = stub, trades

    def get(self, key: str, default: Any = None) -> Any:
        return self._trades(self._stub.asked[-1][1]["since"]) if key == "Trades" else super().get(key, default)


# --- Yahoo ------------------------------------------------------------------------------------------------------------


def test_a_yahoo_frame_is_read_as_it_is() -> None:
    import pandas as pd

    from libs.venues.sources.yahoo import told_of

    index = pd.DatetimeIndex(["2024-08-05 09:30", "2024-08-05 09:31"], tz="America/New_York")
    prices = {"Open": [1.0, 2.0], "High": [2.0, 3.0], "Low": [0.5, 1.0], "Close": [1.5, 2.5], "Adj Close": [1.4, 2.4]}
    frame = pd.DataFrame({**prices, "Volume": [10, 20]}, index=index)
    assert told_of(frame, "1m")[0] == (T0 + 13 * HOUR + 30 * MINUTE, 1.0, 2.0, 0.5, 1.5, 10.0, 0)
    days = frame.set_index(pd.DatetimeIndex(["2024-08-05", "2024-08-06"], tz="America/New_York"))
    days.loc[days.index[1], "Open"] = float("nan")
    assert [row[0] for row in told_of(days, "1d")] == [T0]
    assert told_of(frame.iloc[:0], "1m") == []
    with pytest.raises(VenueUnavailable, match="cannot be read"):
        told_of(frame.drop(columns="Low"), "1m")


async def test_yahoo_is_asked_in_spans_that_it_bears() -> None:
    from libs.venues.sources.yahoo import YahooSource

    asked: list[tuple[str, int, int]] = []

    def fetch(symbol: str, interval: str, start: Any, end: Any) -> list[Any]:
        first, last = int(start.timestamp()), int(end.timestamp())
        asked.append((symbol, first, last))
        return [(at * SECOND, 1.0, 2.0, 0.5, 1.5, 3.0, 0) for at in range(first - first % 60, last, 3600)]

    found = await rows(YahooSource(fetch), Ask("SPY", "1m", T0, T0 + 20 * DAY))
    assert [(last - first) // 86_400 for _, first, last in asked[:3]] == [7, 7, 6]
    assert len(found["open_time"]) == 20 * 24


# --- files ------------------------------------------------------------------------------------------------------------


async def test_a_file_is_a_source_like_any_other(tmp_path: Path) -> None:
    from libs.research.tables.read import read_table

    path = tmp_path / "prices.csv"
    path.write_text("Date,Last,O,H,L\n" + "\n".join(f"2024-08-0{d},{d},{d},{d},{d}" for d in (7, 5, 6)))
    source = make_source("file", read=lambda where, kind: read_table(where, {"close": "Last"}, kind).columns)
    found = await rows(source, Ask(str(path), "1d", T0, T0 + 2 * DAY + 1))
    assert found["close"].tolist() == [5.0, 6.0]
    with pytest.raises(VenueUnavailable, match="does not exist"):
        await rows(source, Ask(str(tmp_path / "gone.csv"), "1d", T0, T0 + DAY))


# --- the contract -----------------------------------------------------------------------------------------------------


def test_what_a_source_says_of_itself_can_be_asked_for() -> None:
    for name in CLASSES:
        facts = facts_of(name)
        assert facts.name == name
        for interval in facts.intervals:
            ask = Ask(facts.example, interval, T0, T0 + 1)
            assert (ask.kind is Kind.BARS) == (interval not in WORDS) == bool(ask.interval_s)
    assert {Ask("", i, 0, 1).interval_s for i in facts_of("deriv").intervals} - {0} == GRANULARITIES
    assert set(facts_of("binance").intervals) >= set(INTERVALS.values())


@pytest.mark.parametrize(("name", "says"), [("yaho", "did you mean yahoo"), ("binance:x", "unknown"), ("ccxt", "name")])
def test_a_source_that_is_none(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_source(name)


async def test_a_download_goes_on_after_a_failure_but_not_for_ever(stub: Stub) -> None:
    """Each page but the first fails once; then nobody is there any more."""
    fails = {"left": 2}

    def klines(query: dict[str, str]) -> Any:
        start = int(query["startTime"])
        if start > T0 // 10**6 and fails["left"]:
            fails["left"] -= 1
            return 503, {"code": -1000, "msg": "busy"}
        end = min(int(query["endTime"]), start + 999 * 60_000)
        opens = range(start, end + 1, 60_000)
        return [[t, "1", "2", "0.5", "1.5", "3", t + 59_999, "1", 4, "1", "1", "0"] for t in opens]

    stub.answers["/api/v3/klines"] = klines
    source = make_source("binance", urls=stub.urls)
    began = time.monotonic()
    try:
        pages = [page async for page in steady(source, Ask("BTCUSDT", "1m", T0, T0 + 2000 * MINUTE))]
        assert sum(len(page.columns["open_time"]) for page in pages) == 2000
        assert fails["left"] == 0
        stub.answers.clear()
        with pytest.raises(VenueUnavailable, match="404"):
            _ = [page async for page in steady(source, Ask("BTCUSDT", "1m", T0, T0 + DAY))]
    finally:
        await source.aclose()
    assert time.monotonic() - began < 10
