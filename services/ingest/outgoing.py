"""What leaves ingest: one ordered queue, so that whoever hands over an event never waits for the bus."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from libs.common.bus import Bus
from libs.core.types import Bar, Event, Nanos, TickBar, restamped
from services.ingest.metrics import BAR_LATENCY


class Outgoing:
    """Publishes in the order of `put`, from its own task."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: deque[tuple[Event, str]] = deque()
        self._waker = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, event: Event) -> None:
        """Publish `event` soon, after everything put before it."""
        self._queue.append((event, ""))
        self._waker.set()

    def put_bar(self, bar: Bar | TickBar) -> None:
        """As `put`; a bar begins the trace that ends in its order, named after the bar."""
        self._queue.append((restamped(bar, time.time_ns()), f"00-{bar.id}-{bar.id[:16]}-01"))
        self._waker.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        queue, bus = self._queue, self._bus
        while True:
            await self._waker.wait()
            self._waker.clear()
            self._idle.clear()
            while queue:
                event, trace = queue.popleft()
                await bus.publish(event, trace)
                if trace:
                    bus.push()
                if trace and (recv_ns := _closing_recv(event)):
                    BAR_LATENCY.observe((time.time_ns() - recv_ns) / 1e9)
            self._idle.set()

    async def flushed(self) -> None:
        """Return when everything put so far has been handed to the bus."""
        while self._queue or not self._idle.is_set():
            await asyncio.sleep(0)
            await self._idle.wait()


def _closing_recv(event: Event) -> Nanos:
    return event.ts_recv if isinstance(event, Bar) else 0
