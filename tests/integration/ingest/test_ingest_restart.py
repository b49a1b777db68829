"""Ingest killed at any moment and started again: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import time

import pytest
from ingest_house import T0, FakeVenue, Running, at, kline

from libs.common.bus.memory import MemoryBroker
from libs.core.types import DAY_S, SECOND, Bar, BarFlag, Quote, Trade

SESSION = [at(n * 0.37, n + 1, 100 + (n * 7) % 13, (n % 5) / 4, 1 if n % 3 else -1) for n in range(200)]


def by_definition(trades: list[Trade], interval_s: int, open_time: int) -> tuple[float, ...]:
    inside = [t for t in trades if open_time <= t.ts_event < open_time + interval_s * SECOND]
    prices = [t.price for t in inside]
    return prices[0], max(prices), min(prices), prices[-1], sum(t.size for t in inside), len(inside), inside[-1].seq


def shape(bar: Bar) -> tuple[float, ...]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades, bar.last_seq


@pytest.mark.parametrize("kill_after", [1, 3, 40, 83, 119])
async def test_a_killed_ingest_loses_no_print_and_doubles_none(broker: MemoryBroker, kill_after: int) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    first = await Running([venue], broker, tick_batch_ms=1).start()
    await first.settled("BTCUSDT")
    for trade in SESSION[:kill_after]:
        venue.deliver("BTCUSDT", trade)
        if trade.seq % 11 == 0:
            await asyncio.sleep(0)
        # Quotes come last on the subject, as they do at Binance: the newest message need not hold a print.
        venue.feed.quote("BTCUSDT", Quote(trade.ts_event, 99, 1, 101, 1, trade.seq), time.time_ns())
    await first.until(lambda: len(first.items()) > 0)
    await first.kill()
    venue.happen("BTCUSDT", *SESSION[kill_after:120])
    venue.history_open.clear()
    second = await Running([venue], broker).start()
    venue.feed.quote("BTCUSDT", Quote(venue.now, 99, 1, 101, 1, 10**6), time.time_ns())
    venue.history_open.set()
    await second.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *SESSION[120:])
    await second.until(lambda: sum(isinstance(item, Trade) for item in second.items()) >= len(SESSION))
    prints = [item for item in second.items() if isinstance(item, Trade)]
    assert prints == SESSION
    bars = {interval: second.bars(interval) for interval in ("1s", "5s")}
    for interval, seconds in (("1s", 1), ("5s", 5)):
        opens = [bar.open_time for bar in bars[interval]]
        assert opens == list(range(opens[0], opens[-1] + 1, seconds * SECOND))
        assert all(shape(bar) == by_definition(SESSION, seconds, bar.open_time) for bar in bars[interval])
        assert {bar.flags for bar in bars[interval]} <= {0, BarFlag.FILLED}
        assert any(bar.flags & BarFlag.FILLED for bar in bars[interval])
    assert bars["1s"][-1].open_time == T0 + 72 * SECOND
    await second.stop()


async def test_a_recording_played_again_is_another_time_line(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    first = await Running([venue], broker).start()
    await first.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *SESSION)
    await first.until(lambda: len(first.items()) == len(SESSION))
    await first.kill()
    again = FakeVenue(listed=("BTCUSDT",))
    second = await Running([again], broker).start()
    await second.settled("BTCUSDT")
    again.deliver("BTCUSDT", SESSION[0])
    await second.until(lambda: second.app.info()["venues"]["binance"]["BTCUSDT"]["last_seq"] == 1)
    assert second.app.info()["venues"]["binance"]["BTCUSDT"]["duplicates"] == 0
    await second.stop()


async def test_the_first_start_completes_its_bars_from_history(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    venue.happen("BTCUSDT", *SESSION[:50])  # up to 18.13 s
    venue.klines["BTCUSDT", 1] = [
        Bar(
            id=f"h{s}", ts_event=T0 + (s + 1) * SECOND, venue="binance", symbol="BTCUSDT", interval_s=1,
            open_time=T0 + s * SECOND, open=o, high=h, low=low, close=c, volume=v, trades=n, flags=int(BarFlag.HISTORY),
        )
        for s in range(18)
        for o, h, low, c, v, n, _ in [by_definition(SESSION, 1, T0 + s * SECOND)]
    ]  # fmt: skip
    ingest = await Running([venue], broker).start()
    await ingest.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *SESSION[50:])
    await ingest.until(lambda: ingest.bars("1m"))
    assert ingest.bars("1s")[0].open_time == T0 + 18 * SECOND
    assert ingest.bars("5s")[0].open_time == T0 + 15 * SECOND
    assert shape(ingest.bars("5s")[0]) == by_definition(SESSION, 5, T0 + 15 * SECOND)
    assert shape(ingest.bars("1m")[0]) == by_definition(SESSION, 60, T0)
    await ingest.stop()


async def test_prints_that_arrive_before_ingest_knows_where_it_stands_are_kept(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    venue.history_open.clear()
    ingest = await Running([venue], broker).start()
    venue.deliver("BTCUSDT", *SESSION[:20])
    venue.history_open.set()
    await ingest.until(lambda: len(ingest.items()) == 20)
    assert ingest.items() == SESSION[:20]
    await ingest.stop()


async def test_klines_that_are_bars_are_caught_up_after_a_restart(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    first = await Running([venue], broker).start()
    await first.settled("BTCUSDT")
    for n in range(3):
        venue.feed.kline(kline(60 * n), time.time_ns())
    await first.until(lambda: len(first.bars("1m")) == 3)
    await first.kill()
    venue.klines["BTCUSDT", 60] = [kline(60 * n) for n in range(6)]
    venue.now = T0 + 360 * SECOND
    second = await Running([venue], broker).start()
    await second.settled("BTCUSDT")
    venue.feed.kline(kline(360), time.time_ns())
    await second.until(lambda: len(second.bars("1m")) == 7)
    assert [(bar.open_time - T0) // SECOND for bar in second.bars("1m")] == [60 * n for n in range(7)]
    await second.stop()


async def test_a_bar_of_prints_in_progress_is_completed_after_a_restart(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    first = await Running([venue], broker, bar_intervals=["1s", "50t"]).start()
    await first.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *SESSION[:80])
    await first.until(lambda: len(first.items()) == 80)
    await first.kill()
    venue.happen("BTCUSDT", *SESSION[80:90])
    second = await Running([venue], broker, bar_intervals=["1s", "50t"]).start()
    await second.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *SESSION[90:160])
    await second.until(lambda: len(second.published("md.tickbar.50t.")) == 2)
    (bar, after) = second.published("md.tickbar.50t.")
    inside = [trade for trade in SESSION if 50 <= trade.seq < 100]
    assert (bar.first_seq, bar.last_seq, bar.trades, bar.flags) == (50, 99, 50, BarFlag.FILLED)
    assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
    assert bar.volume == sum(trade.size for trade in inside)
    assert (after.first_seq, after.last_seq, after.flags) == (100, 149, 0)
    await second.stop()


async def test_a_day_in_progress_is_completed_from_half_hours_and_seconds(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT",))
    day = T0 - T0 % (DAY_S * SECOND)
    start = T0 + (3600 + 700) * SECOND
    venue.klines["BTCUSDT", 1800] = [past(at, 1800) for at in range(day, start - 1800 * SECOND + 1, 1800 * SECOND)]
    venue.klines["BTCUSDT", 1] = [past(at, 1) for at in range(T0 + 3600 * SECOND, start, SECOND)]
    venue.now = start
    ingest = await Running([venue], broker, bar_intervals=["1s", "1h", "1d"]).start()
    await ingest.settled("BTCUSDT")
    end = day + DAY_S * SECOND
    prints = [Trade(at, 50.0, 1.0, 1, n + 1) for n, at in enumerate(range(start, end + SECOND, 10 * SECOND))]
    venue.deliver("BTCUSDT", *prints)
    await ingest.until(lambda: len(ingest.bars("1d")) == 1)
    (bar,) = ingest.bars("1d")
    whole_halves = (start - day) // (1800 * SECOND)
    assert (bar.open_time, bar.ts_event, bar.flags & BarFlag.GAP) == (day, end, 0)
    assert bar.trades == whole_halves + 700 + len(prints) - 1
    assert bar.high == 101
    questions = [asked[2:4] for asked in venue.asked if asked[0] == "bars"]
    assert questions == [(1800, whole_halves), (1, 700)]
    await ingest.stop()


def past(at: int, length_s: int) -> Bar:
    return Bar(
        id=f"h{at}", ts_event=at + length_s * SECOND, venue="binance", symbol="BTCUSDT", interval_s=length_s,
        open_time=at, open=100, high=101, low=99, close=100, volume=1.0, trades=1, flags=int(BarFlag.HISTORY),
    )  # fmt: skip
