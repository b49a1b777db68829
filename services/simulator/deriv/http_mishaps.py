"""What a fault does to a request over HTTP: REST calls and the opening of a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from services.simulator.deriv.connection import IDLE_SECS
from services.simulator.faults.base import CallFault, CallFaultKind

_REFUSALS: Final = {
    CallFaultKind.REJECT: (400, "BadInputRequest", "The request was refused."),
    CallFaultKind.RATE_LIMIT: (429, "RateLimit", "Too many requests."),
    CallFaultKind.EXPIRED: (401, "Unauthorized", "The token has expired."),
    CallFaultKind.MAINTENANCE: (503, "InternalServerError", "The service is down for maintenance."),
    CallFaultKind.INTERNAL: (500, "InternalServerError", "Sorry, an error occurred while processing your request."),
}


def meta(request: web.Request) -> dict[str, Any]:
    """Return the `meta` that each REST answer has; `timing` is in milliseconds."""
    return {"endpoint": request.path, "method": request.method, "timing": 1}


def refusal(request: web.Request, status: int, code: str, message: str) -> web.Response:
    """Return an error as the venue's REST interface words it."""
    body = {"errors": [{"status": status, "code": code, "message": message}], "meta": meta(request)}
    return web.json_response(body, status=status)


async def over_http(
    fault: CallFault | None, request: web.Request, execute: Callable[[], web.Response | None]
) -> web.Response | None:
    """Return what the client gets: what `execute` answers, or what a fault makes of it."""
    if fault is None:
        return execute()
    answer = execute() if fault.executes else None
    if fault.kind is CallFaultKind.LATE:
        await asyncio.sleep(fault.delay_s)
        return answer
    if fault.kind in _REFUSALS:
        status, code, message = _REFUSALS[fault.kind]
        return refusal(request, status, fault.code or code, message)
    if fault.kind is not CallFaultKind.CLOSE:
        await asyncio.sleep(IDLE_SECS)
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=504)  # nobody is there to see it
