"""How contracts and transactions look on the wire: open contract, portfolio, statement, transaction."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.deriv import quotes
from services.simulator.deriv.accounts import Account, Transaction
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.market import Feed, Tick

ACCOUNT_NUMBER: Final = 100_000_001
APP_ID: Final = 1089


def open_contract(contract: Contract, feed: Feed, now: int) -> dict[str, Any]:
    """Return the value of a `proposal_open_contract` answer (without its stream id)."""
    terms, symbol = contract.terms, feed.symbol
    spot = contract.exit or (feed.last() if contract.is_open else contract.last) or feed.last()
    bid = contract.bid(spot, now)
    profit = (
        contract.profit(contract.exit or spot) if terms.is_multiplier and contract.is_open else bid - terms.buy_price
    )
    body: dict[str, Any] = {
        "account_id": ACCOUNT_NUMBER,
        "barrier_count": 1,
        "bid_price": float(bid),
        "buy_price": float(terms.buy_price),
        "contract_id": contract.contract_id,
        "contract_type": terms.contract_type,
        "currency": terms.currency,
        "current_spot": spot.quote,
        "current_spot_display_value": symbol.text(spot.quote),
        "current_spot_time": spot.epoch,
        "date_expiry": _expiry(contract),
        "date_settlement": _expiry(contract) + (1 if terms.is_multiplier else 0),
        "date_start": terms.date_start,
        "display_name": symbol.display_name,
        "expiry_time": _expiry(contract),
        "is_expired": int(contract.is_expired),
        "is_forward_starting": 0,
        "is_intraday": int(not terms.is_multiplier),
        "is_path_dependent": int(terms.is_multiplier),
        "is_settleable": int(contract.is_expired),
        "is_sold": int(not contract.is_open),
        "is_valid_to_cancel": 0,
        "longcode": terms.longcode(),
        "payout": float(terms.payout),
        "profit": float(profit),
        "profit_percentage": float(round(100 * profit / terms.buy_price, 2)),
        "purchase_time": terms.date_start,
        "shortcode": terms.shortcode(),
        "status": contract.closing.status if contract.closing else "open",
        "transaction_ids": {"buy": contract.buy_transaction_id},
        "underlying": symbol.name,
        **_validity(contract),
        **_ticks(contract, symbol.text),
    }
    barrier = contract.barrier() if not terms.is_multiplier else None
    if barrier is not None:
        body["barrier"] = symbol.text(float(barrier))
    if terms.is_multiplier:
        body["multiplier"] = terms.multiplier
        body["commission"] = float(terms.commission)
        body["limit_order"] = quotes.limit_order(contract, spot)
    if contract.closing is not None:
        body["sell_price"] = float(contract.closing.price)
        body["sell_time"] = contract.closing.time
        body["sell_spot"] = spot.quote
        body["sell_spot_display_value"] = symbol.text(spot.quote)
        body["sell_spot_time"] = spot.epoch
        body["transaction_ids"]["sell"] = contract.closing.transaction_id
    return body


def _expiry(contract: Contract) -> int:
    if contract.terms.ticks and contract.exit is not None:
        return contract.exit.epoch
    return contract.terms.date_expiry


def _validity(contract: Contract) -> dict[str, Any]:
    if contract.is_open and contract.is_expired:
        return {"is_valid_to_sell": 1}  # as recorded: settleable counts as sellable
    try:
        contract.check_sale()
    except ApiError as reason:
        return {
            "is_valid_to_sell": 0,
            "validation_error": reason.message,
            "validation_error_code": reason.code,
        }
    return {"is_valid_to_sell": 1}


def _ticks(contract: Contract, text: Any) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if contract.terms.ticks:
        body["tick_count"] = contract.terms.ticks
        body["tick_stream"] = [_point(tick, text) for tick in contract.stream]
    for name, tick in (("entry", contract.entry), ("exit", contract.exit)):
        if tick is not None:
            body[f"{name}_tick"] = tick.quote
            body[f"{name}_tick_display_value"] = text(tick.quote)
            body[f"{name}_tick_time"] = tick.epoch
    if contract.entry is not None:
        body["entry_spot"] = contract.entry.quote
        body["entry_spot_display_value"] = text(contract.entry.quote)
    return body


def _point(tick: Tick, text: Any) -> dict[str, Any]:
    return {"epoch": tick.epoch, "tick": tick.quote, "tick_display_value": text(tick.quote)}


def portfolio_row(contract: Contract) -> dict[str, Any]:
    """Return one element of `portfolio.contracts`."""
    terms = contract.terms
    return {
        "app_id": APP_ID,
        "buy_price": float(terms.buy_price),
        "contract_id": contract.contract_id,
        "contract_type": terms.contract_type,
        "currency": terms.currency,
        "date_start": terms.date_start,
        "expiry_time": terms.date_expiry,
        "longcode": terms.longcode(),
        "payout": float(terms.payout),
        "purchase_time": terms.date_start,
        "shortcode": terms.shortcode(),
        "symbol": terms.symbol,
        "transaction_id": contract.buy_transaction_id,
    }


def statement_row(entry: Transaction, described: bool) -> dict[str, Any]:
    """Return one element of `statement.transactions`; `described` adds longcode and shortcode."""
    terms = entry.contract.terms
    row: dict[str, Any] = {
        "action_type": entry.action,
        "amount": float(entry.amount),
        "app_id": APP_ID,
        "balance_after": float(entry.balance),
        "contract_id": entry.contract.contract_id,
        "payout": float(terms.payout),
        "reference_id": entry.reference_id,
        "transaction_id": entry.transaction_id,
        "transaction_time": entry.time,
    }
    if entry.action == "sell":
        row["purchase_time"] = terms.date_start
    if described:
        row["longcode"] = terms.longcode()
        row["shortcode"] = terms.shortcode()
    return row


def transaction(entry: Transaction) -> dict[str, Any]:
    """Return the value of a `transaction` update (without its stream id)."""
    terms = entry.contract.terms
    body: dict[str, Any] = {
        "action": entry.action,
        "amount": float(entry.amount),
        "balance": float(entry.balance),
        "contract_id": entry.contract.contract_id,
        "currency": terms.currency,
        "date_expiry": terms.date_expiry,
        "display_name": terms.listed.display_name,
        "longcode": terms.longcode(),
        "symbol": terms.symbol,
        "transaction_id": entry.transaction_id,
        "transaction_time": entry.time,
    }
    if entry.action == "sell":
        body["purchase_time"] = terms.date_start
    return body


def balance(account: Account, currency: str) -> dict[str, Any]:
    """Return the value of a `balance` answer (without its stream id)."""
    return {"balance": float(account.balance), "currency": currency, "loginid": account.loginid}
