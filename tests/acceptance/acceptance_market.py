"""Cases of market data, history and instruments."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from typing import Any

import pytest
from acceptance_world import House, Part, Tape, eventually, needs, streaming

from libs.core.types import SECOND, Bar, BarFlag
from libs.venues.base import MarketData, VenueRefused, VenueUnavailable


def exact(value: float) -> Decimal:
    """The decimal that a price's shortest text says."""
    return Decimal(repr(value))


async def gather(house: House, count: int, *, within_s: float = 90.0, symbols: int = 1) -> tuple[MarketData, Tape]:
    """Market data until each symbol has `count` prints."""
    adapter, tape = house.market_data(), Tape()
    wanted = [house.symbol, house.other][:symbols]
    async with streaming(adapter, wanted, tape):
        await eventually(
            lambda: all(len(tape.trades.get(symbol, [])) >= count for symbol in wanted), f"{count} prints", within_s
        )
    return adapter, tape


def steps(seqs: list[int]) -> set[int]:
    return {later - sooner for sooner, later in itertools.pairwise(seqs)}


class MarketCases:
    """M: what streams."""

    @needs(Part.SIMULATOR)
    async def test_m01_every_print_once(self, house: House) -> None:
        """Every print arrives once, in order, with the price and sequence that the venue recorded"""
        _, tape = await gather(house, 20, symbols=2)
        for symbol in (house.symbol, house.other):
            truth = house.truth_prints(symbol)
            told = [(trade.seq, exact(trade.price), trade.ts_event) for trade in tape.trades[symbol]]
            first, last = told[0][0], told[-1][0]
            expected = [(seq, *truth[seq]) for seq in sorted(truth) if first <= seq <= last]
            assert told == expected
        assert tape.rejects == []

    @needs(Part.QUOTES)
    async def test_m02_quotes_stand_the_right_way_round(self, house: House) -> None:
        """Best bid and ask are told, and the bid is never above the ask"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: len(tape.quotes.get(house.symbol, [])) >= 10, "ten quotes")
        for quote in tape.quotes[house.symbol]:
            assert 0 < quote.bid <= quote.ask

    @needs(Part.BOOK, Part.SIMULATOR)
    async def test_m03_the_book_is_the_venues_at_every_event(self, house: House) -> None:
        """The order book equals the venue's after every update, level by level"""
        truth = house.follow_books()
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: len(tape.books.get(house.symbol, [])) >= 60, "sixty books")
        assert_books(tape, truth, house.symbol)

    @needs(Part.KLINES, Part.SIMULATOR)
    async def test_m04_closed_bars_once(self, house: House) -> None:
        """The venue's own bars arrive once each, closed, as they were recorded"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: len(tape.klines) >= 2, "two closed bars", 240.0)
        truth = {line["open_time"]: line for line in house.record("bar") if line["symbol"] == house.symbol}
        opens = [bar.open_time for bar in tape.klines]
        assert steps(opens) == {60 * SECOND}
        for bar in tape.klines:
            line = truth[bar.open_time]
            assert [exact(v) for v in (bar.open, bar.high, bar.low, bar.close)] == [Decimal(line[k]) for k in "ohlc"]
            assert bar.flags & BarFlag.VENUE

    @needs(Part.SIMULATOR)
    async def test_m05_a_cut_leaves_no_hole(self, house: House) -> None:
        """After a cut the feed comes back by itself, says so, and history fills what was missed: no hole, no double"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: len(tape.seqs(house.symbol)) >= 5, "prints")
            house.plan({"fault": "close", "match": "data", "count": 1})
            await eventually(lambda: "reconnect" in tape.events(), "a reconnect is told", 120.0)
            house.heal()
            back = len(tape.seqs(house.symbol))
            await eventually(lambda: len(tape.seqs(house.symbol)) >= back + 3, "prints again", 120.0)
            live = {trade.seq: trade.price for trade in list(tape.trades[house.symbol])}
        await assert_joined(house, adapter, live)

    @needs(Part.SIMULATOR)
    async def test_m06_a_stall_is_noticed(self, house: House) -> None:
        """A connection that stays open and silent is noticed and replaced"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: tape.seqs(house.symbol), "prints")
            house.plan({"fault": "stall", "match": "data", "count": 1})
            await eventually(lambda: "reconnect" in tape.events(), "the stalled connection is replaced", 300.0)
            back = len(tape.seqs(house.symbol))
            await eventually(lambda: len(tape.seqs(house.symbol)) >= back + 3, "prints again", 120.0)

    @needs(Part.BOOK, Part.SIMULATOR)
    async def test_m07_a_hole_in_the_book_is_repaired(self, house: House) -> None:
        """Book updates lost on the way are noticed by their ids, and the book is rebuilt and right again"""
        truth = house.follow_books()
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: len(tape.books.get(house.symbol, [])) >= 10, "books")
            house.plan({"fault": "drop", "match": "data", "contains": "depthUpdate", "nth": [2, 9]})
            await eventually(lambda: "resync" in tape.events(), "the hole is told", 120.0)
            house.heal()
            back = len(tape.books[house.symbol])
            await eventually(lambda: len(tape.books[house.symbol]) >= back + 20, "books again", 120.0)
        assert_books(tape, truth, house.symbol)

    async def test_m08_the_clock_is_the_venues(self, house: House) -> None:
        """The venue's clock is told soon and close to what its time call says"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: tape.clocks, "the clock")
        ts_event, recv_ns, _ = tape.clocks[-1]
        now = await adapter.server_time()
        assert abs((ts_event - recv_ns) - (now - house.now())) < 2 * SECOND

    @needs(Part.SIMULATOR)
    async def test_m09_maintenance_ends(self, house: House) -> None:
        """A maintenance window is survived: told while it lasts, and the feed comes back after it"""
        adapter, tape = house.market_data(), Tape()
        async with streaming(adapter, [house.symbol], tape):
            await eventually(lambda: tape.seqs(house.symbol), "prints")
            house.plan({"fault": "maintenance", "lasts_s": 8})
            await eventually(lambda: {"disconnect", "unreachable"} & set(tape.events()), "the outage is told", 60.0)
            await eventually(lambda: "reconnect" in tape.events(), "the feed is back", 240.0)
            back = len(tape.seqs(house.symbol))
            await eventually(lambda: len(tape.seqs(house.symbol)) >= back + 3, "prints again", 120.0)
            live = {trade.seq: trade.price for trade in list(tape.trades[house.symbol])}
        await assert_joined(house, adapter, live)


