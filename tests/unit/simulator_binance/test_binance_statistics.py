"""Rolling windows add up to what the bars say, however the prints come; other midnights only move boundaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.simulator.binance.candles import Candle, CandleBook, Print, aggregate
from services.simulator.binance.intervals import DAY_MS, HOUR_MS, MINUTE_MS
from services.simulator.binance.shifted import base_of, moves, shifted_end, shifted_open
from services.simulator.binance.statistics import average, fold, percent
from services.simulator.binance.ticker_streams import RollingDay

START = 1_795_190_400_000
TRADES = st.lists(
    st.tuples(st.integers(0, 6 * HOUR_MS), st.integers(1, 10**12), st.integers(1, 10**10), st.booleans()), max_size=60
)


def prints(rows: list[tuple[int, int, int, bool]]) -> list[Print]:
    ordered = sorted(rows, key=lambda row: row[0])
    return [Print(number, START + ms, price, qty, maker) for number, (ms, price, qty, maker) in enumerate(ordered, 1)]


@given(TRADES, st.integers(0, 60), st.sampled_from([5 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS]), st.data())
def test_a_rolling_window_is_the_sum_of_its_bars(
    rows: list[tuple[int, int, int, bool]], known: int, length_ms: int, data: st.DataObject
) -> None:
    trades = prints(rows)
    early = CandleBook("1m")
    for trade in trades[:known]:
        early.trade(trade)
    day = RollingDay("1m", early.candles)
    for trade in trades:  # those that the bars know are told again
        day.add(trade)
        if data.draw(st.booleans()):
            day.whole(trade.ms, length_ms)  # what is asked in between changes nothing
    whole = CandleBook("1m")
    for trade in trades:
        whole.trade(trade)
    now = trades[-1].ms if trades else START
    inside = [bar for bar in whole.candles if bar.open_ms >= now - length_ms]
    found, before = day.whole(now, length_ms)
    if inside:
        assert found == fold(inside, now - length_ms)
        outside = [bar for bar in whole.candles if bar.open_ms < now - length_ms]
        assert before == (outside[-1].close if outside else found.open)
    else:
        assert (found.trades, found.volume) == (0, 0)


@given(st.integers(1, 10**14), st.integers(1, 10**14))
def test_a_change_in_percent_is_rounded_to_three_decimals(first: int, last: int) -> None:
    candle = Candle(START, first, max(first, last), min(first, last), last)
    exact = (last - first) * 100 / first
    assert abs(float(percent(candle)) - exact) <= 0.000_501 + abs(exact) * 1e-12
    assert not percent(candle).startswith("-0.000")
    assert average(candle) == last


@given(
    st.sampled_from(["1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]),
    st.integers(-12 * 4, 14 * 4).map(lambda quarters: quarters * 15 * MINUTE_MS),
    st.integers(START - 400 * DAY_MS, START),
)
def test_shifted_bars_cover_time_without_gap_or_overlap(interval: str, offset_ms: int, moment: int) -> None:
    opened = shifted_open(interval, moment, offset_ms)
    end = shifted_end(interval, opened, offset_ms)
    assert opened <= moment < end
    assert shifted_open(interval, end, offset_ms) == end
    assert shifted_open(interval, opened - 1, offset_ms) < opened
    if not moves(interval, offset_ms):
        assert opened == shifted_open(interval, moment, 0)
    base = base_of(interval, offset_ms)
    bars = [Candle.flat(ms, 1) for ms in range(opened, min(end, opened + 40 * DAY_MS), 12 * HOUR_MS)]
    assert [bar.open_ms for bar in aggregate(bars, interval, offset_ms)] == [opened]
    assert shifted_open(base, opened, 0) == opened
