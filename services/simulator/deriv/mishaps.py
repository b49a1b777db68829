"""What a fault does to a call: answers lost, late or wrong, refusals, logins that end, a venue that is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import Request, Session
from services.simulator.deriv.venue import Venue
from services.simulator.faults.base import CallFault, CallFaultKind

SORRY: Final = "Sorry, an error occurred while processing your request."
INTERNAL: Final = "InternalServerError"
MIGRATED: Final = "migrated"  # code of a refused website_status: it tells that v3 was left behind, and goes on
_MESSAGES: Final = {
    "AuthorizationRequired": "Please log in.",
    "ContractBuyValidationError": "Trading is not available for this contract now.",
    "ContractUpdateNotAllowed": "Update of this contract is not allowed.",
    "DealCancellationExpired": "Deal cancellation period has expired.",
    "InsufficientBalance": "Your account balance is insufficient to buy this contract.",
    "InvalidContractProposal": "Unknown contract proposal",
    "InvalidToken": "The token is invalid.",
    "MarketIsClosed": "This market is presently closed.",
    "PriceMoved": "The underlying market has moved too much since you priced the contract.",
    "TradingDisabled": "Trading is disabled for maintenance.",
}
# What the venue refuses each call with most often.
_REFUSALS: Final = {
    "authorize": "InvalidToken",
    "buy": "PriceMoved",
    "cancel": "DealCancellationExpired",
    "contract_update": "ContractUpdateNotAllowed",
    "contracts_for": "MarketIsClosed",
    "proposal": "ContractBuyValidationError",
    "sell": "PriceMoved",
    "ticks": "MarketIsClosed",
    "ticks_history": "MarketIsClosed",
}
_TRADES: Final = frozenset({"buy", "cancel", "contract_update", "proposal", "sell"})


def carry_out(venue: Venue, session: Session, request: Request, fault: CallFault, execute: Callable[[], None]) -> None:
    """Let `fault` happen to a call that `execute` would carry out and answer.

    Only the answers to this very request are touched: what the call sets off elsewhere (a transaction, the updates of
    a stream it started) goes its way, as on a venue whose answer was lost between it and its client.
    """
    if request.call == "website_status" and fault.code == MIGRATED:
        venue.migrate()
        execute()
    elif not fault.executes:
        _refuse(venue, session, request, fault)
    else:
        with session.holding(request.envelope) as answers:
            execute()
        _mistreat(session, request, fault, answers)


def _mistreat(session: Session, request: Request, fault: CallFault, answers: list[bytes]) -> None:
    if fault.kind is CallFaultKind.LATE:
        asyncio.get_running_loop().call_later(fault.delay_s, _send_all, session, answers)
    elif fault.kind is CallFaultKind.CLOSE:
        session.ends.cut_within(b"".join(answers[:1]))
    elif fault.kind is CallFaultKind.INTERNAL:
        session.refuse(request.envelope, request.answer_type, ApiError(fault.code or INTERNAL, SORRY))


def _send_all(session: Session, frames: list[bytes]) -> None:
    for frame in frames:
        session.send(frame)


def _refuse(venue: Venue, session: Session, request: Request, fault: CallFault) -> None:
    if fault.kind is CallFaultKind.LOST:
        return
    if fault.kind is CallFaultKind.EXPIRED:
        venue.log_out(session)
    elif fault.kind is CallFaultKind.MAINTENANCE:
        _tell_of_maintenance(venue, session)
    if fault.kind is CallFaultKind.RATE_LIMIT:
        message = f"You have reached the rate limit for {request.call}."
        session.refuse(request.envelope, request.answer_type, ApiError(fault.code or "RateLimit", message))
    elif fault.kind is CallFaultKind.MAINTENANCE and request.call == "website_status":
        status = {"website_status": venue.site_status(site_status="updating")}
        session.answer(request.envelope, "website_status", status)
    else:
        session.refuse(request.envelope, request.answer_type, _error(fault.code or _code(request.call, fault.kind)))
    if fault.kind is CallFaultKind.MAINTENANCE or (fault.kind is CallFaultKind.EXPIRED and not session.may_log_in):
        session.ends.close()


def _code(call: str, kind: CallFaultKind) -> str:
    if kind is CallFaultKind.EXPIRED:
        return "InvalidToken" if call == "authorize" else "AuthorizationRequired"
    if kind is CallFaultKind.MAINTENANCE:
        return "TradingDisabled" if call in _TRADES else INTERNAL
    return _REFUSALS.get(call, INTERNAL)


def _error(code: str) -> ApiError:
    subcode = "Unavailable" if code == "ContractBuyValidationError" else None
    return ApiError(code, _MESSAGES.get(code, SORRY), subcode=subcode)


def _tell_of_maintenance(venue: Venue, session: Session) -> None:
    for stream in session.streams.values():
        if stream.kind == "website_status":
            body = {"website_status": venue.site_status(site_status="updating")}
            session.answer(stream.envelope, "website_status", body, stream)
