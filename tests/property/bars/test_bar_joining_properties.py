"""Longer bars are the same however they are made, volumes are exact, and bars of prints miss and repeat nothing."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.bars import BarBuilder, TickBars
from libs.core.bars.audit import audit
from libs.core.bars.columns import Columns, join
from libs.core.bars.joining import join_bars
from libs.core.bars.sessions import CALENDARS, bar_span, calendar_named
from libs.core.types import DAY_S, SECOND, WEEK_S, Bar, BarFlag, Trade

START = 1_699_833_600 * SECOND  # Monday 2023-11-13 00:00 UTC
HALF_HOUR = 1800 * SECOND


@st.composite
def half_hours(draw: st.DrawFn) -> list[Bar]:
    """Half-hour bars of some days, with holes; volumes with five decimals."""
    bars = []
    for n in sorted(draw(st.sets(st.integers(0, 12 * 48), min_size=1, max_size=120))):
        low, high = sorted(draw(st.tuples(st.integers(50, 200), st.integers(50, 200))))
        bars.append(
            Bar(
                id="", ts_event=START + (n + 1) * HALF_HOUR, venue="v", symbol="S", interval_s=1800,
                open_time=START + n * HALF_HOUR, open=low / 2, high=high / 2, low=low / 2, close=high / 2,
                volume=draw(st.integers(0, 10**9)) / 10**5, trades=1,
            )
        )  # fmt: skip
    return bars


def columns_of(bars: list[Bar]) -> Columns:
    rest = (np.array([getattr(bar, name) for bar in bars]) for name in ("open", "high", "low", "close", "volume"))
    return Columns(np.array([bar.open_time for bar in bars], np.int64), *rest)


def row(bar: Bar) -> tuple[float, ...]:
    return bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume


@given(half_hours(), st.sampled_from([3600, 14_400, DAY_S, WEEK_S]), st.sampled_from(sorted(CALENDARS)))
def test_bars_joined_as_values_are_those_joined_as_columns(bars: list[Bar], longer_s: int, name: str) -> None:
    calendar = calendar_named(name)
    joined, incomplete = join(columns_of(bars), 1800, longer_s, calendar)
    table = {at: (at, *values) for at, *values in zip(*(column.tolist() for column in joined), strict=True)}
    assert sorted(table) == joined.open_time.tolist()
    values = join_bars(bars, longer_s, calendar)
    for bar in values:
        assert row(bar) == table[bar.open_time]
        assert bar.flags & BarFlag.HISTORY
        span = bar_span(calendar, longer_s, bar.open_time)
        assert (bar.open_time, bar.ts_event) == span
    whole = {at for at, part in zip(joined.open_time.tolist(), incomplete.tolist(), strict=True) if not part}
    assert whole <= {bar.open_time for bar in values if not bar.flags & BarFlag.GAP}
    assert set(table) - {bar.open_time for bar in values} <= {min(table), max(table)} if table else not values


@given(half_hours())
def test_joining_in_two_steps_is_joining_in_one(bars: list[Bar]) -> None:
    once = join(columns_of(bars), 1800, DAY_S).bars
    hours = join(columns_of(bars), 1800, 3600).bars
    for one, two in zip(once, join(hours, 3600, DAY_S).bars, strict=True):
        assert np.array_equal(one, two)


SIZES = st.tuples(st.integers(0, 10**12), st.sampled_from([0, 5, 8]))
"""Units and digits after the point: from 10^-8 to 10^12, each with fewer digits than a float has."""


@given(st.lists(SIZES, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_volumes_are_exact_in_any_order(sizes: list[tuple[int, int]], rng: Random) -> None:
    texts = [Decimal(units).scaleb(-digits) for units, digits in sizes]
    builder = BarBuilder("v", "S", (1, 60))
    builder.seed([], START)
    shuffled = [*texts]
    rng.shuffle(shuffled)
    for number, size in enumerate(shuffled, start=1):
        builder.update(Trade(START + number, 1.0, float(size), 1, number))
    bars = builder.update(Trade(START + 60 * SECOND, 1.0, 1.0, 1, 10**6))
    total = float(sum(texts))
    minute = next(bar for bar in bars if bar.interval_s == 60)
    assert bars[0].volume == minute.volume == minute.buy_volume == total


@given(st.lists(st.integers(1, 4), min_size=1, max_size=80), st.integers(2, 7), st.data())
def test_bars_of_prints_hold_every_print_once(steps: list[int], ticks: int, data: st.DataObject) -> None:
    """Numbers that go up by more than one lost prints; a start in the middle gives the same bars from then on."""
    seqs = np.cumsum(steps).tolist()
    trades = [Trade(START + seq, float(seq), 1.0, 1, seq) for seq in seqs]
    series = TickBars("v", "S", ticks, anchored=True)
    bars = [bar for trade in trades for bar in series.update(trade)]
    assert all(b.last_seq < a.first_seq for b, a in pairwise(bars))
    for bar in bars:
        inside = [seq for seq in seqs if bar.first_seq <= seq <= bar.last_seq]
        index = bar.first_seq // ticks
        assert inside == [seq for seq in seqs if seq // ticks == index]
        assert (bar.trades, bar.volume, bar.open, bar.close) == (len(inside), len(inside), inside[0], inside[-1])
        assert bool(bar.flags & BarFlag.GAP) == (len(inside) < ticks)
    start = data.draw(st.integers(0, len(trades) - 1))
    later = TickBars("v", "S", ticks, anchored=True)
    again = [bar for trade in trades[start:] for bar in later.update(trade)]
    assert [bar for bar in again if not bar.flags] == [
        bar for bar in bars if not bar.flags and bar.first_seq >= seqs[start]
    ]


@given(st.lists(st.integers(-(10**18), 10**18), max_size=40), st.sampled_from([1, 60, DAY_S, WEEK_S]))
def test_an_audit_takes_any_times(times: list[int], interval_s: int) -> None:
    flat = np.full(len(times), 10.0)
    report = audit(Columns(np.array(times, np.int64), flat, flat, flat, flat, flat), interval_s)
    assert 0.0 <= report.score <= 1.0
    assert report.rows == len(times)
    assert report.duplicates == len(times) - len(set(times))
    assert report.missing_bars == sum(hole.bars for hole in report.missing)


@pytest.mark.parametrize(("short_s", "longer_s"), [(60, 90), (7, 60), (3600, 60)])
def test_lengths_that_do_not_nest_are_refused(short_s: int, longer_s: int) -> None:
    flat = np.ones(1)
    with pytest.raises(ValueError, match="cannot be put together"):
        join(Columns(np.zeros(1, np.int64), flat, flat, flat, flat, flat), short_s, longer_s)


def test_times_that_do_not_rise_are_refused() -> None:
    flat = np.ones(2)
    with pytest.raises(ValueError, match="whose times rise"):
        join(Columns(np.zeros(2, np.int64), flat, flat, flat, flat, flat), 60, 3600)
