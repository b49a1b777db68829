"""Stubs that answer in the documented shapes of the sources, and what every source is asked."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from sources_stub import Stub


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    served = Stub()
    await served.start()
    yield served
    await served.stop()
