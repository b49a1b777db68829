"""Bars and books made from recorded sessions equal what the venue itself published."""

from __future__ import annotations

import sys
from bisect import bisect_right
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bar_data import bars_of, recorded

from libs.core.bars import BarBuilder, ClockWatch, FeedCheck, OutlierWatch, TickBars, clock_words
from libs.core.bars.columns import Columns, join
from libs.core.types import MILLISECOND, SECOND, Bar, TickBar
from libs.venues.binance import codec
from libs.venues.binance.book import Applied, LocalBook

MINUTE = 60 * SECOND
FIRST = 1_723_161_300 * SECOND
"""2024-08-08 23:55 UTC: the first whole minute of the recordings."""


def trades_of(symbol: str) -> list[codec.TradeEvent]:
    return [codec.trade.decode(data) for _, stream, data in recorded(symbol) if stream.endswith("@trade")]


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_minutes_from_recorded_trades_equal_the_venues_klines_digit_for_digit(symbol: str) -> None:
    builder = BarBuilder("binance", symbol.upper(), (1, 60))
    builder.count_in(Decimal("0.00001"))
    built: list[Bar] = []
    for event in trades_of(symbol):
        built += builder.update(codec.trade_of(event.T, event.p, event.q, event.m, event.t))
    minutes = {bar.open_time: bar for bar in built if bar.interval_s == 60}
    klines = bars_of(f"{symbol.upper()}_1m_2024aug")
    for at in range(FIRST, FIRST + 5 * MINUTE, MINUTE):
        (row,) = np.flatnonzero(klines.open_time == at)
        bar = minutes[at]
        ours = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [repr(value) for value in ours] == [repr(float(column[row])) for column in klines[1:]]
        assert bar.flags == 0
        parts = [part for part in built if part.interval_s == 1 and at <= part.open_time < at + MINUTE]
        assert sum(Decimal(repr(part.volume)) for part in parts) == Decimal(repr(bar.volume))
        assert sum(Decimal(repr(part.buy_volume)) for part in parts) == Decimal(repr(bar.buy_volume))


def test_bars_of_a_hundred_recorded_trades_are_the_trades() -> None:
    events = trades_of("btcusdt")
    series = TickBars("binance", "BTCUSDT", 100, anchored=True)
    built: list[TickBar] = []
    for event in events:
        built += series.update(codec.trade_of(event.T, event.p, event.q, event.m, event.t))
    first = next(at for at, event in enumerate(events) if event.t % 100 == 0)
    assert len(built) == (len(events) - first) // 100
    for number, bar in enumerate(built):
        inside = events[first + 100 * number : first + 100 * (number + 1)]
        assert (bar.open, bar.close) == (inside[0].p, inside[-1].p)
        assert (bar.high, bar.low) == (max(e.p for e in inside), min(e.p for e in inside))
        assert Decimal(repr(bar.volume)) == sum(Decimal(repr(e.q)) for e in inside)
        assert (bar.first_seq, bar.last_seq, bar.trades) == (inside[0].t, inside[-1].t, 100)


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_the_book_equals_the_best_quote_wherever_both_are_told(symbol: str) -> None:
    """A best quote stands until the next one, so the one before update u is the best of the book after u."""
    quotes: dict[int, codec.BookTicker] = {}
    updates: list[codec.DepthUpdate] = []
    snapshot = None
    for _, stream, data in recorded(symbol):
        if stream.endswith("@bookTicker"):
            quote = codec.book_ticker.decode(data)
            quotes[quote.u] = quote
        elif "@depth" in stream:
            updates.append(codec.depth.decode(data))
        elif not stream:
            snapshot = codec.snapshot.decode(data)
    assert snapshot is not None
    book = LocalBook()
    ids = sorted(quotes)
    compared = exact = 0
    assert book.apply(updates[0]) is Applied.HELD
    assert book.seed(snapshot)
    for update in updates[1:]:
        if book.apply(update) is Applied.STALE or update.u < ids[0] or update.u > ids[-1]:
            continue
        newest = ids[bisect_right(ids, update.u) - 1]
        quote = quotes[newest]
        (bid,), (ask,) = book.top(1)
        assert (bid, ask) == ((quote.b, quote.B), (quote.a, quote.A)), f"after update {update.u}"
        compared += 1
        exact += newest == update.u
    assert compared > 3_400
    assert exact > 400


@pytest.mark.parametrize(("symbol", "kind"), [("btcusdt", "spot"), ("ethusdt", "spot"), ("btcusdt", "usdm")])
def test_the_recorders_clock_is_found_1_27_seconds_behind(symbol: str, kind: str) -> None:
    watch = ClockWatch()
    for at, stream, data in recorded(symbol, kind):
        if stream.endswith("@trade") or "@depth" in stream:
            watch.saw(codec.depth.decode(data).E * MILLISECOND if "depth" in stream else _stamp(data), at)
    assert watch.offset == pytest.approx(1.27 * SECOND, abs=0.01 * SECOND)
    assert clock_words(watch.offset) == f"this machine's clock is {watch.offset / SECOND:.3f} s behind the venue's"
    assert abs(watch.drift_ppm()) < 50


def _stamp(data: bytes) -> int:
    return codec.trade.decode(data).E * MILLISECOND


VENUE_PAIRS = [
    ("BTCUSDT_1m_2024aug", 60, "BTCUSDT_5m", 300, 8_640),
    ("BTCUSDT_5m", 300, "BTCUSDT_15m_2023", 900, 9_598),
    ("BTCUSDT_15m_2023", 900, "BTCUSDT_1h", 3600, 8_998),
    ("BTCUSDT_1m_2024aug", 60, "BTCUSDT_1h", 3600, 718),
    ("ETHUSDT_15m_2023", 900, "ETHUSDT_1h_2023", 3600, 6_836),
]


@pytest.mark.parametrize(("short", "short_s", "longer", "longer_s", "least"), VENUE_PAIRS)
def test_bars_built_from_shorter_ones_equal_the_venues_own(
    short: str, short_s: int, longer: str, longer_s: int, least: int
) -> None:
    ours, incomplete = join(bars_of(short), short_s, longer_s)
    theirs = bars_of(longer)
    _, here, there = np.intersect1d(ours.open_time, theirs.open_time, return_indices=True)
    whole = ~incomplete[here]
    here, there = here[whole], there[whole]
    assert len(here) >= least
    for name in Columns._fields:
        assert np.array_equal(getattr(ours, name)[here], getattr(theirs, name)[there]), name


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_of_the_recorded_prints_only_a_planted_one_is_an_outlier(symbol: str) -> None:
    watch, found, prints, beat = OutlierWatch(), [], 0, 0
    for received, stream, data in recorded(symbol):
        now = received + 1272 * MILLISECOND
        if stream.endswith("@trade"):
            event = codec.trade.decode(data)
            prints += 1
            price = event.p * (1.02 if prints == 5_000 else 1.0)
            watch.take(codec.trade_of(event.T, price, event.q, event.m, event.t))
        elif stream.endswith("@bookTicker"):
            watch.quoted(codec.quote_of(codec.book_ticker.decode(data), now))
        if now - beat > SECOND:
            found += watch.settle(now)
            beat = now
    assert prints > 6_000
    assert [failure.check for failure in found] == [FeedCheck.OUTLIER]
