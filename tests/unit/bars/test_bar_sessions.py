"""When markets trade: against the days on which they did, and by hand around the turns of the clock."""

from __future__ import annotations

import gzip
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bar_data import real

from libs.core.bars.holidays import us_stocks_close
from libs.core.bars.sessions import (
    CALENDARS,
    bar_span,
    calendar_named,
    open_mask,
    opens_between,
    session_numbers,
    sessions_between,
    usual_calendar,
)
from libs.core.types import DAY_S, SECOND, WEEK_S

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3600 * SECOND


def ny(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_the_exchange_trades_on_the_days_on_which_it_did_for_33_years() -> None:
    lines = gzip.decompress(real("fx_equity/skfolio_sp500_index.csv.gz").read_bytes()).decode().splitlines()[1:]
    days = {date.fromisoformat(line.split(",")[0][:10]) for line in lines}
    first, last = min(days), max(days)
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    assert {day for day in every if us_stocks_close(day) is not None} == days
    assert len(days) == 8_313


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2023-11-24", 13),
        ("2024-07-03", 13),
        ("2024-12-24", 13),
        ("2025-07-03", 13),
        ("2021-12-24", None),
        ("2021-12-31", 16),
        ("2022-06-20", None),
        ("2021-06-18", 16),
        ("2024-03-29", None),
        ("2025-01-09", None),
        ("2025-01-10", 16),
        ("2025-01-11", None),
    ],
)
def test_holidays_and_half_days(day: str, close: int | None) -> None:
    assert us_stocks_close(date.fromisoformat(day)) == close


def test_a_stock_session_and_its_week() -> None:
    stocks = calendar_named("us_stocks")
    thanksgiving_week = (ny("2023-11-20T09:30"), ny("2023-11-24T13:00"))
    assert stocks.session_of(ny("2023-11-24T12:59")) == (ny("2023-11-24T09:30"), ny("2023-11-24T13:00"))
    assert stocks.session_of(ny("2023-11-24T13:00")) is None
    assert not stocks.is_open(ny("2023-11-23T12:00"))
    assert stocks.next_open(ny("2023-11-22T09:30")) == ny("2023-11-24T09:30")
    assert bar_span(stocks, WEEK_S, ny("2023-11-21T10:00")) == thanksgiving_week
    assert bar_span(stocks, WEEK_S, ny("2023-11-23T10:00")) is None
    before, after = ny("2023-11-23T12:00"), ny("2023-11-24T09:30")
    assert stocks.session_number(after) == stocks.session_number(before) + 2
    assert stocks.session_number(before) == date(2023, 11, 22).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(("sunday", "length"), [("2024-03-03", 24), ("2024-03-10", 24), ("2024-11-03", 24)])
def test_forex_trades_from_sunday_to_friday_at_five_in_new_york(sunday: str, length: int) -> None:
    forex = calendar_named("forex")
    start = ny(f"{sunday}T17:00")
    friday = date.fromisoformat(sunday) + timedelta(days=5)
    end = ny(f"{friday}T17:00")
    assert forex.week_of(start) == (start, end)
    assert forex.session_of(start - 1) is None
    assert forex.session_of(end) is None
    sessions = sessions_between(forex, start, end)
    assert [(b - a) // HOUR for a, b in sessions] == [length] * 5
    assert all(before[1] == after[0] for before, after in pairwise(sessions))
    assert forex.next_open(end) == ny(f"{friday + timedelta(days=2)}T17:00")
    assert not opens_between(forex, end, forex.next_open(end))
    assert opens_between(forex, end, forex.next_open(end) + 1)


def test_a_forex_day_in_which_the_clocks_turn_keeps_its_edges_in_new_york() -> None:
    forex = calendar_named("forex")
    assert forex.session_of(ny("2024-03-08T12:00")) == (utc("2024-03-07T22:00"), utc("2024-03-08T22:00"))
    assert forex.session_of(ny("2024-03-11T12:00")) == (utc("2024-03-10T21:00"), utc("2024-03-11T21:00"))


def test_without_sessions_days_are_utc_and_weeks_begin_on_monday() -> None:
    always = calendar_named("always")
    at = utc("2024-08-08T23:55")
    assert always.session_of(at) == (utc("2024-08-08"), utc("2024-08-09"))
    assert always.week_of(at) == (utc("2024-08-05"), utc("2024-08-12"))
    assert bar_span(always, 900, at) == (utc("2024-08-08T23:45"), utc("2024-08-09"))
    assert bar_span(always, DAY_S, at) == always.session_of(at)


@pytest.mark.parametrize("name", sorted(CALENDARS))
def test_columns_of_times_are_numbered_as_single_ones(name: str) -> None:
    calendar = calendar_named(name)
    rng = np.random.default_rng(3)
    times = utc("2024-02-20") + rng.integers(0, 60 * 24 * 60, 2_000) * 60 * SECOND
    numbers, mask = session_numbers(calendar, times), open_mask(calendar, times)
    assert numbers.tolist() == [calendar.session_number(int(at)) for at in times]
    assert mask.tolist() == [calendar.is_open(int(at)) for at in times]
    assert mask.any()
    assert session_numbers(calendar, times[:0]).tolist() == []


@pytest.mark.parametrize(
    ("venue", "symbol", "name"),
    [
        ("binance", "BTCUSDT", "always"),
        ("deriv", "R_100", "always"),
        ("deriv", "frxEURUSD", "forex"),
        ("alpaca", "AAPL", "us_stocks"),
        ("alpaca", "BTC/USD", "always"),
    ],
)
def test_the_usual_calendar_of_a_symbol(venue: str, symbol: str, name: str) -> None:
    assert usual_calendar(venue, symbol) == name


def test_a_calendar_that_does_not_exist_is_said_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"'lunar' is no calendar; there are: always, forex, us_stocks"):
        calendar_named("lunar")
