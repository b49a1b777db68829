"""Answers as the Options API words them, made from what v3 would say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from services.simulator.deriv.session import Body

Value = Any


def names(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def show(account_id: str, msg_type: str, body: Body) -> Body:
    """Return an answer's body for a connection of `account_id` (the id that this API knows the account by)."""
    if msg_type not in body or msg_type not in _WORDINGS:
        return body
    value = _WORDINGS[msg_type](body[msg_type])
    if msg_type == "balance":
        value["loginid"] = account_id
    return {**body, msg_type: value}


def number_text(value: float) -> str:
    """Return a number as the text that open contracts give it as: 41.4, 10."""
    return f"{Decimal(str(value)).normalize():f}"


def contract_type(shown_by_v3: str, shortcode: str) -> str:
    """Return HIGHER or LOWER for a rise/fall contract with a barrier of its own, which v3 calls CALL or PUT."""
    has_barrier = shortcode.split("_")[-2] != "S0P"
    return _HIGHER_LOWER[shown_by_v3] if shown_by_v3 in _HIGHER_LOWER and has_barrier else shown_by_v3


_HIGHER_LOWER: Final = {"CALL": "HIGHER", "PUT": "LOWER"}


def _without(row: Mapping[str, Any], *names: str) -> Body:
    return {name: value for name, value in row.items() if name not in names}


def _renamed(row: Body, **names: str) -> Body:
    return {names.get(name, name): value for name, value in row.items()}


def _only(row: Mapping[str, Any], names: Collection[str]) -> Body:
    return {name: value for name, value in row.items() if name in names}


def _rows(name: str, wording: Callable[[Body], Body]) -> Callable[[Body], Body]:
    return lambda value: {**value, name: [wording(row) for row in value[name]]}


# --- what is offered -------------------------------------------------------------------------------------------

_SYMBOL_NAMES: Final = {
    "symbol": "underlying_symbol",
    "display_name": "underlying_symbol_name",
    "symbol_type": "underlying_symbol_type",
    "pip": "pip_size",
}
_SYMBOL_FIELDS: Final = {
    *_SYMBOL_NAMES.values(),
    *("exchange_is_open", "is_trading_suspended", "market", "subgroup", "submarket"),
}
_OFFER_FIELDS: Final = names(
    "barrier barriers cancellation_range contract_category contract_type default_stake expiry_type "
    "growth_rate_range high_barrier last_digit_range low_barrier market max_contract_duration max_stake "
    "min_contract_duration min_stake multiplier_range payout_limit sentiment submarket underlying_symbol"
)


def _active_symbols(rows: list[Body]) -> list[Body]:
    return [{**_only(_renamed(row, **_SYMBOL_NAMES), _SYMBOL_FIELDS), "trade_count": 0} for row in rows]


def _contracts_for(value: Body) -> Body:
    return {"available": [_offer(row) for row in value["available"]], "hit_count": value["hit_count"]}


def _offer(row: Body) -> Body:
    higher_lower = row["barriers"] and row["contract_type"] in _HIGHER_LOWER
    kind = _HIGHER_LOWER[row["contract_type"]] if higher_lower else row["contract_type"]
    return {**_only(row, _OFFER_FIELDS), "contract_type": kind}


def _trading_times(value: Body) -> Body:
    hours = _rows("symbols", lambda row: _only(_renamed(row, symbol="underlying_symbol"), _HOURS))
    return _rows("markets", _rows("submarkets", hours))(value)


_HOURS: Final = frozenset({"events", "name", "times", "trading_days", "underlying_symbol"})

# --- contracts -------------------------------------------------------------------------------------------------

_MONEY_AND_SPOTS: Final = frozenset(
    {
        "bid_price",
        "buy_price",
        "payout",
        "profit",
        "current_spot",
        "entry_spot",
        "exit_spot",
        "sell_price",
        "commission",
    }
)
_CONTRACT_NAMES: Final = {
    "underlying": "underlying_symbol",
    "entry_tick_time": "entry_spot_time",
    "exit_tick": "exit_spot",
    "exit_tick_time": "exit_spot_time",
}
_V3_CONTRACT_FIELDS: Final = (
    "current_spot_display_value",
    "display_name",
    "display_value",
    "entry_spot_display_value",
    "entry_tick",
    "entry_tick_display_value",
    "exit_tick_display_value",
    "is_forward_starting",
    "sell_spot",
    "sell_spot_display_value",
    "sell_spot_time",
)


def _open_contract(value: Body) -> Body:
    if "contract_id" not in value:
        return value
    body = _renamed(_without(value, *_V3_CONTRACT_FIELDS), **_CONTRACT_NAMES)
    body["contract_type"] = contract_type(value["contract_type"], value["shortcode"])
    for name in _MONEY_AND_SPOTS & body.keys():
        if body[name] is not None:
            body[name] = number_text(body[name])
    return body


def _row(row: Body) -> Body:
    body = _renamed(_without(row, "app_id"), symbol="underlying_symbol")
    if "contract_type" in body:
        body["contract_type"] = contract_type(row["contract_type"], row["shortcode"])
    return body


def _portfolio(value: Body) -> Body:
    return {"contracts": [_row(row) for row in value["contracts"]]}


# --- money -----------------------------------------------------------------------------------------------------

_FOLLOWED: Final = names(
    "action amount balance contract_id currency date_expiry id longcode purchase_time transaction_id "
    "transaction_time underlying_symbol"
)


# This API has four actions only. Each word stands for one that this venue makes, so that a filter can be undone.
ACTIONS: Final = {"virtual_credit": "deposit", "adjustment": "withdrawal"}


def _action(action: str) -> str:
    return ACTIONS.get(action, action)


def _statement(row: Body) -> Body:
    body = _without(row, "app_id", "fees", "from", "to", "withdrawal_details")
    return {**body, "action_type": _action(row["action_type"])}


def _transaction(value: Body) -> Body:
    body = _only(_renamed(value, symbol="underlying_symbol"), _FOLLOWED)
    return {**body, "action": _action(body["action"])} if "action" in body else body


_WORDINGS: Final[dict[str, Callable[[Value], Value]]] = {
    "active_symbols": _active_symbols,
    "balance": lambda value: _without(value, "accounts", "total"),
    "contracts_for": _contracts_for,
    "portfolio": _portfolio,
    "profit_table": _rows("transactions", _row),
    "proposal": lambda value: _without(value, "display_value"),
    "proposal_open_contract": _open_contract,
    "statement": _rows("transactions", _statement),
    "trading_times": _trading_times,
    "transaction": _transaction,
}
