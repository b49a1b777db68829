"""Ctrl-C and `stop` drain; the state of `up` is there at the next start."""

from __future__ import annotations

import pytest
from demo_commands import Cli, nothing_runs

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(200)]


def test_up_ends_on_ctrl_c_and_goes_on_at_the_next_start(cli: Cli) -> None:
    first = cli.start("up")
    first.says("all services ready")
    assert cli("halt", "--yes", "--scope", "BTCUSDT", "--reason", "kept").returncode == 0
    first.interrupt()
    assert first.wait(40) == 0, first.output
    assert "draining" in first.output
    assert "Traceback" not in first.output
    assert not nothing_runs(cli.var)

    second = cli.start("up")
    second.says("all services ready")
    assert any("kept" in what for what in cli.json("status", "--json")["halts"].values())
    assert len(cli.json("status", "--json")["accounts"]) == 2
    done = cli("stop", "--yes", "--reason", "evening")
    assert done.returncode == 0, done.stderr
    assert "drained and ended" in done.stdout
    assert second.wait(20) == 0, second.output
    assert not nothing_runs(cli.var)

    third = cli.start("up")
    third.says("all services ready")
    told = cli("tap", "ctl.stop", "--last", "--count", "1")
    assert '"reason":"evening"' in told.stdout
    third.interrupt()
    assert third.wait(40) == 0, third.output


def test_ctrl_c_while_starting_leaves_nothing(cli: Cli) -> None:
    running = cli.start("demo")
    running.says("starting")
    running.interrupt()
    assert running.wait(40) == 1
    assert "stopped while starting" in running.output
    assert "Traceback" not in running.output
    assert not nothing_runs(cli.var)
