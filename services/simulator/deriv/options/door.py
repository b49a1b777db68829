"""How clients come in to the Options API: a public socket, and one per account behind a one-time password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv.connection import Connection
from services.simulator.deriv.dispatch import Api
from services.simulator.deriv.http_mishaps import refusal
from services.simulator.deriv.options.accounts import Directory, Kind, OptionsAccount
from services.simulator.deriv.options.api import OPTIONS
from services.simulator.deriv.options.limits import ConnectionMeter, user_meter
from services.simulator.deriv.options.rest import BASE, Rest
from services.simulator.deriv.options.shown import show
from services.simulator.deriv.session import Session
from services.simulator.deriv.venue import Venue

Converse = Callable[[web.Request, Callable[[Connection], Session], Api], Awaitable[web.StreamResponse]]
WS: Final = f"{BASE}/ws"


class Door:
    """Lets connections of the Options API in to a venue; its limits count over all connections of the user."""

    def __init__(self, venue: Venue, directory: Directory, converse: Converse) -> None:
        """`converse` upgrades a request and serves the session that is made for it until it ends."""
        self._venue = venue
        self._directory = directory
        self._converse = converse
        self._rest = Rest(venue, directory)
        self._user = user_meter()

    def add_to(self, app: web.Application) -> None:
        """Route sockets and REST."""
        self._rest.add_to(app)
        app.router.add_get(f"{WS}/public", self._public)
        app.router.add_get(f"{WS}/demo", partial(self._trading, kind="demo"))
        app.router.add_get(f"{WS}/real", partial(self._trading, kind="real"))

    async def _public(self, request: web.Request) -> web.StreamResponse:
        return await self._converse(request, self._anonymous, OPTIONS)

    async def _trading(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        now = self._venue.clock.now_ns() / NANOSECONDS
        held = self._directory.redeem(request.query.get("otp", ""), kind, now)
        if held is None:
            return refusal(request, 401, "Unauthorized", "The one-time password is missing, used or expired.")
        return await self._converse(request, partial(self._logged_in, held), OPTIONS)

    def _anonymous(self, wire: Connection) -> Session:
        session = self._venue.connect(wire.send, wire.ends, show=partial(show, ""))
        session.may_log_in = False
        session.meter = ConnectionMeter(user_meter())
        return session

    def _logged_in(self, held: OptionsAccount, wire: Connection) -> Session:
        session = self._venue.connect(wire.send, wire.ends, held.account, partial(show, held.account_id))
        session.may_log_in = False
        session.log_in(ConnectionMeter(self._user))
        return session
