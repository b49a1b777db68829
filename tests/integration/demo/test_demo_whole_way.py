"""A newcomer's first minute: the demo runs, is asked and commanded while it runs, ends by itself and replays equal."""

from __future__ import annotations

import csv
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import msgspec
import pytest
from demo_commands import Cli, nothing_runs

from libs.common import runtime
from libs.core.types import (
    Action,
    Bar,
    Control,
    ControlKind,
    Fill,
    Mode,
    Order,
    Permit,
    Reconciliation,
    Signal,
    Verdict,
    decode,
    encode,
)
from libs.research.session import Message, Meta, read_session, write_session

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]
PLANTED = {"PLANTED", "PLANTEDUSDT"}
"""What each simulated venue lists so that a demo has something to trade."""


@dataclass
class Demo:
    """One finished demo and what was asked of it while it ran."""

    code: int = -1
    output: str = ""
    answers: dict[str, CompletedProcess[str]] = field(default_factory=dict)
    status: Any = None
    positions: Any = None
    orders: Any = None
    trades: Path = Path()
    unauthorised: int = 0
    unknown_scope: int = 0
    left: list[tuple[int, str]] = field(default_factory=list)
    session: Path = Path()
    meta: Meta = field(default_factory=lambda: Meta(started_ns=0, ended_ns=0))
    messages: list[Message] = field(default_factory=list)

    def events(self, kind: type) -> list[Any]:
        wire = (m.event() for m in self.messages if m.subject.split(".", 1)[0] not in ("applied", "dlq"))
        return [event for event in wire if isinstance(event, kind)]


