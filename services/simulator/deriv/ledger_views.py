"""How an account's past looks on the wire of v3: statement, profit table, transactions as they happen."""

from __future__ import annotations

from typing import Any

from services.simulator.deriv.accounts import CURRENCY, Transaction
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.terms import Terms
from services.simulator.deriv.views import APP_ID


def statement_row(entry: Transaction, described: bool) -> dict[str, Any]:
    """Return one element of `statement.transactions`; `described` adds longcode and shortcode."""
    row: dict[str, Any] = {
        "action_type": entry.action,
        "amount": float(entry.amount),
        "app_id": APP_ID if entry.contract else None,
        "balance_after": float(entry.balance),
        "contract_id": entry.contract.contract_id if entry.contract else None,
        "payout": float(entry.contract.terms.payout) if entry.contract else None,
        "reference_id": entry.reference_id,
        "transaction_id": entry.transaction_id,
        "transaction_time": entry.time,
    }
    if entry.contract is None:
        return {**row, "longcode": entry.action.replace("_", " ").capitalize()} if described else row
    terms = entry.contract.terms
    if entry.action == "sell":
        row["purchase_time"] = terms.date_start
    if described:
        row["longcode"] = terms.longcode()
        row["shortcode"] = terms.shortcode()
    return row


def profit_row(contract: Contract, described: bool) -> dict[str, Any]:
    """Return one element of `profit_table.transactions`; `described` adds what was bought."""
    terms, closing = contract.terms, contract.closing
    row: dict[str, Any] = {
        "app_id": APP_ID,
        "buy_price": float(terms.buy_price),
        "contract_id": contract.contract_id,
        "payout": float(terms.payout),
        "purchase_time": terms.date_start,
        "sell_price": float(closing.price) if closing else 0.0,
        "sell_time": closing.time if closing else None,
        "transaction_id": contract.buy_transaction_id,
    }
    if not described:
        return row
    row |= {
        "contract_type": terms.contract_type,
        "duration_type": duration_type(terms),
        "longcode": terms.longcode(),
        "shortcode": terms.shortcode(),
        "underlying_symbol": terms.symbol,
    }
    if terms.is_multiplier:
        row["multiplier"] = str(terms.multiplier)
    if terms.cancellation_secs:
        row["deal_cancellation_duration"] = f"{terms.cancellation_secs // 60}m"
    if terms.is_accumulator:
        row["growth_rate"] = str(terms.growth_rate)
    return row


def duration_type(terms: Terms) -> str:
    """Return the unit a contract's length counts in; a multiplier's is days, as recorded."""
    if terms.ticks:
        return "ticks"
    seconds = terms.date_expiry - terms.date_start
    return next(
        name for name, size in (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 0)) if seconds >= size
    )


def transaction(entry: Transaction) -> dict[str, Any]:
    """Return the value of a `transaction` update (without its stream id)."""
    body: dict[str, Any] = {
        "action": entry.action,
        "amount": float(entry.amount),
        "balance": float(entry.balance),
        "currency": CURRENCY,
        "transaction_id": entry.transaction_id,
        "transaction_time": entry.time,
    }
    if entry.contract is None:
        return body
    terms = entry.contract.terms
    body |= {
        "contract_id": entry.contract.contract_id,
        "date_expiry": terms.date_expiry,
        "display_name": terms.listed.display_name,
        "longcode": terms.longcode(),
        "symbol": terms.symbol,
    }
    if entry.action == "sell":
        body["purchase_time"] = terms.date_start
    return body
