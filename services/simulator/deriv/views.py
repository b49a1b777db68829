"""How contracts look on the wire of v3: receipts, open contract, its limit orders, portfolio, balance."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.deriv import proposals
from services.simulator.deriv.accounts import Account, Transaction
from services.simulator.deriv.accumulators import Accumulator
from services.simulator.deriv.audit import audit_details, point
from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.market import Feed, Tick
from services.simulator.deriv.symbols import Symbol

ACCOUNT_NUMBER: Final = 100_000_001
APP_ID: Final = 1089


def receipt(entry: Transaction, contract: Contract) -> dict[str, Any]:
    """Return the value of a `buy` answer."""
    terms = contract.terms
    return {
        "balance_after": float(entry.balance),
        "buy_price": float(terms.buy_price),
        "contract_id": contract.contract_id,
        "longcode": terms.longcode(),
        "payout": float(terms.payout),
        "purchase_time": terms.date_start,
        "shortcode": terms.shortcode(),
        "start_time": terms.date_start,
        "transaction_id": entry.transaction_id,
    }


def sale(entry: Transaction) -> dict[str, Any]:
    """Return the value of a `sell` or `cancel` answer."""
    return {
        "balance_after": float(entry.balance),
        "contract_id": entry.contract.contract_id if entry.contract else None,
        "reference_id": entry.reference_id,
        "sold_for": float(entry.amount),
        "transaction_id": entry.transaction_id,
    }


# --- open contract -----------------------------------------------------------------------------------------------


def open_contract(contract: Contract, feed: Feed, now: int) -> dict[str, Any]:
    """Return the value of a `proposal_open_contract` answer (without its stream id)."""
    terms, symbol = contract.terms, feed.symbol
    spot = contract.exit or (feed.last() if contract.is_open else contract.last) or feed.last()
    bid, profit = contract.bid(spot, now), contract.profit(spot, now)
    endless = terms.is_multiplier
    body: dict[str, Any] = {
        "account_id": ACCOUNT_NUMBER,
        "barrier_count": 2 if terms.is_accumulator else 1,
        "bid_price": float(bid),
        "buy_price": float(terms.buy_price),
        "contract_id": contract.contract_id,
        "contract_type": terms.contract_type,
        "currency": terms.currency,
        "current_spot": spot.quote,
        "current_spot_display_value": symbol.text(spot.quote),
        "current_spot_time": spot.epoch,
        "date_expiry": contract.expiry,
        "date_settlement": contract.expiry + int(endless),
        "date_start": terms.date_start,
        "display_name": symbol.display_name,
        "expiry_time": contract.expiry,
        "is_expired": int(contract.is_expired),
        "is_forward_starting": 0,
        "is_intraday": int(not endless and terms.date_expiry - terms.date_start <= DAY_SECS),
        "is_path_dependent": int(contract.path_dependent),
        "is_settleable": int(contract.is_expired),
        "is_sold": int(not contract.is_open),
        "is_valid_to_cancel": int(contract.cancellable(now)),
        "longcode": terms.longcode(),
        "payout": float(terms.payout),
        "profit": float(profit),
        "profit_percentage": float(round(100 * profit / (terms.stake or terms.buy_price), 2)),
        "purchase_time": terms.date_start,
        "shortcode": terms.shortcode(),
        "status": contract.closing.status if contract.closing else "open",
        "transaction_ids": {"buy": contract.buy_transaction_id},
        "underlying": symbol.name,
        **_validity(contract),
        **_ticks(contract, symbol),
    }
    barrier = contract.barrier()
    if barrier is not None:
        body["barrier"] = str(barrier) if terms.is_digit else symbol.text(float(barrier))
    if terms.is_multiplier:
        body |= {"multiplier": terms.multiplier, "commission": float(terms.commission)}
    if terms.cancellation_secs:
        body["cancellation"] = proposals.cancellation(terms)
    if isinstance(contract, Accumulator):
        body |= _accumulator(contract, spot)
    orders = proposals.limit_order(contract, spot)
    if orders:
        body["limit_order"] = orders
    if contract.closing is not None:
        body |= {
            "sell_price": float(contract.closing.price),
            "sell_time": contract.closing.time,
            "sell_spot": spot.quote,
            "sell_spot_display_value": symbol.text(spot.quote),
            "sell_spot_time": spot.epoch,
        }
        body["transaction_ids"]["sell"] = contract.closing.transaction_id
    details = audit_details(contract, feed)
    return {**body, "audit_details": details} if details else body


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


def _ticks(contract: Contract, symbol: Symbol) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if contract.terms.ticks:
        body["tick_count"] = contract.terms.ticks
        body["tick_stream"] = [point(tick, symbol) for tick in contract.stream]
    for name, tick in (("entry", contract.entry), ("exit", contract.exit)):
        if tick is not None:
            body[f"{name}_tick"] = tick.quote
            body[f"{name}_tick_display_value"] = symbol.text(tick.quote)
            body[f"{name}_tick_time"] = tick.epoch
    if contract.entry is not None:
        body["entry_spot"] = contract.entry.quote
        body["entry_spot_display_value"] = symbol.text(contract.entry.quote)
    return body


def _accumulator(contract: Accumulator, spot: Tick) -> dict[str, Any]:
    body: dict[str, Any] = {"growth_rate": float(contract.terms.growth_rate), "tick_passed": contract.ticks_passed}
    if contract.entry is None:
        return body
    low, high = (str(level) for level in contract.band_around(contract.basis or spot))
    current_low, current_high = (str(level) for level in contract.band_around(spot))
    return {
        **body,
        "barrier_spot_distance": proposals.barrier_distance(contract, spot),
        "current_spot_high_barrier": current_high,
        "current_spot_low_barrier": current_low,
        "high_barrier": high,
        "low_barrier": low,
    }


# --- limit orders ------------------------------------------------------------------------------------------------


def limits(contract: Contract, basis: Tick) -> dict[str, Any]:
    """Return the value of a `contract_update` answer; an order that was removed has nulls."""
    orders, date = contract.orders(basis), contract.changes[-1].time
    body: dict[str, Any] = {}
    for name in contract.limits_allowed:
        order = orders.get(name)
        body[name] = {
            "display_name": proposals.display_name(name),
            "order_amount": float(order.amount) if order else None,
            "order_date": order.date if order else date,
            "value": str(order.level) if order and order.level is not None else None,
        }
    return body


def limit_changes(contract: Contract, basis: Tick) -> list[dict[str, Any]]:
    """Return the rows of `contract_update_history`, newest first; an amount of 0 means that the order was removed."""
    rows = []
    for number, change in enumerate(contract.changes):
        orders = contract.orders_of(change, basis)
        before = contract.changes[number - 1] if number else None
        for name in contract.limits_allowed:
            order = orders.get(name)
            if getattr(change, name) == (getattr(before, name) if before else None):
                continue
            rows.append(
                {
                    "display_name": proposals.display_name(name),
                    "order_amount": f"{order.amount if order else 0:.2f}",
                    "order_date": change.time,
                    "order_type": name,
                    "value": str(order.level) if order and order.level is not None else None,
                }
            )
    return rows[::-1]


# --- what is held ------------------------------------------------------------------------------------------------


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


def balance(account: Account, currency: str) -> dict[str, Any]:
    """Return the value of a `balance` answer (without its stream id)."""
    return {"balance": float(account.balance), "currency": currency, "loginid": account.loginid}
