"""What the venue says about itself: its symbols, the contracts on each, its limits and currencies."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.laws import DailyReset
from services.simulator.deriv.lengths import MAX_DAYS
from services.simulator.deriv.levered import CANCELLATIONS, GROWTH_RATES
from services.simulator.deriv.limits import OUTCOME, PRICING, Quota
from services.simulator.deriv.market import Feed, Market
from services.simulator.deriv.symbols import SYMBOLS, Offer, Symbol


def active_symbols(market: Market, full: bool) -> list[dict[str, Any]]:
    """Return the rows of `active_symbols`; `full` adds the present spot and its age."""
    rows = []
    for order, symbol in enumerate(SYMBOLS.values()):
        place = symbol.place
        row: dict[str, Any] = {
            "allow_forward_starting": 0,
            "display_name": symbol.display_name,
            "display_order": order,
            "exchange_is_open": int(symbol.hours.is_open(market.present)),
            "is_trading_suspended": int(symbol.suspended),
            "market": place.market,
            "market_display_name": place.market_name,
            "pip": float(symbol.pip),
            "subgroup": place.subgroup,
            "subgroup_display_name": place.subgroup_name,
            "submarket": place.submarket,
            "submarket_display_name": place.submarket_name,
            "symbol": symbol.name,
            "symbol_type": place.symbol_type,
        }
        if full:
            row.update(_spot(market.feeds[symbol.name]))
        rows.append(row)
    return rows


def _spot(feed: Feed) -> dict[str, Any]:
    last, day_ago = feed.last(), feed.at(feed.present - DAY_SECS)
    return {
        "spot": last.quote,
        "spot_time": str(last.epoch),
        "spot_age": str(feed.present - last.epoch),
        "spot_percentage_change": f"{100 * (last.quote / day_ago.quote - 1):.2f}",
        "delay_amount": 0,
        "exchange_name": feed.symbol.place.exchange,
        "intraday_interval_minutes": 1,
        "quoted_currency_symbol": "",
    }


def contracts_for(feed: Feed) -> dict[str, Any]:
    """Return the value of `contracts_for`: what may be bought on a symbol, nothing where it is suspended."""
    symbol = feed.symbol
    opens, closes = symbol.hours.session_at(feed.present)
    available = [row for offer, rows in _ROWS.items() if offer in symbol.offers for row in rows(feed)]
    return {
        "available": available,
        "open": opens,
        "close": closes,
        "feed_license": "realtime",
        "hit_count": len(available),
        "spot": feed.last().quote,
    }


def _row(symbol: Symbol, contract_type: str, category: str, shown: str, **more: Any) -> dict[str, Any]:
    return {
        "market": symbol.place.market,
        "submarket": symbol.place.submarket,
        "barriers": 0,
        "barrier_category": "euro_atm",
        "contract_category": category,
        "contract_category_display": _CATEGORIES[category],
        "contract_display": shown,
        "contract_type": contract_type,
        "default_stake": 10,
        "exchange_name": symbol.place.exchange,
        "start_type": "spot",
        "underlying_symbol": symbol.name,
        **more,
    }


_CATEGORIES: Final = {
    "callput": "Up/Down",
    "callputequal": "Rise/Fall Equal",
    "digits": "Digits",
    "multiplier": "Multiply Up/Multiply Down",
    "accumulator": "Accumulator",
}
_BY_TICKS: Final = {"expiry_type": "tick", "min_contract_duration": "1t", "max_contract_duration": "10t"}
_SIDES: Final = (("CALL", "Rise", "Higher", "up"), ("PUT", "Fall", "Lower", "down"))


def _timed(symbol: Symbol) -> dict[str, str]:
    shortest = f"{symbol.min_secs // 60}m" if symbol.min_secs >= 60 else f"{symbol.min_secs}s"
    return {"expiry_type": "intraday", "min_contract_duration": shortest, "max_contract_duration": "1d"}


def _daily(symbol: Symbol) -> list[dict[str, str]]:
    """The lengths in days a symbol offers: none where every day begins anew."""
    if isinstance(symbol.law, DailyReset):
        return []
    return [{"expiry_type": "daily", "min_contract_duration": "1d", "max_contract_duration": f"{MAX_DAYS}d"}]


def _rise_fall(feed: Feed) -> list[dict[str, Any]]:
    return _rises_and_falls(feed.symbol, [_timed(feed.symbol), *_daily(feed.symbol)])


def _rise_fall_ticks(feed: Feed) -> list[dict[str, Any]]:
    return _rises_and_falls(feed.symbol, [_BY_TICKS])


def _rises_and_falls(symbol: Symbol, lengths: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        _row(symbol, kind + suffix, category, shown, sentiment=sentiment, **length)
        for kind, shown, _, sentiment in _SIDES
        for suffix, category in (("", "callput"), ("E", "callputequal"))
        for length in lengths
    ]


def _higher_lower(feed: Feed) -> list[dict[str, Any]]:
    symbol = feed.symbol
    away = {"barriers": 1, "barrier_category": "euro_non_atm"}
    relative = {"barrier": "+" + symbol.text(_distance(feed)), **_timed(symbol)}
    absolute = [{"barrier": symbol.text(feed.last().quote + _distance(feed)), **length} for length in _daily(symbol)]
    return [
        _row(symbol, kind, "callput", shown, sentiment=sentiment, **away, **length)
        for kind, _, shown, sentiment in _SIDES
        for length in (relative, *absolute)
    ]


def _distance(feed: Feed) -> float:
    """Return a barrier's usual distance from the spot, at least one pip."""
    return max(feed.last().quote * feed.symbol.sigma * 0.0005, float(feed.symbol.pip))


