"""The WebSocket API: the table of calls over one socket, sessions, and user data mixed in between the answers."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable
from typing import Any, Final

import msgspec
from aiohttp import web

from services.simulator.binance.calls.params import missing, read, recv_window
from services.simulator.binance.calls.spec import Call, Security
from services.simulator.binance.calls.table import BY_METHOD
from services.simulator.binance.connection import HABITS, QUEUE_BYTES, Connection, Habits
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.feed import VENUE
from services.simulator.binance.keys import refused_key, socket_payload
from services.simulator.binance.mishaps import UNREPLIED, refusal_of
from services.simulator.binance.rest import SIGNED, refusal_body, stamp_ms, wants_micros
from services.simulator.binance.session_calls import SESSION_CALLS
from services.simulator.binance.units import answer_in_micros, event_in_micros
from services.simulator.binance.user_data import Subscriptions
from services.simulator.binance.venue import Venue
from services.simulator.binance.wire import encode
from services.simulator.faults.base import CallFault, CallFaultKind

CONNECT_WEIGHT: Final = 2
_ID: Final = "^[a-zA-Z0-9-_]{1,36}$"
_ID_TEXT: Final = re.compile(_ID)
_OPTIONS: Final = frozenset({"apiKey", "returnRateLimits"})


class ApiClient:
    """One connection of the WebSocket API, and who has logged on over it."""

    def __init__(self, venue: Venue, address: str, connection: Connection, *, micros: bool, show_limits: bool) -> None:
        self.venue = venue
        self.address = address
        self.connection = connection
        self.micros = micros
        self.show_limits = show_limits
        self.key: str | None = None
        self.authorized_since: int | None = None
        self.connected_since = venue.now_ms()
        self.subscriptions = Subscriptions(venue, self._tell)
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, frame: str | bytes) -> None:
        """Act on one request; the answer is sent when it is there. Nothing a client can send raises."""
        request_id: Any = None
        try:
            request_id, method, params = _parsed(frame)
        except ApiError as refusal:
            self._answer(None, refusal, {})
            return
        fault = self.venue.faults.call(VENUE, method)
        if fault is not None and not fault.executes:
            self._suffer(fault, method, request_id, params)
            return
        try:
            result = self._carry_out(method, params)
        except ApiError as refusal:
            result = refusal
        if inspect.isawaitable(result):
            self._later(self._finish(result, fault, method, request_id, params))
        else:
            self._deliver(result, fault, method, request_id, params)

    async def end(self) -> None:
        """Let go of everything that would still answer."""
        self.subscriptions.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expire(self, key: str) -> None:
        """End everything that hangs on a key which is no longer good: its session, told unasked, and its user data."""
        if self.key == key:
            refusal = refused_key()
            self._tell({"id": None, "status": refusal.status, "error": refusal_body(refusal)})
            self.key = self.authorized_since = None
        self.subscriptions.end_key(key)

    # --- carrying out ------------------------------------------------------------------------------------------

    def _carry_out(self, method: str, params: dict[str, str]) -> Any:
        """Check, weigh and execute; returns the result or an awaitable of it. Raises ApiError."""
        venue = self.venue
        own = SESSION_CALLS.get(method)
        call = BY_METHOD.get(method)
        if own is not None:
            venue.limits.spend(self.address, own.weight)
            read(own.params, {name: value for name, value in params.items() if name not in SIGNED | _OPTIONS})
            return own.answer(self, params)
        if call is None:
            raise ApiError(-1020, "This operation is not supported.")
        try:
            account, values = self._admit(call, params)
        except ApiError:
            venue.limits.spend(self.address, call.weight if isinstance(call.weight, int) else 1)
            raise
        cost = call.cost(values)
        venue.limits.spend(self.address, cost)
        result = call.answer(venue, account, values)
        if call.free:
            venue.limits.give_back(self.address, cost)
        if call.security is Security.TRADE and venue.exchange.silent(account):
            return asyncio.Event().wait()
        return result

    def _admit(self, call: Call, params: dict[str, str]) -> tuple[int, dict[str, Any]]:
        values = {name: value for name, value in params.items() if name not in SIGNED | _OPTIONS}
        account = 0
        if call.security is not Security.NONE:
            account = self.signed_by(params) if "apiKey" in params or self.key is None else self._logged_on()
            self.check_time(params)
        return account, read(call.params, values, call.exclusive, len(params) - len(values))

    def _logged_on(self) -> int:
        account, _ = self.venue.keys.find(self.key)
        return account

    def signed_by(self, params: dict[str, str]) -> int:
        """Return the account whose key signed the request. Raises ApiError."""
        for name in ("apiKey", "timestamp", "signature"):
            if not params.get(name):
                raise missing(name)
        return self.venue.keys.check(params["apiKey"], socket_payload(params), params["signature"])

    def check_time(self, params: dict[str, str]) -> None:
        """Refuse a request that is too old or too young. Raises ApiError."""
        if not params.get("timestamp"):
            raise missing("timestamp")
        window = recv_window("recvWindow", params["recvWindow"]) if "recvWindow" in params else None
        self.venue.check_time(stamp_ms(params["timestamp"]), window)

    # --- answering ---------------------------------------------------------------------------------------------

    async def _finish(
        self, pending: Awaitable[Any], fault: CallFault | None, method: str, request_id: Any, params: dict[str, str]
    ) -> None:
        result: Any
        try:
            result = await pending
        except ApiError as refusal:
            result = refusal
        self._deliver(result, fault, method, request_id, params)

    def _deliver(
        self, result: Any, fault: CallFault | None, method: str, request_id: Any, params: dict[str, str]
    ) -> None:
        if fault is None:
            self._answer(request_id, result, params, method)
        elif fault.kind is CallFaultKind.LATE:
            self._later(self._answer_late(fault.delay_s, request_id, result, params, method))
        else:
            self._suffer(fault, method, request_id, params)

    def _suffer(self, fault: CallFault, method: str, request_id: Any, params: dict[str, str]) -> None:
        if fault.kind in UNREPLIED:
            return
        if fault.kind is CallFaultKind.CLOSE:
            self.connection.cut()
            return
        if fault.kind is CallFaultKind.EXPIRED:
            self.expire(params.get("apiKey", self.key or ""))
        self._answer(request_id, refusal_of(fault, method, time.time()), params, method)
        if fault.kind is CallFaultKind.MAINTENANCE:
            self.venue.take_down()

    async def _answer_late(self, delay_s: float, request_id: Any, result: Any, params: Any, method: str) -> None:
        await asyncio.sleep(delay_s)
        self._answer(request_id, result, params, method)

    def _answer(self, request_id: Any, result: Any, params: dict[str, str], method: str = "") -> None:
        answer: dict[str, Any] = {"id": request_id, "status": 200}
        if isinstance(result, ApiError):
            answer["status"] = result.status
            answer["error"] = {"code": result.code, "msg": str(result)}
            if result.data:
                answer["error"]["data"] = result.data
        else:
            answer["result"] = answer_in_micros(_plain(result)) if self.micros else result
        if params.get("returnRateLimits", str(self.show_limits)).lower() == "true":
            answer["rateLimits"] = self._limits(method, params)
        self.connection.send(encode(answer))

    def _limits(self, method: str, params: dict[str, str]) -> list[dict[str, Any]]:
        call = BY_METHOD.get(method)
        account = 0
        if call is not None and call.orders:
            try:
                account, _ = self.venue.keys.find(params.get("apiKey", self.key))
            except ApiError:
                account = 0
        return self.venue.rate_limits(self.address, account)

    def _tell(self, message: dict[str, Any]) -> None:
        """Send something unasked."""
        if self.micros and "event" in message:
            message = {**message, "event": event_in_micros(message["event"])}
        self.connection.send(encode(message))

    def _later(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class WsApi:
    """Every connection of the WebSocket API."""

    def __init__(self, venue: Venue, *, queue_bytes: int = QUEUE_BYTES, habits: Habits = HABITS) -> None:
        self._venue = venue
        self._queue_bytes = queue_bytes
        self._habits = habits
        self._clients: set[ApiClient] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Run one connection from its upgrade to its end. Raises ApiError for a wrong URL query or too much weight."""
        address = request.remote or ""
        micros = wants_micros(request.query.get("timeUnit"))
        show = request.query.get("returnRateLimits", "true").lower() != "false"
        self._venue.limits.spend(address, CONNECT_WEIGHT)
        connection = Connection(
            "trade",
            queue_bytes=self._queue_bytes,
            habits=self._habits,
            faults=self._venue.faults,
            data_counts=False,
        )
        client = ApiClient(self._venue, address, connection, micros=micros, show_limits=show)
        self._clients.add(client)
        try:
            return await connection.serve(request, client.take, lambda: self._farewell(client))
        finally:
            self._clients.discard(client)
            await client.end()

    def expire(self, key: str) -> None:
        """End the sessions and the user data that hang on `key`."""
        for client in list(self._clients):
            client.expire(key)

    def connections(self) -> set[Connection]:
        """The connections of this moment."""
        return {client.connection for client in self._clients}

    def announce_shutdown(self) -> None:
        """Tell every client that its connection is about to end."""
        for client in list(self._clients):
            client.connection.send(self._farewell(client))

    def cut(self) -> None:
        """Drop every connection at once."""
        for client in list(self._clients):
            client.connection.cut()

    async def close(self) -> None:
        """Say goodbye to every client; a deaf one is cut."""
        await asyncio.gather(*(client.connection.close() for client in list(self._clients)))

    def _farewell(self, client: ApiClient) -> bytes:
        event: Any = {"e": "serverShutdown", "E": self._venue.now_ms()}
        return encode({"event": event_in_micros(event) if client.micros else event})


def _parsed(frame: str | bytes) -> tuple[Any, str, dict[str, str]]:
    """Return id, method and the parameters as text. Raises ApiError."""
    try:
        request = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError(-1135, "Invalid JSON Request") from None
    if not isinstance(request, dict):
        raise ApiError(-1135, "Invalid JSON Request")
    request_id = request.get("id")
    known = request_id is None or (isinstance(request_id, int) and not isinstance(request_id, bool))
    if not known and not (isinstance(request_id, str) and _ID_TEXT.fullmatch(request_id)):
        raise ApiError(-1100, f"Illegal characters found in parameter 'id'; legal range is '{_ID}'.")
    method, params = request.get("method"), request.get("params", {})
    if not isinstance(method, str) or not method:
        raise missing("method")
    if not isinstance(params, dict):
        raise ApiError(-1135, "Invalid JSON Request")
    return request_id, method, {name: _text(value) for name, value in params.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return encode(value).decode()


def _plain(result: Any) -> Any:
    return msgspec.json.decode(result) if isinstance(result, msgspec.Raw) else result
