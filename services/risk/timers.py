"""When unused permits stop counting: their time must have passed at the venue and on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from libs.common.clock import DataClocks
from libs.common.stage_runner import StageRunner
from libs.core.types import Nanos, TimePassed, stable_id


async def free_expired_permits(
    runner: StageRunner, clocks: DataClocks, venues: Iterable[str], hold_s: float, every_s: float = 0.05
) -> None:
    """Tell the stage that a permit's time has passed, as a recorded event; runs until cancelled.

    A fast replay runs through a permit's data time in milliseconds, and execute grants it the same time on the machine:
    so the exposure is held for `hold_s` machine seconds too, counted from when the deadline became the earliest.
    """
    waiting: dict[str, tuple[Nanos, float]] = {}
    venues = tuple(venues)
    while True:
        await asyncio.sleep(every_s)
        for venue in venues:
            deadline, now = runner.stage.next_deadline(venue), clocks.now(venue)
            if deadline is None or not now:
                waiting.pop(venue, None)
                continue
            if venue not in waiting or waiting[venue][0] != deadline:
                waiting[venue] = (deadline, time.monotonic())
            if now >= deadline and time.monotonic() - waiting[venue][1] >= hold_s:
                # The deadline itself, not the clock: later permits keep their own time.
                stamp = deadline or now
                await runner.take_inline(TimePassed(id=stable_id("time", venue, stamp), ts_event=stamp, venue=venue))
