"""Markets open and close by the week, and ticks are numbered without gaps over what is closed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.deriv.hours import ALWAYS, FOREX, NEW_YORK, WEEK_SECS, Grid, Hours
from services.simulator.deriv.market import Market
from services.simulator.deriv.trading_times import trading_times

ANCHOR = 1_795_000_000
HOURS = st.sampled_from([ALWAYS, FOREX, NEW_YORK])
EPOCHS = st.integers(ANCHOR - 10 * WEEK_SECS, ANCHOR + 10 * WEEK_SECS)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("hours", "when", "is_open"),
    [
        (FOREX, "2026-11-23T00:00:00", True),
        (FOREX, "2026-11-26T23:59:59", True),
        (FOREX, "2026-11-27T20:55:00", True),
        (FOREX, "2026-11-27T20:55:01", False),
        (FOREX, "2026-11-28T12:00:00", False),
        (FOREX, "2026-11-29T23:59:59", False),
        (NEW_YORK, "2026-11-23T14:29:59", False),
        (NEW_YORK, "2026-11-23T14:30:00", True),
        (NEW_YORK, "2026-11-23T21:00:01", False),
        (ALWAYS, "2026-11-28T12:00:00", True),
    ],
)
def test_market_is_open_in_its_sessions_only(hours: Hours, when: str, is_open: bool) -> None:
    assert hours.is_open(at(when)) is is_open


def test_weekend_begins_with_the_last_second_of_friday_and_ends_with_the_first_of_monday() -> None:
    saturday = at("2026-11-28T12:00:00")
    assert FOREX.last_open(saturday) == at("2026-11-27T20:55:00")
    assert FOREX.session_at(saturday) == (at("2026-11-30T00:00:00"), at("2026-11-30T23:59:59"))
    assert NEW_YORK.last_open(at("2026-11-24T09:00:00")) == at("2026-11-23T21:00:00")


@given(hours=HOURS, period=st.sampled_from([1, 2]), epoch=EPOCHS)
def test_newest_tick_is_the_last_second_of_the_grid_that_was_open(hours: Hours, period: int, epoch: int) -> None:
    grid = Grid(period, hours)
    newest = grid.epoch_of(grid.index_at(epoch))
    open_second = hours.last_open(epoch)
    assert newest == open_second - open_second % period
    assert grid.is_tick(newest)
    assert grid.is_tick(epoch) == (newest == epoch)


@given(hours=HOURS, period=st.sampled_from([1, 2]), epoch=EPOCHS, length=st.integers(0, 300))
def test_ticks_are_numbered_one_by_one(hours: Hours, period: int, epoch: int, length: int) -> None:
    grid = Grid(period, hours)
    first = grid.index_at(epoch)
    epochs = grid.epochs(first, first + length)
    assert [grid.index_at(int(second)) for second in epochs] == list(range(first, first + length + 1))
    assert np.all(np.diff(epochs) >= period)


def test_history_and_candles_leave_out_what_was_closed() -> None:
    market = Market(7, ANCHOR)
    monday = at("2026-11-23T00:10:00")
    market.advance(monday)
    feed = market.feeds["frxEURUSD"]
    times, prices = feed.history(None, monday, 400)
    assert len(times) == len(prices) == 400
    jump = int(np.argmax(np.diff(times)))
    assert (times[jump], times[jump + 1]) == (at("2026-11-20T20:55:00"), at("2026-11-23T00:00:00"))
    assert abs(prices[jump + 1] / prices[jump] - 1) < 1e-3, "the weekend is no jump"
    candles = feed.candles(None, monday, 100, 60)
    assert len(candles) == 100
    opens = [candle.epoch for candle in candles]
    assert opens[-11:] == [at("2026-11-23T00:00:00") + 60 * n for n in range(11)]
    assert opens[-12] == at("2026-11-20T20:55:00")


def test_trading_times_tell_sessions_closed_days_and_early_ends() -> None:
    def times(day: date) -> dict[str, dict[str, object]]:
        return {
            symbol["symbol"]: symbol
            for market in trading_times(day)["markets"]
            for submarket in market["submarkets"]
            for symbol in submarket["symbols"]
        }

    friday, saturday = times(date(2026, 11, 27)), times(date(2026, 11, 28))
    assert friday["frxEURUSD"]["times"] == {"open": ["00:00:00"], "close": ["20:55:00"], "settlement": "23:59:59"}
    assert friday["frxEURUSD"]["events"] == [{"dates": "Fridays", "descrip": "Closes early (at 20:55)"}]
    assert friday["frxEURUSD"]["trading_days"] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    assert saturday["frxEURUSD"]["times"] == {"open": ["--"], "close": ["--"], "settlement": "--"}
    assert saturday["R_100"]["times"] == {"open": ["00:00:00"], "close": ["23:59:59"], "settlement": "23:59:59"}
