"""What must hold for the bars of any stream of prints."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from libs.core.bars import BarBuilder
from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Trade

START = 1_700_000_000 * SECOND
INTERVALS = (1, 5, 60)


@st.composite
def streams(draw: st.DrawFn, max_size: int = 60, max_step_ms: int = 9_000) -> list[Trade]:
    """Prints in order of time and sequence; sizes are sums of powers of two, so that any order of adding is exact."""
    steps = draw(st.lists(st.integers(0, max_step_ms), min_size=1, max_size=max_size))
    stamp, trades = START, []
    for number, step in enumerate(steps, start=1):
        stamp += step * MILLISECOND
        price = draw(st.integers(50, 200)) / 2
        size = draw(st.integers(0, 64)) / 16
        trades.append(Trade(stamp, price, size, draw(st.sampled_from([-1, 0, 1])), number))
    return trades


def built(trades: list[Trade], intervals: tuple[int, ...] = INTERVALS) -> list[Bar]:
    builder = BarBuilder("v", "S", intervals)
    return [bar for trade in trades for bar in builder.update(trade)]


def direct(trades: list[Trade], interval_s: int, first_open: int, last_open: int) -> list[tuple[float, ...]]:
    """The bars from `first_open` to `last_open` by definition, from the prints themselves."""
    rows, close = [], 0.0
    step = interval_s * SECOND
    for trade in trades:
        if trade.ts_event < first_open:
            close = trade.price
    for open_time in range(first_open, last_open + 1, step):
        inside = [t for t in trades if open_time <= t.ts_event < open_time + step]
        prices = [t.price for t in inside]
        carried = close
        close = prices[-1] if prices else close
        rows.append(
            (
                open_time,
                prices[0] if prices else carried,
                max(prices) if prices else carried,
                min(prices) if prices else carried,
                close,
                sum(t.size for t in inside),
                sum(t.size for t in inside if t.side > 0),
                len(inside),
                max((t.seq for t in inside), default=0),
            )
        )
    return rows


def row(bar: Bar) -> tuple[float, ...]:
    return (
        bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.trades, bar.last_seq,
    )  # fmt: skip


@given(streams())
def test_every_interval_equals_direct_aggregation_of_the_prints(trades: list[Trade]) -> None:
    bars = built(trades)
    for interval_s in INTERVALS:
        mine = [bar for bar in bars if bar.interval_s == interval_s]
        if mine:
            expected = direct(trades, interval_s, mine[0].open_time, mine[-1].open_time)
            assert [row(bar) for bar in mine] == expected


@given(streams())
def test_longer_bars_are_exactly_their_base_bars(trades: list[Trade]) -> None:
    bars = built(trades)
    base = {bar.open_time: bar for bar in bars if bar.interval_s == 1}
    for bar in bars:
        if bar.interval_s == 1:
            continue
        parts = [base[t] for t in range(bar.open_time, bar.ts_event, SECOND)]
        traded = [p for p in parts if p.trades] or parts[-1:]
        assert (bar.open, bar.close) == (traded[0].open, parts[-1].close)
        assert bar.high == max(p.high for p in traded)
        assert bar.low == min(p.low for p in traded)
        assert bar.volume == sum(p.volume for p in parts)
        assert bar.trades == sum(p.trades for p in parts)


@given(streams())
def test_bars_come_in_order_once_and_without_holes(trades: list[Trade]) -> None:
    bars = built(trades)
    assert len({bar.id for bar in bars}) == len(bars)
    ends = [(bar.ts_event, bar.interval_s) for bar in bars]
    assert ends == sorted(ends)
    for interval_s in INTERVALS:
        opens = [bar.open_time for bar in bars if bar.interval_s == interval_s]
        assert all(b - a == interval_s * SECOND for a, b in pairwise(opens))
        assert all(t % (interval_s * SECOND) == 0 for t in opens)


@given(streams(), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_repeating_prints_and_asking_the_clock_changes_no_bar(trades: list[Trade], repeats: list[int]) -> None:
    builder = BarBuilder("v", "S", INTERVALS)
    bars: list[Bar] = []
    sent = 0
    for number, trade in enumerate(trades):
        bars += builder.update(trade)
        bars += builder.close_due(trade.ts_event)
        again = trades[max(0, number - repeats[number % len(repeats)]) : number]
        for old in again:
            assert not builder.update(old)
        sent += len(again)
    assert bars == built(trades)
    assert builder.duplicates == sent


@given(streams(), st.integers(0, 8_000))
def test_a_timer_closes_what_an_event_would_have_closed(trades: list[Trade], ahead_ms: int) -> None:
    """The clock may run ahead until the next print, as long as it does not pass it by the timer."""
    builder = BarBuilder("v", "S", INTERVALS)
    bars: list[Bar] = []
    for trade, following in pairwise([*trades, trades[-1]]):
        bars += builder.update(trade)
        bars += builder.close_due(min(trade.ts_event + ahead_ms * MILLISECOND, following.ts_event))
    assert builder.late == 0
    assert [row(bar) for bar in bars] == [row(bar) for bar in built(trades)]


@given(streams(max_size=30, max_step_ms=400), st.data())
def test_merging_a_hole_equals_never_having_had_it(trades: list[Trade], data: st.DataObject) -> None:
    whole, holed = BarBuilder("v", "S", (1, 5)), BarBuilder("v", "S", (1, 5))
    held: list[Trade] = []
    got: list[Bar] = []
    wanted: list[Bar] = []
    for trade in trades:
        wanted += whole.update(trade)
        opens_new_bar = not holed.open_time or trade.ts_event >= holed.open_time + holed.base
        if opens_new_bar and held:
            holed.merge(held)
            held = []
        if not opens_new_bar and data.draw(st.booleans()):
            held.append(trade)
        else:
            got += holed.update(trade)
    assert got == wanted
    assert holed.late == 0


@given(streams(max_size=20, max_step_ms=5_000_000))
def test_silence_of_any_length_makes_few_bars(trades: list[Trade]) -> None:
    builder = BarBuilder("v", "S", INTERVALS, max_empty=20)
    for before, trade in pairwise([trades[0], *trades]):
        bars = builder.update(trade)
        assert len(bars) <= 2 * (20 + 2)
        slots = (trade.ts_event // SECOND) - (before.ts_event // SECOND)
        if slots > 21:
            assert builder.open_time == trade.ts_event - trade.ts_event % SECOND


@given(streams(max_size=40))
def test_flags_say_whether_a_bar_traded(trades: list[Trade]) -> None:
    for bar in built(trades):
        assert bool(bar.flags & BarFlag.EMPTY) == (bar.trades == 0)
        if bar.trades == 0:
            assert bar.open == bar.high == bar.low == bar.close
            assert bar.volume == 0
