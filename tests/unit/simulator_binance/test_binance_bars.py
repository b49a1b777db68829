"""Bar files: history at once, then closed klines in order, holes kept, in-band time after each bar."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from services.simulator.binance.bars import HISTORY_BARS, BarFeed, read_bars
from services.simulator.binance.feed import DataError
from services.simulator.binance.position import FILE, Position
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

START = 1_704_067_200_000
MINUTE = 60_000
HOLE_AT = 520
BARS = 560
BAR_FILE = Path(__file__).parents[3].parent / "shared" / "data" / "bars" / "binance_BTCUSDT_1h.parquet"


def frame(count: int = BARS, **changes: Any) -> pl.DataFrame:
    opens = [START + (index + (7 if index >= HOLE_AT else 0)) * MINUTE for index in range(count)]
    closes = [100.0 + index * 0.01 for index in range(count)]
    columns = {
        "ts": opens,
        "open": [close - 0.005 for close in closes],
        "high": [close + 0.01 for close in closes],
        "low": [close - 0.02 for close in closes],
        "close": closes,
        "volume": [float(index) for index in range(count)],
    }
    return pl.DataFrame(columns | changes)


def write(tmp_path: Path, data: pl.DataFrame, name: str = "binance_SOLUSDT_1m_2024.parquet") -> Path:
    path = tmp_path / name
    data.write_parquet(path)
    return path


def feed_of(hub: Any, data: Path, record: Record | None = None) -> BarFeed:
    def tell_time() -> None:
        hub.publish("!simClock", json.dumps({"E": feed.now_ms(), "ended": feed.ended}).encode())

    feed = BarFeed(SimulatorOptions(data=data, speed=100_000), hub, record or Record(None), tell_time)
    return feed


async def test_history_is_known_at_once_and_the_rest_plays(keeping_hub: Any, tmp_path: Path) -> None:
    data = frame()
    hub = keeping_hub(["solusdt@kline_1m", "!simClock"])
    record = Record(tmp_path / "record.jsonl")
    feed = feed_of(hub, write(tmp_path, data), record)
    assert list(feed.symbols) == ["SOLUSDT"]
    history = await feed.klines("SOLUSDT", "1m", None, None, 1_000)
    assert [row.open_ms for row in history] == data["ts"][:HISTORY_BARS].to_list()
    assert feed.now_ms() == START + HISTORY_BARS * MINUTE
    assert feed.trades("SOLUSDT", None, 10) == []
    bids, asks = feed.depth("SOLUSDT").top(5)
    assert bids[0][0] < history[-1].close < asks[0][0]

    feed.subscribed(["solusdt@kline_1m"])
    await feed.run()
    record.close()

    klines = [message["k"] for message in hub.of("solusdt@kline_1m")]
    closed = [kline for kline in klines if kline["x"]]
    assert [kline["t"] for kline in closed] == data["ts"][HISTORY_BARS:].to_list()
    assert [float(kline["c"]) for kline in closed] == pytest.approx(data["close"][HISTORY_BARS:].to_list(), abs=1e-9)
    assert [float(kline["v"]) for kline in closed] == data["volume"][HISTORY_BARS:].to_list()
    running = [kline for kline in klines if not kline["x"]]
    assert all(kline["h"] == kline["l"] == kline["o"] == kline["c"] for kline in running)
    assert feed.ended
    rows = [json.loads(row) for row in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [row["open_time"] for row in rows] == [kline["t"] * 1_000_000 for kline in closed]
    assert {(row["kind"], row["interval"]) for row in rows} == {("bar", "1m")}


async def test_time_advances_only_with_what_was_sent(keeping_hub: Any, tmp_path: Path) -> None:
    hub = keeping_hub(["solusdt@kline_1m", "!simClock"])
    feed = feed_of(hub, write(tmp_path, frame()))
    feed.subscribed(["solusdt@kline_1m"])
    await feed.run()
    sent = 0
    for stream, message in hub.published:
        if stream == "!simClock":
            assert message["E"] == sent
        else:
            assert message["E"] >= sent
            sent = message["E"]
            assert not message["k"]["x"] or sent == message["k"]["T"] + 1
    assert hub.published[-1] == ("!simClock", {"E": sent, "ended": True})
    bars = BARS - HISTORY_BARS
    assert len(hub.of("!simClock")) == bars + 1


async def test_larger_intervals_are_built_and_close_once_even_beside_a_hole(keeping_hub: Any, tmp_path: Path) -> None:
    data = frame()
    hub = keeping_hub(["solusdt@kline_5m"])
    feed = feed_of(hub, write(tmp_path, data))
    feed.subscribed(["solusdt@kline_5m"])
    await feed.run()
    closed = [message["k"] for message in hub.of("solusdt@kline_5m") if message["k"]["x"]]
    # minutes 520 to 526 are missing: the bar of 520 has no part, that of 525 begins late
    opens = [START + minute * MINUTE for minute in range(500, 565, 5) if minute != 520]
    assert [kline["t"] for kline in closed] == opens
    late = closed[opens.index(START + 525 * MINUTE)]
    inside = data.filter((pl.col("ts") >= late["t"]) & (pl.col("ts") <= late["T"]))
    assert float(late["v"]) == inside["volume"].sum()
    assert [row.open_ms for row in await feed.klines("SOLUSDT", "5m", opens[0], opens[-1], 100)] == opens


async def test_a_bar_cut_short_by_a_hole_still_closes(keeping_hub: Any, tmp_path: Path) -> None:
    data = frame().filter((pl.col("ts") < START + 512 * MINUTE) | (pl.col("ts") >= START + 530 * MINUTE))
    hub = keeping_hub(["solusdt@kline_5m"])
    feed = feed_of(hub, write(tmp_path, data))
    feed.subscribed(["solusdt@kline_5m"])
    await feed.run()
    closed = [message["k"]["t"] for message in hub.of("solusdt@kline_5m") if message["k"]["x"]]
    assert closed[:4] == [START + minute * MINUTE for minute in (500, 505, 510, 530)]


@pytest.mark.parametrize(
    ("changes", "count", "said"),
    [
        ({"ts": [START] * 5}, 5, "ts must rise"),
        ({"ts": [START + index * 7_000 for index in range(5)]}, 5, "7000 ms apart"),
        ({"close": [1.0, 2.0, float("nan"), 1.0, 1.0]}, 5, "impossible bars, the first in row 0"),
        ({"volume": [0.0, -1.0, 0.0, 0.0, 0.0]}, 5, "1 impossible bars, the first in row 1"),
        ({}, 1, "1 bars; at least 2"),
    ],
)
def test_an_unusable_file_says_what_is_wrong(tmp_path: Path, changes: Any, count: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_bars(write(tmp_path, frame(count, **changes)))


def test_a_file_that_is_no_bar_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a bar file"):
        read_bars(write(tmp_path, pl.DataFrame({"x": [1]})))
    (tmp_path / "binance_BTCUSDT_1h.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a bar file"):
        read_bars(tmp_path / "binance_BTCUSDT_1h.parquet")
    with pytest.raises(DataError, match="gives no symbol"):
        read_bars(write(tmp_path, frame(), "x.parquet"))


def test_the_real_bars_keep_their_holes() -> None:
    if not BAR_FILE.exists():
        pytest.skip("the real bar files are not beside this checkout")
    bars = read_bars(BAR_FILE)
    assert (bars.symbol, bars.interval, len(bars.rows)) == ("BTCUSDT", "1h", 69_717)
    holes = sum(later[0] - earlier[0] > 3_600_000 for earlier, later in pairwise(bars.rows))
    assert holes == 11


async def test_a_killed_playback_goes_on_with_the_next_bar(keeping_hub: Any, tmp_path: Path) -> None:
    data = write(tmp_path, frame())
    options = SimulatorOptions(data=data, speed=100_000, state_dir=tmp_path / "state")
    position = Position(options.state_dir, data)
    position.save(530)
    feed = BarFeed(options, keeping_hub(), Record(None), lambda: None)
    assert len(await feed.klines("SOLUSDT", "1m", None, None, 1_000)) == 530
    feed.close()
    assert position.resume() == 0


@pytest.mark.parametrize("spoiled", ["other data", "too old", "torn"])
def test_a_position_that_is_not_of_this_run_is_ignored(tmp_path: Path, spoiled: str) -> None:
    position = Position(tmp_path, tmp_path / "a.parquet")
    position.save(530)
    assert Position(tmp_path, tmp_path / "a.parquet").resume() == 530
    if spoiled == "other data":
        assert Position(tmp_path, tmp_path / "b.parquet").resume() == 0
    elif spoiled == "too old":
        os.utime(tmp_path / FILE, (1, 1))
        assert position.resume() == 0
    else:
        (tmp_path / FILE).write_text('{"data"')
        assert position.resume() == 0
