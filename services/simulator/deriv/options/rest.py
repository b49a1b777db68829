"""The REST side of the Options API: accounts, one-time passwords, a new demo balance, where a legacy account went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv.accounts import OPENING_BALANCE
from services.simulator.deriv.http_mishaps import meta, over_http, refusal
from services.simulator.deriv.mishaps import SORRY
from services.simulator.deriv.options.accounts import Directory, OptionsAccount, same
from services.simulator.deriv.options.limits import RestMeter
from services.simulator.deriv.venue import VENUE, Venue

_log = logging.getLogger(__name__)
BASE: Final = "/trading/v1/options"
Carry = Callable[[web.Request, bytes], web.Response]


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for an account."""

    currency: Literal["USD"]
    group: Literal["row"]
    account_type: Literal["demo", "real"]


class Rest:
    """Answers REST requests about the accounts of a venue."""

    def __init__(self, venue: Venue, directory: Directory) -> None:
        self._venue = venue
        self._directory = directory
        self._meter = RestMeter()

    def add_to(self, app: web.Application) -> None:
        """Route every path that is served."""
        accounts = f"{BASE}/accounts"
        for method, path, carry in (
            ("GET", accounts, self._list),
            ("POST", accounts, self._open),
            ("POST", accounts + "/{account_id}/otp", self._otp),
            ("POST", accounts + "/{account_id}/reset-demo-balance", self._reset),
            ("GET", f"{BASE}/legacy/migration-status", self._migration),
        ):
            app.router.add_route(method, path, self._guarded(f"{method} {path}", carry))
        app.router.add_get("/v1/health", self._health)

    def _guarded(self, name: str, carry: Carry) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            fault = self._venue.faults.call(VENUE, name)
            response = await over_http(
                fault, request, lambda: self._refused(request) or self._carried(request, body, carry)
            )
            return response or web.Response(status=500)

        return answer

    def _carried(self, request: web.Request, body: bytes, carry: Carry) -> web.Response:
        try:
            return carry(request, body)
        except OSError as error:  # the journal refused it, so it did not happen
            _log.error("%s %s could not be kept: %s", request.method, request.path, error)
            return refusal(request, 500, "InternalServerError", SORRY)

    def _refused(self, request: web.Request) -> web.Response | None:
        now = self._now()
        if not self._meter.of_address(request.remote or "", now):
            return refusal(request, 429, "RateLimit", "Too many requests from this address.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not same(token, self._venue.token):
            return refusal(request, 401, "Unauthorized", "The token is missing or not valid.")
        if not request.headers.get("Deriv-App-ID"):
            return refusal(request, 401, "Unauthorized", "Deriv-App-ID is missing.")
        if not self._meter.of_user(now):
            return refusal(request, 429, "RateLimit", "Too many requests of this user.")
        return None

    def _now(self) -> float:
        return self._venue.clock.now_ns() / NANOSECONDS

    # --- what is served ----------------------------------------------------------------------------------------

    def _list(self, request: web.Request, body: bytes) -> web.Response:
        return _data(request, [held.row() for held in self._directory.all()])

    def _open(self, request: web.Request, body: bytes) -> web.Response:
        try:
            asked = msgspec.json.decode(body, type=NewAccount)
        except msgspec.DecodeError as error:
            return refusal(request, 400, "ValidationError", str(error))
        held, new = self._directory.open(asked.account_type)
        return _data(request, [held.row()] if new else held.row(), status=201 if new else 200)

    def _otp(self, request: web.Request, body: bytes) -> web.Response:
        held = self._found(request)
        if held is None:
            return refusal(request, 400, "AccountNotFound", "There is no such account.")
        password = self._directory.issue(held, self._now())
        return _data(request, {"url": f"ws://{request.host}{BASE}/ws/{held.kind}?otp={password}"})

    def _reset(self, request: web.Request, body: bytes) -> web.Response:
        held = self._found(request)
        if held is None:
            return refusal(request, 404, "AccountNotFound", "There is no such account.")
        if held.kind != "demo":
            return refusal(request, 403, "AccessDenied", "Only demo accounts can be reset.")
        missing = OPENING_BALANCE - held.account.balance
        if missing:
            self._venue.move_cash(held.account, "virtual_credit" if missing > 0 else "adjustment", missing)
        row = held.row()
        return _data(request, {name: row[name] for name in row if name != "group"})

    def _migration(self, request: web.Request, body: bytes) -> web.Response:
        status = "complete" if self._venue.migrated else "pending"
        return web.json_response({"status": status}, headers={"Cache-Control": "no-store"})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="OK")

    def _found(self, request: web.Request) -> OptionsAccount | None:
        return self._directory.find(request.match_info["account_id"])


def _data(request: web.Request, data: Any, status: int = 200) -> web.Response:
    return web.json_response({"data": data, "meta": meta(request)}, status=status)
