"""Bars: what closes them, what they carry, what they refuse."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.core.bars import BarBuilder, TickBars
from libs.core.bars.sessions import calendar_named
from libs.core.types import DAY_S, MILLISECOND, SECOND, WEEK_S, Bar, BarFlag, TickBar, Trade, stable_id

T0 = 1_700_000_000 * SECOND  # a multiple of 5 s, not of a minute


def at(seconds: float, price: float = 100.0, size: float = 1.0, side: int = 1, seq: int = 0) -> Trade:
    return Trade(T0 + int(seconds * 1000) * MILLISECOND, price, size, side, seq)


def complete(intervals: tuple[int, ...] = (1,), **more: int) -> BarBuilder:
    """A builder that has seen everything from T0."""
    builder = BarBuilder("binance", "BTCUSDT", intervals, **more)
    builder.seed([], T0)
    return builder


def test_a_bar_closes_with_the_first_print_at_its_end() -> None:
    builder = complete()
    for trade in (at(0, 10, 2, 1, 1), at(0.4, 12, 1, -1, 2), at(0.9, 9, 4, 1, 3)):
        assert not builder.update(trade)
    (bar,) = builder.update(at(1.0, 11, 1, 1, 4), recv_ns=77)
    assert (bar.open, bar.high, bar.low, bar.close) == (10, 12, 9, 9)
    assert (bar.volume, bar.buy_volume, bar.trades, bar.last_seq) == (7, 6, 3, 3)
    assert (bar.open_time, bar.ts_event, bar.ts_recv, bar.flags) == (T0, T0 + SECOND, 77, 0)
    assert bar.id == stable_id("bar", "binance", "BTCUSDT", 1, T0)


def test_a_bar_closes_when_the_clock_passed_its_end_by_the_timer() -> None:
    builder = complete()
    builder.update(at(0.1))
    assert not builder.close_due(T0 + 1249 * MILLISECOND)
    (bar,) = builder.close_due(T0 + 1250 * MILLISECOND)
    assert bar.flags == BarFlag.TIMER
    assert bar.ts_recv == 0
    assert not builder.close_due(T0 + 1250 * MILLISECOND)


def test_a_print_for_a_closed_bar_is_late_and_changes_nothing() -> None:
    builder = complete()
    builder.update(at(0.1, 10, seq=1))
    builder.close_due(T0 + 1300 * MILLISECOND)
    assert not builder.update(at(0.9, 99, seq=2))
    assert builder.late == 1
    (bar,) = builder.update(at(2.0, 11, seq=3))
    assert bar.high == 10


def test_an_interval_without_prints_is_flat_and_empty() -> None:
    builder = complete()
    builder.update(at(0.5, 10))
    _, empty, also = builder.update(at(3.0, 20))
    assert [(b.open, b.close, b.volume, b.flags) for b in (empty, also)] == [(10, 10, 0, BarFlag.EMPTY)] * 2


def test_known_loss_is_a_gap_in_every_bar_it_touches_and_not_an_empty_one() -> None:
    builder = complete((1, 5))
    builder.update(at(0.5, 10))
    builder.mark_missing(T0 + 1500 * MILLISECOND, T0 + 2500 * MILLISECOND)
    bars = builder.update(at(5.0, 12))
    flags = {(b.interval_s, (b.open_time - T0) // SECOND): b.flags for b in bars}
    assert flags == {
        (1, 0): 0,
        (1, 1): BarFlag.GAP,
        (1, 2): BarFlag.GAP,
        (1, 3): BarFlag.EMPTY,
        (1, 4): BarFlag.EMPTY,
        (5, 0): BarFlag.GAP,
    }


def test_a_bar_whose_beginning_was_not_seen_does_not_come_out() -> None:
    builder = BarBuilder("v", "S", (1, 5))
    bars = [bar for s in (1.5, 2.0, 5.0, 10.0) for bar in builder.update(at(s, seq=int(s * 10)))]
    opens = [(b.interval_s, (b.open_time - T0) // SECOND) for b in bars]
    assert opens == [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (5, 5)]


def past(seconds: int, close: float) -> Bar:
    return Bar(
        id="h", ts_event=T0 + (seconds + 1) * SECOND, venue="v", symbol="S", interval_s=1,
        open_time=T0 + seconds * SECOND,
        open=close, high=close + 1, low=close - 1, close=close, volume=1.0, trades=1,
    )  # fmt: skip


def test_seeded_history_completes_the_longer_bar_and_is_not_sent_again() -> None:
    builder = BarBuilder("v", "S", (1, 5))
    builder.seed([past(s, 10 + s) for s in range(-2, 3)], T0 + 3 * SECOND)
    bars = [bar for s in (3.2, 4.2, 5.2) for bar in builder.update(at(s, 50, seq=int(s * 10)))]
    assert [(b.interval_s, (b.open_time - T0) // SECOND) for b in bars] == [(1, 3), (1, 4), (5, 0)]
    assert (bars[-1].open, bars[-1].high, bars[-1].low, bars[-1].close, bars[-1].volume) == (10, 50, 9, 50, 5)


def test_broken_history_counts_only_after_its_last_hole() -> None:
    builder = BarBuilder("v", "S", (1, 5))
    builder.seed([past(0, 10), past(2, 12)], T0 + 3 * SECOND)
    bars = [bar for s in (3.2, 5.2) for bar in builder.update(at(s, 50, seq=int(s * 10)))]
    assert [b.interval_s for b in bars] == [1, 1]


def test_seeding_after_the_first_print_is_refused() -> None:
    builder = complete()
    builder.update(at(0))
    with pytest.raises(ValueError):
        builder.seed([], T0)


def test_a_long_silence_is_a_jump_marked_gap_and_not_a_million_bars() -> None:
    builder = complete((1, 5, 3600), max_empty=10)
    builder.update(at(0.5, 10, seq=1))
    cut = builder.update(at(400.2, 20, seq=2))
    assert [(b.interval_s, (b.open_time - T0) // SECOND, b.flags) for b in cut] == [(1, 0, 0), (5, 0, BarFlag.GAP)]
    after = builder.update(at(405.0, 21, seq=3))
    assert [(b.interval_s, (b.open_time - T0) // SECOND, b.flags) for b in after] == [
        (1, 400, BarFlag.GAP),
        *((1, s, BarFlag.EMPTY) for s in (401, 402, 403, 404)),
        (5, 400, BarFlag.GAP),
    ]


def test_a_leap_of_the_clock_is_a_jump_too() -> None:
    builder = complete((1,), max_empty=10)
    builder.update(at(0.5, 10, seq=1))
    assert len(builder.close_due(T0 + 10**6 * SECOND)) == 1
    assert builder.open_time > T0 + 999_000 * SECOND


def test_no_bar_before_the_first_price() -> None:
    builder = complete()
    assert not builder.close_due(T0 + 5 * SECOND)
    builder.update(at(5.5, 10))
    (bar,) = builder.update(at(6, 11))
    assert bar.open_time == T0 + 5 * SECOND


def test_merged_prints_of_closed_bars_are_late_and_repeats_are_counted() -> None:
    builder = complete()
    builder.update(at(0.5, 10, seq=1))
    builder.update(at(1.5, 11, seq=4))
    builder.merge([at(0.9, 99, seq=2), at(1.2, 15, seq=3), at(1.5, 11, seq=4)])
    (bar,) = builder.update(at(2.0, 12, seq=5))
    assert (builder.late, builder.duplicates) == (1, 1)
    assert (bar.open, bar.high, bar.close, bar.trades) == (15, 15, 11, 2)
    with pytest.raises(ValueError):
        builder.merge([at(9, 1, seq=9)])


@pytest.mark.parametrize("intervals", [(), (0,), (-5, 1)])
def test_intervals_must_be_positive(intervals: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        BarBuilder("v", "S", intervals)


def test_intervals_that_do_not_nest_share_a_hidden_base() -> None:
    builder = complete((2, 3))
    bars = [bar for s in range(13) for bar in builder.update(at(s, 10 + s, seq=s + 1))]
    assert {b.interval_s for b in bars} == {2, 3}
    first = next(b for b in bars if b.interval_s == 3)
    assert first.trades == 3


def test_sizes_are_counted_and_not_added_as_floats() -> None:
    builder = complete()
    for n in range(10):
        builder.update(at(0.05 * n, 10, 0.1, 1 if n % 2 else -1, n + 1))
    (bar,) = builder.update(at(1.0, 11, 1, 1, 11))
    assert (bar.volume, bar.buy_volume) == (1.0, 0.5)
    assert sum([0.1] * 10) != 1.0


def test_an_instrument_of_finer_steps_loses_none_of_them() -> None:
    builder = complete((1, 5))
    builder.update(at(0.1, 10, 1.0, 1, 1))
    builder.count_in(Decimal("1e-11"))
    builder.update(at(0.2, 10, 0.00000000003, 1, 2))
    (bar,) = builder.update(at(1.0, 11, 1, 1, 3))
    assert bar.volume == 1.00000000003
    builder.count_in(Decimal("0.01"))  # coarser steps of orders change nothing
    builder.update(at(1.1, 10, 0.00000000004, 1, 4))
    *_, bar, five = builder.update(at(5.0, 11, 1, 1, 5))
    assert five.volume == 2.00000000007


def test_a_print_from_history_marks_its_bars_as_filled() -> None:
    builder = complete((1, 5))
    builder.update(at(0.5, 10, seq=1))
    builder.update(at(1.5, 10, seq=2), flags=int(BarFlag.FILLED))
    bars = [bar for s in (2.5, 5.5) for bar in builder.update(at(s, 10, seq=int(s * 10)))]
    flags = {(b.interval_s, (b.open_time - T0) // SECOND): b.flags for b in bars}
    assert flags[1, 1] == flags[5, 0] == BarFlag.FILLED
    assert flags[1, 2] == 0


NIGHT = 1_700_172_000 * SECOND  # Thursday 2023-11-16 17:00 in New York: a day of forex begins
FRIDAY = NIGHT + 24 * 3600 * SECOND  # and the week ends
SUNDAY = FRIDAY + 48 * 3600 * SECOND


def late(start: int, seconds: float, price: float, seq: int) -> Trade:
    return Trade(start + int(seconds * 1000) * MILLISECOND, price, 1.0, 1, seq)


def test_a_day_of_forex_is_its_session_and_a_weekend_is_no_gap() -> None:
    builder = BarBuilder("deriv", "frxEURUSD", (60, 3600, DAY_S, WEEK_S), calendar=calendar_named("forex"))
    builder.seed([], NIGHT)
    seq, bars = 0, []
    for minute in range(0, 24 * 60, 5):
        seq += 1
        bars += builder.update(late(NIGHT, minute * 60 + 1, 100 + minute % 7, seq))
    bars += builder.update(late(SUNDAY, 1, 99, seq + 1))
    days = [bar for bar in bars if bar.interval_s == DAY_S]
    assert [(b.open_time, b.ts_event, b.trades, b.flags) for b in days] == [(NIGHT, FRIDAY, seq, 0)]
    assert not [bar for bar in bars if bar.flags & BarFlag.GAP]
    assert not [bar for bar in bars if FRIDAY <= bar.open_time < SUNDAY]
    assert not [bar for bar in bars if bar.interval_s == WEEK_S]  # its beginning was not seen
    after = [b for s in (61, 3_601) for b in builder.update(late(SUNDAY, s, 98, seq + 1 + s))]
    assert {(b.interval_s, b.open_time): b.flags & BarFlag.GAP for b in after}[60, SUNDAY] == 0


def test_a_silence_in_the_session_is_a_gap_of_the_day() -> None:
    builder = BarBuilder("deriv", "frxEURUSD", (60, DAY_S), calendar=calendar_named("forex"), max_empty=10)
    builder.seed([], NIGHT)
    builder.update(late(NIGHT, 1, 100, 1))
    builder.update(late(NIGHT, 3_601, 101, 2))
    bars = builder.update(late(SUNDAY, 1, 99, 3))
    (day,) = [bar for bar in bars if bar.interval_s == DAY_S]
    assert day.flags & BarFlag.GAP


def test_a_session_closes_with_the_clock_and_nothing_is_built_while_the_market_is_closed() -> None:
    builder = BarBuilder("alpaca", "AAPL", (60, DAY_S), calendar=calendar_named("us_stocks"))
    opening = 1_700_231_400 * SECOND  # Friday 2023-11-17 09:30 in New York
    close = opening + 23_400 * SECOND
    builder.seed([], opening - 1800 * SECOND)
    builder.update(late(opening, -1700, 99.0, 1))  # before the session: in no day
    bars = []
    for minute in range(390):
        bars += builder.update(late(opening, minute * 60 + 2, 100 + minute / 100, minute + 2))
    bars += builder.close_due(close + 300 * MILLISECOND)
    (day,) = [bar for bar in bars if bar.interval_s == DAY_S]
    assert (day.open_time, day.ts_event, day.open, day.trades) == (opening, close, 100.0, 390)
    assert day.flags == BarFlag.TIMER
    assert not [bar for n in range(1, 900) for bar in builder.close_due(close + n * 60 * SECOND)]


def test_weeks_begin_on_monday_where_nothing_closes() -> None:
    monday = T0 - T0 % (86_400 * SECOND) - 86_400 * SECOND  # 2023-11-13; T0 lies on a Tuesday
    builder = BarBuilder("binance", "BTCUSDT", (3600, WEEK_S))
    builder.seed([], monday)
    bars = [
        bar
        for hour in range(0, 24 * 7 + 1, 2)
        for bar in builder.update(Trade(monday + hour * 3600 * SECOND, 100.0 + hour, 0.1, 1, hour + 1))
    ]
    (week,) = [bar for bar in bars if bar.interval_s == WEEK_S]
    assert (week.open_time, week.ts_event) == (monday, monday + 7 * 86_400 * SECOND)
    assert (week.open, week.close, week.trades, week.volume) == (100.0, 266.0, 84, 8.4)


def test_half_hours_of_history_and_then_short_bars_complete_the_longest() -> None:
    day = T0 - T0 % (86_400 * SECOND)
    halves = [history(day, 1800 * n, 1800, 10 + n) for n in range(44)]  # until 22:00
    seconds = [history(day, 22 * 3600 + n, 1, 60 + n) for n in range(800)]  # until 22:13:20 = T0
    builder = BarBuilder("v", "S", (1, 60, 3600, DAY_S))
    builder.seed([*halves, *seconds], T0)
    assert builder.begins(T0) == day
    bars = [b for n in range(2 * 3600) for b in builder.update(Trade(T0 + n * SECOND, 50.0, 1.0, 1, n + 1))]
    made = {(b.interval_s, b.open_time): b for b in bars if b.interval_s >= 60}
    assert made[60, T0 - 20 * SECOND].trades == 20 + 40
    assert made[3600, day + 22 * 3600 * SECOND].trades == 800 + 2800
    whole = made[DAY_S, day]
    assert (whole.open, whole.low, whole.high) == (10, 9, 860)
    assert whole.trades == 44 + 800 + (86_400 - 22 * 3600 - 800)


def history(day: int, second: int, length_s: int, close: float) -> Bar:
    return Bar(
        id="h", ts_event=day + (second + length_s) * SECOND, venue="v", symbol="S", interval_s=length_s,
        open_time=day + second * SECOND,
        open=close, high=close + 1, low=close - 1, close=close, volume=1.0, trades=1,
    )  # fmt: skip


@pytest.mark.parametrize("interval", [7, 86_399, 2 * 86_400, 2 * WEEK_S])
def test_a_length_that_divides_no_day_is_refused(interval: int) -> None:
    with pytest.raises(ValueError, match="divide a day, or 1w"):
        BarBuilder("v", "S", (interval,))


def tick(seq: int, price: float, size: float = 1.0) -> Trade:
    return Trade(T0 + seq * MILLISECOND, price, size, 1, seq)


def prints(series: TickBars, *trades: Trade) -> list[TickBar]:
    return [bar for trade in trades for bar in series.update(trade, 9)]


def test_bars_of_prints_are_anchored_to_the_venues_numbers() -> None:
    series = TickBars("binance", "BTCUSDT", 3, anchored=True)
    bars = prints(series, *(tick(n, 100 + n, 0.1) for n in range(4, 13)))
    assert [(b.first_seq, b.last_seq, b.trades, b.flags) for b in bars] == [(6, 8, 3, 0), (9, 11, 3, 0)]
    assert (bars[0].open, bars[0].high, bars[0].close, bars[0].volume) == (106, 108, 108, 0.3)
    assert (bars[0].open_time, bars[0].ts_event, bars[0].ts_recv) == (T0 + 6 * MILLISECOND, T0 + 8 * MILLISECOND, 9)
    later = prints(TickBars("binance", "BTCUSDT", 3, anchored=True), *(tick(n, 100 + n, 0.1) for n in range(8, 13)))
    assert later == bars[1:]


def test_lost_prints_leave_a_gap_and_move_no_later_bar() -> None:
    series = TickBars("binance", "BTCUSDT", 3, anchored=True)
    bars = prints(series, *(tick(n, 100) for n in (3, 4, 8, 8, 7, 9, 10, 11)))
    assert [(b.first_seq, b.trades, b.flags) for b in bars] == [(3, 2, BarFlag.GAP), (8, 1, BarFlag.GAP), (9, 3, 0)]


def test_prints_without_numbers_of_their_own_are_counted() -> None:
    series = TickBars("deriv", "R_100", 3, anchored=False)
    trades = [Trade(T0 + n * SECOND, 100 + n, 0.0, 0, T0 // SECOND + 2 * n) for n in range(7)]
    first = prints(series, *trades[:4])
    series.lost()
    second = prints(series, *trades[4:])
    assert [(b.open, b.close, b.trades, b.flags) for b in first + second] == [
        (100, 102, 3, 0),
        (103, 105, 3, BarFlag.GAP),
    ]
    assert first[0].id != second[0].id


def test_what_a_bar_of_prints_lacks_after_a_restart_is_known() -> None:
    series = TickBars("binance", "BTCUSDT", 100, anchored=True)
    assert [series.wanted_after(seq) for seq in (0, 250, 299, 300)] == [0, 199, 299, 299]
    assert TickBars("deriv", "R_100", 100, anchored=False).wanted_after(250) == 250
    with pytest.raises(ValueError):
        TickBars("v", "S", 1, anchored=True)
