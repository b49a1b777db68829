"""`conclave data` as people use it: killed and run again, checked, kept up to date, and one line where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from libs.research.tables.read import read_bars

Until = Callable[[Callable[[], object], str], Awaitable[None]]
DAYS = ("--start", "2024-08-05", "--end", "2024-08-10")
ROWS = 5 * 1440


def asked_for(url: str, out: str) -> tuple[str, ...]:
    what = ("--source", "binance", "--symbol", "BTCUSDT", "--interval", "1m")
    return ("data", "download", *what, *DAYS, "--url", url, "--out", out)


async def test_killed_in_the_middle_and_run_again_the_bytes_are_the_same(
    cli: Any, binance: tuple[Any, str], until: Until, tmp_path: Path
) -> None:
    stub, url = binance
    code, out, err = await cli.run(*asked_for(url, "whole.parquet"))
    assert (code, err) == (0, "")
    assert f"{ROWS:,} rows, {ROWS:,} new" in out
    assert "nothing missing, nothing strange" in out

    stub.asked.clear()
    stub.pages = 4
    process = await cli.start(*asked_for(url, "x.parquet"))
    await until(lambda: len(stub.asked) == 5, "the fifth page is asked for")
    process.kill()
    await process.wait()
    assert not (tmp_path / "x.parquet").exists()
    assert (tmp_path / "x.parquet.part").stat().st_size == 4000 * 64

    stub.asked.clear()
    stub.pages = 1 << 30
    code, out, err = await cli.run(*asked_for(url, "x.parquet"))
    assert (code, err) == (0, "")
    assert int(stub.asked[0]["startTime"]) == 1_722_816_000_000 + 4000 * 60_000, "it goes on where it was"
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("x.*")) == ["x.parquet", "x.parquet.json"]

    stub.asked.clear()
    code, out, _ = await cli.run(*asked_for(url, "x.parquet"), "--json")
    told = json.loads(out)
    assert (code, told["rows"], told["new"], stub.asked) == (0, ROWS, 0, [])


async def test_a_source_that_does_not_go_back_so_far_is_told(cli: Any, binance: tuple[Any, str]) -> None:
    stub, url = binance
    stub.first_ms = 1_722_816_000_000 + 2 * 86_400_000
    code, out, _ = await cli.run(*asked_for(url, "x.csv"))
    assert code == 0
    assert "told nothing from before 2024-08-07 00:00:00" in out


async def test_without_an_end_only_what_is_new_is_asked_for(cli: Any, binance: tuple[Any, str], tmp_path: Path) -> None:
    stub, url = binance
    stub.now_ms = 1_722_816_000_000 + 100 * 60_000 + 30_000
    what = (
        "data",
        "download",
        "--source",
        "binance",
        "--symbol",
        "ETHUSDT",
        "--interval",
        "1m",
        "--start",
        "2024-08-05",
    )
    code, out, _ = await cli.run(*what, "--url", url, "--out", "x.csv", "--columns", "time=when,close=last", "--json")
    assert (code, json.loads(out)["rows"]) == (0, 100)
    assert (tmp_path / "x.csv").read_text().startswith("when,open,high,low,last,volume")
    stub.now_ms += 3 * 60_000
    code, out, _ = await cli.run(*what, "--url", url, "--out", "x.csv", "--columns", "time=when,close=last", "--json")
    assert (code, json.loads(out)["rows"], json.loads(out)["new"]) == (0, 103, 3)
    assert stub.asked[-1]["startTime"] == str(1_722_816_000_000 + 100 * 60_000)
    assert len(read_bars(str(tmp_path / "x.csv"), {"time": "when", "close": "last"})["open"]) == 103


BTC = ("--source", "binance", "--symbol", "BTCUSDT", "--interval", "1m")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--source", "fred", "--symbol", "DGS10", "--interval", "readings"), "fred: no key; set FRED_API_KEY"),
        (("--source", "yaho", "--symbol", "SPY", "--interval", "1d"), "did you mean yahoo?"),
        ((*BTC[:-1], "7m"), "binance has no 7m; it has: 1s, 1m"),
        ((*BTC, "--url", "rest=http://127.0.0.1:1"), "no connection"),
        ((*BTC, "--url", "somewhere"), "--url: write rest=http"),
        ((*BTC, "--endpoint", "moon"), "--endpoint must be live or simulator, not moon"),
        (("--source", "yahoo", "--symbol", "SPY", "--interval", "1d", "--endpoint", "simulator"), "has no simulator"),
        ((*BTC, "--out", "x.xlsx"), "name a .csv, .csv.gz or .parquet"),
        ((*BTC, "--columns", "when=ts"), "--columns: 'when=ts' is none of"),
        ((*BTC, "--end", "soon"), "--end: 'soon' is no time; write 2024-08-05"),
        (("--source", "file", "--symbol", "gone.csv", "--interval", "1d"), "gone.csv does not exist"),
    ],
)
async def test_what_cannot_be_is_one_line(cli: Any, arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    code, out, err = await cli.run("data", "download", *arguments, "--start", "2024-08-05")
    assert (code, out) == (1, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


async def test_check_says_what_a_table_is_worth(cli: Any, tmp_path: Path) -> None:
    rows = [
        f"2024-08-05 {h:02}:{m:02},{100 + m % 7},{120 + m % 7},{90 + m % 7},{101 + m % 7},5"
        for h in range(20)
        for m in range(60)
    ]
    clean, holed = tmp_path / "clean.csv", tmp_path / "holed.csv"
    clean.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *rows]))
    holed.write_text(
        "\n".join(["Date,Open,High,Low,Close,Volume", *rows[:600], *rows[605:900], rows[899], *rows[900:]])
    )
    code, out, _ = await cli.run("data", "check", str(clean), "--plot", "clean.png")
    assert code == 0, out
    assert out.rstrip().endswith("clean")
    assert (tmp_path / "clean.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = await cli.run("data", "check", str(holed))
    assert code == 1
    assert "5 missing, 1 repeated" in out
    assert "2024-08-05 10:00:00" in out
    code, out, _ = await cli.run("data", "check", str(holed), "--json")
    report = json.loads(out)["report"]
    assert (code, report["missing_bars"], report["duplicates"]) == (1, 5, 1)


async def test_check_finds_a_changed_download(cli: Any, binance: tuple[Any, str], tmp_path: Path) -> None:
    await cli.run(*asked_for(binance[1], "x.csv"))
    code, out, _ = await cli.run("data", "check", "x.csv")
    assert code == 0
    assert "checksum: as downloaded" in out
    with (tmp_path / "x.csv").open("a") as out_file:
        out_file.write("1723248000000,100,101,99,100,3.5,1,4\n")
    code, out, _ = await cli.run("data", "check", "x.csv")
    assert code == 1
    assert "was changed since it was downloaded" in out


async def test_list_tells_which_keys_are_set(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRED_API_KEY", "x")
    code, out, _ = await cli.run("data", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert (rows["fred"]["key_set"], rows["polygon"]["key_set"]) == (True, False)
    assert set(rows) >= {"binance", "deriv", "ccxt", "yahoo", "coingecko", "alphavantage", "nasdaq", "file"}


async def test_update_fills_files_and_the_store(
    cli: Any, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("Date,O,H,L,Last\n" + "\n".join(f"2024-08-{d:02},{d},{d},{d},{d}" for d in range(5, 15)))
    (tmp_path / "config.yaml").write_text(
        f"""
