"""The connection that signed calls and events share, opened when needed and replaced when it ends; and venue time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

from libs.core.types import MILLISECOND, Nanos
from libs.venues import checked
from libs.venues.base import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.binance import codec, trade_codec
from libs.venues.binance.api_connection import ApiConnection, EventHandler, GapHandler
from libs.venues.binance.outcome import result_of
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.signing import Signer, Value, signed_params
from libs.venues.budget import Priority
from libs.venues.clock import OffsetEstimate
from libs.venues.pace import Backoff

RECV_WINDOW_MS: Final = 3000
"""How late a request may still be carried out, venue time."""

ANSWER_S: Final = 5.0
"""Longer than any request can be on its way: who waits on learns nothing new."""

LINGER_S: Final = 1.0
"""How long a connection that was replaced may still deliver what was on its way."""

CLOCK_S: Final = 60.0
"""In a minute crystals part by 6 ms."""

SIMULATED_CLOCK_S: Final = 1.0
"""The clock of a recording may run many times faster than ours."""

ENTER_WEIGHT: Final = 2
"""Of connecting, and of logging on or subscribing."""

NOT_IN_WINDOW: Final = "-1021"

Stamped = Callable[[Nanos], None]


class Session:
    """One connection in use at a time; one that is down is tried again with back-off, and refused meanwhile."""

    def __init__(
        self,
        rest: BinanceRest,
        ws_url: str,
        signer: Signer,
        on_event: EventHandler,
        on_gap: GapHandler,
        rng: random.Random,
        *,
        clock_s: float = CLOCK_S,
    ) -> None:
        """`clock_s`: between two questions for the venue's clock."""
        self._clock_s = clock_s
        self._rest, self._limits = rest, rest.limits
        self._ws_url, self._signer = ws_url, signer
        self._on_event, self._on_gap = on_event, on_gap
        self._backoff = Backoff(rng)
        self._clock = OffsetEstimate(MILLISECOND)
        self._clock_at = float("-inf")
        self._current: ApiConnection | None = None
        self._opening = asyncio.Lock()
        self._down_until = float("-inf")
        self._down_because = ""
        self._retiring: dict[ApiConnection, asyncio.Task[None]] = {}

    # --- connections -------------------------------------------------------------------------------------------

    async def connection(self) -> ApiConnection:
        """The one in use, opened when there is none.

        Raises:
            VenueUnavailable: there is none, and none could be opened now or a moment ago. VenueRefused: the login.
        """
        if (current := self._usable()) is not None:
            return current
        async with self._opening:
            if (current := self._usable()) is not None:
                return current
            if time.monotonic() < self._down_until:
                raise VenueUnavailable(self._down_because)
            try:
                fresh = await self.fresh_connection()
            except VenueError as err:
                self._down_until = time.monotonic() + self._backoff.next_s()
                self._down_because = str(err)
                raise
            self.adopt(fresh)
            return fresh

    def _usable(self) -> ApiConnection | None:
        """One that leaves is still good for calls where its subscription says that somebody will replace it."""
        current = self._current
        if current is None or not current.is_alive:
            return None
        return current if current.is_subscribed or not current.leaving.done() else None

    async def fresh_connection(self) -> ApiConnection:
        """A new one, logged on where the key can; raises as `connection`."""
        await self._limits.take_connection(Priority.EXIT)
        await self._limits.take(Priority.EXIT, ENTER_WEIGHT)
        connection = ApiConnection(self._on_event, self._on_gap)
        try:
            await connection.open(self._ws_url)
            await self._ask_time(connection, Priority.EXIT)
            if self._signer.logs_on:
                await self._enter(connection, "session.logon", signs=True)
                connection.is_logged_on = True
        except BaseException:
            await connection.close()
            raise
        self._backoff.reset()
        return connection

    async def subscribe(self, connection: ApiConnection) -> None:
        """Have the account's events sent to this connection.

        Raises:
            VenueRefused: the key is not accepted. VenueUnavailable: not now.
        """
        on = connection.is_logged_on
        await self._enter(connection, "userDataStream.subscribe" + ("" if on else ".signature"), signs=not on)
        connection.is_subscribed = True

    def adopt(self, connection: ApiConnection) -> None:
        """Calls use this one from now on; the one before is closed once its answers and last events are in."""
        before, self._current = self._current, connection
        if before is not None and before is not connection:
            task = asyncio.create_task(_retire(before))
            self._retiring[before] = task
            task.add_done_callback(lambda _: self._retiring.pop(before, None))

    async def _enter(self, connection: ApiConnection, method: str, *, signs: bool) -> None:
        """One of the calls that open a session; without its answer the connection is no use."""
        for first in (True, False):
            await self._limits.take(Priority.EXIT, ENTER_WEIGHT)
            params = signed_params(self.stamped({}, None), self._signer) if signs else {}
            try:
                result_of(method, await connection.call(method, params, ANSWER_S), self._limits)
                return
            except VenueUnresolved as err:
                raise VenueUnavailable(str(err)) from err
            except VenueRefused as err:
                if err.code != NOT_IN_WINDOW or not first:
                    raise
            await self._ask_time(connection, Priority.EXIT)

    # --- the venue's clock -------------------------------------------------------------------------------------

    def now(self) -> Nanos:
        """Venue time as far as it is known, ns UTC."""
        return time.time_ns() + self._clock.offset

    def stamped(self, params: Mapping[str, Value], stamped: Stamped | None) -> dict[str, Value]:
        """`params` as of now: from here on they can be carried out for RECV_WINDOW_MS."""
        now = self.now()
        if stamped is not None:
            stamped(now)
        return {**params, "recvWindow": RECV_WINDOW_MS, "timestamp": now // MILLISECOND}

    async def time(self, priority: Priority) -> Nanos:
        """Venue time, asked now. Raises VenueUnavailable, VenueRefused."""
        try:
            return await self._ask_time(await self.connection(), priority)
        except VenueError:
            return await self._ask_time_by_rest(priority)

    async def know_time(self) -> None:
        """Ask by REST where the venue's clock was never or long ago asked for; raises as `time`."""
        if time.monotonic() - self._clock_at > 2 * self._clock_s:
            await self._ask_time_by_rest(Priority.EXIT)

    async def keep_clock(self) -> None:
        """Ask for the venue's clock again and again, until cancelled."""
        while True:
            try:
                await self.time(Priority.DATA)
            except VenueError:
                await asyncio.sleep(1.0)
            else:
                await asyncio.sleep(self._clock_s)

    async def _ask_time(self, connection: ApiConnection, priority: Priority) -> Nanos:
        await self._limits.take(priority, 1)
        sent = time.time_ns()
        try:
            result = result_of("time", await connection.call("time", {}, ANSWER_S), self._limits)
            venue = trade_codec.read(codec.server_time, result, "time").serverTime
            checked.check_time(venue)
        except (VenueUnresolved, checked.Absurd) as err:
            raise VenueUnavailable(f"Binance's clock is not known: {err}") from err
        return self._told_time(sent, venue * MILLISECOND)

    async def _ask_time_by_rest(self, priority: Priority) -> Nanos:
        sent = time.time_ns()
        return self._told_time(sent, await self._rest.server_time(priority))

    def _told_time(self, sent: Nanos, venue: Nanos) -> Nanos:
        self._clock.answered(sent, time.time_ns(), venue)
        self._clock_at = time.monotonic()
        return venue

    async def aclose(self) -> None:
        """Close every connection."""
        for task in self._retiring.values():
            task.cancel()
        for connection in [*self._retiring, *([self._current] if self._current is not None else [])]:
            await connection.close()


async def _retire(connection: ApiConnection) -> None:
    await asyncio.wait([connection.ended], timeout=LINGER_S)
    await connection.close(ANSWER_S)
