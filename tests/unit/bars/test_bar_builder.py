"""Bars: what closes them, what they carry, what they refuse."""

from __future__ import annotations

import pytest

from libs.core.bars import BarBuilder
from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Trade, stable_id

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
