"""The calls that change an account: login, buying, selling, cancelling, limit orders, demo money."""

from __future__ import annotations

import hmac
from decimal import Decimal
from typing import Final

from services.simulator.deriv import trades, views
from services.simulator.deriv.accounts import CURRENCY, OPENING_BALANCE
from services.simulator.deriv.calls_market import CONTRACT_PARAMETERS
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import Request, Session
from services.simulator.deriv.venue import Venue

HISTORY_ROWS: Final = 500
SCOPES: Final = ["read", "trade", "trading_information"]


def authorize(venue: Venue, session: Session, request: Request) -> None:
    """Log the connection in with the account's token."""
    if not hmac.compare_digest(request.arguments["authorize"].encode(), venue.token.encode()):
        raise ApiError("InvalidToken", "The token is invalid.")
    venue.log_in(session)
    loginid = session.account.loginid
    listed = {
        "account_category": "trading",
        "account_type": "binary",
        "broker": "VRTC",
        "created_at": venue.market.anchor_epoch,
        "currency": CURRENCY,
        "currency_type": "fiat",
        "is_disabled": 0,
        "is_virtual": 1,
        "landing_company_name": "virtual",
        "linked_to": [],
        "loginid": loginid,
    }
    body = {
        "account_list": [listed],
        "balance": float(session.account.balance),
        "country": "aq",
        "currency": CURRENCY,
        "email": "demo@simulator.invalid",
        "fullname": " ",
        "is_virtual": 1,
        "landing_company_fullname": "Simulated venue",
        "landing_company_name": "virtual",
        "linked_to": [],
        "local_currencies": {CURRENCY: {"fractional_digits": 2}},
        "loginid": loginid,
        "preferred_language": "EN",
        "scopes": SCOPES,
        "upgradeable_landing_companies": [],
        "user_id": views.ACCOUNT_NUMBER,
    }
    session.answer(request.envelope, "authorize", {"authorize": body})


def logout(venue: Venue, session: Session, request: Request) -> None:
    """Log the connection out; private streams end, the socket stays."""
    venue.log_out(session)
    session.answer(request.envelope, "logout", {"logout": 1})


def buy(venue: Venue, session: Session, request: Request) -> None:
    """Buy a proposal or a contract given by parameters, if it costs no more than `price`."""
    arguments = request.arguments
    price = Decimal(str(arguments["price"]))
    if arguments["buy"] != "1":
        entry, contract = trades.buy_proposal(venue, session, arguments["buy"], price)
    elif "parameters" in arguments:
        parameters = {name: value for name, value in arguments["parameters"].items() if name not in CONTRACT_PARAMETERS}
        entry, contract = trades.buy_parameters(venue, session, parameters, price)
    else:
        message = "Input validation failed: parameters"
        raise ApiError("InputValidationFailed", message, details={"parameters": "Missing property."})
    stream = None
    if "subscribe" in arguments:
        stream = venue.contract_stream(session, contract, request.envelope)
    session.answer(request.envelope, "buy", {"buy": views.receipt(entry, contract)}, stream)
    if stream is not None:
        session.update(stream)
    venue.announce(entry)


def sell(venue: Venue, session: Session, request: Request) -> None:
    """Sell an open contract at the market, if it brings at least `price`."""
    arguments = request.arguments
    entry = trades.sell(venue, session, arguments["sell"], Decimal(str(arguments["price"])))
    session.answer(request.envelope, "sell", {"sell": views.sale(entry)})
    venue.announce(entry)


def cancel(venue: Venue, session: Session, request: Request) -> None:
    """Use the deal cancellation of a multiplier: its stake comes back."""
    entry = trades.cancel(venue, session, request.arguments["cancel"])
    session.answer(request.envelope, "cancel", {"cancel": views.sale(entry)})
    venue.announce(entry)


def contract_update(venue: Venue, session: Session, request: Request) -> None:
    """Set or remove the take profit and stop loss of an open contract."""
    arguments = request.arguments
    contract = trades.change_limits(venue, session, arguments["contract_id"], arguments["limit_order"])
    body = views.limits(contract, venue.market.feeds[contract.terms.symbol].last())
    session.answer(request.envelope, "contract_update", {"contract_update": body})
    venue.refresh(session.account, contract)


def contract_update_history(venue: Venue, session: Session, request: Request) -> None:
    """Answer the changes of a contract's limit orders, newest first."""
    contract = trades.contract_of(session, request.arguments["contract_id"])
    rows = views.limit_changes(contract, venue.market.feeds[contract.terms.symbol].last())
    rows = rows[: int(request.arguments.get("limit", HISTORY_ROWS))]
    session.answer(request.envelope, "contract_update_history", {"contract_update_history": rows})


def topup_virtual(venue: Venue, session: Session, request: Request) -> None:
    """Fill the demo account up to its opening balance."""
    amount = OPENING_BALANCE - session.account.balance
    if amount <= 0:
        message = f"You can only request additional funds if your balance falls below {OPENING_BALANCE} {CURRENCY}."
        raise ApiError("TopupVirtualError", message)
    entry = venue.book_cash(session.account, "virtual_credit", amount)
    body = {"amount": float(entry.amount), "currency": CURRENCY}
    session.answer(request.envelope, "topup_virtual", {"topup_virtual": body})
    venue.announce(entry)
