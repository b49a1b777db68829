"""A world in which every clock and every timer of the process runs faster, so that real time-outs cost little.

Adapter and simulator live in one process and one event loop: their limits, time-outs and back-offs keep the values
they have in production, and only the tests wait less for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def faster(factor: float) -> Iterator[None]:
    """Within the running loop, let `factor` seconds pass in each second; what lasts is put back afterwards."""
    loop: Any = asyncio.get_running_loop()
    selector = loop._selector
    select = selector.select
    real_monotonic, real_ns = time.monotonic, time.time_ns
    began, began_ns = real_monotonic(), real_ns()

    def monotonic() -> float:
        return began + (real_monotonic() - began) * factor

    def time_ns() -> int:
        return began_ns + int((real_monotonic() - began) * factor * 1e9)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", monotonic)
        patch.setattr(time, "monotonic_ns", lambda: int(monotonic() * 1e9))
        patch.setattr(time, "time_ns", time_ns)
        patch.setattr(time, "time", lambda: time_ns() / 1e9)
        patch.setattr(
            selector, "select", lambda timeout=None: select(timeout / factor if timeout and timeout > 0 else timeout)
        )
        yield
