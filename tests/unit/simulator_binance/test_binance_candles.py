"""Bars from prints, larger bars from smaller ones, exact decimals and interval boundaries."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.binance.candles import Candle, CandleBook, Print, aggregate
from services.simulator.binance.decimals import from_float, parse8, text8
from services.simulator.binance.intervals import INTERVALS, end_of, nests, open_of, step_back

MOMENTS = st.integers(1_500_000_000_000, 1_900_000_000_000)


def ms(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 1_000


@given(st.sampled_from(INTERVALS), MOMENTS)
def test_every_moment_lies_in_exactly_one_bar(interval: str, moment: int) -> None:
    start = open_of(interval, moment)
    assert start <= moment < end_of(interval, start)
    assert open_of(interval, start) == start
    assert open_of(interval, end_of(interval, start)) == end_of(interval, start)
    assert open_of(interval, start - 1) == step_back(interval, start, 1)


@given(st.sampled_from(INTERVALS), st.sampled_from(INTERVALS), MOMENTS)
def test_nesting_intervals_share_their_boundaries(inner: str, outer: str, moment: int) -> None:
    if nests(inner, outer):
        start = open_of(outer, moment)
        assert open_of(inner, start) == start
        assert open_of(inner, end_of(outer, start)) == end_of(outer, start)


@pytest.mark.parametrize(
    ("interval", "moment", "start"),
    [
        ("1w", ms(2024, 8, 8), ms(2024, 8, 5)),
        ("1M", ms(2024, 12, 31, 23), ms(2024, 12, 1)),
        ("4h", ms(2024, 8, 8, 11), ms(2024, 8, 8, 8)),
    ],
)
def test_boundaries_are_those_of_the_calendar(interval: str, moment: int, start: int) -> None:
    assert open_of(interval, moment) == start


@given(st.integers(0, 10**20))
def test_decimals_survive_the_round_trip(value: int) -> None:
    assert parse8(text8(value)) == value
    assert Decimal(text8(value)) == Decimal(value) / 10**8
    assert Decimal(text8(-value)) == -Decimal(value) / 10**8


@pytest.mark.parametrize("text", ["", "1e5", "-1", "1.2.3", "a", "١"])
def test_what_is_no_plain_decimal_is_refused(text: str) -> None:
    if text == "١":  # an Arabic digit is decimal to Python and an integer all the same
        assert parse8(text) == 10**8
        return
    with pytest.raises(ValueError, match="not a plain decimal"):
        parse8(text)


def test_a_float_becomes_the_decimal_it_is_printed_as() -> None:
    assert text8(from_float(0.1)) == "0.10000000"
    assert text8(from_float(16_199.91)) == "16199.91000000"


PRINTS = st.lists(
    st.tuples(st.integers(0, 200_000), st.integers(1, 10**12), st.integers(1, 10**9), st.booleans()),
    min_size=1,
    max_size=60,
).map(
    lambda rows: [
        Print(number, 1_723_161_240_000 + row[0], *row[1:]) for number, row in enumerate(sorted(rows), start=9)
    ]
)


@given(PRINTS, st.sampled_from(["1s", "1m", "3m", "1h"]))
def test_a_larger_bar_is_the_sum_of_its_trades(trades: list[Print], interval: str) -> None:
    book = CandleBook("1s")
    for trade in trades:
        book.trade(trade)
    rows = book.rows(interval, 0, None, 100_000)
    assert rows == aggregate(book.candles, interval)
    for row in rows:
        inside = [trade for trade in trades if open_of(interval, trade.ms) == row.open_ms]
        assert row.trades == len(inside)
        assert row.volume == sum(trade.qty for trade in inside)
        assert row.quote == sum(trade.qty * trade.price for trade in inside)
        assert row.taker_base == sum(trade.qty for trade in inside if not trade.buyer_is_maker)
        if inside:
            assert (row.first_id, row.last_id) == (inside[0].id, inside[-1].id)
            assert row.high >= max(trade.price for trade in inside)
            assert row.close == inside[-1].price
    assert sum(row.trades for row in rows) == len(trades)
    newest = book.rows(interval, None, None, 2)
    assert newest == rows[-2:]


def test_quiet_seconds_stand_at_the_last_close() -> None:
    book = CandleBook("1s")
    book.trade(Print(1, 1_000, 500, 1, False))
    book.trade(Print(2, 4_500, 700, 1, False))
    assert [(row.open_ms, row.open, row.close, row.trades) for row in book.candles] == [
        (1_000, 500, 500, 1),
        (2_000, 500, 500, 0),
        (3_000, 500, 500, 0),
        (4_000, 700, 700, 1),
    ]


def test_a_late_print_goes_into_its_own_second() -> None:
    book = CandleBook("1s")
    for trade in (Print(1, 1_000, 500, 1, False), Print(2, 3_000, 600, 1, False), Print(3, 1_900, 450, 2, True)):
        book.trade(trade)
    assert [(row.open_ms, row.trades, row.low) for row in book.candles] == [
        (1_000, 2, 450),
        (2_000, 0, 500),
        (3_000, 1, 600),
    ]


def test_an_interval_that_does_not_nest_has_no_rows() -> None:
    book = CandleBook("1h")
    book.candles = [Candle.flat(3_600_000, 5)]
    assert book.rows("1m", None, None, 5) == []
    assert [row.open_ms for row in book.rows("4h", None, None, 5)] == [0]
