"""What the tests of containers share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

from containers_bus import GuardedBus, from_image, from_wheel


@pytest.fixture(scope="module", params=["wheel", "image"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBus]:
    """A NATS server with the rights of a container stack; its streams are there."""
    folder = tmp_path_factory.mktemp("guarded")
    with (from_wheel if request.param == "wheel" else from_image)(folder) as bus:
        yield bus
