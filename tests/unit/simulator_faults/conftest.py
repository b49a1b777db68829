"""A clock that is moved by hand, a line that keeps what comes out, and faults from a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import plan_of
from services.simulator.record import Record


class Watch:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Out:
    """The end of a line."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.cuts = 0

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)

    def cut(self) -> None:
        self.cuts += 1


MakeFaults = Callable[..., PlannedFaults]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def out() -> Out:
    return Out()


@pytest.fixture
def faults(watch: Watch) -> MakeFaults:
    def make(*rules: dict[str, Any], seed: int = 1, record: Record | None = None) -> PlannedFaults:
        plan = plan_of({"seed": seed, "rules": list(rules)}, "test")
        return PlannedFaults(plan, record or Record(None), now=watch)

    return make
