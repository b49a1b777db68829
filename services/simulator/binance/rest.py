"""REST: routes from the table of calls, parameters from query and body, signatures as transmitted, weights, faults."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from services.simulator.binance import wire
from services.simulator.binance.calls.params import Params, matching, missing, read, recv_window
from services.simulator.binance.calls.spec import Call, Security
from services.simulator.binance.calls.table import TABLE
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.feed import VENUE
from services.simulator.binance.keys import rest_payload
from services.simulator.binance.mishaps import UNREPLIED, refusal_of
from services.simulator.binance.units import answer_in_micros
from services.simulator.binance.venue import Venue
from services.simulator.faults.base import CallFault, CallFaultKind

KEY_HEADER: Final = "X-MBX-APIKEY"
UNIT_HEADER: Final = "X-MBX-TIME-UNIT"
UNITS: Final = ("MILLISECOND", "MICROSECOND", "millisecond", "microsecond")
_DEAF_SECONDS: Final = 0.2
_MOST_PARAMETERS: Final = 200
SIGNED: Final = frozenset({"timestamp", "recvWindow", "signature"})
timestamp: Final = matching("^[0-9]{1,20}$")


def respond(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=wire.encode(body), status=status, content_type="application/json", headers=headers)


def refusal_body(refusal: ApiError) -> dict[str, Any]:
    """`{"code","msg"}`, with `data` for a cancelReplace that failed in part or whole."""
    body: dict[str, Any] = {"code": refusal.code, "msg": str(refusal)}
    if refusal.data and "serverTime" not in refusal.data:  # times to wait belong to the WebSocket API
        body["data"] = refusal.data
    return body


def refuse(refusal: ApiError) -> web.Response:
    """The answer that a refusal is over HTTP."""
    return respond(refusal_body(refusal), refusal.status, refusal.headers)


def wants_micros(unit: str | None) -> bool:
    """Whether times shall be in microseconds. Raises ApiError for an unknown unit."""
    if unit is None:
        return False
    if unit not in UNITS:
        raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return unit.upper() == "MICROSECOND"


def stamp_ms(text: str) -> Decimal:
    """The timestamp of a request in ms; microseconds are understood. Raises ApiError."""
    number = Decimal(timestamp("timestamp", text))
    return number / 1_000 if number >= 10**15 else number


class _Sent(msgspec.Struct, frozen=True):
    """The parameters of a request: as transmitted, and read."""

    query: str
    body: str
    values: dict[str, str]


class Rest:
    """Serves the table over HTTP."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.RouteDef(call.method, call.path, self._handler(call), {}) for call in TABLE if call.rest]

    def _handler(self, call: Call) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self._venue.faults.call(VENUE, call.rest)
            if fault is None:
                return await self._respond(call, request)
            answer = await self._respond(call, request) if fault.executes else None
            return await self._suffer(fault, call, request, answer)

        return handle

    async def _suffer(
        self, fault: CallFault, call: Call, request: web.Request, answer: web.StreamResponse | None
    ) -> web.StreamResponse:
        """Do what the fault does to a call whose answer would be `answer`, None when it was not carried out."""
        if fault.kind in UNREPLIED:
            return await deaf(request)
        if fault.kind is CallFaultKind.LATE and answer is not None:
            await asyncio.sleep(fault.delay_s)
            return answer
        if fault.kind is CallFaultKind.CLOSE and isinstance(answer, web.Response):
            return await _torn(request, answer)
        if fault.kind is CallFaultKind.MAINTENANCE:
            self._venue.take_down()
        return refuse(refusal_of(fault, call.rest, time.time()))

    async def _respond(self, call: Call, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            body, account = await self._carry_out(call, request, headers)
        except ApiError as refusal:
            return respond(refusal_body(refusal), refusal.status, headers | refusal.headers)
        if call.security is Security.TRADE and self._venue.exchange.silent(account):
            return await deaf(request)
        return respond(body, 200, headers)

    async def _carry_out(self, call: Call, request: web.Request, headers: dict[str, str]) -> tuple[Any, int]:
        """Check, weigh and execute; returns the answer and the account. Raises ApiError; `headers` are filled in."""
        address, limits = request.remote or "", self._venue.limits
        try:
            micros = wants_micros(request.headers.get(UNIT_HEADER))
            account, params = self._admit(call, request.headers.get(KEY_HEADER), await _read(request))
            cost = call.cost(params)
        except ApiError:
            _weigh(headers, limits.spend(address, call.weight if isinstance(call.weight, int) else 1))
            raise
        _weigh(headers, limits.spend(address, cost))
        body = call.answer(self._venue, account, params)
        if inspect.isawaitable(body):
            body = await body
        if call.free:
            _weigh(headers, limits.give_back(address, cost))
        if call.orders:
            for row in self._venue.exchange.order_counts(account):
                headers[f"X-MBX-ORDER-COUNT-{row['intervalNum']}{row['interval'][0]}"] = str(row["count"])
        return answer_in_micros(_plain(body)) if micros else body, account

    def _admit(self, call: Call, key: str | None, sent: _Sent) -> tuple[int, Params]:
        """Return account (0 for public calls) and parameters. Raises ApiError."""
        values = sent.values
        if call.security is Security.NONE:
            return 0, read(call.params, values, call.exclusive)
        self._venue.keys.find(key)
        for name in ("timestamp", "signature"):
            if not values.get(name):
                raise missing(name)
        payload, signature = rest_payload(sent.query, sent.body)
        account = self._venue.keys.check(key, payload, unquote(signature or ""))
        window = recv_window("recvWindow", values["recvWindow"]) if "recvWindow" in values else None
        self._venue.check_time(stamp_ms(values["timestamp"]), window)
        own = {name: value for name, value in values.items() if name not in SIGNED}
        return account, read(call.params, own, call.exclusive, len(values) - len(own))


async def _read(request: web.Request) -> _Sent:
    query = request.raw_path.partition("?")[2]
    body = "" if request.method == "GET" else (await request.read()).decode(errors="replace")
    # on a name sent in both the query wins
    return _Sent(query, body, _pairs(body) | _pairs(query))


def _pairs(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise ApiError(-1101, f"Too many parameters; expected at most '{_MOST_PARAMETERS}'.") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ApiError(-1101, "Duplicate values for a parameter detected.")
    return values


def _weigh(headers: dict[str, str], used: int) -> None:
    headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(used)


def _plain(body: Any) -> Any:
    return msgspec.json.decode(body) if isinstance(body, msgspec.Raw) else body


async def deaf(request: web.Request) -> web.StreamResponse:
    """Never answer; ends with the connection."""
    # aiohttp tells a handler nothing of a client that leaves
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(_DEAF_SECONDS)
    return web.Response()


async def _torn(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """Send half of an answer and cut the connection."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    torn = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    torn.content_length = len(body)
    await torn.prepare(request)
    await torn.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return torn
