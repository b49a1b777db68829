"""`live` asks for consent, proves the way with the smallest trade, trades on evidence alone; `discover` looks."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import yaml
from demo_commands import ROOT, Cli, nothing_runs

from libs.common.evidence import FOLDER, EvidenceVerdict, configured_arms
from libs.common.settings import load_settings

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(200)]
EXAMPLE = ROOT / "config.example.yaml"


def test_live_refuses_until_it_is_confirmed_accepted_and_has_credentials(cli: Cli, tmp_path: Path) -> None:
    unconfirmed = cli("live")
    assert unconfirmed.returncode == 1
    assert "--confirm" in unconfirmed.stderr
    unread = cli("live", "--confirm")
    assert unread.returncode == 1
    assert "can lose all the money" in unread.stdout
    assert "--accept-risk" in unread.stderr
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for venue in config["data"]["venues"]:
        venue["endpoint"] = "live"
    config["data"]["venues"][0]["app_id"] = "4711"  # an application is no credential
    real = tmp_path / "real.yaml"
    real.write_text(yaml.safe_dump(config))
    bare = cli("live", "--config", str(real), "--confirm", "--accept-risk")
    assert bare.returncode == 1
    assert "has no credentials; set DERIV_TOKEN" in bare.stderr
    assert not nothing_runs(cli.var)


def test_live_makes_a_connectivity_trade_at_each_account_and_ends_where_there_is_no_evidence(cli: Cli) -> None:
    done = cli("live", "--confirm", "--accept-risk", timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    for account in ("deriv-paper", "binance-paper"):
        assert f"connectivity trade of {account}" in done.stdout
    assert done.stdout.count("opened: buy") == 2
    assert done.stdout.count("closed: sell") == 2
    assert done.stdout.count("seen at the venue: ledger and venue agree") == 2
    assert "no arm (strategy, symbol, interval) has a passing evidence verdict" in done.stdout
    assert not nothing_runs(cli.var)

    # Consent was given once; an arm with evidence trades on, and the audit holds the trades of both runs.
    arm = configured_arms(load_settings(EXAMPLE))[0]
    (cli.var / FOLDER).mkdir()
    now = time.time_ns()
    verdict = EvidenceVerdict(arm=arm, passed=True, reason="test", made=now - 1, expires=now + 3600 * 10**9)
    (cli.var / FOLDER / "one.json").write_bytes(msgspec.json.encode(verdict))
    second = cli.start("live", "--confirm")
    second.says(f"trading live the 1 arms with a passing verdict: {arm.strategy} on {arm.symbol}", 120)
    told = cli("tap", "ctl.smoke", "--last", "--count", "4")
    assert told.stdout.count("ledger and venue agree") == 4, told.stdout
    assert cli.json("positions", "--json") == []
    second.interrupt()
    assert second.wait(40) == 0, second.output
    assert not nothing_runs(cli.var)


def test_discover_verifies_twenty_synthetic_symbols_with_the_venue(cli: Cli) -> None:
    found = cli.json("discover", "--json")
    synthetic = [row for row in found["deriv"] if row["verified"] and row["multipliers"] and row["is_open"]]
    assert len(synthetic) >= 20
    for row in synthetic:
        assert Decimal(row["price"]) > 0
        assert 0 < Decimal(row["fee_rate"]) < Decimal("0.01")
        assert 0 < Decimal(row["min_size"]) <= Decimal(row["max_size"])
        assert 0 < Decimal(row["stop_out"]) < 1
        assert row["group"]
    assert {row["symbol"] for row in found["binance"]} >= {"BTCUSDT", "ETHUSDT"}
    shown = cli("discover", "--venue", "deriv", "--symbol", "R_100")
    assert shown.returncode == 0
    assert "Volatility 100" in shown.stdout
    wrong = cli("discover", "--venue", "kraken")
    assert wrong.returncode == 1
    assert "it names deriv, binance" in wrong.stderr
