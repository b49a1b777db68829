"""`conclave features` and `conclave leakcheck` as people call them: files, exit codes, one line when it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from console.app import app
from console.inputs import symbol_of
from libs.core.features.kit import PLAIN
from libs.core.features.sets import CORE20, FULL
from libs.research.leak.series import History, seeded

HOURS = seeded(4, 700, 3600, clean=True)


def conclave(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def table(folder: Path, history: History = HOURS, name: str = "binance_ETHUSDT_1h.parquet") -> Path:
    """Bars under other names, with times in ms."""
    bars = history.bars
    frame = pl.DataFrame(
        {
            "ts": bars.open_time // 1_000_000,
            **{key[0]: getattr(bars, key) for key in ("open", "high", "low", "close", "volume")},
        }
    )
    path = folder / name
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def one_line(done: Result, said: str) -> None:
    assert done.exit_code == 1, done.output
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_tells_of_each_feature_what_it_measures_and_needs() -> None:
    rows = json.loads(conclave("features", "list", "--json").stdout)
    assert [row["name"] for row in rows] == list(FULL.names)
    assert all(row["unit"] and row["source"] for row in rows)
    shown = conclave("features", "list", "--set", "core20")
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in CORE20.names)


def test_a_set_that_is_not_there_is_answered_with_those_that_are() -> None:
    one_line(conclave("features", "list", "--set", "core21"), "no feature set 'core21'; there are core20, full")


def test_a_set_of_the_configuration_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = (Path(__file__).parents[3] / "config.example.yaml").read_text()
    config = tmp_path / "config.yaml"
    config.write_text(example.replace("sets: {}", 'sets: {console_mine: ["sma(n=7)", "macd:macd_hist"]}'))
    monkeypatch.setenv("CONFIG_PATH", str(config))
    rows = json.loads(conclave("features", "list", "--set", "console_mine", "--json").stdout)
    assert [row["name"] for row in rows] == ["sma_7", "macd_hist"]


@pytest.mark.parametrize("name", ["binance_ETHUSDT_1h.parquet", "ETHUSDT-1h.csv"])
def test_computed_features_lie_beside_their_bars_in_one_file(tmp_path: Path, name: str) -> None:
    out = tmp_path / "features.parquet"
    done = conclave("features", "compute", "--data", table(tmp_path, name=name), "--set", "core20", "--out", out)
    assert done.exit_code == 0, done.output
    assert "20 features of 700 bars of ETHUSDT 1h" in done.output
    frame = pl.read_parquet(out)
    assert frame.columns == ["open_time", "open", "high", "low", "close", "volume", *CORE20.names]
    assert frame["open_time"].to_physical().to_list() == HOURS.bars.open_time.tolist()
    moved = np.log(HOURS.bars.close[20:] / HOURS.bars.close[:-20])
    np.testing.assert_allclose(frame["ret_20"].to_numpy()[20:], moved, rtol=1e-12)
    assert pl.read_parquet_metadata(out)["conclave.feature_hash"] == CORE20.hash
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "features.parquet"])


def test_bars_off_the_grid_of_their_interval_are_refused_in_words(tmp_path: Path) -> None:
    bars = HOURS.bars
    shifted = pl.DataFrame({"time": bars.open_time + 60_000_000_000, "open": bars.open, "high": bars.high,
                            "low": bars.low, "close": bars.close, "volume": bars.volume})  # fmt: skip
    path = tmp_path / "late.parquet"
    shifted.write_parquet(path)
    done = conclave("features", "compute", "--data", path, "--set", "core20", "--out", tmp_path / "x.parquet")
    one_line(done, "no bar begins at a multiple of 1h UTC while the market")
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "nowhere.parquet", "--out", "x.parquet"), "nowhere.parquet does not exist"),
        (("--data", "BARS", "--out", "x.csv"), "--out must end with .parquet"),
        (("--data", "BARS", "--out", "nowhere/x.parquet"), "nowhere does not exist"),
    ],
)
def test_what_cannot_be_computed_is_said_in_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    given = [str(table(tmp_path)) if each == "BARS" else each for each in arguments]
    one_line(conclave("features", "compute", *given), said)


def test_a_plot_is_a_picture_and_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    chosen = "sma_20,rsi_14,macd_line,macd_signal"
    done = conclave(
        *("features", "plot", "--data", table(tmp_path), "--features", chosen, "--bars", 120, "--out", tmp_path / "p")
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "p.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert all(name in page for name in chosen.split(","))
    assert "candlestick" in page
    assert "<script src=" not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give either a SYMBOL of the store or a table with --data"),
        (("BTCUSDT",), "no stack has run here, so there are no bars; get some with `conclave data download`"),
        (("--data", "BARS", "--features", "sma_21"), "no feature 'sma_21'; `conclave features list --set full`"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    given = [str(table(tmp_path)) if each == "BARS" else each for each in arguments]
    one_line(conclave("features", "plot", *given), said)


@pytest.mark.skipif(PLAIN, reason="thousands of bars are too many for plain Python")
def test_the_leak_check_is_clean_and_prints_each_memory(tmp_path: Path) -> None:
    done = conclave("leakcheck", "--set", "core20", "--moments", 2)
    assert done.exit_code == 0, done.output
    assert "20 values, nothing found" in done.stdout
    assert all(name in done.stdout for name in CORE20.names)
    given = conclave("leakcheck", "--set", "core20", "--moments", 2, "--data", table(tmp_path))
    assert given.exit_code == 0
    assert "clean" in given.stdout


LEAK = """
from libs.core.features.inputs import CLOSE
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, ROWS, WIDTH, Pointer


@feature(outputs=[Output(name="tomorrow", unit="ratio")], lookback=1, warmup=1, memory=1, oracle="none", source="-")
def tomorrow(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    base, last = CLOSE * c[WIDTH], c[ROWS] - 1
    for j in range(c[ROWS]):
        out[j] = x[base + last] / x[base + j] if c[FIRST] + j >= 1 else NAN
"""


@pytest.mark.skipif(PLAIN, reason="thousands of bars are too many for plain Python")
def test_a_file_that_peeks_fails_the_leak_check_with_the_first_offending_bar(tmp_path: Path) -> None:
    file = tmp_path / "tomorrow.py"
    file.write_text(LEAK)
    done = conclave("leakcheck", "--file", file, "--moments", 2)
    assert done.exit_code == 1, done.output
    said = " ".join(done.stdout.split())
    assert "sees the future" in said
    assert "at bar" in said
    one_line(conclave("leakcheck", "--file", tmp_path / "none.py"), "none.py does not exist")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binance_BTCUSDT_1h.parquet", "BTCUSDT"),
        ("backtesting_EURUSD.csv", "EURUSD"),
        ("lean_SPY_1d.parquet", "SPY"),
        ("BTC-USD.csv", "BTC"),
        ("bars.parquet", "BARS"),
    ],
)
def test_the_symbol_is_read_from_the_name_of_the_file(name: str, symbol: str) -> None:
    assert symbol_of(Path(name)) == symbol
