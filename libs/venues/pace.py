"""How often to knock: back-off with jitter after failures, a pace within a venue's limits; jobs that end together."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Coroutine
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class Backoff:
    """Delays that double from `first_s` to `cap_s`, each drawn from its upper half so that clients part ways."""

    def __init__(self, rng: random.Random, first_s: float = 0.5, cap_s: float = 15.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._cap_s = cap_s
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = min(self._cap_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return ceiling * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """An attempt held: start from the shortest delay again."""
        self._failures = 0


class Pace:
    """At most `limit` turns in any `window_s` seconds; `turn` waits until one is free."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._taken: deque[float] = deque()
        self._lock = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for a turn and take it; waiters are served in order."""
        async with self._lock:
            now = asyncio.get_running_loop().time
            while self._taken and (len(self._taken) >= self._limit or self._taken[0] <= now() - self._window_s):
                wait = self._taken[0] + self._window_s - now()
                if wait > 0:
                    await asyncio.sleep(wait)
                self._taken.popleft()
            self._taken.append(now())


async def together(*jobs: Coroutine[object, object, T]) -> T:
    """Run `jobs` until the first of them ends, and end the others: none dies unseen while the rest goes on.

    Returns what that one returned, or raises what it raised.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_loopback(url: str) -> bool:
    """Whether `url` points at this machine, where a proxy would only be in the way."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")
