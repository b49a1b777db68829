"""Recorded sessions: what is taken, what is skipped with one line, and that texts and stamps travel unchanged."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from services.simulator.binance.feed import DataError
from services.simulator.binance.recording import open_recordings, scan
from services.simulator.binance.replay import ReplayFeed
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

RECORDINGS = Path(__file__).parents[3].parent / "shared" / "data" / "binance-ws"
E0 = 1_723_161_255_000
NS0 = E0 * 1_000_000 - 1_270_000_000


def trade(number: int, after_ms: int, symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {
        "e": "trade",
        "E": E0 + after_ms + 1,
        "s": symbol,
        "t": number,
        "p": f"{61_000 + number}.63000000",
        "q": "0.02000000",
        "T": E0 + after_ms,
        "m": number % 2 == 0,
        "M": True,
    }


def depth(first: int, last: int, after_ms: int, symbol: str = "BTCUSDT", **extra: Any) -> dict[str, Any]:
    return {
        "e": "depthUpdate",
        "E": E0 + after_ms,
        **extra,
        "s": symbol,
        "U": first,
        "u": last,
        "b": [["61000.00000000", f"{last}.00000000"]],
        "a": [],
    }


def line(after_ms: int, stream: str, data: Any) -> str:
    body = {"stream": stream, "data": data} if stream else data
    return f"{NS0 + after_ms * 1_000_000} {json.dumps(body, separators=(',', ':'))}\n"


SNAPSHOT = {
    "lastUpdateId": 12,
    "bids": [["61000.00000000", "1.00000000"], ["60999.50000000", "2.00000000"]],
    "asks": [["61001.00000000", "0.00100000"]],
}
SPOT = [
    line(0, "btcusdt@depth@100ms", depth(10, 11, 0)),
    line(5, "btcusdt@trade", trade(100, 5)),
    line(8, "btcusdt@bookTicker", {"u": 12, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}),
    line(10, "", SNAPSHOT),
    line(100, "btcusdt@depth@100ms", depth(12, 14, 100)),
    line(1_900, "btcusdt@trade", trade(101, 1_900)),
    line(2_000, "btcusdt@depth@100ms", depth(15, 15, 2_000)),
]


def write(path: Path, lines: list[str]) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress("".join(lines).encode()))
    else:
        path.write_text("".join(lines))
    return path


async def play(hub: Any, data: Path, record: Record | None = None) -> ReplayFeed:
    feed = ReplayFeed(SimulatorOptions(data=data, speed=100_000), hub, record or Record(None), lambda: None)
    feed.subscribed(["btcusdt@trade", "ethusdt@trade"])
    await feed.run()
    return feed


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_spot_file_is_recognised(tmp_path: Path, name: str) -> None:
    found = scan(write(tmp_path / name, SPOT))
    assert found is not None
    assert found.symbols == ["BTCUSDT"]
    assert found.first_event_ms == E0
    assert found.snapshots["BTCUSDT"].lastUpdateId == 12


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("a.jsonl", line(0, "btcusdt@depth@0ms", depth(10, 11, 0, T=E0, pu=9))),
        ("a.jsonl", line(0, "btcusdt@depth@100ms", depth(10, 11, 0, T=E0))),
        ("a.jsonl", line(0, "btcusdt@bookTicker", {"e": "bookTicker", "u": 1, "s": "BTCUSDT"})),
        ("binance_usdm_btcusdt.jsonl", SPOT[0]),
    ],
)
def test_a_futures_file_is_skipped_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, first: str
) -> None:
    write(tmp_path / name, [first, *SPOT])
    write(tmp_path / "spot.jsonl", SPOT)
    with caplog.at_level(logging.INFO):
        assert [row.path.name for row in open_recordings(tmp_path)] == ["spot.jsonl"]
    assert len(caplog.records) == 1
    assert name in caplog.text
    assert "not a spot recording" in caplog.text


def test_data_without_anything_to_play_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no Binance spot recording: expected \*\.jsonl"):
        open_recordings(tmp_path)
    with pytest.raises(DataError, match="cannot read"):
        open_recordings(tmp_path / "gone.jsonl")


def test_the_real_futures_file_is_skipped() -> None:
    if not RECORDINGS.exists():
        pytest.skip("the recorded Binance sessions are not beside this checkout")
    found = open_recordings(RECORDINGS)
    assert sorted(symbol for row in found for symbol in row.symbols) == ["BTCUSDT", "ETHUSDT"]


async def test_recorded_texts_travel_unchanged_in_the_order_of_arrival(keeping_hub: Any, tmp_path: Path) -> None:
    write(tmp_path / "btc.jsonl", SPOT)
    write(tmp_path / "eth.jsonl.gz", [line(7, "ethusdt@trade", trade(500, 7, "ETHUSDT"))])
    texts: list[str] = []

    class Texts(keeping_hub):  # type: ignore[misc]
        def publish(self, stream: str, payload: bytes) -> None:
            if self.wanted(stream):
                texts.append(f'{{"stream":"{stream}","data":{payload.decode()}}}')

    recorded = [row for row in SPOT if '"stream"' in row]
    recorded.insert(2, line(7, "ethusdt@trade", trade(500, 7, "ETHUSDT")))
    streams = ["btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker", "ethusdt@trade"]
    feed = await play(Texts(streams), tmp_path)
    assert texts == [row.split(" ", 1)[1].strip() for row in recorded]
    assert feed.ended
    assert feed.now_ms() == E0 + 2_000


async def test_rest_answers_what_has_been_played(keeping_hub: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "btc.jsonl", SPOT)
    feed = ReplayFeed(SimulatorOptions(data=data, speed=100_000), keeping_hub(), Record(None), lambda: None)
    assert feed.depth("BTCUSDT").last_id == 12
    assert feed.trades("BTCUSDT", None, 10) == []
    assert feed.now_ms() == E0
    feed.subscribed(["btcusdt@trade"])
    await feed.run()
    book = feed.depth("BTCUSDT")
    assert book.last_id == 15
    assert book.top(1)[0] == [(61_000 * 10**8, 15 * 10**8)]
    assert [row.id for row in feed.trades("BTCUSDT", None, 10)] == [100, 101]
    assert [row.id for row in feed.trades("BTCUSDT", 101, 10)] == [101]
    assert feed.first_trade_at("BTCUSDT", E0 + 6) == 101
    bars = await feed.klines("BTCUSDT", "1s", None, None, 10)
    assert [(bar.open_ms, bar.trades) for bar in bars] == [(E0, 1), (E0 + 1_000, 1)]
    spot = feed.symbols["BTCUSDT"]
    assert (spot.base, spot.quote, spot.tick) == ("BTC", "USDT", 10**6)


async def test_klines_and_aggregates_are_derived_from_recorded_trades(keeping_hub: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "btc.jsonl", [*SPOT, line(4_000, "btcusdt@depth@100ms", depth(16, 16, 4_000))])
    hub = keeping_hub(["btcusdt@aggTrade", "btcusdt@kline_1s", "btcusdt@depth", "btcusdt@depth5"])
    await play(hub, data)
    assert [row["a"] for row in hub.of("btcusdt@aggTrade")] == [100, 101]
    closed = [row["k"] for row in hub.of("btcusdt@kline_1s") if row["k"]["x"]]
    assert [(bar["t"], bar["n"]) for bar in closed] == [(E0, 1), (E0 + 1_000, 1), (E0 + 2_000, 0)]
    assert [(row["U"], row["u"]) for row in hub.of("btcusdt@depth")] == [(10, 11), (12, 15), (16, 16)]
    assert hub.of("btcusdt@depth5")[-1]["lastUpdateId"] == 16


async def test_broken_lines_are_passed_over(keeping_hub: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = ["garbage\n", "\n", "12 {\n", f"{NS0} []\n", line(50, "btcusdt@trade", {"e": "trade", "E": "x"})]
    absurd = trade(102, 60) | {"p": "-5"}
    data = write(tmp_path / "btc.jsonl", [SPOT[0], *broken, line(60, "btcusdt@trade", absurd), *SPOT[1:]])
    hub = keeping_hub(["btcusdt@trade"])
    feed = await play(hub, data)
    assert feed.ended
    assert [row.id for row in feed.trades("BTCUSDT", None, 10)] == [100, 101]
    assert "skipped" in caplog.text


async def test_a_cut_gzip_plays_up_to_the_cut(keeping_hub: Any, tmp_path: Path) -> None:
    lines = [line(number, "btcusdt@trade", trade(number, number)) for number in range(1, 2_000)]
    data = write(tmp_path / "btc.jsonl.gz", lines)
    data.write_bytes(data.read_bytes()[:-2_000])
    feed = await play(keeping_hub(["btcusdt@trade"]), data)
    assert feed.ended
    assert 100 < len(feed.trades("BTCUSDT", 1, 5_000)) < 1_999


async def test_every_trade_goes_on_record_once(keeping_hub: Any, tmp_path: Path) -> None:
    data = write(tmp_path / "btc.jsonl", SPOT)
    record = Record(tmp_path / "record.jsonl")
    await play(keeping_hub(["btcusdt@trade"]), data, record)
    await play(keeping_hub(["btcusdt@trade"]), data, record)
    record.close()
    rows = [json.loads(row) for row in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["symbol"], row["seq"], row["price"], row["side"]) for row in rows] == [
        ("trade", "BTCUSDT", 100, "61100.63000000", "sell"),
        ("trade", "BTCUSDT", 101, "61101.63000000", "buy"),
    ]
    assert rows[0]["ts"] == (E0 + 5) * 1_000_000


async def test_a_killed_replay_goes_on_where_it_was_and_knows_what_it_sent(keeping_hub: Any, tmp_path: Path) -> None:
    rows = [line(number * 2, "btcusdt@trade", trade(number, number * 2)) for number in range(1, 400)]
    data = write(tmp_path / "btc.jsonl", rows)
    options = SimulatorOptions(data=data, speed=1, state_dir=tmp_path / "state")
    hub = keeping_hub(["btcusdt@trade"])
    first = ReplayFeed(options, hub, Record(None), lambda: None)
    first.subscribed(["btcusdt@trade"])
    enough = asyncio.Event()
    hub.watchers.append(lambda *_: enough.set() if len(hub.published) >= 200 else None)
    playing = asyncio.create_task(first.run())
    await asyncio.wait_for(enough.wait(), 10)
    playing.cancel()  # and no close: as after a kill

    again = keeping_hub(["btcusdt@trade"])
    second = ReplayFeed(options, again, Record(None), lambda: None)
    resumed = [row.id for row in second.trades("BTCUSDT", 1, 1_000)]
    assert resumed == list(range(1, len(resumed) + 1))
    assert 50 < len(resumed) <= len(hub.published)
    again.published.clear()
    second.subscribed(["btcusdt@trade"])
    await second.run()
    assert [row["t"] for row in again.of("btcusdt@trade")] == list(range(len(resumed) + 1, 400))
    second.close()

    third = ReplayFeed(options, keeping_hub(), Record(None), lambda: None)
    assert third.trades("BTCUSDT", 1, 1_000) == []
