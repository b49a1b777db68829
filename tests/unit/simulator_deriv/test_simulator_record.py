"""The truth record keeps every sequence once, whatever happens to the process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.simulator.record import Record


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_line_carries_its_series_its_time_and_its_fields(tmp_path: Path) -> None:
    record = Record(tmp_path / "deep" / "record.jsonl")
    assert record.write("binance", "trade", "BTCUSDT", 5, 1_000, price="1.50", qty="2", side="buy")
    record.close()
    assert lines(tmp_path / "deep" / "record.jsonl") == [
        {
            "venue": "binance",
            "kind": "trade",
            "symbol": "BTCUSDT",
            "seq": 5,
            "ts": 1_000,
            "price": "1.50",
            "qty": "2",
            "side": "buy",
        }
    ]


def test_line_torn_by_a_kill_is_cut_off_and_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.write("deriv", "tick", "R_100", 2, 2, price="1.00")
    record.write("deriv", "tick", "R_100", 4, 4, price="1.00")
    record.close()
    path.write_bytes(path.read_bytes()[:-10])
    record = Record(path)
    assert record.last("deriv", "tick", "R_100") == 2
    assert not record.write("deriv", "tick", "R_100", 2, 2, price="1.00")
    assert record.write("deriv", "tick", "R_100", 4, 4, price="1.00")
    record.close()
    assert [line["seq"] for line in lines(path)] == [2, 4]


def test_bars_of_different_intervals_are_different_series(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    assert record.write("binance", "bar", "BTCUSDT", 60, 60, interval="1m")
    assert record.write("binance", "bar", "BTCUSDT", 60, 60, interval="5m")
    assert not record.write("binance", "bar", "BTCUSDT", 60, 60, interval="1m")
    record.close()


async def test_lines_reach_the_file_soon_without_closing(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    record.write("deriv", "tick", "R_100", 1, 1, price="1.00")
    for _ in range(500):
        if path.read_bytes():
            break
        await asyncio.sleep(0.01)
    assert len(lines(path)) == 1
    record.close()


@given(batches=st.lists(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 9))), max_size=4))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sequences_only_grow_over_any_number_of_restarts(
    tmp_path_factory: Any, batches: list[list[tuple[str, int]]]
) -> None:
    path = tmp_path_factory.mktemp("record") / "record.jsonl"
    told = []
    for batch in batches:
        record = Record(path)
        told += [(symbol, seq) for symbol, seq in batch if record.write("deriv", "tick", symbol, seq, seq)]
        record.close()
    kept = [(line["symbol"], line["seq"]) for line in lines(path)] if path.exists() else []
    assert kept == told
    for symbol in "AB":
        sequences = [seq for name, seq in kept if name == symbol]
        assert sequences == sorted(set(sequences))
