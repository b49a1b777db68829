"""The private calls: login, buying and selling, open contracts, portfolio, balance, statement, transactions."""

from __future__ import annotations

import hmac
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv import quotes, views
from services.simulator.deriv.accounts import CURRENCY, Account
from services.simulator.deriv.calls_market import CONTRACT_PARAMETERS
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.session import ALL_CONTRACTS, Body, Request, Session, Stream
from services.simulator.deriv.venue import Venue

STATEMENT_ROWS: Final = 100
SCOPES: Final = ["read", "trade", "trading_information"]
_UNPRICED: Final = CONTRACT_PARAMETERS | {"app_markup_percentage"}


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
    proposal_id = arguments["buy"]
    if proposal_id == "1":
        if "parameters" not in arguments:
            message = "Input validation failed: parameters"
            raise ApiError("InputValidationFailed", message, details={"parameters": "Missing property."})
        parameters = {name: value for name, value in arguments["parameters"].items() if name not in _UNPRICED}
    elif proposal_id in session.proposals:
        parameters = dict(session.proposals[proposal_id])
    else:
        raise ApiError("InvalidContractProposal", "Unknown contract proposal")
    terms = quotes.quote(parameters, venue.market, venue.now())
    if terms.buy_price > Decimal(str(arguments["price"])):
        raise ApiError(
            "PriceMoved",
            "The underlying market has moved too much since you priced the contract. The contract price has changed "
            f"from {CURRENCY}{arguments['price']:.2f} to {CURRENCY}{terms.buy_price:.2f}.",
        )
    entry = venue.buy(terms, session.account)
    session.proposals.pop(proposal_id, None)
    session.forget(proposal_id)
    stream = None
    if "subscribe" in arguments:
        stream = venue.contract_stream(session, entry.contract, request.envelope)
    body = {
        "balance_after": float(entry.balance),
        "buy_price": float(terms.buy_price),
        "contract_id": entry.contract.contract_id,
        "longcode": terms.longcode(),
        "payout": float(terms.payout),
        "purchase_time": terms.date_start,
        "shortcode": terms.shortcode(),
        "start_time": terms.date_start,
        "transaction_id": entry.transaction_id,
    }
    session.answer(request.envelope, "buy", {"buy": body}, stream)
    if stream is not None:
        session.update(stream)
    venue.announce(entry)


def sell(venue: Venue, session: Session, request: Request) -> None:
    """Sell an open contract at the market, if it brings at least `price`."""
    contract = _contract(session.account, request.arguments["sell"])
    contract.check_sale()
    feed = venue.market.feeds[contract.terms.symbol]
    now = venue.now()
    bid = contract.bid(feed.last(), now)
    if bid < Decimal(str(request.arguments["price"])):
        raise ApiError(
            "PriceMoved",
            "The underlying market has moved too much since you priced the contract. The contract sell price has "
            f"changed from {CURRENCY}{request.arguments['price']:.2f} to {CURRENCY}{bid:.2f}.",
        )
    entry = venue.close(contract, "sold", bid, venue.market.present)
    body = {
        "balance_after": float(entry.balance),
        "contract_id": contract.contract_id,
        "reference_id": entry.reference_id,
        "sold_for": float(bid),
        "transaction_id": entry.transaction_id,
    }
    session.answer(request.envelope, "sell", {"sell": body})
    venue.announce(entry)


def _contract(account: Account, contract_id: int) -> Contract:
    contract = account.find(contract_id)
    if contract is None:
        raise ApiError("ContractNotFound", "This contract was not found among your open positions.")
    return contract


def proposal_open_contract(venue: Venue, session: Session, request: Request) -> None:
    """Answer the state of one contract or of all open ones; with subscribe, each of their changes."""
    subscribe = "subscribe" in request.arguments
    if "contract_id" in request.arguments:
        _answer_contract(
            venue, session, request, _contract(session.account, request.arguments["contract_id"]), subscribe
        )
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
        followed = any(stream.contract_id == contract.contract_id for stream in session.streams.values())
        _answer_contract(venue, session, request, contract, subscribe and not followed)


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
    rows = [views.statement_row(entry, bool(arguments.get("description"))) for entry in page]
    session.answer(request.envelope, "statement", {"statement": {"count": len(rows), "transactions": rows}})


def transaction(venue: Venue, session: Session, request: Request) -> None:
    """Stream every transaction from now on; the first answer holds only the stream's id."""
    stream = Stream("transaction", ("transaction",), "transaction", request.envelope, lambda: None)
    session.follow(stream, "transaction")
    session.answer(request.envelope, "transaction", {"transaction": {"id": stream.id}}, stream)
