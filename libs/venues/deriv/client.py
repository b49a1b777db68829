"""Deriv's connection for calls: opened when first needed, logged in, and again with back-off after it broke."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, TypeVar

from libs.venues.budget import Budget, Priority
from libs.venues.deriv.answers import CodecError
from libs.venues.deriv.codec import Codec, Request
from libs.venues.deriv.connection import Connection, LoggedOut, NoAnswer, OddHandler, PushHandler, TickHandler
from libs.venues.deriv.door import Door
from libs.venues.deriv.limits import Limits
from libs.venues.deriv.model import Site
from libs.venues.errors import VenueError, VenueRefused
from libs.venues.pace import Backoff

__all__ = ["Connection", "DerivClient", "NoAnswer"]

MIGRATED: Final = (
    "Deriv has moved this account to its Options API: set api: options for deriv, with a new token and app id from "
    "developers.deriv.com (DERIV_TOKEN, DERIV_APP_ID); v3 goes on while the venue lets it"
)

log = logging.getLogger("libs.venues.deriv")

T = TypeVar("T")


class DerivClient:
    """One connection for calls, and as many as asked for ticks, all under the same rate limits."""

    def __init__(
        self, door: Door, codec: Codec, limits: Limits, *, token: str = "", rng: random.Random | None = None
    ) -> None:
        """`token` "" = market data: nobody logs in."""
        self.codec = codec
        self._door = door
        self._limits = limits
        self._token = token
        self._backoff = Backoff(rng or random.Random())
        self._not_before = 0.0
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._warned = False
        self._asking: set[asyncio.Task[None]] = set()

    async def open_stream(self, on_tick: TickHandler, on_odd: OddHandler) -> Connection:
        """A connection of its own for ticks."""
        return await Connection.open(await self._door.url(), self.codec, self._limits, on_tick, on_odd)

    async def connection(self) -> Connection:
        """The live connection, logged in when there is a token.

        Raises:
            VenueUnavailable: cannot connect now. VenueRefused: the credentials are not accepted.
        """
        async with self._opening:
            if self._connection is not None and self._connection.is_alive:
                return self._connection
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._not_before - loop.time()))
            self._not_before = loop.time() + self._backoff.next_s()
            connection = await Connection.open(await self._door.url(), self.codec, self._limits)
            try:
                await self._log_in(connection)
            except BaseException:
                connection.abandon("login failed")
                raise
            self._backoff.reset()
            self._connection = connection
            self._ask_site_later(connection)
            return connection

    async def _log_in(self, connection: Connection) -> None:
        login = self.codec.login(self._token) if self._token else None
        if login is None:
            return
        try:
            await connection.call(login)
        except VenueRefused as err:
            raise VenueRefused(f"Deriv refused the token: {err}; check DERIV_TOKEN", err.code) from err

    async def call(
        self, request: Request[T], *, priority: Priority | None = None, on_push: PushHandler | None = None
    ) -> T:
        """Ask on the shared connection; raises as `Connection.call` and `connection`.

        A session that has ended is told by a refusal without effect: the request is made again after a new login.
        """
        connection = await self.connection()
        try:
            return await connection.call(request, priority=priority, on_push=on_push)
        except LoggedOut:
            if not self._token:
                raise
            await self.renew(connection, "the session ended")
            return await (await self.connection()).call(request, priority=priority, on_push=on_push)

    async def renew(self, stale: Connection, reason: str) -> None:
        """Give up a connection, the shared one perhaps: the next call logs in anew."""
        if self._connection is stale:
            self._connection = None
        await stale.close(reason)

    def _ask_site_later(self, connection: Connection) -> None:
        """What the venue says of itself is nice to have: nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self.follow_site(connection, self._told))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def follow_site(self, connection: Connection, hear: Callable[[Site], None]) -> None:
        """Take over the venue's limits, and tell `hear` its state now and whenever it changes."""
        request = self.codec.site()
        if request is None:
            return

        def heard(site: Site) -> None:
            self._limits.resize(site.quotas)
            hear(site)

        def updated(frame: bytes) -> None:
            try:
                heard(request.read(frame))
            except CodecError as err:
                log.debug("website_status cannot be read: %s", err)

        try:
            heard(await connection.call(request, on_push=updated))
        except VenueError as err:
            log.debug("website_status is not known: %s", err)

    def _told(self, site: Site) -> None:
        if site.has_migrated and not self._warned:
            self._warned = True
            log.warning(MIGRATED)

    def budgets(self) -> tuple[Budget, ...]:
        """The rate limits that every connection spends from."""
        return self._limits.budgets()

    async def aclose(self) -> None:
        """Close the shared connection and the door."""
        for task in self._asking:
            task.cancel()
        if self._connection is not None:
            await self.renew(self._connection, "closed by us")
        await self._door.aclose()
