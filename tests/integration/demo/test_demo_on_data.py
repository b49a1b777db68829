"""Recorded markets through the whole house: a small recording, a bar file, and the real sessions when they are here."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars
import pytest
from demo_commands import ROOT, Cli, nothing_runs

from libs.core.types import Bar, BarFlag, Features, Ticks, Trade
from libs.research.session import read_session

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(200)]
REAL = ROOT.parent / "shared" / "data" / "binance-ws"
BEGIN_MS = 1_723_161_254_000
TRADES = 120


def write_recording(folder: Path) -> None:
    """Thirty seconds of a spot session: snapshot, trades, best prices, depth; and a futures file beside it."""
    folder.mkdir()
    lines = []

    def line(ms: int, stream: str, data: dict[str, object]) -> None:
        payload = {"stream": f"solusdt@{stream}", "data": data} if stream else data
        lines.append(f"{ms * 1_000_000} {json.dumps(payload, separators=(',', ':'))}")

    bids, asks = [["149.99000000", "5.0"]], [["150.01000000", "5.0"]]
    first = {"e": "depthUpdate", "E": BEGIN_MS, "s": "SOLUSDT", "U": 100, "u": 101, "b": bids, "a": asks}
    line(BEGIN_MS, "depth@100ms", first)
    line(BEGIN_MS + 10, "", {"lastUpdateId": 101, "bids": bids, "asks": asks})
    for i in range(TRADES):
        ms = BEGIN_MS + 50 + i * 250
        best = f"{150 + (i % 17) * 0.01:.8f}"
        top = {"u": 102 + i, "s": "SOLUSDT", "b": "149.99000000", "B": "5.0", "a": "150.20000000", "A": "5.0"}
        line(ms, "bookTicker", top)
        trade = {
            "e": "trade",
            "E": ms,
            "s": "SOLUSDT",
            "t": 1000 + i,
            "p": best,
            "q": "0.50000000",
            "T": ms,
            "m": False,
        }
        line(ms, "trade", trade)
        depth = {"e": "depthUpdate", "E": ms, "s": "SOLUSDT", "U": 102 + i, "u": 102 + i, "b": bids, "a": asks}
        line(ms, "depth@100ms", depth)
    (folder / "spot_solusdt.jsonl").write_text("\n".join(lines) + "\n")
    futures = {"e": "depthUpdate", "E": BEGIN_MS, "s": "SOLUSDT", "U": 1, "u": 2, "pu": 0, "b": [], "a": []}
    (folder / "usdm_solusdt.jsonl").write_text(f"{BEGIN_MS * 1_000_000} {json.dumps(futures)}\n")


def run(cli: Cli, *arguments: str) -> str:
    """A demo on data that must end well, with its replay; what it printed."""
    done = cli("demo", *arguments, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "summary" in done.stdout
    assert not nothing_runs(cli.var)
    replayed = cli("replay", "last", "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert json.loads(replayed.stdout)["equal"]["Features"] > 0
    return done.stdout


def test_a_small_recording_plays_to_its_end(cli: Cli) -> None:
    folder = cli.var / "small"
    write_recording(folder)
    said = run(cli, "--data", str(folder), "--speed", "3")
    assert "skipped usdm_solusdt.jsonl: not a Binance spot recording" in said
    assert "the recording has ended" in said
    events = [m.event() for m in read_session(cli.sessions[-1])[1] if m.subject.startswith("md.")]
    trades = {t.seq: t for e in events if isinstance(e, Ticks) for t in e.items if isinstance(t, Trade)}
    assert sorted(trades) == list(range(1000, 1000 + TRADES))
    assert trades[1000].ts_event == (BEGIN_MS + 50) * 1_000_000, "recorded stamps travel unchanged"
    assert trades[1000].price == 150.0
    bars = [e for e in events if isinstance(e, Bar) and e.interval_s == 1]
    assert sum(bar.trades for bar in bars) > TRADES * 0.8


def test_a_bar_file_plays_as_the_venues_klines(cli: Cli) -> None:
    count, step_ms = 400, 60_000
    start = int(dt.datetime(2021, 3, 1, tzinfo=dt.UTC).timestamp() * 1000)
    closes = [100 + (i % 23) * 0.25 - (i % 7) * 0.5 for i in range(count)]
    opens = [100.0, *closes[:-1]]
    polars.DataFrame(
        {
            "ts": [start + i * step_ms for i in range(count)],
            "open": opens,
            "high": [max(o, c) + 0.5 for o, c in zip(opens, closes, strict=True)],
            "low": [min(o, c) - 0.5 for o, c in zip(opens, closes, strict=True)],
            "close": closes,
            "volume": [10.0 + i for i in range(count)],
        }
    ).write_parquet(cli.var / "binance_SOLUSDT_1m.parquet")
    said = run(cli, "--data", str(cli.var / "binance_SOLUSDT_1m.parquet"), "--speed", "600")
    assert "the recording has ended" in said
    events = [m.event() for m in read_session(cli.sessions[-1])[1] if m.subject.split(".")[0] in ("md", "feat")]
    bars = [event for event in events if isinstance(event, Bar)]
    assert bars
    assert all(bar.flags & BarFlag.VENUE and bar.interval_s == 60 for bar in bars)
    for bar in bars:
        i = (bar.open_time // 1_000_000 - start) // step_ms
        assert (bar.open, bar.close, bar.volume) == (opens[i], closes[i], 10.0 + i)
    assert bars[-1].open_time == (start + (count - 1) * step_ms) * 1_000_000
    assert {event.symbol for event in events if isinstance(event, Features)} == {"SOLUSDT"}


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the recorded Binance sessions are not at {REAL}")
def test_the_real_sessions_play_at_twenty_times_their_speed(cli: Cli) -> None:
    said = run(cli, "--data", str(REAL), "--speed", "20", "--minutes", "0.33")
    assert "skipped binance_usdm_btcusdt_20240808.jsonl.gz" in said
    events = [m.event() for m in read_session(cli.sessions[-1])[1] if m.subject.startswith("md.tick.")]
    assert {event.symbol for event in events} == {"BTCUSDT", "ETHUSDT"}
    assert all(1_723_161_000 < event.ts_event / 1e9 < 1_723_165_000 for event in events)