class HistoryCases:
    """H: what was."""

    @needs(Part.SIMULATOR)
    async def test_h01_prints_as_recorded(self, house: House) -> None:
        """Prints asked for afterwards are the recorded ones, all of them, oldest first"""
        adapter, tape = await gather(house, 12)
        live = tape.trades[house.symbol]
        past = await adapter.history_trades(house.symbol, live[0].seq, live[-1].ts_event)
        truth = house.truth_prints(house.symbol)
        told = {trade.seq: (exact(trade.price), trade.ts_event) for trade in past}
        assert [trade.seq for trade in past] == sorted(told)
        for seq, value in told.items():
            assert value == truth.get(seq, value)
        assert {trade.seq for trade in live[1:] if trade.ts_event < live[-1].ts_event} <= set(told)

    async def test_h02_history_joins_the_stream(self, house: House) -> None:
        """History after the first live print continues into the stream without a seam"""
        adapter, tape = await gather(house, 8)
        live = tape.trades[house.symbol]
        past = await adapter.history_trades(house.symbol, live[0].seq, live[-1].ts_event)
        by_seq = {trade.seq: trade for trade in past}
        for trade in live[1:]:
            if trade.ts_event < live[-1].ts_event:
                assert by_seq[trade.seq] == trade

    async def test_h03_bars_are_whole(self, house: House) -> None:
        """The newest closed bars come in the number asked for, without a gap, and none that is still open"""
        adapter = house.market_data()
        now = await adapter.server_time()
        bars = await adapter.history_bars(house.symbol, house.bar_s, 50)
        assert len(bars) == 50
        assert steps([bar.open_time for bar in bars]) == {house.bar_s * SECOND}
        assert bars[-1].open_time + house.bar_s * SECOND <= now + 2 * SECOND
        assert all(bar.flags & BarFlag.HISTORY for bar in bars)
        for bar in bars:
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high

    async def test_h04_the_same_bars_whenever_asked(self, house: House) -> None:
        """Bars up to a moment are the same however many are asked for"""
        adapter = house.market_data()
        end = await adapter.server_time() // (60 * SECOND) * 60 * SECOND - 60 * SECOND
        few = await adapter.history_bars(house.symbol, house.bar_s, 10, end)
        many = await adapter.history_bars(house.symbol, house.bar_s, 40, end)
        assert [shape(bar) for bar in many[-10:]] == [shape(bar) for bar in few]
        assert many[-1].open_time + house.bar_s * SECOND <= end

    async def test_h05_an_unknown_symbol_is_refused(self, house: House) -> None:
        """History of a symbol that the venue does not list is refused by name"""
        with pytest.raises(VenueRefused):
            await house.market_data().history_bars(house.unknown, 60, 10)

    @needs(Part.SIMULATOR)
    async def test_h06_a_lost_answer_is_said_and_over(self, house: House) -> None:
        """History without an answer ends as unavailable within a minute or is asked again; the next question works"""
        adapter = house.market_data()
        house.plan({"fault": "lost", "match": list(house.histories), "nth": 1})
        try:
            async with asyncio.timeout(60.0):
                first = await adapter.history_bars(house.symbol, house.bar_s, 5)
        except VenueUnavailable:
            first = []
        house.heal()
        assert len(await adapter.history_bars(house.symbol, house.bar_s, 5)) == 5
        assert len(first) in (0, 5)


