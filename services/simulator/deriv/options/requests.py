"""Which properties the Options API takes, told as what differs from v3, and its requests as v3 would make them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from services.simulator.deriv.checks import Check, Rule, either, list_of, one_of
from services.simulator.deriv.errors import contract_refused
from services.simulator.deriv.options.shown import ACTIONS
from services.simulator.deriv.validation import CALLS as V3
from services.simulator.deriv.validation import CONTRACT_TYPES as V3_TYPES

_GONE_TYPES: Final = frozenset(
    {"CALLSPREAD", "PUTSPREAD", "LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW", "SNOWDOWN", "SNOWUP"}
)
CONTRACT_TYPES: Final = (V3_TYPES - _GONE_TYPES) | {"HIGHER", "LOWER"}
STREAM_TYPES: Final = frozenset(
    {"balance", "candles", "cashier_payments", "proposal", "proposal_open_contract", "ticks", "transaction"}
)
_V3_TYPE_OF: Final = {"HIGHER": "CALL", "LOWER": "PUT"}
_V3_ACTION_OF: Final = {shown: action for action, shown in ACTIONS.items()}
_SYMBOL: Final = V3["proposal"].properties["symbol"]


_TYPE: Final = one_of(*sorted(CONTRACT_TYPES))
_STREAM: Final = one_of(*sorted(STREAM_TYPES))


def _without(call: str, *names: str, **changed: Check) -> Rule:
    return _differing(V3[call], frozenset(names), changed)


def _differing(rule: Rule, gone: frozenset[str], changed: Mapping[str, Check]) -> Rule:
    kept = {name: check for name, check in rule.properties.items() if name not in gone}
    return dataclasses.replace(rule, properties={**kept, **changed}, required=rule.required - gone)


_GONE_TERMS: Final = frozenset(
    {"barrier_range", "date_start", "product_type", "symbol", "trade_risk_profile", "trading_period_start"}
)


def _terms(rule: Rule) -> Rule:
    differing = _differing(rule, _GONE_TERMS | {"loginid"}, {"contract_type": _TYPE, "underlying_symbol": _SYMBOL})
    return dataclasses.replace(differing, required=differing.required | {"underlying_symbol"})


def _buy() -> Rule:
    parameters = V3["buy"].properties["parameters"]
    if not isinstance(parameters, Rule):
        raise TypeError("the parameters of a v3 buy are not described by a rule")
    return _without("buy", "loginid", parameters=_terms(parameters))


_COMPANY: Final = ("landing_company", "landing_company_short", "product_type", "loginid")
RULES: Final[dict[str, Rule]] = {
    "active_symbols": _without("active_symbols", "barrier_category", *_COMPANY, contract_type=list_of(_TYPE)),
    "balance": _without("balance", "account", "loginid"),
    "buy": _buy(),
    "cancel": _without("cancel", "loginid"),
    "contract_update": _without("contract_update", "loginid"),
    "contract_update_history": _without("contract_update_history", "loginid"),
    "contracts_for": _without("contracts_for", "currency", *_COMPANY),
    "contracts_list": dataclasses.replace(
        V3["ping"],
        properties={"contracts_list": V3["ping"].properties["ping"], **_without("ping", "ping").properties},
        required=frozenset({"contracts_list"}),
    ),
    "forget": V3["forget"],
    "forget_all": _without("forget_all", forget_all=either(_STREAM, list_of(_STREAM))),
    "logout": V3["logout"],
    "ping": V3["ping"],
    "portfolio": _without("portfolio", "loginid", contract_type=list_of(_TYPE)),
    "profit_table": _without("profit_table", "loginid", contract_type=list_of(_TYPE)),
    "proposal": _terms(V3["proposal"]),
    "proposal_open_contract": _without("proposal_open_contract", "loginid"),
    "sell": _without("sell", "loginid"),
    "statement": _without("statement", "loginid", action_type=one_of("buy", "deposit", "sell", "withdrawal")),
    "ticks": V3["ticks"],
    "ticks_history": V3["ticks_history"],
    "time": V3["time"],
    "trading_times": V3["trading_times"],
    "transaction": _without("transaction", "loginid"),
}


def as_v3(call: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that v3 would be asked with. Raises ApiError for a barrier that is missing.

    A list of contract types cannot tell HIGHER from CALL: asked for one of them it finds both.
    """
    asked = dict(arguments)
    if call == "proposal":
        return _terms_as_v3(asked)
    if call == "buy" and "parameters" in asked:
        asked["parameters"] = _terms_as_v3(asked["parameters"])
    if isinstance(asked.get("contract_type"), list):
        asked["contract_type"] = [_V3_TYPE_OF.get(name, name) for name in asked["contract_type"]]
    if call == "statement" and "action_type" in asked:
        asked["action_type"] = _V3_ACTION_OF.get(asked["action_type"], asked["action_type"])
    return asked


def _terms_as_v3(terms: Mapping[str, Any]) -> dict[str, Any]:
    asked = {("symbol" if name == "underlying_symbol" else name): value for name, value in terms.items()}
    if terms["contract_type"] in _V3_TYPE_OF:
        if "barrier" not in terms:
            raise contract_refused("Please enter a barrier.", "InvalidBarrier")
        asked["contract_type"] = _V3_TYPE_OF[terms["contract_type"]]
    return asked
