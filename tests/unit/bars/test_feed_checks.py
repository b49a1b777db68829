"""The checks that watch a feed: outliers, bars against bars, clocks, other venues, and what a failure costs."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest

from libs.core.bars import (
    GRADES,
    BarWatch,
    ClockWatch,
    FeedCheck,
    HealthScore,
    OutlierWatch,
    Reconciler,
    clock_words,
    graded,
    trainable,
)
from libs.core.bars.sessions import calendar_named
from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Quote, Trade

T0 = 1_700_000_000 * SECOND


def at(seconds: float, price: float) -> Trade:
    return Trade(T0 + int(seconds * 1000) * MILLISECOND, price, 1.0, 1, 0)


def quote(seconds: float, bid: float, ask: float) -> Quote:
    return Quote(T0 + int(seconds * 1000) * MILLISECOND, bid, 1.0, ask, 1.0, 0)


def warmed(**more: Any) -> OutlierWatch:
    """A watch that has seen 240 prints around 100, the last one second before T0."""
    watch = OutlierWatch(**more)
    rng = random.Random(5)
    for n in range(240):
        watch.take(at(n - 240, 100 + rng.gauss(0, 0.05)))
    watch.settle(T0)
    return watch


def found(watch: OutlierWatch, seconds: float) -> list[FeedCheck]:
    return [failure.check for failure in watch.settle(T0 + int(seconds * SECOND))]


def test_a_far_print_that_nothing_confirms_is_an_outlier() -> None:
    watch = warmed()
    watch.quoted(quote(0, 99.9, 100.1))
    watch.take(at(0.1, 104.0))
    assert found(watch, 0.5) == []
    (failure,) = watch.settle(T0 + 2 * SECOND)
    assert failure.check is FeedCheck.OUTLIER
    assert "price 104 is" in failure.detail
    assert found(watch, 3) == []


def test_an_ordinary_print_is_none() -> None:
    watch = warmed()
    watch.quoted(quote(0, 99.9, 100.1))
    watch.take(at(0.1, 100.3))
    assert found(watch, 5) == []


def test_the_quote_of_that_moment_confirms() -> None:
    watch = warmed()
    watch.quoted(quote(0, 103.9, 104.1))
    watch.take(at(0.1, 104.0))
    assert found(watch, 5) == []


def test_a_quote_from_long_before_confirms_nothing() -> None:
    watch = warmed()
    watch.quoted(quote(-10, 103.9, 104.1))
    watch.take(at(0.1, 104.0))
    assert found(watch, 5) == [FeedCheck.OUTLIER]


@pytest.mark.parametrize(("after", "outliers"), [(0.9, 0), (1.2, 1)])
def test_the_quote_that_follows_at_once_confirms(after: float, outliers: int) -> None:
    watch = warmed()
    watch.quoted(quote(0, 99.9, 100.1))
    watch.take(at(0.1, 104.0))
    watch.quoted(quote(0.1 + after, 103.9, 104.1))
    assert len(found(watch, 5)) == outliers


def test_a_book_that_reaches_so_far_confirms_a_sweep() -> None:
    watch = warmed()
    watch.quoted(quote(0, 99.9, 100.1))
    watch.book(95.0, 105.0, T0)
    watch.take(at(0.1, 104.0))
    assert found(watch, 5) == []


def test_without_quotes_the_next_print_confirms_and_a_lone_spike_stays_one() -> None:
    jump = warmed()
    jump.take(at(0, 104.0))
    jump.take(at(2, 104.02))
    assert found(jump, 2) == []
    spike = warmed()
    spike.take(at(0, 104.0))
    spike.take(at(2, 100.0))
    assert found(spike, 2) == [FeedCheck.OUTLIER]


def test_a_market_that_stands_still_is_not_measured_in_nothing() -> None:
    watch = OutlierWatch(floor_bp=10)
    for n in range(240):
        watch.take(at(n - 240, 100.0))
    assert found(watch, 0) == []
    watch.take(at(0, 100.05))
    watch.take(at(1, 100.0))
    assert found(watch, 5) == []
    watch.take(at(2, 101.0))
    watch.take(at(3, 100.0))
    assert found(watch, 5) == [FeedCheck.OUTLIER]


def test_k_and_window_are_the_users() -> None:
    strict, lax = warmed(mads=6, floor_bp=0), warmed(mads=100, floor_bp=0)
    for watch in (strict, lax):
        watch.quoted(quote(0, 99.9, 99.95))
        watch.take(at(0.1, 100.4))
    assert found(strict, 5) == [FeedCheck.OUTLIER]
    assert found(lax, 5) == []


def bar(n: int, **change: Any) -> Bar:
    made = Bar(
        id="", ts_event=T0 + (n + 1) * SECOND, venue="v", symbol="S", interval_s=1, open_time=T0 + n * SECOND,
        open=100.0, high=101.0, low=99.0, close=100.0, volume=2.0, buy_volume=1.0, trades=3,
    )  # fmt: skip
    return msgspec.structs.replace(made, **change)


def watched(**more: Any) -> BarWatch:
    """A watch that has seen 40 sound bars, the last that of second -1."""
    watch = BarWatch(**more)
    assert not [failure for n in range(-40, 0) for failure in watch.take(bar(n))]
    return watch


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"open": 103.0, "high": 103.0}, FeedCheck.CONTINUITY),
        ({"volume": 101.0}, FeedCheck.VOLUME),
        ({"buy_volume": 2.5}, FeedCheck.VOLUME),
        ({"volume": -1.0}, FeedCheck.PRICE),
        ({"high": 99.5}, FeedCheck.PRICE),
        ({"low": 0.0}, FeedCheck.PRICE),
        ({"open_time": T0 + 3 * SECOND, "ts_event": T0 + 4 * SECOND}, FeedCheck.MISSING),
        ({"open_time": T0 - SECOND, "ts_event": T0}, FeedCheck.DUPLICATE),
    ],
)
def test_a_bar_that_does_not_fit_those_before_is_told_by_name(change: dict[str, Any], check: FeedCheck) -> None:
    (failure,) = watched().take(bar(0, **change))
    assert failure.check is check
    assert failure.detail.startswith("1s bar at ")


def test_a_bar_like_those_before_fails_nothing() -> None:
    assert watched().take(bar(0, open=100.5, volume=90.0)) == []


def test_a_hole_that_is_known_is_not_discontinuous_as_well() -> None:
    assert watched().take(bar(0, open=103.0, high=103.0, flags=int(BarFlag.GAP))) == []


def test_a_night_is_no_missing_interval() -> None:
    watch = BarWatch(calendar=calendar_named("us_stocks"))
    close, opening = 1_700_254_800 * SECOND, 1_700_490_600 * SECOND  # Friday 16:00 and Monday 09:30 in New York
    last = bar(0, open_time=close - SECOND, ts_event=close)
    assert watch.take(last) == []
    first = bar(0, open_time=opening, ts_event=opening + SECOND)
    assert watch.take(first) == []
    late = bar(0, open_time=opening + 9 * SECOND, ts_event=opening + 10 * SECOND)
    assert [failure.check for failure in watch.take(late)] == [FeedCheck.MISSING]


def told(offset_s: float, drift: float = 0.0, seconds: int = 120, seed: int = 1) -> ClockWatch:
    watch, rng = ClockWatch(), random.Random(seed)
    for n in range(seconds * 10):
        recv = T0 + n * SECOND // 10
        stamp = recv + int((offset_s + drift * n / 10 - rng.uniform(0.002, 0.3)) * SECOND)
        watch.saw(stamp, recv)
    return watch


@pytest.mark.parametrize("offset_s", [1.27, -3.5, 0.0])
def test_the_offset_is_found_through_a_slow_network(offset_s: float) -> None:
    assert told(offset_s).offset == pytest.approx(offset_s * SECOND, abs=0.06 * SECOND)


def test_stamps_from_the_future_and_minutes_of_delay_move_no_offset() -> None:
    watch = told(0.5)
    for n in range(30):
        recv = T0 + (120 + n) * SECOND
        watch.saw(recv + 10**6 * SECOND, recv)
    for n in range(20):
        recv = T0 + (150 + n) * SECOND
        watch.saw(recv - 60 * SECOND, recv)
    assert watch.offset == pytest.approx(0.5 * SECOND, abs=0.06 * SECOND)


@pytest.mark.parametrize("ppm", [0.0, 500.0, -2000.0])
def test_the_drift_is_the_slope(ppm: float) -> None:
    assert told(0.2, ppm / 1e6, seconds=300).drift_ppm() == pytest.approx(ppm, abs=60)


def test_a_start_in_which_everything_is_late_makes_no_clock_wrong() -> None:
    watch = ClockWatch()
    for n in range(12):
        recv = T0 + n * SECOND
        watch.saw(recv - (3 * SECOND if n < 6 else 20 * MILLISECOND), recv)
        assert watch.known == (n >= 10)
        assert abs(watch.offset) < 0.1 * SECOND


def test_nothing_is_said_of_a_clock_before_it_is_known() -> None:
    watch = ClockWatch()
    assert (watch.known, watch.offset, watch.drift_ppm()) == (False, 0, 0.0)
    assert told(1.0, seconds=30).drift_ppm() == 0.0
    again = told(1.0)
    again.forget()
    assert not again.known
    assert clock_words(int(1.27e9)) == "this machine's clock is 1.270 s behind the venue's"
    assert clock_words(int(-2e9)) == "this machine's clock is 2.000 s ahead of the venue's"


def disagreeing(steps: list[tuple[float, float, float]], **more: Any) -> list[int]:
    """Pairs that differ after each (seconds, price here, price there)."""
    prices = Reconciler(**more)
    counts = []
    for seconds, one, two in steps:
        now = T0 + int(seconds * SECOND)
        prices.note("BTC/USDT", "binance", one, now)
        prices.note("BTC/USDT", "ccxt:kraken", two, now)
        counts.append(len(prices.differing("BTC/USDT")))
    return counts


def test_two_venues_disagree_after_so_many_seconds_without_a_break() -> None:
    assert disagreeing([(0, 100, 100.2), (1, 100, 101), (5.9, 100, 101), (6, 100, 101), (7, 100, 100.2)]) == [
        0,
        0,
        0,
        1,
        0,
    ]
    broken = [(0, 100, 101), (3, 100, 100), (4, 100, 101), (8, 100, 101), (9, 100, 101)]
    assert disagreeing(broken) == [0, 0, 0, 0, 1]
    assert disagreeing([(0, 100, 101), (9, 100, 101)], limit_bp=150) == [0, 0]
    assert disagreeing([(0, 100, 101), (2, 100, 101)], lasts=2 * SECOND) == [0, 1]


def test_prices_of_different_moments_and_different_symbols_are_not_compared() -> None:
    prices = Reconciler(lasts=0)
    prices.note("BTC/USDT", "binance", 100.0, T0)
    prices.note("BTC/USDT", "simulator", 50.0, T0 + 3600 * SECOND)
    prices.note("BTC/USD", "deriv", 70.0, T0)
    assert prices.differing("BTC/USDT") == []
    assert prices.differing("nobody's") == []
    prices.note("BTC/USDT", "simulator", 50.0, T0)
    (pair,) = prices.differing("BTC/USDT")
    assert (pair.venue, pair.other, round(pair.bp)) == ("binance", "simulator", 6667)


def test_every_check_but_stale_has_a_grade_and_any_may_be_another() -> None:
    assert set(GRADES) == set(FeedCheck) - {FeedCheck.STALE}
    grades = graded({"gap": 0.9}, {"late": 2})
    assert (grades[FeedCheck.GAP].weight, grades[FeedCheck.GAP].tolerated) == (0.9, 1)
    assert (grades[FeedCheck.LATE].weight, grades[FeedCheck.LATE].tolerated) == (0.25, 2)
    health = HealthScore(grades)
    health.failed(FeedCheck.GAP, T0)
    assert health.score(T0) == 0.1
    health.failed(FeedCheck.LATE, T0 + SECOND, 1)
    assert health.failing(T0 + SECOND) == ("gap", "late")
    assert health.failing(T0 + 60 * SECOND) == ("late",)


@pytest.mark.parametrize("name", ["stale", "gaps"])
def test_a_weight_of_no_check_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is no check with a weight"):
        graded({name: 0.5}, {})


def test_rows_with_holes_do_not_train_unless_told_otherwise() -> None:
    flags = np.array([0, BarFlag.GAP, BarFlag.EMPTY, BarFlag.FILLED, BarFlag.HISTORY, BarFlag.TIMER | BarFlag.GAP])
    assert trainable(flags).tolist() == [True, False, True, False, True, False]
    assert trainable(flags, BarFlag.GAP).tolist() == [True, False, True, True, True, False]
    assert trainable(flags, BarFlag.NONE).all()
