"""What the venue says about itself: its symbols, the contracts on each, its limits and currencies."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.deriv.limits import OUTCOME, PRICING, Quota
from services.simulator.deriv.market import Feed, Market
from services.simulator.deriv.symbols import SYMBOLS, Symbol
from services.simulator.deriv.terms import DAY_SECS

_PLACE: Final = {"market": "synthetic_index", "submarket": "random_index"}


def active_symbols(market: Market, full: bool) -> list[dict[str, Any]]:
    """Return the rows of `active_symbols`; `full` adds the present spot and its age."""
    rows = []
    for order, symbol in enumerate(SYMBOLS.values()):
        row: dict[str, Any] = {
            "allow_forward_starting": 0,
            "display_name": symbol.display_name,
            "display_order": order,
            "exchange_is_open": 1,
            "is_trading_suspended": 0,
            **_PLACE,
            "market_display_name": "Derived",
            "pip": float(symbol.pip),
            "subgroup": "synthetics",
            "subgroup_display_name": "Synthetics",
            "submarket_display_name": "Continuous Indices",
            "symbol": symbol.name,
            "symbol_type": "stockindex",
        }
        if full:
            row.update(_spot(market.feeds[symbol.name]))
        rows.append(row)
    return rows


def _spot(feed: Feed) -> dict[str, Any]:
    last = feed.last()
    day_ago = feed.at(feed.symbol.last_epoch(feed.present - DAY_SECS))
    return {
        "spot": last.quote,
        "spot_time": str(last.epoch),
        "spot_age": str(feed.present - last.epoch),
        "spot_percentage_change": f"{100 * (last.quote / day_ago.quote - 1):.2f}",
        "delay_amount": 0,
        "exchange_name": "RANDOM",
        "intraday_interval_minutes": 1,
        "quoted_currency_symbol": "",
    }


def contracts_for(feed: Feed) -> dict[str, Any]:
    """Return the value of `contracts_for`: rise/fall by ticks and by time, higher/lower, and multipliers."""
    available = [row for up in (True, False) for row in _contracts(feed, up)]
    return {
        "available": available,
        "open": feed.present - feed.present % DAY_SECS,
        "close": feed.present - feed.present % DAY_SECS + DAY_SECS - 1,
        "feed_license": "realtime",
        "hit_count": len(available),
        "spot": feed.last().quote,
    }


def _contracts(feed: Feed, up: bool) -> list[dict[str, Any]]:
    symbol = feed.symbol
    sentiment = "up" if up else "down"
    common = {
        **_PLACE,
        "default_stake": 10,
        "exchange_name": "RANDOM",
        "start_type": "spot",
        "underlying_symbol": symbol.name,
    }
    digital = {
        **common,
        "contract_type": "CALL" if up else "PUT",
        "contract_category": "callput",
        "contract_category_display": "Up/Down",
        "sentiment": sentiment,
    }
    flat = {**digital, "barriers": 0, "barrier_category": "euro_atm", "contract_display": "Rise" if up else "Fall"}
    away = {**digital, "barriers": 1, "barrier_category": "euro_non_atm", "barrier": _offset(symbol, feed)}
    timed = {"expiry_type": "intraday", "min_contract_duration": "15s", "max_contract_duration": "1d"}
    return [
        {**flat, "expiry_type": "tick", "min_contract_duration": "1t", "max_contract_duration": "10t"},
        {**flat, **timed},
        {**away, **timed, "contract_display": "Higher" if up else "Lower"},
        {
            **common,
            "contract_type": "MULTUP" if up else "MULTDOWN",
            "contract_category": "multiplier",
            "contract_category_display": "Multiply Up/Multiply Down",
            "contract_display": "Multiply Up" if up else "Multiply Down",
            "barriers": 0,
            "barrier_category": "american",
            "expiry_type": "no_expiry",
            "min_contract_duration": "0",
            "max_contract_duration": "0",
            "multiplier_range": list(symbol.multipliers),
            "sentiment": sentiment,
        },
    ]


def _offset(symbol: Symbol, feed: Feed) -> str:
    return "+" + symbol.text(feed.last().quote * symbol.sigma * 0.0005)


def website_status(quotas: dict[str, Quota], proposals: int) -> dict[str, Any]:
    """Return the value of `website_status`; clients read their call limits from it."""
    applies_to = {
        PRICING: "proposal and proposal_open_contract",
        OUTCOME: "portfolio, statement and proposal",
    }
    limits: dict[str, Any] = {
        name: {
            "applies_to": applies_to.get(name, "rest of calls"),
            "minutely": quota.minutely,
            "hourly": quota.hourly,
        }
        for name, quota in quotas.items()
    }
    limits["max_proposal_subscription"] = {"applies_to": "subscribing to proposal concurrently", "max": proposals}
    return {
        "api_call_limits": limits,
        "broker_codes": ["VRTC"],
        "clients_country": "aq",
        "currencies_config": {
            "USD": {
                "fractional_digits": 2,
                "is_deposit_suspended": 0,
                "is_suspended": 0,
                "is_withdrawal_suspended": 0,
                "name": "US Dollar",
                "stake_default": 10,
                "transfer_between_accounts": {"fees": {}, "limits": {"min": 1, "max": 5000}},
                "type": "fiat",
            }
        },
        "message": "simulator",
        "site_status": "up",
        "supported_languages": ["EN"],
        "terms_conditions_version": "simulated",
    }
