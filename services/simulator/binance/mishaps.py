"""What a fault drawn for a call means at this venue: which refusal, and what else happens."""

from __future__ import annotations

from typing import Final

from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.keys import refused_key
from services.simulator.binance.limits import limited
from services.simulator.faults.base import CallFault, CallFaultKind

UNREPLIED: Final = (CallFaultKind.TIMEOUT, CallFaultKind.LOST)
_TEXTS: Final[dict[int, tuple[str, int]]] = {
    -1000: ("An unknown error occurred while processing the request.", 500),
    -1001: ("Internal error; unable to process your request. Please try again.", 500),
    -1002: ("You are not authorized to execute this request.", 401),
    -1003: ("Too many requests; please use the websocket for live updates.", 429),
    -1006: ("An unexpected response was received from the message bus. Execution status unknown.", 500),
    -1007: ("Timeout waiting for response from backend server. Send status unknown; execution status unknown.", 503),
    -1008: ("Server is currently overloaded with other requests. Please try again in a few minutes.", 503),
    -1013: ("Filter failure: PERCENT_PRICE_BY_SIDE", 400),
    -1015: ("Too many new orders; current limit is 100 orders per 10 SECOND.", 429),
    -1016: ("This service is no longer available.", 503),
    -1021: ("Timestamp for this request is outside of the recvWindow.", 400),
    -1022: ("Signature for this request is not valid.", 400),
    -1121: ("Invalid symbol.", 400),
    -2010: ("Account has insufficient balance for requested action.", 400),
    -2011: ("Unknown order sent.", 400),
    -2013: ("Order does not exist.", 400),
    -2015: ("Invalid API-key, IP, or permissions for action.", 401),
}


def refusal_of(fault: CallFault, name: str, now: float) -> ApiError:
    """The venue's refusal for a fault that refuses. `name` is the call's; `now` machine seconds."""
    if fault.kind is CallFaultKind.RATE_LIMIT:
        text = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
        return limited(text, -1003, now + max(fault.delay_s, 1.0), now)
    if fault.kind is CallFaultKind.EXPIRED:
        return refused_key()
    if fault.kind is CallFaultKind.MAINTENANCE:
        return _refusal(-1016)
    if fault.kind is CallFaultKind.INTERNAL:
        return _refusal(int(fault.code or -1007))
    return _refusal(int(fault.code or _commonest(name)))


def _refusal(code: int) -> ApiError:
    text, status = _TEXTS.get(code, ("The request was refused.", 400))
    return ApiError(code, text, status)


def _commonest(name: str) -> int:
    if "cancel" in name or name.startswith("DELETE"):
        return -2011
    if name.startswith(("order.place", "orderList.place", "sor.", "POST")):
        return -2010
    if name in ("order.status", "GET /api/v3/order"):
        return -2013
    return -1121 if "." in name or "v3" in name else -1000
