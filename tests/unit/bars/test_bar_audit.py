"""Tables of bars with everything that can be wrong with them, made up and real."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bar_data import bars_of

from libs.core.bars.audit import Flaw, MissingRange, audit
from libs.core.bars.columns import Columns
from libs.core.bars.sessions import calendar_named
from libs.core.types import SECOND

MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
T0 = 1_700_000_000 * SECOND - 1_700_000_000 * SECOND % HOUR


def made(rows: int = 1000, **change: Any) -> Columns:
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    start = np.append(close[:1], close[:-1])
    columns = {
        "open_time": T0 + np.arange(rows, dtype=np.int64) * MINUTE,
        "open": start,
        "high": np.maximum(start, close) * 1.0003,
        "low": np.minimum(start, close) * 0.9997,
        "close": close,
        "volume": rng.uniform(1, 5, rows),
    }
    return Columns(**{**columns, **change})


def without(bars: Columns, *rows: int) -> Columns:
    return Columns(*(np.delete(column, rows) for column in bars))


def changed(bars: Columns, column: str, row: int, value: float) -> Columns:
    values = getattr(bars, column).copy()
    values[row] = value
    return bars._replace(**{column: values})


def test_a_sound_table_is_clean() -> None:
    report = audit(made(), 60)
    assert (report.rows, report.first, report.last) == (1000, T0, T0 + 999 * MINUTE)
    assert report.clean
    assert (report.score, report.findings) == (1.0, ())


def test_holes_are_told_as_ranges() -> None:
    report = audit(without(made(), 10, 11, 12, 500), 60)
    assert report.missing == (
        MissingRange(T0 + 10 * MINUTE, T0 + 13 * MINUTE, 3),
        MissingRange(T0 + 500 * MINUTE, T0 + 501 * MINUTE, 1),
    )
    assert (report.missing_bars, report.score) == (4, 0.996)
    assert [f.time for f in report.findings if f.flaw is Flaw.MISSING] == [T0 + 10 * MINUTE, T0 + 500 * MINUTE]
    assert not report.clean


def test_repeats_and_disorder_are_told_row_by_row() -> None:
    bars = made(20)
    order = [*range(5), 4, *range(5, 10), 12, 10, 11, *range(13, 20)]
    report = audit(Columns(*(column[order] for column in bars)), 60)
    assert (report.duplicates, report.out_of_order, report.missing_bars) == (1, 1, 0)
    assert {(f.flaw, f.time) for f in report.findings} == {
        (Flaw.DUPLICATE, T0 + 4 * MINUTE),
        (Flaw.OUT_OF_ORDER, T0 + 10 * MINUTE),
    }


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("high", 50.0),
        ("low", 200.0),
        ("low", 0.0),
        ("close", np.nan),
        ("open", -1.0),
        ("volume", -1.0),
        ("high", np.inf),
    ],
)
def test_what_cannot_be_is_told(column: str, value: float) -> None:
    report = audit(changed(made(), column, 77, value), 60)
    assert report.impossible == 1
    assert [(f.flaw, f.time, f.matters) for f in report.findings] == [(Flaw.IMPOSSIBLE, T0 + 77 * MINUTE, True)]


@pytest.mark.parametrize(("column", "factor"), [("high", 1.2), ("low", 0.8)])
def test_a_lone_spike_is_an_outlier_and_a_lasting_move_is_none(column: str, factor: float) -> None:
    bars = made()
    spiked = changed(bars, column, 400, getattr(bars, column)[400] * factor)
    report = audit(spiked, 60)
    assert [(f.flaw, f.time, f.matters) for f in report.findings] == [(Flaw.OUTLIER, T0 + 400 * MINUTE, False)]
    moved = np.where(np.arange(1000) >= 400, factor, 1.0)
    lasting = Columns(bars.open_time, *(c * moved for c in bars[1:5]), bars.volume)
    assert audit(lasting, 60).outliers == 0


def test_quiet_bars_are_notes_and_runs_are_one_line() -> None:
    bars = made()
    volume = bars.volume.copy()
    volume[100:110] = 0.0
    report = audit(bars._replace(volume=volume), 60)
    (finding,) = report.findings
    assert (finding.flaw, finding.time, finding.matters) == (Flaw.ZERO_VOLUME, T0 + 100 * MINUTE, False)
    assert "10 bars" in finding.text
    assert (report.zero_volume, report.score, report.clean) == (10, 1.0, True)


def test_a_bar_off_the_grid_is_no_bar_of_that_length() -> None:
    bars = made()
    times = bars.open_time.copy()
    times[5] += 7 * SECOND
    report = audit(bars._replace(open_time=times), 60)
    assert (report.off_grid, report.missing_bars) == (1, 1)


def test_closed_hours_are_no_holes() -> None:
    stocks = calendar_named("us_stocks")
    friday = 1_700_229_600 * SECOND  # 2023-11-17 09:00 in New York
    days = [friday, friday + 3 * 24 * HOUR]
    times = np.concatenate([day + np.arange(1, 14, dtype=np.int64) * 30 * MINUTE for day in days])
    flat = np.full(len(times), 10.0)
    bars = Columns(times, flat, flat * 1.001, flat * 0.999, flat, flat)
    assert audit(bars, 1800, stocks).missing == ()
    assert audit(bars, 1800).missing_bars > 100
    late = audit(without(bars, 0, 13), 1800, stocks)
    assert late.missing == (MissingRange(days[1] + 30 * MINUTE, days[1] + 60 * MINUTE, 1),)


def test_days_of_stocks_are_missing_by_the_calendar() -> None:
    stocks = calendar_named("us_stocks")
    opens = [stocks.next_open(T0)]
    for _ in range(30):
        opens.append(stocks.next_open(opens[-1]))
    times = np.delete(np.array(opens, np.int64), [7, 8])
    flat = np.full(len(times), 10.0)
    report = audit(Columns(times, flat, flat * 1.001, flat * 0.999, flat, flat), 86_400, stocks)
    assert (report.missing_bars, len(report.missing), report.off_grid) == (2, 1, 0)
    assert report.missing[0].start == opens[7]


def test_a_table_without_rows_is_worth_nothing() -> None:
    report = audit(without(made(3), 0, 1, 2), 60)
    assert (report.rows, report.score, report.first) == (0, 0.0, 0)


def test_a_stray_row_of_another_age_costs_no_memory() -> None:
    bars = made(10)
    times = bars.open_time.copy()
    times[0] = 0
    report = audit(bars._replace(open_time=times), 60)
    assert report.missing[0].bars > 20_000_000
    assert report.score < 0.001


@pytest.mark.parametrize(("interval_s", "rows"), [(7, 5), (60, 4)])
def test_what_cannot_be_audited_is_refused(interval_s: int, rows: int) -> None:
    bars = made(5)
    with pytest.raises(ValueError):
        audit(bars._replace(volume=bars.volume[:rows]), interval_s)


def test_the_halt_of_24_march_2023_comes_out_right() -> None:
    report = audit(bars_of("BTCUSDT_1h"), 3600)
    noon = 1_679_659_200 * SECOND
    that_day = [(f.flaw, f.time) for f in report.findings if noon - 12 * HOUR <= f.time < noon + 12 * HOUR]
    assert that_day == [(Flaw.ZERO_VOLUME, noon), (Flaw.MISSING, noon + HOUR)]
    assert MissingRange(noon + HOUR, noon + 2 * HOUR, 1) in report.missing


def test_eight_years_of_hours_miss_what_the_venue_did_not_trade() -> None:
    report = audit(bars_of("BTCUSDT_1h"), 3600)
    assert (report.rows, len(report.missing), report.missing_bars, report.zero_volume) == (69_717, 11, 23, 118)
    assert (report.duplicates, report.out_of_order, report.off_grid, report.impossible) == (0, 0, 0, 0)
    assert report.outliers < 10
    assert report.score > 0.999


@pytest.mark.parametrize("symbol", ["BTC", "ETH", "DOGE", "AVAX", "ADA", "LTC", "DOT", "LUNA", "UNI"])
def test_the_two_hours_that_are_missing_in_2021_are_one_hole(symbol: str) -> None:
    report = audit(bars_of(f"{symbol}USDT_1m_2021"), 60)
    (hole,) = report.missing
    assert (hole.bars, hole.end - hole.start) == (120, 2 * HOUR)


@pytest.mark.parametrize("name", ["BTCUSDT_1m_2024aug", "BTCUSDT_15m_2023", "BTCUSDT_5m"])
def test_a_crash_is_no_fault_of_the_data(name: str) -> None:
    interval_s = {"1m": 60, "5m": 300, "15": 900}[name.split("_")[1][:2]]
    report = audit(bars_of(name), interval_s)
    assert report.clean
    assert report.score > 0.9998
