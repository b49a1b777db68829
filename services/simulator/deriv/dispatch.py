"""From one text frame to its answers: decoding, validation, login, call limits, errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv import calls_account, calls_market, calls_trading, mishaps, validation
from services.simulator.deriv.checks import Rule
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import Request, Session, envelope_of
from services.simulator.deriv.venue import VENUE, Venue

Handler = Callable[[Venue, Session, Request], None]


def _by_name(*handlers: Handler) -> dict[str, Handler]:
    return {handler.__name__: handler for handler in handlers}


@dataclass(frozen=True)
class Api:
    """One of the venue's APIs: the properties of each call, and who carries it out, for anyone or when logged in."""

    rules: Mapping[str, Rule]
    public: Mapping[str, Handler]
    private: Mapping[str, Handler]


V3: Final = Api(
    validation.CALLS,
    public=_by_name(
        calls_market.ping,
        calls_market.time,
        calls_market.website_status,
        calls_trading.authorize,
        calls_trading.logout,
        calls_market.active_symbols,
        calls_market.contracts_for,
        calls_market.trading_times,
        calls_market.ticks,
        calls_market.ticks_history,
        calls_market.proposal,
        calls_market.forget,
        calls_market.forget_all,
    ),
    private=_by_name(
        calls_trading.buy,
        calls_trading.sell,
        calls_account.proposal_open_contract,
        calls_account.portfolio,
        calls_account.balance,
        calls_account.statement,
        calls_account.transaction,
        calls_account.profit_table,
        calls_trading.cancel,
        calls_trading.contract_update,
        calls_trading.contract_update_history,
        calls_trading.topup_virtual,
    ),
)
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder().decode


def handle(venue: Venue, session: Session, frame: bytes | str, api: Api = V3) -> None:
    """Answer one frame; nothing a client sends raises."""
    try:
        message: Any = _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = None
    if not isinstance(message, dict):
        session.refuse({"echo_req": {}}, "error", ApiError("BadRequest", "The application sent an invalid request."))
        return
    envelope = envelope_of(message)
    call = validation.call_of(message, api.rules)
    if call is None:
        session.refuse(envelope, "error", ApiError("UnrecognisedRequest", "Unrecognised request."))
        return
    request = Request(call, message, envelope)
    fault = venue.faults.call(VENUE, call)
    if fault is None:
        _execute(venue, session, request, api)
    else:
        mishaps.carry_out(venue, session, request, fault, partial(_execute, venue, session, request, api))


def _execute(venue: Venue, session: Session, request: Request, api: Api) -> None:
    call = request.call
    try:
        session.meter.take(call, venue.clock.now_ns() / NANOSECONDS)
        validation.check(call, request.arguments, api.rules)
        if call in api.private and session.loginid is None:
            raise ApiError("AuthorizationRequired", "Please log in.")
        (api.public.get(call) or api.private[call])(venue, session, request)
    except ApiError as error:
        venue.refused[error.code] += 1
        session.refuse(request.envelope, request.answer_type, error)
    except OSError as error:  # the journal refused the order, so it did not happen
        _log.error("a %s could not be kept: %s", call, error)
        session.refuse(request.envelope, call, ApiError(mishaps.INTERNAL, mishaps.SORRY))
