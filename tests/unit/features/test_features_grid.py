"""Bars of markets that close stand side by side in trading time; daily and weekly bars have places, too."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.grid import OFF, grid_of
from libs.core.features.sets import CORE20
from libs.core.types import SECOND, Bar

HOUR, DAY, WEEK = 3_600, 86_400, 7 * 86_400


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]


def test_the_first_bar_of_a_day_follows_the_last_of_the_day_before() -> None:
    grid = grid_of("us_stocks", HOUR)
    last, first = grid.place(at(2024, 3, 1, 20)), grid.place(at(2024, 3, 4, 14))  # a Friday and its Monday
    assert first.number == last.number + 1
    assert first.session == last.session + 1
    assert grid.place(at(2024, 3, 2, 15)).number == OFF


def test_summer_time_and_a_holiday_leave_no_hole() -> None:
    grid = grid_of("us_stocks", DAY)
    days = [at(2024, 3, 8, 14, 30), at(2024, 3, 11, 13, 30), at(2024, 3, 28, 13, 30), at(2024, 4, 1, 13, 30)]
    numbers = [grid.place(day).number for day in days]
    assert numbers[1] == numbers[0] + 1
    assert numbers[3] == numbers[2] + 1  # Good Friday between


def test_a_daily_bar_may_carry_midnight_of_its_date() -> None:
    grid = grid_of("us_stocks", DAY)
    assert grid.place(at(2024, 3, 11)).number == grid.place(at(2024, 3, 11, 13, 30)).number


def test_weeks_begin_on_monday_where_the_market_never_closes() -> None:
    grid = grid_of("always", WEEK)
    assert grid.place(at(2024, 3, 11)).number == grid.place(at(2024, 3, 4)).number + 1
    assert grid.place(at(2024, 3, 12)).number == OFF


@pytest.mark.parametrize("calendar", ["always", "forex", "us_stocks"])
@pytest.mark.parametrize("interval_s", [60, HOUR, DAY, WEEK])
def test_one_bar_and_many_have_the_same_places(calendar: str, interval_s: int) -> None:
    grid = grid_of(calendar, interval_s)
    times = at(2023, 6, 28) + np.arange(0, 12 * DAY, 1_800, dtype=np.int64) * SECOND
    numbers, sessions, ends = grid.places(times)
    for i in range(0, len(times), 7):
        assert grid.place(int(times[i])) == (numbers[i], sessions[i], ends[i])
    known = numbers[numbers != OFF]
    assert np.all(np.diff(known) >= 0)


def test_the_engine_takes_days_of_a_stock_without_filling_weekends_and_streams_as_it_batches() -> None:
    engine = FeatureEngine("alpaca", "SPY", DAY, CORE20)
    days = [at(2024, 1, 1) + k * DAY * SECOND for k in range(120)]
    open_days = [day for day in days if grid_of("us_stocks", DAY).place(day).number != OFF]
    distinct = {grid_of("us_stocks", DAY).place(day).number: day for day in reversed(open_days)}
    times = np.array(sorted(distinct.values()), dtype=np.int64)
    close = 400.0 + np.cumsum(np.sin(np.arange(len(times))))
    bars = Bars(open_time=times, open=close, high=close + 1, low=close - 1, close=close, volume=np.ones(len(times)))
    matrix = engine.batch(bars)
    assert matrix.taken.all()
    for i in range(len(times)):
        features = engine.update(
            Bar(
                id=str(i),
                ts_event=int(times[i]) + DAY * SECOND,
                venue="alpaca",
                symbol="SPY",
                interval_s=DAY,
                open_time=int(times[i]),
                open=close[i],
                high=close[i] + 1,
                low=close[i] - 1,
                close=close[i],
                volume=1.0,
            )
        )
        assert features is not None
        assert features.flags == 0
        assert np.array_equal(np.frombuffer(features.values), matrix.values[i], equal_nan=True)
    assert matrix.values[-1, CORE20.index("ret_1")] == pytest.approx(np.log(close[-1] / close[-2]), rel=1e-12)
