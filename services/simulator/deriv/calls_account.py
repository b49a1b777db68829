"""The calls that read an account: open contracts, portfolio, balance, statement, profit table, transactions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from services.simulator.deriv import ledger_views, trades, views
from services.simulator.deriv.accounts import CURRENCY
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import ALL_CONTRACTS, Body, Request, Session, Stream
from services.simulator.deriv.terms import end_of_day
from services.simulator.deriv.venue import Venue

STATEMENT_ROWS: Final = 100
PROFIT_ROWS: Final = 50


def proposal_open_contract(venue: Venue, session: Session, request: Request) -> None:
    """Answer the state of one contract or of all open ones; with subscribe, each of their changes."""
    subscribe = "subscribe" in request.arguments
    if "contract_id" in request.arguments:
        contract = trades.contract_of(session, request.arguments["contract_id"])
        _answer_contract(venue, session, request, contract, subscribe)
        return
    contracts = tuple(session.account.open.values())
    parent = None
    if subscribe:
        parent = Stream(ALL_CONTRACTS[0], ALL_CONTRACTS, ALL_CONTRACTS[0], request.envelope, lambda: None)
        session.follow(parent, "proposal_open_contract")
        session.follows_all_contracts = request.envelope
    if not contracts:
        session.answer(request.envelope, "proposal_open_contract", {"proposal_open_contract": {}}, parent)
    for contract in contracts:
        _answer_contract(venue, session, request, contract, subscribe and not session.follows(contract.contract_id))


def _answer_contract(venue: Venue, session: Session, request: Request, contract: Contract, subscribe: bool) -> None:
    if subscribe and contract.is_open:
        venue.follow_contract(session, contract, request.envelope)
        return
    feed = venue.market.feeds[contract.terms.symbol]
    body = views.open_contract(contract, feed, venue.now())
    session.answer(request.envelope, "proposal_open_contract", {"proposal_open_contract": body})


def portfolio(venue: Venue, session: Session, request: Request) -> None:
    """Answer the open contracts, of some types if asked."""
    types = request.arguments.get("contract_type")
    rows = [
        views.portfolio_row(contract)
        for contract in session.account.open.values()
        if not types or contract.terms.contract_type in types
    ]
    session.answer(request.envelope, "portfolio", {"portfolio": {"contracts": rows}})


def balance(venue: Venue, session: Session, request: Request) -> None:
    """Answer the account's balance; with subscribe, every change of it."""
    account = session.account
    asked = request.arguments.get("account", "current")
    if asked not in ("current", "all", account.loginid):
        raise ApiError("PermissionDenied", "Permission denied, balances of all accounts require oauth token")

    def render() -> Body:
        body: dict[str, Any] = {**views.balance(account, CURRENCY), "id": stream.id}
        return {"balance": {**body, **(_all_accounts(body) if asked == "all" else {})}}

    stream = Stream("balance", ("balance", asked), "balance", request.envelope, render)
    if request.arguments.get("subscribe"):
        session.update(session.follow(stream, "balance"))
        return
    body = render()["balance"]
    del body["id"]
    session.answer(request.envelope, "balance", {"balance": body})


def _all_accounts(body: Body) -> Body:
    row = {
        "balance": body["balance"],
        "converted_amount": body["balance"],
        "currency": CURRENCY,
        "demo_account": 1,
        "status": 1,
        "type": "deriv",
    }
    total = {"amount": body["balance"], "currency": CURRENCY}
    nothing = {"amount": 0, "currency": CURRENCY}
    return {
        "accounts": {body["loginid"]: row},
        "total": {"deriv": nothing, "deriv_demo": total, "mt5": nothing, "mt5_demo": nothing},
    }


def statement(venue: Venue, session: Session, request: Request) -> None:
    """Answer past transactions, newest first."""
    arguments = request.arguments
    entries = [
        entry
        for entry in reversed(session.account.statement)
        if arguments.get("action_type") in (None, entry.action)
        and arguments.get("date_from", 0) <= entry.time <= arguments.get("date_to", entry.time)
    ]
    offset = arguments.get("offset", 0)
    page = entries[offset : offset + int(arguments.get("limit", STATEMENT_ROWS))]
    rows = [ledger_views.statement_row(entry, bool(arguments.get("description"))) for entry in page]
    session.answer(request.envelope, "statement", {"statement": {"count": len(rows), "transactions": rows}})


def transaction(venue: Venue, session: Session, request: Request) -> None:
    """Stream every transaction from now on; the first answer holds only the stream's id."""
    stream = Stream("transaction", ("transaction",), "transaction", request.envelope, lambda: None)
    session.follow(stream, "transaction")
    session.answer(request.envelope, "transaction", {"transaction": {"id": stream.id}}, stream)


def profit_table(venue: Venue, session: Session, request: Request) -> None:
    """Answer the closed contracts, the last bought first unless asked otherwise."""
    arguments = request.arguments
    types = arguments.get("contract_type")
    first = _day(arguments.get("date_from", "0"))
    last = _day(arguments.get("date_to", str(venue.now())), end=True)
    closed = [
        contract
        for contract in session.account.contracts.values()
        if not contract.is_open
        and first <= contract.terms.date_start <= last
        and (not types or contract.terms.contract_type in types)
    ]
    if arguments.get("sort", "DESC") == "DESC":
        closed.reverse()
    offset = arguments.get("offset", 0)
    page = closed[offset : offset + int(arguments.get("limit", PROFIT_ROWS))]
    rows = [ledger_views.profit_row(contract, bool(arguments.get("description"))) for contract in page]
    session.answer(request.envelope, "profit_table", {"profit_table": {"count": len(rows), "transactions": rows}})


def _day(given: str, *, end: bool = False) -> int:
    """Return an epoch second given as such or as a date, whose first second or, for an end, last second it is."""
    if given.isdecimal():
        return int(given)
    try:
        start = int(datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        message = "Input validation failed: date"
        raise ApiError("InputValidationFailed", message, details={"date": "Not a date."}) from None
    return end_of_day(start) if end else start
