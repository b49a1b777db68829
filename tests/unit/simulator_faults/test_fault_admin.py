"""Faults over HTTP and from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.simulator.faults.admin import fault_routes
from services.simulator.faults.engine import PlannedFaults

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def admin(faults: Any) -> AsyncIterator[tuple[PlannedFaults, str]]:
    planned = faults()
    app = web.Application()
    app.add_routes(fault_routes(planned))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield planned, f"http://127.0.0.1:{runner.addresses[0][1]}/faults"
    await runner.cleanup()


async def test_rules_come_and_go_while_the_venue_runs(admin: tuple[PlannedFaults, str]) -> None:
    planned, url = admin
    async with aiohttp.ClientSession() as http:
        await http.post(url, json={"fault": "lost", "match": "buy", "nth": 1})
        await http.post(url, json={"seed": 4, "rules": [{"fault": "hole"}]})
        assert planned.call("deriv", "buy") is not None
        state = await (await http.get(url)).json()
        assert [rule["fault"] for rule in state["rules"]] == ["lost", "hole"]
        assert [(strike["name"], strike["fault"]) for strike in state["injected"]] == [("buy", "lost")]
        healed = await (await http.delete(url)).json()
    assert (healed["rules"], healed["total"]) == ([], 1)
    assert not planned.skips("binance", "x")


@pytest.mark.parametrize("body", [b'{"fault":"drown"}', b"[", b'"drop"', b"\xff"])
async def test_a_bad_rule_is_refused_and_changes_nothing(admin: tuple[PlannedFaults, str], body: bytes) -> None:
    planned, url = admin
    async with aiohttp.ClientSession() as http:
        answer = await http.post(url, data=body)
        assert answer.status == 400
        assert "\n" not in (await answer.json())["error"]
    assert planned.state()["rules"] == []


def test_a_bad_plan_ends_the_start_with_one_line(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("rules: [{fault: drown}]")
    ended = subprocess.run(
        [sys.executable, "-m", "services.simulator"],
        env=os.environ | {"CV_SIM_FAULTS": str(plan)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"{plan}: rule 1 fault" in ended.stderr