data:
  venues: [{{name: binance, symbols: [{{symbol: BTCUSDT}}]}}]
  history:
    - {{source: file, symbol: {prices}, interval: 1d, start: 2024-01-01, columns: "close=Last", out: own.parquet}}
    - {{source: fred, symbol: DGS10, interval: readings}}
trading: {{accounts: [{{id: a, venue: binance, currency: USDT}}]}}
"""
    )
    monkeypatch.setenv("CONFIG_PATH", "config.yaml")
    monkeypatch.setenv("DATABASE_URL", database)
    code, out, _ = await cli.run("data", "update", "--json")
    rows = json.loads(out)
    assert code == 1
    assert rows[1]["problem"] == "fred: no key; set FRED_API_KEY"
    assert (rows[0]["rows"], rows[0]["new"], rows[0]["stored"], rows[0]["problem"]) == (10, 10, 10, "")
    connection = await asyncpg.connect(database)
    stored = await connection.fetch("SELECT venue, interval_s, close FROM bars ORDER BY open_time")
    await connection.close()
    assert [tuple(row) for row in stored] == [("file", 86_400, float(d)) for d in range(5, 15)]
    code, out, _ = await cli.run("data", "update", "--json")
    assert (json.loads(out)[0]["new"], json.loads(out)[0]["stored"]) == (0, 0)
    code, out, err = await cli.run("data", "check", f"store:file/{prices}/1d")
    assert "10 bars of 1d" in out, err
