"""One budget per rate limit of a venue: spent by priority, so that data can never starve an exit."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from libs.venues.errors import VenueUnavailable


class Priority(IntEnum):
    """Who goes first: what reduces risk or clears up doubt, then what takes risk, then what looks."""

    EXIT = 0
    ENTRY = 1
    DATA = 2


SHARE: Final = {Priority.EXIT: 1.0, Priority.ENTRY: 0.9, Priority.DATA: 0.7}
"""How much of a limit each priority may fill; the rest is kept for those before it."""


class BudgetState(msgspec.Struct, frozen=True):
    """A budget as people see it. `used` of `limit` within the last `window_s`; `blocked_s` left of a venue's ban."""

    name: str
    limit: int
    window_s: float
    used: int
    waiting: int
    blocked_s: float


class Budget:
    """At most `limit` units in any `window_s` seconds: stricter than a venue that counts by the clock's minutes."""

    def __init__(self, name: str, limit: int, window_s: float, *, now: Callable[[], float] | None = None) -> None:
        """`name` says what is limited, for example "binance request weight".

        `now` in seconds, never backwards; the machine's monotonic clock when not given.
        """
        if limit < 1 or window_s <= 0:
            raise ValueError(f"budget {name!r} needs a positive limit and window, not {limit} in {window_s} s")
        self.name, self.limit, self.window_s = name, limit, window_s
        self._now = now or time.monotonic
        self._spent: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until = float("-inf")
        self._order = itertools.count()
        self._waiting: list[tuple[Priority, int, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, priority: Priority, cost: int = 1, *, patience_s: float = 60.0) -> None:
        """Spend `cost` when it fits, after everybody of a higher priority who waits.

        Raises:
            VenueUnavailable: it does not fit within `patience_s`; nothing was spent.
        """
        if self.try_take(priority, cost):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), cost, turn))
        self._wake_later()
        try:
            async with asyncio.timeout(patience_s):
                await turn
        except TimeoutError:
            if turn.done() and not turn.cancelled():
                self.give_back(cost)
            raise VenueUnavailable(f"the {self.name} limit of {self.limit} in {self.window_s:g} s is used up") from None
        finally:
            self._leave(turn)

    def try_take(self, priority: Priority, cost: int = 1) -> bool:
        """Spend `cost` if it fits now and nobody of the same or a higher priority waits."""
        if self._waiting and self._waiting[0][0] <= priority:
            return False
        if not self._fits(priority, cost):
            return False
        self._spend(cost)
        return True

    def observe(self, used: int) -> None:
        """The venue counts `used` units in its window: what others spent counts here too."""
        self._forget()
        if used > self._used:
            self._spend(used - self._used)

    def give_back(self, cost: int) -> None:
        """The venue did not count `cost` of what was spent last (orders that filled, for example)."""
        while cost > 0 and self._spent:
            at, amount = self._spent.pop()
            returned = min(cost, amount)
            self._used -= returned
            cost -= returned
            if amount > returned:
                self._spent.append((at, amount - returned))
        self._serve()

    def block(self, seconds: float) -> None:
        """The venue wants silence for `seconds`."""
        self._blocked_until = max(self._blocked_until, self._now() + seconds)

    def resize(self, limit: int) -> None:
        """The venue told its real limit."""
        self.limit = max(1, limit)
        self._serve()

    def state(self) -> BudgetState:
        """The budget as it stands."""
        self._forget()
        blocked = max(0.0, self._blocked_until - self._now())
        return BudgetState(self.name, self.limit, self.window_s, self._used, len(self._waiting), blocked)

    def _fits(self, priority: Priority, cost: int) -> bool:
        self._forget()
        if self._now() < self._blocked_until:
            return False
        # Something that costs more than a share may still go when nothing else was spent.
        return self._used + cost <= self.limit * SHARE[priority] or self._used == 0

    def _spend(self, cost: int) -> None:
        self._spent.append((self._now(), cost))
        self._used += cost

    def _forget(self) -> None:
        past = self._now() - self.window_s
        while self._spent and self._spent[0][0] <= past:
            self._used -= self._spent.popleft()[1]

    def _serve(self) -> None:
        """Give turns to whoever fits, the first in line first; the first that does not fit holds up the rest."""
        while self._waiting:
            priority, _, cost, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(priority, cost):
                    break
                self._spend(cost)
                turn.set_result(None)
            heapq.heappop(self._waiting)
        self._wake_later()

    def _wake_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        free = self._spent[0][0] + self.window_s if self._spent else self._now()
        delay = max(free, self._blocked_until) - self._now()
        self._timer = asyncio.get_running_loop().call_later(max(delay, 0.001), self._serve)

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Somebody who gave up no longer stands in line."""
        if turn.done() and not turn.cancelled():
            return
        self._waiting = [waiter for waiter in self._waiting if waiter[3] is not turn]
        heapq.heapify(self._waiting)
        self._serve()
