"""From one text frame to its answers: decoding, validation, login, call limits, errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv import calls_market, calls_trading, validation
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import Request, Session, envelope_of
from services.simulator.deriv.venue import Venue

Handler = Callable[[Venue, Session, Request], None]

PUBLIC: Final[dict[str, Handler]] = {
    handler.__name__: handler
    for handler in (
        calls_market.ping,
        calls_market.time,
        calls_market.website_status,
        calls_trading.authorize,
        calls_trading.logout,
        calls_market.active_symbols,
        calls_market.contracts_for,
        calls_market.ticks,
        calls_market.ticks_history,
        calls_market.proposal,
        calls_market.forget,
        calls_market.forget_all,
    )
}
PRIVATE: Final[dict[str, Handler]] = {
    handler.__name__: handler
    for handler in (
        calls_trading.buy,
        calls_trading.sell,
        calls_trading.proposal_open_contract,
        calls_trading.portfolio,
        calls_trading.balance,
        calls_trading.statement,
        calls_trading.transaction,
    )
}
_ERROR_MSG_TYPES: Final = {"ticks": "tick"}
_INTERNAL: Final = "Sorry, an error occurred while processing your request."
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder().decode


def handle(venue: Venue, session: Session, frame: bytes | str) -> None:
    """Answer one frame; nothing a client sends raises."""
    try:
        request: Any = _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        request = None
    if not isinstance(request, dict):
        session.refuse({"echo_req": {}}, "error", ApiError("BadRequest", "The application sent an invalid request."))
        return
    envelope = envelope_of(request)
    call = validation.call_of(request)
    if call is None:
        session.refuse(envelope, "error", ApiError("UnrecognisedRequest", "Unrecognised request."))
        return
    try:
        session.meter.take(call, venue.clock.now_ns() / NANOSECONDS)
        validation.check(call, request)
        if call in PRIVATE and session.loginid is None:
            raise ApiError("AuthorizationRequired", "Please log in.")
        (PUBLIC.get(call) or PRIVATE[call])(venue, session, Request(call, request, envelope))
    except ApiError as error:
        session.refuse(envelope, _ERROR_MSG_TYPES.get(call, call), error)
    except OSError as error:  # the journal refused the order, so it did not happen
        _log.error("a %s could not be kept: %s", call, error)
        session.refuse(envelope, call, ApiError("InternalServerError", _INTERNAL))
