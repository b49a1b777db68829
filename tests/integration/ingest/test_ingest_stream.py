"""Ingest on a venue made of lists: what comes in, and what goes out."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import pytest
from ingest_house import T0, FakeVenue, Running, at, instrument, kline

from libs.common.bus import BusError
from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.chassis import FatalError
from libs.core.types import (
    DAY_S,
    MILLISECOND,
    SECOND,
    WEEK_S,
    Bar,
    BarFlag,
    BookStats,
    FeedHealth,
    FeedState,
    HistoryRequest,
    Instrument,
    Quote,
    TickBar,
    Ticks,
    Trade,
    VenueClock,
    decode,
)


def second_by_second(first: int, last: int, seq: int = 0) -> list[Trade]:
    """One print a second, the first numbered `seq` + 1."""
    return [at(s + 0.5, seq + n, 100 + n) for n, s in enumerate(range(first, last), start=1)]


async def test_prints_become_ticks_and_bars_of_every_interval(ingest: Running, venue: FakeVenue) -> None:
    trades = second_by_second(0, 122)
    venue.deliver("BTCUSDT", *trades)
    await ingest.until(lambda: ingest.bars("1m"))
    await ingest.until(lambda: len(ingest.items()) == 122)
    assert ingest.items() == trades
    opens = [(bar.open_time - T0) // SECOND for bar in ingest.bars("1s")]
    assert opens == list(range(1, 121))  # the first second's beginning was not seen
    assert [(bar.open_time - T0) // SECOND for bar in ingest.bars("5s")] == list(range(5, 120, 5))
    (minute,) = ingest.bars("1m")
    assert (minute.open_time, minute.trades, minute.open, minute.close) == (T0 + 60 * SECOND, 60, 161, 220)


async def test_a_bar_follows_its_ticks_at_once_and_the_closing_print_comes_after(
    venue: FakeVenue, broker: MemoryBroker
) -> None:
    ingest = await Running([venue], broker, tick_batch_ms=1000).start()
    await ingest.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *second_by_second(0, 2))
    before = time.time_ns()
    venue.deliver("BTCUSDT", at(2.5, 3))
    await ingest.until(lambda: ingest.bars("1s"))
    market = [e for e in ingest.published("md.") if isinstance(e, Ticks | Bar)]
    assert [type(e).__name__ for e in market] == ["Ticks", "Bar"]
    assert [item.seq for item in market[0].items] == [1, 2]
    assert market[0].last_seq == 2
    assert market[1].ts_recv >= before
    assert market[1].ts_init >= market[1].ts_recv
    await ingest.stop()
    assert [item.seq for item in ingest.items()] == [1, 2, 3]


async def test_a_bar_begins_the_trace(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", *second_by_second(0, 4))
    await ingest.until(lambda: ingest.bars("1s"))
    received = await ingest.house.bus.last("md.bar.1s.binance.BTCUSDT")
    assert received is not None
    assert received.trace.split("-")[1] == received.event.id


async def test_repeated_prints_are_counted_and_not_published(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1), at(0.2, 2))
    for _ in range(3):
        venue.feed.trade("BTCUSDT", at(0.2, 2), time.time_ns())
    venue.deliver("BTCUSDT", at(0.3, 3))
    await ingest.until(lambda: len(ingest.items()) == 3)
    assert ingest.app.info()["venues"]["binance"]["BTCUSDT"]["duplicates"] == 3


async def test_a_hole_in_the_numbers_is_filled_in_order(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1), at(1.1, 2))
    venue.happen("BTCUSDT", at(1.2, 3, 90), at(1.3, 4, 110))
    venue.deliver("BTCUSDT", at(1.9, 5), at(3.1, 6))
    await ingest.until(lambda: len(ingest.items()) == 6)
    assert [item.seq for item in ingest.items()] == [1, 2, 3, 4, 5, 6]
    bar = ingest.bars("1s")[0]
    assert (bar.low, bar.high, bar.trades, bar.flags) == (90, 110, 4, BarFlag.FILLED)
    assert "gap_filled" in ingest.events()
    await ingest.until(lambda: "sequence" in ingest.events())


async def test_a_hole_that_history_cannot_fill_is_a_gap(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1), at(1.1, 2))
    venue.deliver("BTCUSDT", at(1.9, 5), at(2.1, 6))
    await ingest.until(lambda: "gap" in ingest.events())
    await ingest.until(lambda: ingest.bars("1s"))
    await ingest.until(lambda: [item.seq for item in ingest.items()] == [1, 2, 5, 6])
    assert ingest.bars("1s")[0].flags & BarFlag.GAP
    health: FeedHealth = ingest.published("md.health.binance.BTCUSDT")[-1]
    assert (health.gaps, health.score) == (1, 0.5)


async def test_an_outage_is_filled_from_history_and_its_bars_wait(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", *second_by_second(0, 3))
    venue.feed.status("*", "disconnect", "the cable")
    venue.happen("BTCUSDT", *second_by_second(3, 8, seq=3))
    venue.tell_clock(T0 + 8 * SECOND)
    await ingest.until(lambda: "disconnect" in ingest.events())
    assert ingest.app.not_ready() == ["binance BTCUSDT: not connected"]
    assert len(ingest.bars("1s")) == 1
    venue.feed.status("*", "reconnect", "after: the cable")
    venue.deliver("BTCUSDT", *second_by_second(8, 10, seq=8))
    await ingest.until(lambda: len(ingest.bars("1s")) == 8)
    await ingest.until(lambda: [item.seq for item in ingest.items()] == list(range(1, 11)))
    assert all(bar.trades == 1 for bar in ingest.bars("1s"))
    flags = {(bar.open_time - T0) // SECOND: bar.flags for bar in ingest.bars("1s")}
    assert flags == {1: 0, 2: 0, **dict.fromkeys(range(3, 8), BarFlag.FILLED), 8: 0}
    assert ingest.events().index("reconnect") < ingest.events().index("gap_filled")


async def test_prints_that_arrive_while_history_is_asked_wait_their_turn(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1))
    venue.history_open.clear()
    venue.happen("BTCUSDT", at(0.2, 2))
    venue.deliver("BTCUSDT", at(0.3, 3), at(1.1, 4))
    venue.tell_clock(T0 + 5 * SECOND)
    await ingest.until(lambda: len(ingest.published("md.health.binance.BTCUSDT")) >= 1)
    assert not ingest.bars("1s")
    venue.history_open.set()
    await ingest.until(lambda: [item.seq for item in ingest.items()] == [1, 2, 3, 4])


async def test_the_data_clock_closes_a_bar_after_the_timer(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.5, 1), at(1.5, 2))
    venue.tell_clock(T0 + 2250 * MILLISECOND)
    await ingest.until(lambda: len(ingest.bars("1s")) == 1)
    bar = ingest.bars("1s")[0]
    assert (bar.flags, bar.ts_recv, bar.trades) == (BarFlag.TIMER, 0, 1)
    venue.feed.trade("BTCUSDT", at(1.9, 3), time.time_ns())
    await ingest.until(lambda: len(ingest.items()) == 3)
    await ingest.until(lambda: "late" in ingest.events())
    assert [b.trades for b in ingest.bars("1s")] == [1]


@pytest.mark.parametrize("price", [0.0, -5.0, math.nan, math.inf, 1e9])
async def test_absurd_prints_are_put_aside_with_the_reason(ingest: Running, venue: FakeVenue, price: float) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1))
    venue.feed.trade("BTCUSDT", at(0.2, 2, price), time.time_ns())
    venue.deliver("BTCUSDT", at(0.3, 2))
    await ingest.until(lambda: len(ingest.items()) == 2)
    (letter,) = ingest.published("dlq.md.tick.binance.BTCUSDT")
    assert f"{price:g}" in letter.reason
    await ingest.until(lambda: "price" in ingest.events())


async def test_a_stamp_from_the_far_future_is_put_aside(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.1, 1))
    venue.tell_clock(T0 + SECOND)
    await ingest.until(lambda: ingest.published("md.clock.binance"))
    venue.feed.trade("BTCUSDT", at(10**6, 2), time.time_ns())
    await ingest.until(lambda: ingest.published("dlq."))
    assert "data clock" in ingest.published("dlq.")[0].reason


async def test_malformed_messages_are_counted_kept_and_bounded(ingest: Running, venue: FakeVenue) -> None:
    venue.feed.reject("BTCUSDT", b"{", "malformed: truncated")
    venue.feed.reject("", b"?", "stream of nobody")
    for _ in range(500):
        venue.feed.reject("BTCUSDT", b"{", "malformed: truncated")
    await ingest.until(lambda: ingest.events().count("rejected") == 1)
    letters = ingest.published("dlq.")
    assert 2 <= len(letters) <= 45
    assert {letter.subject for letter in letters} == {"md.tick.binance.BTCUSDT", "md.binance"}
    health = [h for h in ingest.published("md.health.binance.BTCUSDT") if h.rejected]
    assert health[-1].rejected == 501
    assert health[-1].score == 0.6


async def test_crossed_quotes_are_withheld_and_sound_ones_travel(ingest: Running, venue: FakeVenue) -> None:
    good = Quote(T0, 99.0, 1.0, 101.0, 2.0, 10)
    venue.feed.quote("BTCUSDT", Quote(T0, 102.0, 1.0, 101.0, 1.0, 9), time.time_ns())
    venue.feed.quote("BTCUSDT", good, time.time_ns())
    venue.feed.quote("BTCUSDT", good, time.time_ns())
    await ingest.until(lambda: ingest.items() == [good])
    assert "crossed" in ingest.published("dlq.")[0].reason


async def test_books_travel_each_tenth_of_a_second_and_with_the_bar(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.5, 1), at(1.5, 2))
    venue.feed.book("BTCUSDT", [(99.0, 5.0)] * 20, [(101.0, 5.0)] * 20, 1, 2, T0 + 100, time.time_ns())
    venue.feed.book("BTCUSDT", [(99.0, 7.0)] * 20, [(101.0, 5.0)] * 20, 3, 4, T0 + 200, time.time_ns())
    venue.deliver("BTCUSDT", at(2.5, 3))
    await ingest.until(lambda: ingest.bars("1s"))
    market = [
        type(e).__name__ for e in ingest.published("md.") if isinstance(e, (Ticks, BookStats)) or "Bar" in str(type(e))
    ]
    assert market[:3] == ["Ticks", "BookStats", "Bar"]
    (stats,) = ingest.published("md.book.")
    assert (stats.first_id, stats.last_id, stats.updates, stats.ofi, len(stats.bids)) == (1, 4, 2, 2.0, 10)
    venue.feed.book("BTCUSDT", [(99.0, 7.0)], [(101.0, 5.0)], 5, 6, T0 + 300, time.time_ns())
    await ingest.until(lambda: len(ingest.published("md.book.")) == 2)


async def test_the_clock_is_told_and_follows_only_stamps_in_a_replay(ingest: Running, venue: FakeVenue) -> None:
    venue.tell_clock(T0 + 7 * SECOND)
    await ingest.until(lambda: len(ingest.published("md.clock.binance")) >= 3)
    clocks: list[VenueClock] = ingest.published("md.clock.binance")
    assert {clock.extrapolate for clock in clocks} == {False}
    assert clocks[-1].ts_event == T0 + 7 * SECOND
    venue.deliver("BTCUSDT", at(9, 1))
    await ingest.until(lambda: ingest.published("md.clock.binance")[-1].ts_event == T0 + 9 * SECOND)


async def test_a_live_clock_runs_on_between_messages(ingest: Running, venue: FakeVenue) -> None:
    venue.feed.clock(T0, time.time_ns(), extrapolate=True, speed=1.0, state=FeedState.OPEN)
    seen = len(ingest.published("md.clock.binance"))
    await ingest.until(lambda: len(ingest.published("md.clock.binance")) >= seen + 3)
    stamps = [clock.ts_event for clock in ingest.published("md.clock.binance")[seen:]]
    assert all(b > a for a, b in pairwise(stamps))
    assert all(clock.extrapolate for clock in ingest.published("md.clock.binance")[seen:])


async def test_silence_in_both_clocks_is_stale_and_a_message_ends_it(venue: FakeVenue, broker: MemoryBroker) -> None:
    ingest = await Running([venue], broker, stale_after_s=0.2).start()
    venue.deliver("BTCUSDT", at(0.5, 1))
    await ingest.until(lambda: ingest.items())
    venue.tell_clock(T0 + 100 * SECOND)
    await ingest.until(lambda: "stale" in ingest.events())
    stale = next(h for h in ingest.published("md.health.binance.BTCUSDT") if h.event == "stale")
    assert (stale.score, stale.state) == (0.0, FeedState.DOWN)
    assert ingest.app.not_ready() == ["binance BTCUSDT: stale"]
    venue.deliver("BTCUSDT", at(100.5, 2))
    await ingest.until(lambda: "fresh" in ingest.events())
    await ingest.stop()


async def test_an_ended_recording_is_ready_and_idle(ingest: Running, venue: FakeVenue) -> None:
    assert ingest.app.not_ready() == ["binance BTCUSDT: no data yet"]
    venue.tell_clock(T0 + 10**6 * SECOND, FeedState.ENDED)
    assert ingest.app.not_ready() == []
    await ingest.until(lambda: any(h.state is FeedState.ENDED for h in ingest.published("md.health.")))
    assert "stale" not in ingest.events()


async def test_a_closed_market_is_ready_and_makes_no_bars(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.5, 1), at(1.5, 2))
    venue.feed.status("BTCUSDT", "closed", "hours")
    venue.tell_clock(T0 + 50 * SECOND)
    assert ingest.app.not_ready() == []
    await ingest.until(lambda: len(ingest.published("md.clock.binance")) > 3)
    assert ingest.bars("1s") == []


async def test_instruments_are_published_kept_and_served(ingest: Running, venue: FakeVenue) -> None:
    await ingest.until(lambda: ingest.published("md.instrument.binance.BTCUSDT"))
    stored = await ingest.house.bus.kv_get("instruments", "binance.BTCUSDT")
    assert stored is not None
    assert decode(stored) == instrument("binance", "BTCUSDT")
    ask = HistoryRequest(id="", ts_event=0, venue="binance", symbol="", interval_s=1, count=1)
    (answer,) = await ingest.house.bus.request("req.instruments.binance", ask, 1)
    assert isinstance(answer, Instrument)


async def test_history_is_asked_once_of_the_venue_however_many_want_it(ingest: Running, venue: FakeVenue) -> None:
    venue.klines["BTCUSDT", 60] = [kline(s) for s in (-180, -120, -60)]
    ask = HistoryRequest(id="", ts_event=0, venue="binance", symbol="BTCUSDT", interval_s=60, count=2)
    first = await ingest.house.bus.request("req.history.binance", ask, 1)
    again = await ingest.house.bus.request("req.history.binance", ask, 1)
    assert first == again == venue.klines["BTCUSDT", 60][-2:]
    assert venue.asked.count(("bars", "BTCUSDT", 60, 2, 0)) == 1
    venue.reachable = False
    other = HistoryRequest(id="", ts_event=0, venue="binance", symbol="BTCUSDT", interval_s=60, count=3)
    with pytest.raises(BusError, match="does not answer"):
        await ingest.house.bus.request("req.history.binance", other, 1)
    venue.reachable = True
    assert len(await ingest.house.bus.request("req.history.binance", other, 1)) == 3


async def test_klines_check_the_bars_of_a_symbol_with_prints_and_never_replace_them(
    ingest: Running, venue: FakeVenue
) -> None:
    venue.deliver("BTCUSDT", at(0.5, 1), at(1.5, 2, 100, 5), at(2.5, 3))
    await ingest.until(lambda: ingest.bars("1s"))
    venue.feed.kline(kline(1, 1), time.time_ns())
    await ingest.until(lambda: "kline_mismatch" in ingest.events())
    assert len(ingest.bars("1s")) == 1
    assert not ingest.bars("1s")[0].flags & BarFlag.VENUE


async def test_klines_are_the_bars_of_a_symbol_without_prints(ingest: Running, venue: FakeVenue) -> None:
    venue.feed.kline(kline(0), time.time_ns())
    assert not ingest.bars("1m")
    for n in range(1, 4):
        venue.feed.kline(kline(60 * n), time.time_ns())
    venue.feed.kline(kline(120), time.time_ns())
    await ingest.until(lambda: len(ingest.bars("1m")) == 4)
    assert [bar.open_time for bar in ingest.bars("1m")] == [T0 + 60 * n * SECOND for n in range(4)]
    assert all(bar.flags & BarFlag.VENUE for bar in ingest.bars("1m"))
    assert ingest.app.not_ready() == []


async def test_missing_klines_come_from_history_and_else_leave_a_gap(ingest: Running, venue: FakeVenue) -> None:
    for n in range(2):
        venue.feed.kline(kline(60 * n), time.time_ns())
    venue.klines["BTCUSDT", 60] = [kline(120), kline(180)]
    venue.now = T0 + 360 * SECOND
    venue.feed.kline(kline(300), time.time_ns())
    await ingest.until(lambda: len(ingest.bars("1m")) == 5)
    assert [(b.open_time - T0) // SECOND for b in ingest.bars("1m")] == [0, 60, 120, 180, 300]
    assert [bool(b.flags & BarFlag.GAP) for b in ingest.bars("1m")] == [False] * 4 + [True]


async def test_messages_of_symbols_nobody_asked_for_stop_nothing(ingest: Running, venue: FakeVenue) -> None:
    venue.feed.trade("XRPUSDT", at(0, 1), time.time_ns())
    venue.feed.quote("XRPUSDT", Quote(T0, 1, 1, 2, 1, 1), time.time_ns())
    venue.feed.book("XRPUSDT", [(1.0, 1.0)], [(2.0, 1.0)], 1, 1, T0, time.time_ns())
    venue.feed.kline(kline(0, symbol="XRPUSDT"), time.time_ns())
    venue.feed.status("XRPUSDT", "hole", "")
    venue.deliver("BTCUSDT", at(0.5, 1))
    await ingest.until(lambda: len(ingest.items()) == 1)
    assert len(ingest.published("dlq.md.binance")) == 4


async def test_an_unknown_symbol_ends_the_start_with_one_line(broker: MemoryBroker) -> None:
    venue = FakeVenue(listed=("BTCUSDT", "NOPE"))
    venue.listed.remove("NOPE")
    running = Running([venue], broker)
    running.house.settings = running.house.settings.model_copy(
        update={"data": _with_symbols(running.house.settings.data, "NOPE")}
    )
    with pytest.raises(FatalError, match=r"^binance: binance does not know NOPE; check data\.venues\.symbols$"):
        await running.app.start()
    await running.kill()


def _with_symbols(data, *symbols):  # type: ignore[no-untyped-def]
    row = data.venues[0].symbols[0]
    venue = data.venues[0].model_copy(update={"symbols": tuple(row.model_copy(update={"symbol": s}) for s in symbols)})
    return data.model_copy(update={"venues": (venue,)})


async def test_a_venue_that_never_answers_ends_the_start_with_one_line(venue: FakeVenue, broker: MemoryBroker) -> None:
    venue.reachable = False
    running = Running([venue], broker, ready_timeout_s=0.1)
    with pytest.raises(FatalError, match=r"no answer for 0\.1 s"):
        await running.app.start()
    await running.kill()


async def test_a_pause_closes_the_stream_and_a_resume_fills_what_was_missed(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", at(0.5, 1))
    await ingest.until(lambda: ingest.items())
    ingest.app._set_paused(True)
    await ingest.until(lambda: venue.sink is None)
    venue.happen("BTCUSDT", at(1.5, 2), at(2.5, 3))
    ingest.app._set_paused(False)
    await ingest.until(lambda: venue.sink is not None)
    await ingest.until(lambda: [item.seq for item in ingest.items()] == [1, 2, 3])


async def test_two_venues_do_not_mix(broker: MemoryBroker) -> None:
    binance, deriv = FakeVenue(listed=("BTCUSDT",)), FakeVenue("deriv", ("R_100",))
    ingest = await Running([binance, deriv], broker).start()
    await ingest.settled("BTCUSDT", "R_100")
    binance.deliver("BTCUSDT", at(0.5, 1))
    deriv.deliver("R_100", Trade(T0 + 2 * SECOND, 1.0, 0.0, 0, (T0 + 2 * SECOND) // SECOND))
    await ingest.until(lambda: ingest.items() and ingest.items("R_100", "deriv"))
    assert isinstance(ingest.house.bus, MemoryBus)
    assert (await ingest.house.bus.last("md.tick.deriv.R_100")).event.last_seq == T0 // SECOND + 2  # type: ignore[union-attr]
    await ingest.stop()


def quoted(seconds: float, bid: float, ask: float, seq: int) -> Quote:
    return Quote(T0 + int(seconds * 1000) * MILLISECOND, bid, 1.0, ask, 1.0, seq)


async def settled_market(ingest: Running, venue: FakeVenue, prints: int = 240) -> None:
    """So many prints around 100, ten a second, until second `prints` / 10; a beat has measured them."""
    venue.deliver("BTCUSDT", *(at(n / 10, n + 1, 100 + 0.01 * (n % 7)) for n in range(prints)))
    venue.feed.quote("BTCUSDT", quoted(prints / 10, 99.9, 100.1, 1), time.time_ns())
    await ingest.until(lambda: len(ingest.items()) >= prints)
    beats = len(ingest.published("md.health.binance.BTCUSDT"))
    await ingest.until(lambda: len(ingest.published("md.health.binance.BTCUSDT")) > beats)


async def test_a_print_that_no_quote_confirms_is_told_and_still_travels(ingest: Running, venue: FakeVenue) -> None:
    await settled_market(ingest, venue)
    venue.deliver("BTCUSDT", at(24.1, 241, 105.0))
    venue.tell_clock(T0 + 30 * SECOND)
    await ingest.until(lambda: "outlier" in ingest.events())
    health: FeedHealth = ingest.published("md.health.binance.BTCUSDT")[-1]
    assert health.failing == ("outlier",)
    assert health.score == 0.94
    assert [item.price for item in ingest.items() if isinstance(item, Trade)][-1] == 105.0


async def test_a_print_that_the_quote_confirms_is_no_outlier(ingest: Running, venue: FakeVenue) -> None:
    await settled_market(ingest, venue)
    venue.deliver("BTCUSDT", at(24.1, 241, 105.0))
    venue.feed.quote("BTCUSDT", quoted(24.2, 104.9, 105.1, 2), time.time_ns())
    venue.tell_clock(T0 + 30 * SECOND)
    seen = len(ingest.published("md.health.binance.BTCUSDT"))
    await ingest.until(lambda: len(ingest.published("md.health.binance.BTCUSDT")) > seen + 1)
    assert "outlier" not in ingest.events()


async def test_a_locked_market_is_told(ingest: Running, venue: FakeVenue) -> None:
    await settled_market(ingest, venue, 3)
    venue.feed.quote("BTCUSDT", quoted(1, 100.0, 100.0, 5), time.time_ns())
    venue.feed.book("BTCUSDT", [(100.0, 1.0)], [(100.0, 1.0)], 1, 2, T0 + SECOND, time.time_ns())
    await ingest.until(lambda: "locked" in ingest.events())
    told = next(h for h in ingest.published("md.health.binance.BTCUSDT") if h.event == "locked")
    assert told.detail.startswith("2 within a second")
    assert told.score == 0.996


async def test_a_silence_longer_than_bars_are_written_out_for_is_a_missing_interval(
    ingest: Running, venue: FakeVenue
) -> None:
    venue.deliver("BTCUSDT", *second_by_second(0, 3), *second_by_second(1000, 1003, seq=3))
    await ingest.until(lambda: "missing_interval" in ingest.events())
    told = next(h for h in ingest.published("md.health.binance.BTCUSDT") if h.event == "missing_interval")
    assert (told.gaps, told.score) == (1, 0.5)
    assert "up to 997 before it did not come" in told.detail


async def test_a_bar_that_opens_elsewhere_is_told(ingest: Running, venue: FakeVenue) -> None:
    venue.deliver("BTCUSDT", *(at(n + 0.5, n + 1, 100 + 0.01 * (n % 3)) for n in range(40)))
    venue.deliver("BTCUSDT", *(at(n + 0.5, n + 1, 104.0) for n in range(40, 43)))
    await ingest.until(lambda: "continuity" in ingest.events())
    assert ingest.events().count("continuity") == 1


async def test_a_machine_clock_behind_the_venues_is_named_and_its_end_too(ingest: Running, venue: FakeVenue) -> None:
    def tell(offset_s: float) -> None:
        now = time.time_ns()
        for ago in range(12, -1, -1):
            then = now - ago * SECOND
            venue.feed.clock(then + int(offset_s * SECOND), then, extrapolate=True, speed=1.0, state=FeedState.OPEN)

    async def told(event: str, offset_s: float) -> FeedHealth:
        found: list[FeedHealth] = []
        while not found:
            tell(offset_s)
            await ingest.until(lambda: bool(ingest.published("md.clock.binance")))
            seen = len(ingest.published("md.clock.binance"))
            await ingest.until(lambda seen=seen: len(ingest.published("md.clock.binance")) > seen)
            found = [h for h in ingest.published("md.health.binance.BTCUSDT") if h.event == event]
        return found[0]

    behind = await told("clock_offset", 1.27)
    assert behind.clock_offset_ms == pytest.approx(1270, abs=5)
    assert behind.detail == "this machine's clock is 1.270 s behind the venue's"
    assert behind.failing == ("clock_offset",)
    venue.tell_clock(T0)  # a replay: time runs otherwise, and an offset means nothing
    await ingest.until(lambda: "clock_offset_over" in ingest.events())


async def test_two_venues_that_disagree_on_a_symbol_are_both_told_so(broker: MemoryBroker) -> None:
    one, two = FakeVenue(listed=("BTCUSDT",)), FakeVenue("ccxt:kraken", ("BTCUSDT",))
    ingest = await Running([one, two], broker, quality={"reconcile_s": 0.1}).start()
    await ingest.settled("BTCUSDT")
    seq = 0
    while not all("reconcile" in ingest.events(venue=name) for name in ("binance", "ccxt%3Akraken")):
        seq += 1
        one.deliver("BTCUSDT", at(seq * 0.2, seq, 100.0))
        two.deliver("BTCUSDT", at(seq * 0.2, seq, 101.0))
        assert seq < 20
        heard = len(ingest.published("md.health."))
        await ingest.until(lambda heard=heard: len(ingest.published("md.health.")) >= heard + 2)
    told = next(h for h in ingest.published("md.health.binance.") if h.event == "reconcile")
    assert told.detail == "ccxt:kraken says a price 100 bp away"
    assert told.score == 0.65
    await ingest.stop()


async def test_weights_are_those_of_the_configuration(venue: FakeVenue, broker: MemoryBroker) -> None:
    quality = {"weights": {"gap": 0.2, "sequence": 0}}
    ingest = await Running([venue], broker, quality=quality).start()
    await ingest.settled("BTCUSDT")
    venue.deliver("BTCUSDT", at(0.1, 1), at(1.9, 5))
    await ingest.until(lambda: "gap" in ingest.events())
    assert next(h for h in ingest.published("md.health.") if h.event == "gap").score == 0.8
    await ingest.stop()


async def test_bars_of_prints_travel_after_their_ticks(venue: FakeVenue, broker: MemoryBroker) -> None:
    ingest = await Running([venue], broker, bar_intervals=["1s", "3t"], tick_batch_ms=1000).start()
    await ingest.settled("BTCUSDT")
    venue.deliver("BTCUSDT", *(at(n / 10, n, 100 + n, 0.1) for n in range(1, 9)))
    await ingest.until(lambda: len(ingest.published("md.tickbar.3t.binance.BTCUSDT")) == 2)
    bars: list[TickBar] = ingest.published("md.tickbar.3t.binance.BTCUSDT")
    assert [(b.first_seq, b.last_seq, b.open, b.close, b.volume) for b in bars] == [
        (3, 5, 103, 105, 0.3),
        (6, 8, 106, 108, 0.3),
    ]
    order = [type(e).__name__ for e in ingest.published("md.t")]
    assert order == ["Ticks", "TickBar", "Ticks", "TickBar"]
    await ingest.stop()


async def test_weeks_of_history_are_made_of_the_venues_days(ingest: Running, venue: FakeVenue) -> None:
    day = T0 - T0 % (DAY_S * SECOND) - 1 * DAY_S * SECOND  # a Monday
    venue.klines["BTCUSDT", DAY_S] = [
        kline(-T0 // SECOND + day // SECOND + n * DAY_S, DAY_S, 100 + n, 0.1) for n in range(-10, 7)
    ]
    venue.now = day + 7 * DAY_S * SECOND
    ask = HistoryRequest(id="", ts_event=0, venue="binance", symbol="BTCUSDT", interval_s=WEEK_S, count=2)
    weeks = await ingest.house.bus.request("req.history.binance", ask, 1)
    assert [(bar.open_time - day, bar.interval_s, bar.open, bar.close, bar.volume) for bar in weeks] == [
        (-7 * DAY_S * SECOND, WEEK_S, 93, 99, 0.7),
        (0, WEEK_S, 100, 106, 0.7),
    ]
