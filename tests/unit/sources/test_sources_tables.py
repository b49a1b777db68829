"""Tables of any column names, units and formats: what was written is read, and what cannot be read is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.core.history import FIELDS, Columns, Kind, joined, of_rows, rows_in
from libs.research.tables import TableError, place_of, read_table, write_table
from libs.research.tables.names import parse_columns
from libs.research.tables.read import interval_of, read_bars

DATA = Path(__file__).parents[3].parent / "shared" / "data"
T0 = 1_722_816_000  # 2024-08-05 00:00 UTC
BAR_TIMES = st.integers(T0, T0 + 86_400).map(lambda s: s * 1_000_000_000)
TIMES = st.integers(T0 * 10**9, (T0 + 86_400) * 10**9)
NUMBERS = st.floats(1e-9, 1e12, allow_nan=False)
PLACES = ("bars.parquet", "bars.csv", "bars.csv.gz", "sqlite:base.db#history", "bars.sqlite#other")


@st.composite
def histories(draw: st.DrawFn) -> tuple[Kind, Columns]:
    kind = draw(st.sampled_from(list(Kind)))
    stamps = BAR_TIMES if kind is Kind.BARS else TIMES
    fields = {"side": st.integers(-1, 1), "seq": st.integers(0, 2**62), "trades": st.integers(0, 2**40)}
    fields |= {"open_time": stamps, "ts_event": stamps, "period": stamps}
    row = st.tuples(*(fields.get(name, NUMBERS) for name in FIELDS[kind]))
    return kind, joined(kind, [of_rows(kind, draw(st.lists(row, min_size=1, max_size=6)))])


@pytest.mark.parametrize("where", PLACES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(drawn=histories())
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, where: str, drawn: tuple[Kind, Columns]) -> None:
    kind, columns = drawn
    prefix, _, rest = where.rpartition(":")
    place = place_of(f"{prefix}{':' if prefix else ''}{tmp_path / rest}")
    first = write_table(place, kind, columns)
    found = read_table(place, kind=kind)
    assert {name: values.tolist() for name, values in found.columns.items()} == {
        name: values.tolist() for name, values in columns.items()
    }
    assert write_table(place, kind, found.columns) == first, "the same rows, the same bytes"
    assert not list(tmp_path.glob(".*")), "nothing half is left"


def test_names_of_the_users_own_go_out_and_come_back(tmp_path: Path) -> None:
    place = place_of(str(tmp_path / "own.csv"))
    names = parse_columns("time=Zeit, open=Eroeffnung, close=Schluss")
    bars = of_rows(Kind.BARS, [(T0 * 10**9, 1.0, 2.0, 0.5, 1.5, 3.0, 1.0, 7)])
    write_table(place, Kind.BARS, bars, names)
    assert place.path.read_text().splitlines()[0] == "Zeit,Eroeffnung,high,low,Schluss,volume,buy_volume,trades"
    with pytest.raises(TableError, match="no column for time, open, close; there are: Zeit"):
        read_table(place, kind=Kind.BARS)
    assert read_bars(place, names)["close"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("header", "times"),
    [
        ("ts", [T0, T0 + 60]),
        ("timestamp", [T0 * 1000, (T0 + 60) * 1000]),
        ("Open time", [T0 * 10**6, (T0 + 60) * 10**6]),
        ("open_time", [T0 * 10**9, (T0 + 60) * 10**9]),
        ("unix", [float(T0), T0 + 60.0]),
        ("Date", ["2024-08-05 00:00:00", "2024-08-05 00:01:00"]),
        ("date", ["2024-08-05T00:00:00Z", "2024-08-05T00:01:00Z"]),
        ("Datetime", ["2024-08-05 02:00:00+02:00", "2024-08-05 02:01:00+02:00"]),
        ("time", ["2024-08-05T00:00:00.000+0000", "2024-08-05T00:01:00.000+0000"]),
        ("Gmt time", ["05.08.2024 00:00:00.000", "05.08.2024 00:01:00.000"]),
        ("DateTime", ["20240805 000000", "20240805 000100"]),
        ("TIME", ["2024.08.05 00:00", "2024.08.05 00:01"]),
        ("", ["2024-08-05 00:00", "2024-08-05 00:01"]),
    ],
)
def test_times_of_every_unit_and_spelling_are_the_same_moment(tmp_path: Path, header: str, times: list[object]) -> None:
    path = tmp_path / "bars.csv"
    rows = [f"{at},1,2,0.5,1.5,10" for at in times]
    path.write_text("\n".join([f"{header},O,H,L,C,Vol", *rows]))
    bars = read_bars(str(path))
    assert bars["open_time"].tolist() == [T0 * 10**9, (T0 + 60) * 10**9]
    assert bars["volume"].tolist() == [10.0, 10.0]
    assert interval_of(bars) == 60


def test_times_of_another_zone_are_told_by_the_user(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("time;open;high;low;close\n2024-08-05 09:30;1;1;1;1\n2024-12-05 09:30;1;1;1;1\n")
    bars = read_bars(str(path), parse_columns("zone=America/New_York"))
    assert np.array(bars["open_time"], "M8[ns]").astype("M8[m]").astype(str).tolist() == [
        "2024-08-05T13:30",
        "2024-12-05T14:30",
    ]


def test_date_and_hour_may_stand_apart(tmp_path: Path) -> None:
    path = tmp_path / "mt4.csv"
    path.write_text("Date,Time,Open,High,Low,Close,Volume\n2024.08.05,00:01,1,2,0.5,1.5,9\n")
    assert read_bars(str(path))["open_time"].tolist() == [(T0 + 60) * 10**9]


def test_kline_files_without_a_header_are_known(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m.csv"
    path.write_text(f"{T0 * 10**6},1,4,0.5,2,10,{T0 * 10**6 + 59_999_999},20,7,4,8,0\n" * 1)
    bars = read_bars(str(path))
    assert {name: values.tolist()[0] for name, values in bars.items()} == {
        "open_time": T0 * 10**9, "open": 1.0, "high": 4.0, "low": 0.5, "close": 2.0,
        "volume": 10.0, "buy_volume": 4.0, "trades": 7,
    }  # fmt: skip


def test_columns_without_a_header_go_by_number(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"9,{T0},1,2,0.5,1.5\n8,{T0 + 60},1,2,0.5,1.5\n")
    bars = read_bars(str(path), parse_columns("time=2,open=3,high=4,low=5,close=6"))
    assert bars["open_time"].tolist() == [T0 * 10**9, (T0 + 60) * 10**9]


@pytest.mark.parametrize(
    ("header", "values", "sides"),
    [
        ("side", ["buy", "sell"], [1, -1]),
        ("Side", ["B", "S"], [1, -1]),
        ("is_buyer_maker", ["True", "False"], [-1, 1]),
        ("m", ["true", "false"], [-1, 1]),
        ("side", ["1", "-1"], [1, -1]),
        ("side", ["1", "0"], [1, 0]),
    ],
)
def test_the_aggressor_is_told_in_many_ways(tmp_path: Path, header: str, values: list[str], sides: list[int]) -> None:
    path = tmp_path / "trades.csv"
    rows = [f"{T0},{100 + i},2,{value},{i + 1}" for i, value in enumerate(values)]
    path.write_text("\n".join([f"time,price,qty,{header},id", *rows]))
    found = read_table(str(path))
    assert found.kind is Kind.TRADES
    assert found.columns["side"].tolist() == sides


def test_a_series_of_two_columns_is_readings_and_days_without_a_value_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "DGS10.csv"
    path.write_text("observation_date,DGS10\n2024-08-01,3.99\n2024-08-02,.\n2024-08-05,\n2024-08-06,3.90\n")
    found = read_table(str(path), {"time": "observation_date"})
    assert found.kind is Kind.READINGS
    assert found.columns["value"].tolist() == [3.99, 3.90]


def test_an_sqlite_base_with_several_tables_wants_a_name(tmp_path: Path) -> None:
    path = tmp_path / "base.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute('CREATE TABLE "a b" (Date TEXT, Close REAL, Open REAL, Low REAL, High REAL)')
        base.execute("INSERT INTO \"a b\" VALUES ('2024-08-05', 1.5, 1, 0.5, 2)")
        base.execute("CREATE VIEW other AS SELECT 1 AS x")
        base.commit()
    with pytest.raises(TableError, match="name a table with #TABLE; there are: a b, other"):
        read_bars(str(path))
    assert read_bars(f"sqlite:{path}#a b")["high"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "no column for open, high, low, close|no column for time"),
        ("time,open,high,low,close\nsoon,1,1,1,1\n", "'soon' is no time that can be read"),
        ("time,open,high,low,close\n1/2/2024,1,1,1,1\n", "day and month of '1/2/2024' cannot be told apart"),
        ("time,open,high,low,close\n2024-08-05,1,x,1,1\n", "column high: 'x' in row 1 is no number"),
        ("time,open,high,low,close\n,1,1,1,1\n2024-08-05,1,1,1,1\n", "row 1 has no time"),
        ("time,price,side\n1722816000,1,up\n", "'up' is neither buy nor sell"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=says) as failed:
        read_table(str(path))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("where", ["bars.xlsx", "bars.parquet#x", "bars.parquet.gz", "gone.csv"])
def test_places_that_are_none(tmp_path: Path, where: str) -> None:
    with pytest.raises(TableError):
        read_table(str(tmp_path / where))


def test_bytes_that_are_no_table(tmp_path: Path) -> None:
    for name in ("x.parquet", "x.sqlite", "x.csv"):
        (tmp_path / name).write_bytes(b"\x00\x9f\x92garbage")
        with pytest.raises(TableError) as failed:
            read_table(str(tmp_path / name))
        assert "\n" not in str(failed.value)


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded data is not here")
@pytest.mark.parametrize(
    ("name", "rows", "interval_s", "first"),
    [
        ("bars/binance_BTCUSDT_1h.parquet", 69_717, 3600, "2017-08-17T04:00"),
        ("bars/btcperp_1m_2022jan.parquet", 45_031, 60, "2021-12-31T23:01"),
        ("fx_equity/arch_sp500.csv.gz", 5_031, 86_400, "1999-01-04T00:00"),
        ("fx_equity/backtesting_EURUSD.csv", 5_000, 3600, "2017-04-19T09:00"),
        ("fx_equity/lean_SPY_1d.parquet", 4_679, 86_400, "1998-01-02T00:00"),
    ],
)
def test_files_of_strangers_as_they_are(name: str, rows: int, interval_s: int, first: str) -> None:
    bars = read_bars(str(DATA / name))
    assert (rows_in(bars), interval_of(bars)) == (rows, interval_s)
    assert str(np.datetime64(int(bars["open_time"][0]), "ns").astype("M8[m]")) == first
    frame = pl.read_parquet(DATA / name) if name.endswith("parquet") else pl.read_csv(DATA / name)
    close = next(column for column in frame.columns if column.lower() == "close")
    assert frame[close].to_list() == bars["close"].tolist()
