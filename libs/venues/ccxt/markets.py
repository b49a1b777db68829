"""An exchange's spot markets: found by its own or ccxt's spelling, and told as instruments with exact steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import ccxt

from libs.core.types import Instrument, InstrumentKind, Nanos, stable_id
from libs.venues.checked import ZERO, Absurd, decimals, exact, text
from libs.venues.errors import VenueRefused, VenueUnavailable

UNBOUND: Final = Decimal(10) ** 12
"""Stands for a largest quantity that the exchange does not tell."""


def market_of(exchange: Any, symbol: str) -> dict[str, Any]:
    """The spot market that `symbol` names: BTC/USDT, or the exchange's own BTCUSDT. Raises VenueRefused."""
    listed = [(exchange.markets or {}).get(symbol), *((exchange.markets_by_id or {}).get(symbol) or ())]
    for market in listed:
        if isinstance(market, dict) and market.get("spot"):
            return market
    raise VenueRefused(f"ccxt:{exchange.id} has no spot market {symbol}")


def instrument_of(exchange: Any, symbol: str, market: dict[str, Any], now: Nanos) -> Instrument:
    """Raises VenueUnavailable when the listing cannot be true. Data only where steps are not told."""
    try:
        return _instrument(exchange, symbol, market, now)
    except (Absurd, AttributeError, KeyError, TypeError) as err:
        raise VenueUnavailable(f"ccxt:{exchange.id} lists {symbol} in a way that cannot be read: {err}") from err


def _instrument(exchange: Any, symbol: str, market: dict[str, Any], now: Nanos) -> Instrument:
    venue, pair = f"ccxt:{exchange.id}", text(market["symbol"], "symbol")
    steps, limits = market.get("precision") or {}, market.get("limits") or {}
    price_step, qty_step = _step(exchange, steps.get("price")), _step(exchange, steps.get("amount"))
    quantities, costs = limits.get("amount") or {}, limits.get("cost") or {}
    most = _limit(quantities.get("max"), "largest quantity")
    return Instrument(
        id=stable_id("instrument", venue, symbol, now),
        ts_event=now,
        venue=venue,
        symbol=symbol,
        canonical=pair,
        name=pair,
        kind=InstrumentKind.SPOT if price_step and qty_step else InstrumentKind.QUOTE_ONLY,
        base=text(market["base"], "base asset"),
        quote=text(market["quote"], "quote asset"),
        decimals=decimals(price_step),
        price_step=price_step,
        qty_step=qty_step,
        min_qty=max(_limit(quantities.get("min"), "smallest quantity"), qty_step),
        max_qty=most or UNBOUND,
        min_notional=_limit(costs.get("min"), "smallest worth"),
        is_open=market.get("active") is not False,
    )


def _step(exchange: Any, told: Any) -> Decimal:
    """An increment, whichever way the exchange counts digits; 0 where it has none that is fixed."""
    if told is None or exchange.precisionMode == ccxt.SIGNIFICANT_DIGITS:
        return ZERO
    step = exact(told, "step")
    if exchange.precisionMode == ccxt.DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(step))
    return step.normalize() if step < 1 else step


def _limit(told: Any, what: str) -> Decimal:
    limit = ZERO if told is None else exact(told, what)
    return limit.normalize() if limit < 1 else limit