class InstrumentCases:
    """I: what can be traded."""

    @needs(Part.SIMULATOR)
    async def test_i01_steps_are_exact(self, house: House) -> None:
        """Steps and limits of an instrument are the venue's own, as exact decimals"""
        instrument = await house.instrument()
        assert {name: getattr(instrument, name) for name in house.listed()} == house.listed()

    async def test_i02_prices_stand_on_the_grid(self, house: House) -> None:
        """Every print is a multiple of the price step"""
        instrument = await house.instrument()
        _, tape = await gather(house, 5)
        for trade in tape.trades[house.symbol]:
            assert exact(trade.price) % instrument.price_step == 0

    async def test_i03_an_unknown_symbol_is_named(self, house: House) -> None:
        """A symbol that the venue does not list is refused by name"""
        with pytest.raises(VenueRefused, match=house.unknown):
            await house.market_data().instruments([house.unknown])

    async def test_i04_several_at_once(self, house: House) -> None:
        """Several symbols come in the order asked for"""
        found = await house.market_data().instruments([house.other, house.symbol])
        assert [row.symbol for row in found] == [house.other, house.symbol]


def shape(bar: Bar) -> tuple[Any, ...]:
    return bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume


def assert_books(tape: Tape, truth: dict[int, tuple[list[Any], list[Any]]], symbol: str) -> None:
    """Every book told stands in the truth under its update id, as deep as both go."""
    compared = 0
    for bids, asks, _, last_id in tape.books[symbol]:
        if last_id not in truth:
            continue
        compared += 1
        for told, true in zip((bids, asks), truth[last_id], strict=True):
            depth = min(len(told), len(true))
            assert depth > 0
            assert [(exact(p), exact(q)) for p, q in told[:depth]] == true[:depth]
    assert compared >= 0.8 * len(tape.books[symbol])
    ids = [last_id for *_, last_id in tape.books[symbol]]
    assert ids == sorted(ids)


async def assert_joined(house: House, adapter: MarketData, live: dict[int, float]) -> None:
    """What was heard and what history adds are the record, whole."""
    first, last = min(live), max(live)
    past = await adapter.history_trades(house.symbol, first - 1)
    whole = {trade.seq: exact(trade.price) for trade in past if trade.seq <= last}
    for seq, price in live.items():
        assert whole.setdefault(seq, exact(price)) == exact(price)
    truth = house.truth_prints(house.symbol)
    assert {seq: price for seq, (price, _) in truth.items() if first <= seq <= last}.items() <= whole.items()
    assert len(steps(sorted(whole))) == 1
