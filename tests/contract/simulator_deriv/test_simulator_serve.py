"""The simulator inside a program: started, described, failing loudly, stopped by an event."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.simulator.app import SimulatorFailed, serve
from services.simulator.deriv.venue import Venue
from services.simulator.settings import SimulatorOptions


async def test_serve_describes_itself_and_ends_with_its_event(tmp_path: Path) -> None:
    facts: dict[str, Any] = {}
    stop = asyncio.Event()
    options = SimulatorOptions(state_dir=tmp_path, token="mine", key="k", secret="s")

    def ready(described: dict[str, Any]) -> None:
        facts.update(described)
        stop.set()

    async with asyncio.timeout(20):
        await serve(options, ready, stop)
    assert (facts["token"], facts["key"], facts["secret"], facts["mode"]) == ("mine", "k", "s", "model")
    assert facts["deriv_url"].startswith("ws://127.0.0.1:")
    assert facts["deriv_url"].endswith("/websockets/v3")
    assert {"binance_rest_url", "binance_ws_url", "http_url", "pid"} <= facts.keys()


async def test_venue_that_stops_ticking_ends_the_simulator_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Venue, epoch: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Venue, "advance_to", full)
    with pytest.raises(SimulatorFailed, match=r"Deriv clock stopped.*No space left"):
        async with asyncio.timeout(20):
            await serve(SimulatorOptions(), stop=asyncio.Event())
