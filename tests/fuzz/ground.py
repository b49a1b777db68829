"""What the parsers stand on: a moment, a session of answers that lie ready, and patience counted in turns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from libs.core.types import SECOND

NOW: Final = 1_767_625_200 * SECOND
TURNS: Final = 10
"""Turns of the event loop after which an answer that was told has reached whoever waits."""

Take = Callable[[bytes], Awaitable[bool]]


async def within_turns(task: asyncio.Task[Any]) -> bool:
    """Whether it ended by itself in time; cancelled otherwise."""
    for _ in range(TURNS):
        if task.done():
            return True
        await asyncio.sleep(0)
    if task.done():
        return True
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return False


class Answers:
    """In place of an aiohttp session: every request is answered with what lies ready."""

    STATUSES: Final = (200, 200, 200, 201, 400, 401, 403, 418, 429, 500, 503)

    def __init__(self) -> None:
        self._body = b""
        self._rng = random.Random(3)
        self.status = 200
        self.headers = {"X-MBX-USED-WEIGHT-1M": "12", "Retry-After": "7"}
        self.content = self

    def lie_ready(self, body: bytes, *, ok: bool = False) -> None:
        self._body = body
        self.status = 200 if ok else self._rng.choice(self.STATUSES)

    def request(self, *args: Any, **kwargs: Any) -> Answers:
        return self

    async def __aenter__(self) -> Answers:
        return self

    async def __aexit__(self, *args: Any) -> None: ...

    async def read(self, most: int) -> bytes:
        return self._body[:most]

    async def iter_any(self) -> Any:
        yield self._body
