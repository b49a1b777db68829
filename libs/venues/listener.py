"""A private stream for venues whose own one cannot be relied on alone: it only rings, what happened is asked for."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from libs.core.types import Order, VenueReport
from libs.venues.base import PrivateSink, VenueError, VenueRefused
from libs.venues.checked import line
from libs.venues.pace import Backoff

log = logging.getLogger("libs.venues.listener")

ASK_S: Final = 5.0
"""Between two looks at orders whose end was not told yet."""

ALIVE_S: Final = 30.0
"""Between two questions that find out whether the account can be reached, and what else moved there."""

REFUSED_MOST: Final = 3
"""Refusals in a row after which the key is taken to be no good."""

EXPECTED_MOST: Final = 1_000

Resolve = Callable[[Order], Awaitable[list[VenueReport] | None]]
Look = Callable[[PrivateSink], Awaitable[None]]
Ring = Callable[[Callable[[], None]], Awaitable[None]]


class Listener:
    """Tells what becomes of the orders that were sent, and `resumed` after whatever may have hidden something.

    `resolve` says what became of an order. `look` asks what only the account's owner may know, and tells what money
    moved. `ring` follows the venue's own stream and calls what it is given at each event; it returns or raises when
    that stream breaks, and is called again; None where there is no stream.
    """

    def __init__(self, name: str, resolve: Resolve, look: Look, ring: Ring | None) -> None:
        self._name = name
        self._resolve, self._look, self._bell = resolve, look, ring
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
        bell = asyncio.create_task(self._keep_ringing(self._bell)) if self._bell is not None else None
        try:
            await self._tell(sink)
        finally:
            if bell is not None:
                bell.cancel()
                await asyncio.gather(bell, return_exceptions=True)

    async def _tell(self, sink: PrivateSink) -> None:
        backoff, refused, asked = Backoff(random.Random(self._name)), 0, float("-inf")
        while True:
            self._wake.clear()
            try:
                if self._gap or time.monotonic() - asked >= ALIVE_S:
                    await self._look(sink)
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

    async def _keep_ringing(self, ring: Ring) -> None:
        backoff = Backoff(random.Random(self._name), first_s=1.0, cap_s=60.0)
        while True:
            began, why = time.monotonic(), "it ended"
            try:
                await ring(self._wake.set)
            except asyncio.CancelledError:
                # A library may cancel what waits when it closes a connection; only our own end is ours.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
            except VenueError as err:
                why = line(err)
            except Exception as err:  # whatever a library stumbles over, the account is asked all the same
                why = type(err).__name__  # its text may hold a signed address
                log.warning("the stream of %s broke: %s", self._name, why)
            if time.monotonic() - began > ALIVE_S:
                backoff.reset()
            self._gap = self._gap or f"the stream of {self._name} broke: {why}"
            self._wake.set()
            await asyncio.sleep(backoff.next_s())
