"""Which properties each call takes; a request that breaks this is answered with InputValidationFailed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.simulator.deriv.checks import Check, Rule, either, integer, kind, list_of, null, number, one_of, text
from services.simulator.deriv.errors import ApiError

MAX_PASSTHROUGH_CHARS: Final = 3500


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


def _passthrough(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"Expected object - got {kind(value)}."
    return None if len(str(value)) <= MAX_PASSTHROUGH_CHARS else "Object is too large."


_ONE = one_of(1)
_FLAG = one_of(0, 1)
_SYMBOL = text(r"^\w{2,30}$")
_EPOCH = integer(0, 9_999_999_999)
_DATE = text(r"^([0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])|[0-9]{1,10})$")
_TOKEN = text(r"^[\w\-]{1,128}$")
_LOGINID = text(r"^[A-Za-z]+[0-9]+$")
_CURRENCY = text(r"^[a-zA-Z0-9]{2,20}$")
_TYPE = one_of(*sorted(CONTRACT_TYPES))
_BARRIER = text(r"^(?=.{1,20}$)[+-]?[0-9]+\.?[0-9]*$")
_COMPANY = one_of("iom", "malta", "maltainvest", "svg", "virtual", "vanuatu")
_STREAM = one_of(*sorted(STREAM_TYPES))
_COMMON: Final[dict[str, Check]] = {"passthrough": _passthrough, "req_id": integer()}
_TERMS: Final[dict[str, Check]] = {
    "amount": number(0),
    "barrier": _BARRIER,
    "barrier2": _BARRIER,
    "barrier_range": one_of("tight", "middle", "wide"),
    "basis": one_of("payout", "stake"),
    "cancellation": text(r"^\w+$"),
    "contract_type": _TYPE,
    "currency": _CURRENCY,
    "date_expiry": _EPOCH,
    "date_start": _EPOCH,
    "duration": integer(0, 99_999_999),
    "duration_unit": one_of("d", "m", "s", "h", "t"),
    "growth_rate": number(),
    "limit_order": Rule({"stop_loss": number(), "take_profit": number()}, frozenset()),
    "multiplier": number(0),
    "payout_per_point": number(),
    "product_type": one_of("basic"),
    "selected_tick": integer(),
    "symbol": _SYMBOL,
    "trade_risk_profile": one_of("low", "medium", "high"),
    "trading_period_start": integer(),
}
_TERMS_REQUIRED: Final = frozenset({"contract_type", "currency", "symbol"})


def _call(name: str, value: Check, required: str = "", **properties: Check) -> tuple[str, Rule]:
    return name, Rule({name: value, **properties, **_COMMON}, frozenset({name, *required.split()}))


CALLS: Final[dict[str, Rule]] = dict(
    [
        _call("ping", _ONE),
        _call("time", _ONE),
        _call("website_status", _ONE, subscribe=_FLAG),
        _call("authorize", _TOKEN, add_to_login_history=_FLAG, tokens=list_of(_TOKEN, 25)),
        _call("logout", _ONE, loginid=_LOGINID),
        _call(
            "active_symbols",
            one_of("brief", "full"),
            barrier_category=list_of(text(".")),
            contract_type=list_of(_TYPE),
            landing_company=_COMPANY,
            landing_company_short=_COMPANY,
            product_type=one_of("basic"),
            loginid=_LOGINID,
        ),
        _call(
            "contracts_for",
            _SYMBOL,
            currency=_CURRENCY,
            landing_company=_COMPANY,
            landing_company_short=_COMPANY,
            product_type=one_of("basic"),
            loginid=_LOGINID,
        ),
        _call("ticks", either(_SYMBOL, list_of(_SYMBOL)), subscribe=_ONE),
        _call(
            "ticks_history",
            _SYMBOL,
            "end",
            adjust_start_time=_ONE,
            count=integer(),
            end=either(text(r"^(latest|[0-9]{1,10})$"), _EPOCH),  # integers are tolerated in practice
            granularity=one_of(*sorted(GRANULARITIES)),
            start=_EPOCH,
            style=one_of("candles", "ticks"),
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
            text(r"^(?:[\w-]{32,128}|1)$"),
            "price",
            parameters=Rule({**_TERMS, "app_markup_percentage": number()}, _TERMS_REQUIRED),
            price=number(0),
            subscribe=_ONE,
            loginid=_LOGINID,
        ),
        _call("sell", integer(), "price", price=number(), loginid=_LOGINID),
        _call("proposal_open_contract", _ONE, contract_id=integer(), subscribe=_ONE, loginid=_LOGINID),
        _call("portfolio", _ONE, contract_type=list_of(_TYPE), loginid=_LOGINID),
        _call(
            "balance",
            _ONE,
            account=text(r"^(current|all|[A-Z]{2,4}[0-9]{1,10})$"),
            subscribe=_FLAG,
            loginid=_LOGINID,
        ),
        _call(
            "statement",
            _ONE,
            action_type=one_of(
                "buy", "sell", "deposit", "withdrawal", "escrow", "adjustment", "virtual_credit", "transfer"
            ),
            date_from=_EPOCH,
            date_to=_EPOCH,
            description=_FLAG,
            limit=number(0, 999),
            offset=integer(0),
            loginid=_LOGINID,
        ),
        _call(
            "profit_table",
            _ONE,
            contract_type=list_of(one_of(*sorted(CONTRACT_TYPES - {"SNOWDOWN", "SNOWUP"}))),
            date_from=_DATE,
            date_to=_DATE,
            description=_FLAG,
            limit=number(0, 500),
            offset=integer(0),
            sort=one_of("ASC", "DESC"),
            loginid=_LOGINID,
        ),
        _call("cancel", integer(), loginid=_LOGINID),
        _call(
            "contract_update",
            _ONE,
            "contract_id limit_order",
            contract_id=integer(),
            limit_order=Rule(dict.fromkeys(("stop_loss", "take_profit"), either(number(), null)), frozenset()),
            loginid=_LOGINID,
        ),
        _call(
            "contract_update_history",
            _ONE,
            "contract_id",
            contract_id=integer(),
            limit=number(1, 999),
            loginid=_LOGINID,
        ),
        _call("topup_virtual", _ONE, loginid=_LOGINID),
        _call("trading_times", text(r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|today)$")),
        _call("transaction", _ONE, "subscribe", subscribe=_ONE, loginid=_LOGINID),
        _call("forget", text(r"^[\w-]{32,128}$")),
        _call("forget_all", either(_STREAM, list_of(_STREAM))),
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
