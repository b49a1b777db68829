"""What a table must hold to be learnt from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from training_world import BEGIN, HOUR, bars, series, table

from libs.core.features.engine import Bars
from libs.core.types import SECOND, BarFlag
from libs.research.training.dataset import DataProblem
from libs.research.training.read import Series, read_series


def part(given: Bars, rows: object) -> Bars:
    names = ("open_time", "open", "high", "low", "close", "volume")
    return Bars(**{name: getattr(given, name)[rows] for name in names})


def changed(given: Bars, name: str, row: int, value: float) -> Bars:
    column = getattr(given, name).copy()
    column[row] = value
    return msgspec.structs.replace(given, **{name: column})


@pytest.mark.parametrize("file", ["b.parquet", "b.csv"])
def test_bars_are_read_in_order_each_once(tmp_path: Path, file: str) -> None:
    given = bars(50)
    mixed = part(given, np.r_[30:50, 0:35])

    found = read_series(str(table(tmp_path / file, mixed)), "BTCUSDT", venue="binance")

    assert found.interval_s == HOUR
    assert np.array_equal(found.bars.open_time, given.open_time)
    assert np.allclose(found.bars.close, given.close)
    assert not found.flagged.any()


@pytest.mark.parametrize("file", ["b.parquet", "b.csv"])
def test_bars_with_missing_or_refilled_data_are_left_out(tmp_path: Path, file: str) -> None:
    flags = np.zeros(50, dtype=np.int64)
    flags[7], flags[9], flags[11] = BarFlag.GAP, BarFlag.FILLED, 1 << 40

    found = read_series(str(table(tmp_path / file, bars(50), flags=flags)), "BTCUSDT", venue="binance")

    assert np.flatnonzero(found.flagged).tolist() == [7, 9]
    assert "2 flagged bars left out" in found.said


def test_a_hole_is_told_and_nothing_is_learnt_across_it() -> None:
    whole = series(1_500)
    keep = np.r_[0:1_300, 1_303:1_500]
    found = Series("binance", "BTCUSDT", HOUR, part(whole.bars, keep), np.zeros(len(keep), dtype=bool))

    assert found.holes == (1, 3)
    assert "1 holes of 3 bars" in found.said
    assert np.isnan(found.dataset().next_return[1_299])
    assert not found.dataset().usable[1_299]


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        (lambda b: changed(b, "close", 20, float("nan")), "row 21 (2020-09-14 08:00 UTC): close nan: no price"),
        (lambda b: changed(b, "open", 20, -1.0), "open -1: no price (1 such rows)"),
        (lambda b: changed(b, "high", 20, 1.0), "high and low do not hold open and close"),
        (lambda b: changed(b, "volume", 20, float("inf")), "no volume"),
    ],
)
def test_an_impossible_row_is_named_in_one_line(tmp_path: Path, spoiled: object, said: str) -> None:
    assert callable(spoiled)
    where = table(tmp_path / "b.parquet", spoiled(bars(50)))

    with pytest.raises(DataProblem) as problem:
        read_series(str(where), "BTCUSDT", venue="binance")

    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_bars_of_another_length_are_refused(tmp_path: Path) -> None:
    where = table(tmp_path / "b.parquet", bars(50))

    with pytest.raises(DataProblem, match="holds bars of 1h, not of 5m"):
        read_series(str(where), "BTCUSDT", venue="binance", interval_s=300)


def test_too_few_bars_and_a_price_that_stands_still_are_told() -> None:
    with pytest.raises(DataProblem, match="300 bars are too few"):
        series(300).dataset()
    flat = bars(2_000)
    ones = np.ones(2_000)
    still = Bars(open_time=flat.open_time, open=ones, high=ones, low=ones, close=ones, volume=ones)
    with pytest.raises(DataProblem, match="the price does not move"):
        Series("binance", "BTCUSDT", HOUR, still, np.zeros(2_000, dtype=bool)).dataset()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="does not exist"):
        read_series(str(tmp_path / "none.parquet"), "BTCUSDT", venue="binance")
    assert bars(2).open_time[0] == BEGIN * SECOND
