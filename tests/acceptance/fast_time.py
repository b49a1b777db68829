"""A world in which waiting costs little: clocks and timers of the whole process run faster while nobody works.

Adapter and simulator live in one process and one event loop: their limits, time-outs and back-offs keep the values
they have in production, and only the tests wait less for them. Work takes its true time, and a process that the
machine lets wait for its turn does not age meanwhile: a busy machine makes such a test slower, not different.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SLACK_S = 0.005
"""How much longer than asked for a wait may count."""


@contextmanager
def faster(factor: float) -> Iterator[None]:
    """Within the running loop, let `factor` seconds pass in each second of waiting; all is put back afterwards."""
    loop: Any = asyncio.get_running_loop()
    selector = loop._selector
    select, real, worked = selector.select, time.monotonic, time.thread_time
    here = threading.get_ident()
    began_ns = time.time_ns()
    began = now = real()
    mark = worked()

    def monotonic() -> float:
        return now + (worked() - mark) if threading.get_ident() == here else now

    def time_ns() -> int:
        return began_ns + int((monotonic() - began) * 1e9)

    def wait(timeout: float | None = None) -> Any:
        nonlocal now, mark
        now = monotonic()
        patience = timeout / factor if timeout and timeout > 0 else timeout
        asked = real()
        ready = select(patience)
        waited = real() - asked
        if patience is not None:
            waited = min(waited, max(patience, 0.0) + SLACK_S)
        now += waited * factor
        mark = worked()
        return ready

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", monotonic)
        patch.setattr(time, "monotonic_ns", lambda: int(monotonic() * 1e9))
        patch.setattr(time, "time_ns", time_ns)
        patch.setattr(time, "time", lambda: time_ns() / 1e9)
        patch.setattr(selector, "select", wait)
        yield
