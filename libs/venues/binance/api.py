"""Signed calls by one key: over the WebSocket API, by REST where that is down, within every limit, on venue time."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.venues.base import VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.binance.outcome import result_of
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.session import ANSWER_S, NOT_IN_WINDOW, Session, Stamped
from libs.venues.binance.signing import Signer, Value, signed_params, signed_query
from libs.venues.budget import Priority

NO_ENTRY: Final = frozenset({"-1002", "-2014", "-2015"})
"""Refusals that say that the key, or its session, is no longer good."""

Params = dict[str, Value]


class Call(msgspec.Struct, frozen=True):
    """A call under both its names."""

    method: str
    verb: str
    path: str
    weight: int


# Orders cost no weight where they succeed; what a refused one cost, its answer tells.
PLACE: Final = Call("order.place", "POST", "order", 0)
CANCEL: Final = Call("order.cancel", "DELETE", "order", 0)
STATUS: Final = Call("order.status", "GET", "order", 4)
TRADES_OF_ORDER: Final = Call("myTrades", "GET", "myTrades", 5)
ORDERS: Final = Call("allOrders", "GET", "allOrders", 20)
ACCOUNT: Final = Call("account.status", "GET", "account", 20)
COMMISSION: Final = Call("account.commission", "GET", "account/commission", 20)


class SignedApi:
    """What one account may ask and do."""

    def __init__(self, rest: BinanceRest, session: Session, signer: Signer) -> None:
        self._rest, self._session, self._signer = rest, session, signer
        self._limits = rest.limits

    async def query(self, call: Call, params: Params, priority: Priority) -> msgspec.Raw | bytes:
        """The answer to a question; asked by REST as well where the WebSocket API gives none.

        Raises:
            VenueRefused: with the venue's code. VenueUnavailable: no answer.
        """
        try:
            try:
                return await self.effect(call, params, priority)
            except VenueUnresolved:
                await self._limits.take(priority, call.weight)
                return await self._by_rest(call, params, None)
        except VenueUnresolved as err:
            raise VenueUnavailable(str(err)) from err

    async def effect(
        self, call: Call, params: Params, priority: Priority, stamped: Stamped | None = None
    ) -> msgspec.Raw | bytes:
        """The answer to a call that is made once: repeated only where the venue proved that it had no effect.

        `stamped` is told the venue time of each attempt: it is carried out within RECV_WINDOW_MS of it or never.

        Raises:
            VenueRefused: no effect. VenueUnavailable: not sent, or turned away at a rate limit. VenueUnresolved: sent,
            and no proof either way.
        """
        try:
            return await self._attempt(call, params, priority, stamped)
        except VenueRefused as err:
            if err.code != NOT_IN_WINDOW:
                raise
        await self._session.time(priority)
        return await self._attempt(call, params, priority, stamped)

    async def _attempt(
        self, call: Call, params: Params, priority: Priority, stamped: Stamped | None
    ) -> msgspec.Raw | bytes:
        await self._limits.take(priority, call.weight, order=call is PLACE)
        try:
            connection = await self._session.connection()
            complete = self._session.stamped(params, stamped)
            if not connection.is_logged_on:
                complete = signed_params(complete, self._signer)
            answer = await connection.call(call.method, complete, ANSWER_S)
        except VenueUnavailable:
            return await self._by_rest(call, params, stamped)
        try:
            return result_of(call.method, answer, self._limits)
        except VenueRefused as err:
            if err.code in NO_ENTRY and connection.is_logged_on:
                connection.end("the session is no longer logged on")
            raise

    async def _by_rest(self, call: Call, params: Params, stamped: Stamped | None) -> bytes:
        await self._session.know_time()
        query = signed_query(self._session.stamped(params, stamped), self._signer)
        return await self._rest.http.signed(call.verb, call.path, query, self._signer.key, timeout_s=ANSWER_S)
