"""When recorded data is let out: after its listeners have gathered, and no faster than asked or than they can read."""

from __future__ import annotations

import asyncio
from typing import Final

from services.simulator.binance.hub import Hub
from services.simulator.clock import NANOSECONDS

SETTLE_SECONDS: Final = 1.0
SETTLE_AT_MOST_SECONDS: Final = 5.0

_STEPS_A_TURN: Final = 100


class Settling:
    """Waits for the first listener and then until no new one has come for a second (five at most)."""

    def __init__(self) -> None:
        self._first: asyncio.Event = asyncio.Event()
        self._touched_at = 0.0
        self.over = False

    def touch(self) -> None:
        """Note a new listener."""
        self._touched_at = asyncio.get_running_loop().time()
        self._first.set()

    async def wait(self) -> None:
        """Return when the data may begin."""
        await self._first.wait()
        loop = asyncio.get_running_loop()
        latest = loop.time() + SETTLE_AT_MOST_SECONDS
        delay = SETTLE_SECONDS
        while delay > 0:
            await asyncio.sleep(delay)
            delay = min(self._touched_at + SETTLE_SECONDS, latest) - loop.time()
        self.over = True


class Pacer:
    """Turns data time into machine time. Data that is late is let out at once, data never runs ahead.

    A client that still lags after `patience_seconds` is cut.
    """

    patience_seconds: float = 5.0

    def __init__(self, speed: float, hub: Hub) -> None:
        """`speed` is data seconds per machine second."""
        self._speed = speed
        self._hub = hub
        self._started: float | None = None
        self._steps = 0

    async def until(self, offset_ns: int) -> None:
        """Wait until `offset_ns` of data time have passed since the first call, and until the clients keep up."""
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.time() - offset_ns / NANOSECONDS / self._speed
        due = self._started + offset_ns / NANOSECONDS / self._speed
        # one turn of the event loop per millisecond or hundred messages: waiting for each alone costs more than it
        delay = due - loop.time()
        self._steps += 1
        if delay > 0.001 or self._steps >= _STEPS_A_TURN:
            self._steps = 0
            await asyncio.sleep(max(delay, 0.0))
            await self._hub.keep_pace(self.patience_seconds)