def _digits(feed: Feed) -> list[dict[str, Any]]:
    rows = []
    for kind, (shown, sentiment, digits) in _DIGIT_ROWS.items():
        bet = {"barriers": 1, "barrier": "5", "last_digit_range": list(digits)} if digits else {}
        more = {**_BY_TICKS, **bet, "barrier_category": "non_financial", "sentiment": sentiment}
        rows.append(_row(feed.symbol, kind, "digits", shown, **more))
    return rows


_DIGIT_ROWS: Final = {
    "DIGITMATCH": ("Matches", "match", range(10)),
    "DIGITDIFF": ("Differs", "differ", range(10)),
    "DIGITEVEN": ("Even", "even", range(0)),
    "DIGITODD": ("Odd", "odd", range(0)),
    "DIGITOVER": ("Over", "up", range(9)),
    "DIGITUNDER": ("Under", "down", range(1, 10)),
}


def _multipliers(feed: Feed) -> list[dict[str, Any]]:
    symbol = feed.symbol
    endless = {"expiry_type": "no_expiry", "min_contract_duration": "0", "max_contract_duration": "0"}
    more = {**endless, "barrier_category": "american", "multiplier_range": list(symbol.multipliers)}
    if Offer.CANCELLATION in symbol.offers:
        more["cancellation_range"] = list(CANCELLATIONS)
    return [
        _row(symbol, kind, "multiplier", f"Multiply {sentiment.capitalize()}", sentiment=sentiment, **more)
        for kind, sentiment in (("MULTUP", "up"), ("MULTDOWN", "down"))
    ]


def _accumulators(feed: Feed) -> list[dict[str, Any]]:
    more = {
        "barriers": 2,
        "barrier_category": "american",
        "expiry_type": "no_expiry",
        "growth_rate_range": [float(rate) for rate in GROWTH_RATES],
        "max_contract_duration": "0",
        "min_contract_duration": "0",
        "sentiment": "low_vol",
    }
    return [_row(feed.symbol, "ACCU", "accumulator", "Accumulator Up", **more)]


_ROWS: Final = {
    Offer.RISE_FALL_TICKS: _rise_fall_ticks,
    Offer.RISE_FALL: _rise_fall,
    Offer.HIGHER_LOWER: _higher_lower,
    Offer.DIGITS: _digits,
    Offer.MULTIPLIERS: _multipliers,
    Offer.ACCUMULATORS: _accumulators,
}


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
