"""Running simulated Binance venues for the contract tests, and the recorded answers of the real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.simulator.binance import BinanceSimulator
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions

SAMPLES = Path(__file__).parents[3].parent / "shared" / "protocols" / "binance-samples"
ANCHOR_EPOCH = 1_795_185_000

Start = Callable[..., Awaitable[BinanceSimulator]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a simulator with the given options; it is stopped with the test."""
    running: list[BinanceSimulator] = []

    async def begin(record: Record | None = None, queue_bytes: int = 16 << 20, **options: Any) -> BinanceSimulator:
        simulator = BinanceSimulator(
            SimulatorOptions(**options), record or Record(None), anchor_epoch=ANCHOR_EPOCH, queue_bytes=queue_bytes
        )
        await simulator.start()
        running.append(simulator)
        return simulator

    yield begin
    for simulator in running:
        await simulator.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """Read one recorded answer of the real venue."""

    def read(name: str) -> Any:
        path = SAMPLES / name
        if not path.exists():
            pytest.skip("the recorded Binance messages are not beside this checkout")
        return json.loads(path.read_text()) if path.suffix == ".json" else path.read_text()

    return read
