"""An account's private stream at any exchange: its own stream only rings, what happened is always asked for."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from libs.core.types import Order, VenueReport
from libs.venues.base import PrivateSink, VenueError, VenueRefused
from libs.venues.checked import line
from libs.venues.pace import Backoff

ASK_S: Final = 5.0
"""Between two looks at orders whose end was not told yet."""

ALIVE_S: Final = 30.0
"""Between two questions that only find out whether the account can be reached."""

REFUSED_MOST: Final = 3
"""Refusals in a row after which the key is taken to be no good."""

EXPECTED_MOST: Final = 1_000

Resolve = Callable[[Order], Awaitable[list[VenueReport] | None]]


class Listener:
    """`resolve` says what became of an order; `log_in` asks something that only the account's owner may know."""

    def __init__(self, name: str, exchange: Any, resolve: Resolve, log_in: Callable[[], Awaitable[None]]) -> None:
        self._name, self._exchange = name, exchange
        self._resolve, self._log_in = resolve, log_in
        self._expected: OrderedDict[str, Order] = OrderedDict()
        self._wake = asyncio.Event()
        self._gap = ""

    def expect(self, order: Order) -> None:
        """It was sent: tell what becomes of it."""
        self._expected[order.intent_id] = order
        if len(self._expected) > EXPECTED_MOST:
            self._expected.popitem(last=False)
        self._wake.set()

    async def run(self, sink: PrivateSink) -> None:
        """Until cancelled. Raises VenueRefused when the key is not accepted."""
        self._gap = "the private stream begins"
        self._expected.clear()
        bell = asyncio.create_task(self._ring())
        try:
            await self._tell(sink)
        finally:
            bell.cancel()
            await asyncio.gather(bell, return_exceptions=True)

    async def _tell(self, sink: PrivateSink) -> None:
        backoff, refused, asked = Backoff(random.Random(self._name)), 0, float("-inf")
        while True:
            self._wake.clear()
            try:
                if self._gap or time.monotonic() - asked >= ALIVE_S:
                    await self._log_in()
                    asked = time.monotonic()
            except VenueRefused:
                refused += 1
                if refused >= REFUSED_MOST:
                    raise
                await asyncio.sleep(backoff.next_s())
                continue
            except VenueError as err:
                self._gap = self._gap or str(err)
                await asyncio.sleep(backoff.next_s())
                continue
            refused = 0
            backoff.reset()
            if self._gap:
                gap, self._gap = self._gap, ""
                await sink.resumed(gap)
            await self._tell_ended(sink)
            await self._pause()

    async def _tell_ended(self, sink: PrivateSink) -> None:
        for order in list(self._expected.values()):
            found = await self._resolve(order)
            if found is None:
                continue
            for report in found:
                await sink.report(report)
            self._expected.pop(order.intent_id, None)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(ASK_S if self._expected else ALIVE_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _ring(self) -> None:
        """Wake up when the exchange's own stream has something; when it breaks, something may have been missed."""
        if not self._exchange.has.get("watchOrders"):
            return
        backoff, began = Backoff(random.Random(self._name), first_s=1.0, cap_s=60.0), time.monotonic()
        while True:
            try:
                await self._exchange.watch_orders()
                backoff.reset()
            except asyncio.CancelledError:
                # ccxt cancels what waits when it closes a connection; only our own end is ours.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                self._broke("closed")
                await asyncio.sleep(backoff.next_s())
            except Exception as err:
                if time.monotonic() - began > ALIVE_S:
                    backoff.reset()
                self._broke(f"{type(err).__name__}")
                began = time.monotonic()
                await asyncio.sleep(backoff.next_s())
            else:
                self._wake.set()

    def _broke(self, why: str) -> None:
        self._gap = self._gap or f"the stream of {self._name} broke: {line(why)}"
        self._wake.set()
