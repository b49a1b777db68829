"""Ingest on one fake venue, for each test that wants it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ingest_house import FakeVenue, Running

from libs.common.bus.memory import MemoryBroker


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def venue() -> FakeVenue:
    return FakeVenue(listed=("BTCUSDT",))


@pytest.fixture
async def ingest(venue: FakeVenue, broker: MemoryBroker) -> AsyncIterator[Running]:
    running = await Running([venue], broker).start()
    await running.settled("BTCUSDT")
    yield running
    await running.stop()
