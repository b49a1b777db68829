"""The private stream of an account: every sale, settlement and transfer, told to a sink; nothing is lost in a gap."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any, Final

from libs.core.types import SECOND, ReportKind
from libs.venues.base import PrivateSink
from libs.venues.budget import Priority
from libs.venues.deriv import contracts
from libs.venues.deriv.answers import CodecError
from libs.venues.deriv.client import DerivClient
from libs.venues.deriv.connection import Connection, LoggedOut
from libs.venues.deriv.memory import Memory, Recent
from libs.venues.deriv.model import Booking, Contract, Turnover
from libs.venues.deriv.watch import ContractWatch
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.pace import Backoff

INBOX: Final = 10_000
"""Messages that wait for the ledger; beyond, the connection is given up and its gap made good."""

TOLD: Final = 10_000
"""Transactions that are remembered as told, so that reading the statement again repeats none."""

OVERLAP_S: Final = 5
"""How much before the last message the statement is read again after a gap."""

HELD_S: Final = 10.0
"""A connection that lived this long held; shorter lives keep lengthening the back-off."""

log = logging.getLogger("libs.venues.deriv")


class PrivateStream:
    """Shares the connection on which orders are placed, and subscribes again on every next one."""

    def __init__(self, client: DerivClient, watch: ContractWatch, memory: Memory, rng: random.Random) -> None:
        self._client, self._watch, self._memory = client, watch, memory
        self._backoff = Backoff(rng)
        self._inbox: asyncio.Queue[bytes | Contract] = asyncio.Queue(INBOX)
        self._subscribed: Connection | None = None
        self._told: Recent[int, None] = Recent(TOLD)
        self._newest = 0
        self._currency = ""

    async def run(self, sink: PrivateSink) -> None:
        """Tell `sink` until cancelled.

        Raises:
            VenueRefused: the credentials are not accepted.
        """
        lost = "the stream begins"
        loop = asyncio.get_running_loop()
        self._watch.on_end = self._keep
        try:
            while True:
                began = loop.time()
                try:
                    connection = await self._client.connection()
                    try:
                        lost = await self._serve(connection, sink, lost)
                    except LoggedOut as err:
                        lost = str(err)
                        await self._client.renew(connection, lost)
                except VenueUnavailable as err:
                    lost = str(err)
                log.info("private stream of deriv interrupted: %s", lost)
                if loop.time() - began >= HELD_S:
                    self._backoff.reset()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._watch.on_end = None

    async def _serve(self, connection: Connection, sink: PrivateSink, lost: str) -> str:
        """Subscribe and stay until the connection ends; the reason why it did."""
        if self._subscribed is not connection:
            await self._subscribe(connection)
            self._subscribed = connection
        await self._catch_up(connection, sink)
        await sink.resumed(lost)
        while (message := await self._next(connection)) is not None:
            await self._tell(message, sink)
        return connection.ended.result()

    async def _subscribe(self, connection: Connection) -> None:
        try:
            await connection.call(self._client.codec.transactions(), priority=Priority.EXIT, on_push=self._keep)
        except VenueRefused as err:
            # Subscribed by an attempt whose answer was lost: its updates come here all the same.
            if err.code != "AlreadySubscribed":
                raise

    def _keep(self, message: bytes | Contract) -> None:
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            if self._subscribed is not None:
                self._subscribed.abandon("more private messages than the ledger takes")

    async def _catch_up(self, connection: Connection, sink: PrivateSink) -> None:
        """What happened since the last message, and the contracts that are open now."""
        codec = self._client.codec
        if self._newest:
            request = codec.bookings(self._newest - OVERLAP_S, 0)
            missed = await connection.call(request, priority=Priority.EXIT)
            for booking in reversed(missed):
                await self._booked(booking, sink)
        else:
            # The earlier of both clocks: one that was set must not hide what comes after it is set back.
            venue_s = await connection.call(codec.time(), priority=Priority.EXIT)
            begin = max(min(venue_s, time.time_ns() // SECOND), 2 * OVERLAP_S)
            request = codec.bookings(begin - OVERLAP_S, 0)
            for booking in await connection.call(request, priority=Priority.EXIT):
                self._told[booking.transaction_id] = None
            self._newest = begin
        for holding in await connection.call(codec.holdings(), priority=Priority.EXIT):
            try:
                await self._watch.follow(connection, holding.contract_id)
            except VenueRefused as err:
                log.info("contract %s cannot be followed: %s", holding.contract_id, err)

    async def _next(self, connection: Connection) -> bytes | Contract | None:
        """The next message; None once the connection has ended and all of its messages are told."""
        if self._inbox.empty() and connection.is_alive:
            waiting = asyncio.ensure_future(self._inbox.get())
            either: set[asyncio.Future[Any]] = {waiting, connection.ended}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not waiting.done():
                    waiting.cancel()
            if waiting.done() and not waiting.cancelled():
                return waiting.result()
        return None if self._inbox.empty() else self._inbox.get_nowait()

    async def _tell(self, message: bytes | Contract, sink: PrivateSink) -> None:
        if isinstance(message, Contract):
            await self._ended(message, None, sink)
            return
        try:
            turnover = self._client.codec.transactions().read(message)
        except CodecError as err:
            # What it said is in the statement: a gap is made good from there.
            if self._subscribed is not None:
                self._subscribed.abandon(f"a transaction cannot be read: {err}")
            return
        if turnover is not None:
            await self._turned_over(turnover, sink)

    async def _turned_over(self, turnover: Turnover, sink: PrivateSink) -> None:
        self._currency = turnover.currency or self._currency
        if turnover.action == "buy":
            self._memory.purchases.append(turnover)
        elif turnover.transaction_id not in self._told:
            if turnover.action == "sell":
                await self._sold(turnover, sink)
            else:
                at, identity = turnover.time * SECOND, str(turnover.transaction_id)
                await sink.transfer(turnover.currency, turnover.amount, at, identity)
            self._told[turnover.transaction_id] = None
        self._newest = max(self._newest, turnover.time)

    async def _booked(self, booking: Booking, sink: PrivateSink) -> None:
        """A line of the statement is told like the message that was missed; sales only of what we bought."""
        sold_by_others = booking.action == "sell" and booking.contract_id not in self._memory.entries
        if booking.action == "buy" or sold_by_others or booking.transaction_id in self._told:
            return
        if not self._currency:
            balance = await self._client.call(self._client.codec.balance(), priority=Priority.EXIT)
            self._currency = balance.currency
        turnover = Turnover(
            action=booking.action,
            amount=booking.amount,
            balance=booking.balance_after,
            currency=self._currency,
            symbol="",
            contract_id=booking.contract_id,
            transaction_id=booking.transaction_id,
            time=booking.time,
        )
        await self._turned_over(turnover, sink)

    async def _sold(self, turnover: Turnover, sink: PrivateSink) -> None:
        contract = self._watch.known(turnover.contract_id)
        if contract is None or not contract.is_sold:
            try:
                contract = await self._watch.ask(turnover.contract_id, Priority.EXIT)
            except VenueError as err:
                log.info("contract %s is not known: %s", turnover.contract_id, err)
        if contract is not None and contract.is_sold:
            await self._ended(contract, turnover, sink)
        else:
            kind, intent = self._who(turnover.contract_id, is_sale=False)
            await sink.report(contracts.turned_over(intent, turnover, kind))

    async def _ended(self, contract: Contract, turnover: Turnover | None, sink: PrivateSink) -> None:
        """A contract that is sold, told once."""
        transaction = contract.sell_transaction_id or (turnover.transaction_id if turnover is not None else 0)
        if transaction in self._told:
            return
        kind, intent = self._who(contract.contract_id, is_sale=contract.status == "sold")
        balance = turnover.balance if turnover is not None else None
        await sink.report(contracts.settled(intent, contract, kind, balance))
        if transaction:
            self._told[transaction] = None

    def _who(self, contract_id: int, *, is_sale: bool) -> tuple[ReportKind, str]:
        """Our own exit sold it, or the venue closed it."""
        exit_intent = self._memory.exits.get(contract_id, "")
        if is_sale and exit_intent:
            return ReportKind.FILLED, exit_intent
        return ReportKind.CLOSED, self._memory.entries.get(contract_id, "")
