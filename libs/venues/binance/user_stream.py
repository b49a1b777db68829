"""The account's private stream: events in order, each once, nothing missing, and a word whenever that was not so."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

from libs.core.types import MILLISECOND
from libs.venues import checked
from libs.venues.base import PrivateSink, VenueError, VenueRefused
from libs.venues.binance import codec, reports, trade_codec
from libs.venues.binance.api_connection import ApiConnection
from libs.venues.binance.reports import Execution, Subject
from libs.venues.binance.session import Session
from libs.venues.binance.trade_codec import ExecutionReport
from libs.venues.checked import ZERO, Absurd
from libs.venues.pace import Backoff, together

RENEW_S: Final = 23 * 3600.0
"""The venue cuts a connection at 24 h; it is replaced before that."""

HELD_S: Final = 10.0
"""A connection that lived this long held; shorter lives keep lengthening the back-off."""

REFUSED_MOST: Final = 3
"""Refused logins in a row after which the key is taken to be no good."""

WAITING_MOST: Final = 10_000
"""Events that wait to be told; what comes on top is a gap like any other."""

REMEMBERED: Final = 10_000

TradesOf = Callable[[str, int], Awaitable[list[Execution]]]


class UserStream:
    """Outlives single connections. `trades_of` (symbol, order id) looks up what a gap may have swallowed."""

    def __init__(self, trades_of: TradesOf, rng: random.Random) -> None:
        self._trades_of = trades_of
        self._rng = rng
        self._waiting: deque[bytes] = deque()
        self._gap = ""
        self._wake = asyncio.Event()
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._filled: OrderedDict[tuple[str, int], Decimal] = OrderedDict()
        self._listening = False

    # --- from the connection -----------------------------------------------------------------------------------

    def on_event(self, connection: ApiConnection, event: bytes) -> None:
        """Keep an event until it can be told; react at once to those about the connection itself."""
        try:
            kind = trade_codec.event_head.decode(event).e
        except codec.UNREADABLE:
            self.on_gap("an event could not be read")
            return
        if kind == "serverShutdown":
            connection.leave("Binance is about to shut this server down")
        elif kind == "eventStreamTerminated":
            connection.is_subscribed = False
            connection.leave("Binance ended the event stream")
        elif kind in ("executionReport", "balanceUpdate"):
            if len(self._waiting) >= WAITING_MOST:
                self.on_gap("more events than could be told")
            elif self._listening:
                self._waiting.append(event)
                self._wake.set()

    def on_gap(self, detail: str) -> None:
        """Something may be missing from here on."""
        self._gap = detail
        self._wake.set()

    # --- to the sink -------------------------------------------------------------------------------------------

    async def run(self, session: Session, sink: PrivateSink) -> None:
        """Stay subscribed and tell `sink` everything until cancelled. Raises VenueRefused when the key is no good."""
        self._listening = True
        self._filled.clear()
        try:
            await together(self._stay_subscribed(session), self._tell(sink), session.keep_clock())
        finally:
            self._listening = False
            self._waiting.clear()

    async def _stay_subscribed(self, session: Session) -> None:
        backoff, loop = Backoff(self._rng), asyncio.get_running_loop()
        current: ApiConnection | None = None
        refused, lost = 0, "the private stream begins"
        while True:
            try:
                fresh = await self._subscribed(session, current)
            except VenueRefused as err:
                refused, lost = refused + 1, str(err)
                if refused >= REFUSED_MOST:
                    raise
                await asyncio.sleep(backoff.next_s())
                continue
            except VenueError as err:
                lost = str(err)
                await asyncio.sleep(backoff.next_s())
                continue
            without_a_gap = current is not None and current.is_alive and current.is_subscribed
            session.adopt(fresh)
            if not without_a_gap:
                self.on_gap(f"subscribed again after: {lost}" if current is not None else lost)
            current, refused, began = fresh, 0, loop.time()
            lost = await self._reason_to_leave(fresh)
            if loop.time() - began >= HELD_S:
                backoff.reset()
            else:
                await asyncio.sleep(backoff.next_s())

    async def _subscribed(self, session: Session, current: ApiConnection | None) -> ApiConnection:
        if current is not None and current.is_alive:
            fresh = await session.fresh_connection()
        else:
            fresh = await session.connection()
        try:
            await session.subscribe(fresh)
        except BaseException:
            await fresh.close()
            raise
        return fresh

    async def _reason_to_leave(self, connection: ApiConnection) -> str:
        try:
            async with asyncio.timeout(RENEW_S):
                return await asyncio.shield(connection.leaving)
        except TimeoutError:
            return f"renewed after {RENEW_S / 3600:g} h"

    async def _tell(self, sink: PrivateSink) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._tell_event(self._waiting.popleft(), sink)
            if self._gap:
                gap, self._gap = self._gap, ""
                await sink.resumed(gap)

    async def _tell_event(self, event: bytes, sink: PrivateSink) -> None:
        try:
            if trade_codec.event_head.decode(event).e == "balanceUpdate":
                await self._tell_transfer(event, sink)
            else:
                await self._tell_order(trade_codec.execution.decode(event), sink)
        except (*codec.UNREADABLE, Absurd) as err:
            self.on_gap(f"an event could not be used: {' '.join(str(err).split())[:200]}")

    async def _tell_transfer(self, event: bytes, sink: PrivateSink) -> None:
        update = trade_codec.balance_update.decode(event)
        checked.check_time(update.T)
        checked.amount(update.d.copy_abs())
        identity = f"{update.T}:{update.a}:{update.d}"
        if self._is_new(("transfer", identity)):
            await sink.transfer(update.a, update.d, update.T * MILLISECOND, identity)

    async def _tell_order(self, event: ExecutionReport, sink: PrivateSink) -> None:
        if event.I is not None and not self._is_new((event.s, event.i, event.I)):
            return
        of = reports.subject_of(event)
        trade = reports.execution_of(event)
        complete = await self._tell_missing(of, event, trade, sink)
        if event.x == "NEW":
            await sink.report(reports.acknowledged(of, event.T))
        if trade is not None:
            await sink.report(reports.filled(of, trade))
        end = reports.end_of(of, event)
        # An order that ends before its fills are told would be closed without them.
        if end is not None and complete:
            await sink.report(end)

    async def _tell_missing(
        self, of: Subject, event: ExecutionReport, trade: Execution | None, sink: PrivateSink
    ) -> bool:
        """Look up fills that the event counts and that were never told; False when they could not be had."""
        key, executed = (of.symbol, of.order_id), checked.amount(event.z)
        told = self._filled.pop(key, ZERO) + (checked.amount(trade.quantity) if trade is not None else ZERO)
        complete = told >= executed
        if not complete:
            complete = await self._look_up(of, executed, sink)
        if event.X in trade_codec.WORKING:
            self._filled[key] = executed if complete else told
            if len(self._filled) > REMEMBERED:
                self._filled.popitem(last=False)
        if not complete:
            self.on_gap(f"fills of order {of.order_id} are missing")
        return complete

    async def _look_up(self, of: Subject, executed: Decimal, sink: PrivateSink) -> bool:
        try:
            found = [reports.filled(of, trade) for trade in await self._trades_of(of.symbol, of.order_id)]
        except VenueError:
            return False
        for report in found:
            await sink.report(report)
        return sum((report.quantity or ZERO for report in found), ZERO) >= executed

    def _is_new(self, key: tuple[object, ...]) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