def ask(url: str, token: str | None = None) -> int:
    """The status of a POST to an admin route."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data=b'{"reason": "probe", "scope": "NOSUCH"}', headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as err:
        return err.code


@pytest.fixture(scope="module")
def demo(cli: Cli) -> Demo:
    """`conclave demo --minutes 1` and everything a person may do meanwhile."""
    made = Demo()
    running = cli.start("demo", "--minutes", "1")
    try:
        running.says("all services ready")
        made.answers["second start"] = cli("demo", "--minutes", "0.1")
        made.status = cli.json("status", "--json")
        made.answers["status"] = cli("status")
        made.answers["tap"] = cli("tap", "md.bar.1s.>", "--count", "3")
        var = cli.var / "demo"
        risk = runtime.read_services(var)["risk"]["http"]
        made.unauthorised = ask(f"{risk}/admin/halt")
        made.unknown_scope = ask(f"{risk}/admin/halt", runtime.admin_token(var))
        running.until(
            lambda: {fill["symbol"] for fill in cli.json("trades", "--json")} == PLANTED, "a fill at each venue", 40
        )
        made.answers["halt"] = cli("halt", "--yes", "--reason", "a test halts")
        made.positions = cli.json("positions", "--json")
        made.orders = cli.json("orders", "--json")
        made.trades = cli.var / "trades.csv"
        made.answers["trades"] = cli("trades", "--csv", str(made.trades))
        for name in ("trades", "positions", "orders"):
            made.answers[f"shown {name}"] = cli(name)
        made.answers["halted"] = cli("status", "--json")
        made.answers["explain"] = cli("explain", made.orders[-1]["intent_id"])
        made.answers["replay running"] = cli("replay", "running")
        made.answers["unasked"] = cli("rearm", "--reason", "nobody answers the question")
        made.answers["rearm"] = cli("rearm", "--yes", "--reason", "a test re-arms")
        made.code = running.wait()
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.wait()
    made.output = running.output
    made.left = nothing_runs(cli.var)
    made.session = cli.sessions[-1]
    made.meta, messages = read_session(made.session)
    made.messages = list(messages)
    return made


def test_it_ends_by_itself_with_a_summary_and_leaves_nothing_running(demo: Demo) -> None:
    assert demo.code == 0, demo.output
    for word in ("ticks", "bars", "forecasts", "signals", "verdicts", "fills", "P&L", "end to end", *PLANTED):
        assert word in demo.output
    assert not demo.left


def test_nothing_that_it_says_of_its_money_reads_as_live(demo: Demo) -> None:
    told = (demo.answers[name].stdout for name in ("status", "shown trades", "shown positions", "shown orders"))
    for text in (demo.output, *told):
        assert not re.search(r"\blive\b", text), text
    assert {row["money"] for row in demo.status["accounts"]} == {"simulated money"}
    for said in (demo.output, demo.answers["shown trades"].stdout):
        assert "binance-simulated (simulated money)" in said
    with demo.trades.open(newline="") as rows:
        assert {row["money"] for row in csv.DictReader(rows)} == {"simulated money"}


def test_an_order_on_each_planted_symbol_went_the_whole_way_to_its_venue(demo: Demo) -> None:
    answered = {verdict.signal_id for verdict in demo.events(Verdict)}
    signals = demo.events(Signal)
    assert signals
    assert {signal.id for signal in signals} <= answered
    permits = {permit.id for permit in demo.events(Permit)}
    venue_ids = {order.intent_id: order.venue_order_id for order in demo.events(Order) if order.venue_order_id}
    for symbol in PLANTED:
        fill = next(fill for fill in demo.events(Fill) if fill.symbol == symbol)
        assert fill.intent_id in permits
        assert fill.mode is Mode.LIVE
        assert venue_ids[fill.intent_id], "the venue has given it an id of its own"
    agreed = {event.account for event in demo.events(Reconciliation)}
    assert agreed == {"deriv-simulated", "binance-simulated"}


def test_its_replay_is_equal_event_for_event(demo: Demo, cli: Cli) -> None:
    done = cli("replay", str(demo.session), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["equal"]["Fill"] == len(demo.events(Fill))
    assert report["equal"]["Signal"] == len(demo.events(Signal))
    assert report["equal"]["Verdict"] == len(demo.events(Verdict))
    assert set(report["applied"]) == {"features", "predict", "risk", "execute"}


def test_one_altered_bar_makes_the_replay_differ(demo: Demo, cli: Cli) -> None:
    bars = [
        i for i, m in enumerate(demo.messages) if m.subject.startswith("md.bar.1s.") and m.subject.endswith(".PLANTED")
    ]
    altered = list(demo.messages)
    at = bars[len(bars) // 2]
    bar = decode(altered[at].payload)
    assert isinstance(bar, Bar)
    wrong = encode(msgspec.structs.replace(bar, close=bar.close * 1.0001))
    altered[at] = msgspec.structs.replace(altered[at], payload=wrong)
    path = cli.var / "altered.session"
    write_session(path, demo.meta, altered)
    done = cli("replay", str(path))
    assert done.returncode == 1
    assert "first difference: features, Features" in done.stdout
    cut = cli.var / "cut.session"
    cut.write_bytes(path.read_bytes()[:-2000])
    done = cli("replay", str(cut))
    assert (done.returncode, done.stderr) == (1, f"{cut} is not a recorded session, or was cut short\n")


def test_explain_shows_the_chain_of_an_order(demo: Demo, cli: Cli) -> None:
    fill = next(fill for fill in demo.events(Fill) if fill.action is Action.ENTER)
    done = cli("explain", fill.intent_id[:10], "--session", str(demo.session))
    assert done.returncode == 0, done.stderr
    for word in (
        "ticks",
        "feed health",
        "features",
        "votes",
        "signal",
        "verdict",
        "permit",
        "fill",
        "time in each stage",
    ):
        assert word in done.stdout
    chain = json.loads(cli("explain", fill.intent_id, "--session", str(demo.session), "--json").stdout)
    kinds = [event["type"].split(".")[0] for event in chain["chain"]]
    for kind in ("ticks", "health", "bar", "features", "signal", "verdict", "permit", "order", "fill", "position"):
        assert kind in kinds
    assert {"features", "predict", "risk", "execute", "in the ledger"} <= set(chain["stages_ms"])
    assert all(value >= 0 for value in chain["stages_ms"].values())
    assert cli("explain", "ffffffffffff", "--session", str(demo.session)).returncode == 1


def test_questions_are_answered_while_it_runs(demo: Demo) -> None:
    assert all(service["ready"] for service in demo.status["services"].values())
    assert set(demo.status["services"]) == {"ingest", "features", "predict", "risk", "execute", "train"}
    assert {feed["symbol"] for feed in demo.status["feeds"]} >= {"R_100", "1HZ100V", "BTCUSDT", "ETHUSDT", *PLANTED}
    assert {account["account"] for account in demo.status["accounts"]} == {"deriv-simulated", "binance-simulated"}
    assert demo.answers["status"].returncode == 0
    lines = [json.loads(line) for line in demo.answers["tap"].stdout.splitlines()]
    assert len(lines) == 3
    assert all(line["subject"].startswith("md.bar.1s.") for line in lines)
    assert isinstance(demo.positions, list)
    assert {order["symbol"] for order in demo.orders} == PLANTED
    assert demo.answers["replay running"].returncode == 0, demo.answers["replay running"].stdout
    assert demo.answers["explain"].returncode == 0
    assert "permit" in demo.answers["explain"].stdout
    with demo.trades.open(newline="") as rows:
        trades = list(csv.DictReader(rows))
    assert trades
    assert {trade["account"] for trade in trades} == {"deriv-simulated", "binance-simulated"}


def test_a_halt_stops_entries_until_it_is_lifted_and_leaves_an_audit_row(demo: Demo) -> None:
    assert demo.answers["halt"].returncode == 0, demo.answers["halt"].stderr
    assert "a test halts" in " ".join(json.loads(demo.answers["halted"].stdout)["halts"].values())
    assert demo.answers["unasked"].returncode == 1
    assert demo.answers["rearm"].returncode == 0, demo.answers["rearm"].stderr
    controls = {control.kind: control for control in demo.events(Control)}
    assert controls[ControlKind.HALT].reason == "a test halts"
    assert controls[ControlKind.REARM].reason == "a test re-arms"
    since, until = controls[ControlKind.HALT].ts_init, controls[ControlKind.REARM].ts_init
    entries = [permit for permit in demo.events(Permit) if permit.action is Action.ENTER]
    assert not [permit for permit in entries if since + 1_000_000_000 < permit.ts_init < until]


def test_admin_needs_its_token(demo: Demo) -> None:
    assert demo.unauthorised == 401
    assert demo.unknown_scope == 422


def test_a_second_start_on_the_same_folder_is_refused_in_one_line(demo: Demo) -> None:
    second = demo.answers["second start"]
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "a stack already runs in" in second.stderr
    assert second.stdout == ""


def test_nothing_to_ask_when_nothing_runs(demo: Demo, cli: Cli) -> None:
    for command in ("status", "positions", "orders", "trades"):
        done = cli(command)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "no stack runs here" in done.stderr
