"""Which properties each call takes; a request that breaks this is answered with InputValidationFailed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.simulator.deriv.errors import ApiError

MAX_PASSTHROUGH_CHARS: Final = 3500
Check = Callable[[Any], str | None]


def _names(*lines: str) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.split())


CONTRACT_TYPES: Final = _names(
    "ACCU ASIAND ASIANU CALL CALLE CALLSPREAD DIGITDIFF DIGITEVEN DIGITMATCH DIGITODD DIGITOVER DIGITUNDER EXPIRYMISS",
    "EXPIRYMISSE EXPIRYRANGE EXPIRYRANGEE LBFLOATCALL LBFLOATPUT LBHIGHLOW MULTDOWN MULTUP NOTOUCH ONETOUCH PUT PUTE",
    "PUTSPREAD RANGE RESETCALL RESETPUT RUNHIGH RUNLOW SNOWDOWN SNOWUP TICKHIGH TICKLOW TURBOSLONG TURBOSSHORT",
    "UPORDOWN VANILLALONGCALL VANILLALONGPUT",
)
STREAM_TYPES: Final = _names(
    "balance candles cashier_payments p2p_advert p2p_advertiser p2p_order proposal proposal_open_contract ticks",
    "transaction trading_platform_asset_listing website_status p2p_settings crypto_estimations",
)
GRANULARITIES: Final = frozenset({60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400})


def _integer(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"Expected integer - got {_kind(value)}."
        return _range(value, low, high)

    return check


def _number(low: float | None = None, high: float | None = None) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"Expected number - got {_kind(value)}."
        return _range(value, low, high)

    return check


def _range(value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and value < low:
        return f"{value} < minimum({low})"
    if high is not None and value > high:
        return f"{value} > maximum({high})"
    return None


def _text(pattern: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"Expected string - got {_kind(value)}."
        return None if compiled.search(value) else f"String does not match {pattern}"

    return check


def _one_of(*allowed: Any) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, bool | list | dict) and value in allowed:
            return None
        return f"Not in enum list: {', '.join(str(item) for item in allowed)}."

    return check


def _list_of(item: Check, most: int = 1000) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return f"Expected array - got {_kind(value)}."
        if len(value) > most:
            return f"Too many items: {len(value)}/{most}."
        return next((reason for reason in map(item, value) if reason), None)

    return check


def _either(first: Check, second: Check) -> Check:
    def check(value: Any) -> str | None:
        reason = first(value)
        return reason and (None if second(value) is None else reason)

    return check


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


@dataclass(frozen=True)
class Rule:
    """An object with known properties; anything else in it is refused."""

    properties: Mapping[str, Check]
    required: frozenset[str]

    def __call__(self, value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"Expected object - got {_kind(value)}."
        unknown = sorted(value.keys() - self.properties.keys())
        if unknown:
            return f"Properties not allowed: {', '.join(unknown)}."
        details = self.failures(value)
        return None if not details else f"{next(iter(details))}: {next(iter(details.values()))}"

    def failures(self, value: Mapping[str, Any]) -> dict[str, str]:
        """Return property -> reason for everything missing or ill-formed (unknown ones are not in it)."""
        failures = dict.fromkeys(sorted(self.required - value.keys()), "Missing property.")
        for name, check in self.properties.items():
            reason = check(value[name]) if name in value else None
            if reason:
                failures[name] = reason
        return failures


def _passthrough(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"Expected object - got {_kind(value)}."
    return None if len(str(value)) <= MAX_PASSTHROUGH_CHARS else "Object is too large."


def _null(value: Any) -> str | None:
    return None if value is None else f"Expected null - got {_kind(value)}."


_ONE = _one_of(1)
_FLAG = _one_of(0, 1)
_SYMBOL = _text(r"^\w{2,30}$")
_EPOCH = _integer(0, 9_999_999_999)
_DATE = _text(r"^([0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])|[0-9]{1,10})$")
_TOKEN = _text(r"^[\w\-]{1,128}$")
_LOGINID = _text(r"^[A-Za-z]+[0-9]+$")
_CURRENCY = _text(r"^[a-zA-Z0-9]{2,20}$")
_TYPE = _one_of(*sorted(CONTRACT_TYPES))
_BARRIER = _text(r"^(?=.{1,20}$)[+-]?[0-9]+\.?[0-9]*$")
_COMPANY = _one_of("iom", "malta", "maltainvest", "svg", "virtual", "vanuatu")
_STREAM = _one_of(*sorted(STREAM_TYPES))
_COMMON: Final[dict[str, Check]] = {"passthrough": _passthrough, "req_id": _integer()}
_TERMS: Final[dict[str, Check]] = {
    "amount": _number(0),
    "barrier": _BARRIER,
    "barrier2": _BARRIER,
    "barrier_range": _one_of("tight", "middle", "wide"),
    "basis": _one_of("payout", "stake"),
    "cancellation": _text(r"^\w+$"),
    "contract_type": _TYPE,
    "currency": _CURRENCY,
    "date_expiry": _EPOCH,
    "date_start": _EPOCH,
    "duration": _integer(0, 99_999_999),
    "duration_unit": _one_of("d", "m", "s", "h", "t"),
    "growth_rate": _number(),
    "limit_order": Rule({"stop_loss": _number(), "take_profit": _number()}, frozenset()),
    "multiplier": _number(0),
    "payout_per_point": _number(),
    "product_type": _one_of("basic"),
    "selected_tick": _integer(),
    "symbol": _SYMBOL,
    "trade_risk_profile": _one_of("low", "medium", "high"),
    "trading_period_start": _integer(),
}
_TERMS_REQUIRED: Final = frozenset({"contract_type", "currency", "symbol"})


def _call(name: str, value: Check, required: str = "", **properties: Check) -> tuple[str, Rule]:
    return name, Rule({name: value, **properties, **_COMMON}, frozenset({name, *required.split()}))


CALLS: Final[dict[str, Rule]] = dict(
    [
        _call("ping", _ONE),
        _call("time", _ONE),
        _call("website_status", _ONE, subscribe=_FLAG),
        _call("authorize", _TOKEN, add_to_login_history=_FLAG, tokens=_list_of(_TOKEN, 25)),
        _call("logout", _ONE, loginid=_LOGINID),
        _call(
            "active_symbols",
            _one_of("brief", "full"),
            barrier_category=_list_of(_text(".")),
            contract_type=_list_of(_TYPE),
            landing_company=_COMPANY,
            landing_company_short=_COMPANY,
            product_type=_one_of("basic"),
            loginid=_LOGINID,
        ),
        _call(
            "contracts_for",
            _SYMBOL,
            currency=_CURRENCY,
            landing_company=_COMPANY,
            landing_company_short=_COMPANY,
            product_type=_one_of("basic"),
            loginid=_LOGINID,
        ),
        _call("ticks", _either(_SYMBOL, _list_of(_SYMBOL)), subscribe=_ONE),
        _call(
            "ticks_history",
            _SYMBOL,
            "end",
            adjust_start_time=_ONE,
            count=_integer(),
            end=_either(_text(r"^(latest|[0-9]{1,10})$"), _EPOCH),  # integers are tolerated in practice
            granularity=_one_of(*sorted(GRANULARITIES)),
            start=_EPOCH,
            style=_one_of("candles", "ticks"),
            subscribe=_ONE,
        ),
        (
            "proposal",
            Rule(
                {"proposal": _ONE, **_TERMS, "subscribe": _ONE, "loginid": _LOGINID, **_COMMON},
                _TERMS_REQUIRED | {"proposal"},
            ),
        ),
        _call(
            "buy",
            _text(r"^(?:[\w-]{32,128}|1)$"),
            "price",
            parameters=Rule({**_TERMS, "app_markup_percentage": _number()}, _TERMS_REQUIRED),
            price=_number(0),
            subscribe=_ONE,
            loginid=_LOGINID,
        ),
        _call("sell", _integer(), "price", price=_number(), loginid=_LOGINID),
        _call("proposal_open_contract", _ONE, contract_id=_integer(), subscribe=_ONE, loginid=_LOGINID),
        _call("portfolio", _ONE, contract_type=_list_of(_TYPE), loginid=_LOGINID),
        _call(
            "balance",
            _ONE,
            account=_text(r"^(current|all|[A-Z]{2,4}[0-9]{1,10})$"),
            subscribe=_FLAG,
            loginid=_LOGINID,
        ),
        _call(
            "statement",
            _ONE,
            action_type=_one_of(
                "buy", "sell", "deposit", "withdrawal", "escrow", "adjustment", "virtual_credit", "transfer"
            ),
            date_from=_EPOCH,
            date_to=_EPOCH,
            description=_FLAG,
            limit=_number(0, 999),
            offset=_integer(0),
            loginid=_LOGINID,
        ),
        _call(
            "profit_table",
            _ONE,
            contract_type=_list_of(_one_of(*sorted(CONTRACT_TYPES - {"SNOWDOWN", "SNOWUP"}))),
            date_from=_DATE,
            date_to=_DATE,
            description=_FLAG,
            limit=_number(0, 500),
            offset=_integer(0),
            sort=_one_of("ASC", "DESC"),
            loginid=_LOGINID,
        ),
        _call("cancel", _integer(), loginid=_LOGINID),
        _call(
            "contract_update",
            _ONE,
            "contract_id limit_order",
            contract_id=_integer(),
            limit_order=Rule(dict.fromkeys(("stop_loss", "take_profit"), _either(_number(), _null)), frozenset()),
            loginid=_LOGINID,
        ),
        _call(
            "contract_update_history",
            _ONE,
            "contract_id",
            contract_id=_integer(),
            limit=_number(1, 999),
            loginid=_LOGINID,
        ),
        _call("topup_virtual", _ONE, loginid=_LOGINID),
        _call("trading_times", _text(r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|today)$")),
        _call("transaction", _ONE, "subscribe", subscribe=_ONE, loginid=_LOGINID),
        _call("forget", _text(r"^[\w-]{32,128}$")),
        _call("forget_all", _either(_STREAM, _list_of(_STREAM))),
    ]
)


def call_of(request: Mapping[str, Any], calls: Mapping[str, Rule] = CALLS) -> str | None:
    """Return the call a request makes, its first key that names one, or None."""
    return next((name for name in request if name in calls), None)


def check(call: str, request: Mapping[str, Any], calls: Mapping[str, Rule] = CALLS) -> None:
    """Raise InputValidationFailed (ApiError) unless the request has exactly the properties its call takes."""
    accepted = calls[call]
    unknown = sorted(request.keys() - accepted.properties.keys())
    if unknown:
        message = f"Input validation failed: Properties not allowed: {', '.join(unknown)}."
        raise ApiError("InputValidationFailed", message, details={})
    failures = accepted.failures(request)
    if failures:
        message = f"Input validation failed: {', '.join(failures)}"
        raise ApiError("InputValidationFailed", message, details=failures)
