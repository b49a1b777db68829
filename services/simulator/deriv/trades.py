"""What a logged-in client may do with contracts, whatever API it speaks: buy, sell, cancel, change limit orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv import pricing, quotes
from services.simulator.deriv.accounts import CURRENCY, Transaction
from services.simulator.deriv.contracts import Contract, Due, Reason
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.lengths import check_open
from services.simulator.deriv.session import Quoted, Session
from services.simulator.deriv.terms import Terms
from services.simulator.deriv.venue import Venue

# How long an id may be bought whose proposal is not streamed. A streamed one lives as long as its stream.
PROPOSAL_SECS: Final = 60
# A move against the client of up to half the mark-up is the venue's risk; beyond it, PriceMoved.
ABSORBED: Final = Decimal(str(pricing.MARKUP)) / 2
_MOVED: Final = "The underlying market has moved too much since you priced the contract."


def buy_proposal(venue: Venue, session: Session, proposal_id: str, price: Decimal) -> tuple[Transaction, Contract]:
    """Buy what a proposal of this connection stands for; it can be bought once.

    Raises ApiError: InvalidContractProposal, PriceMoved, InsufficientBalance, OpenPositionLimitExceeded, or whatever
    keeps the contract from being priced now.
    """
    quoted = session.proposals.get(proposal_id)
    now = venue.now()
    if quoted is None or not _lives(quoted, proposal_id, session, now):
        session.proposals.pop(proposal_id, None)
        raise ApiError("InvalidContractProposal", "Unknown contract proposal")
    terms = _at_quoted(quotes.quote(quoted.parameters, venue.market, now), quoted.terms, price)
    bought = venue.buy(session.account, terms)
    session.proposals.pop(proposal_id, None)
    session.forget(proposal_id)
    return bought


def _lives(quoted: Quoted, proposal_id: str, session: Session, now: int) -> bool:
    return proposal_id in session.streams if quoted.streamed else now - quoted.at <= PROPOSAL_SECS


def _at_quoted(terms: Terms, quoted: Terms, price: Decimal) -> Terms:
    """Return the terms to buy at: as quoted after a small move, as they are now after a good one."""
    allowed = quoted.payout * ABSORBED
    if terms.buy_price > price:
        if quoted.buy_price > price or terms.buy_price - price > allowed:
            raise _price_moved("price", price, terms.buy_price)
        return msgspec.structs.replace(terms, buy_price=price)
    if terms.payout < quoted.payout:
        if quoted.payout - terms.payout > allowed:
            raise _price_moved("payout", quoted.payout, terms.payout)
        return msgspec.structs.replace(terms, payout=quoted.payout)
    return terms


def _price_moved(what: str, before: Decimal, after: Decimal) -> ApiError:
    change = f"The contract {what} has changed from {CURRENCY}{before:.2f} to {CURRENCY}{after:.2f}."
    return ApiError("PriceMoved", f"{_MOVED} {change}")


def buy_parameters(
    venue: Venue, session: Session, parameters: Mapping[str, Any], price: Decimal
) -> tuple[Transaction, Contract]:
    """Buy a contract given by its parameters if it costs no more than `price`. Raises ApiError as buy_proposal does."""
    terms = quotes.quote(parameters, venue.market, venue.now())
    if terms.buy_price > price:
        raise _price_moved("price", price, terms.buy_price)
    return venue.buy(session.account, terms)


def contract_of(session: Session, contract_id: int) -> Contract:
    """Return a contract of the session's account. Raises ContractNotFound (ApiError)."""
    contract = session.account.find(contract_id)
    if contract is None:
        raise ApiError("ContractNotFound", "This contract was not found among your open positions.")
    return contract


def sell(venue: Venue, session: Session, contract_id: int, price: Decimal) -> Transaction:
    """Sell an open contract at the market if it brings at least `price`. Raises ApiError with the venue's reason."""
    contract = contract_of(session, contract_id)
    contract.check_sale()
    feed = venue.market.feeds[contract.terms.symbol]
    check_open(feed.symbol, venue.now())
    contract.check_better_cancelled(feed.last(), venue.now())
    bid = contract.bid(feed.last(), venue.now())
    if bid < price:
        raise ApiError(
            "PriceMoved",
            f"{_MOVED} The contract sell price has changed from {CURRENCY}{price:.2f} to {CURRENCY}{bid:.2f}.",
        )
    return venue.close(session.account, contract, Due("sold", bid, venue.market.present, Reason.SOLD))


def cancel(venue: Venue, session: Session, contract_id: int) -> Transaction:
    """Return the stake of a contract whose deal cancellation is alive. Raises ApiError with the venue's reason."""
    contract = contract_of(session, contract_id)
    contract.check_cancel(venue.now())
    due = Due("cancelled", contract.terms.stake, venue.market.present, Reason.CANCELLED)
    return venue.close(session.account, contract, due)


def change_limits(venue: Venue, session: Session, contract_id: int, limit_order: Mapping[str, Any]) -> Contract:
    """Set or, with None, remove limit orders of an open contract for the ticks to come.

    Raises ApiError: ContractUpdateNotAllowed, ContractUpdateTooFrequent (one a second), LimitOrderAmountTooLow or
    ...TooHigh, ContractAlreadySold, WaitForContractSettlement.
    """
    contract = contract_of(session, contract_id)
    if contract.closing is not None:
        raise ApiError("ContractAlreadySold", "This contract has been sold.")
    if not contract.limits_allowed:
        raise ApiError("ContractUpdateNotAllowed", "Update of this contract is not allowed.")
    if contract.is_expired:
        raise ApiError("WaitForContractSettlement", "Please wait for contract settlement.")
    now_ns = venue.clock.now_ns()
    if now_ns - contract.changed_ns < NANOSECONDS:
        raise ApiError("ContractUpdateTooFrequent", "Only one update per second is allowed.")
    limits = {name: None if value is None else Decimal(str(value)) for name, value in limit_order.items()}
    spot = venue.market.feeds[contract.terms.symbol].last()
    venue.change_limits(session.account, contract, contract.check_limits(limits, spot, venue.now()))
    contract.changed_ns = now_ns
    return contract
