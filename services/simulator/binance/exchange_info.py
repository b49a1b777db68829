"""The exchangeInfo answer: field order and filters of the real venue in its current shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.simulator.binance.decimals import ONE, text8

_QUOTES: Final = ("USDT", "FDUSD", "USDC", "BUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "GBP")
RATE_LIMITS: Final = (
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
)
# Tick and lot in 1e-8, as the venue listed them (recorded answers of 2021 and 2023).
_KNOWN: Final = {
    "BTCUSDT": (10**6, 10**3),
    "ETHUSDT": (10**6, 10**4),
    "BNBUSDT": (10**7, 10**5),
    "DOGEUSDT": (10**4, 10**8),
    "LUNAUSDT": (10**6, 10**6),
}


STP_MODES: Final = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
PRICE_RANGE: Final = {
    "bidLimitMultUp": "1.2000",
    "bidLimitMultDown": "0.8000",
    "askLimitMultUp": "1.2000",
    "askLimitMultDown": "0.8000",
}


@dataclass(frozen=True)
class Spot:
    """A listed spot pair; tick and lot in 1e-8.

    `filters` replaces the usual rows, `price_range` holds the multipliers of the execution rule (none: no rule).
    """

    symbol: str
    base: str
    quote: str
    tick: int
    lot: int
    status: str = "TRADING"
    filters: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    price_range: Mapping[str, str] | None = field(default_factory=PRICE_RANGE.copy, hash=False)
    stp_default: str = "EXPIRE_MAKER"
    stp_modes: tuple[str, ...] = STP_MODES


def spot(symbol: str, tick: int = 0, lot: int = 0) -> Spot:
    """List `symbol` with its known steps, else with the given ones (those its data show)."""
    quote = next((quote for quote in _QUOTES if symbol.endswith(quote) and symbol != quote), symbol[-3:])
    known_tick, known_lot = _KNOWN.get(symbol, (tick or ONE // 100, lot or ONE // 100_000))
    return Spot(symbol, symbol.removesuffix(quote), quote, known_tick, known_lot)


def exchange_info(server_ms: int, listed: Iterable[Spot], statuses: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the whole answer for the listed pairs; `statuses` tells of those that are not as listed now."""
    statuses = statuses or {}
    return {
        "timezone": "UTC",
        "serverTime": server_ms,
        "rateLimits": RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": [_symbol(pair, statuses.get(pair.symbol, pair.status)) for pair in listed],
    }


def execution_rules(listed: Iterable[Spot]) -> dict[str, Any]:
    """Return the executionRules answer: the price range rule of each pair that has one."""
    return {
        "symbolRules": [
            {
                "symbol": pair.symbol,
                "rules": [{"ruleType": "PRICE_RANGE", **pair.price_range}] if pair.price_range else [],
            }
            for pair in listed
        ]
    }


def _symbol(pair: Spot, status: str) -> dict[str, Any]:
    return {
        "symbol": pair.symbol,
        "status": status,
        "baseAsset": pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": filters_of(pair),
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": pair.stp_default,
        "allowedSelfTradePreventionModes": list(pair.stp_modes),
    }


def filters_of(pair: Spot) -> list[dict[str, Any]]:
    """Return the symbol filters of a pair."""
    if pair.filters:
        return [dict(row) for row in pair.filters]
    tick, lot = text8(pair.tick), text8(pair.lot)
    most = text8(pair.lot * 900_000_000)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": text8(pair.tick * 10**8), "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {"filterType": "ICEBERG_PARTS", "limit": 100},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": text8(0),
            "maxQty": text8(pair.lot * 10_000_000),
            "stepSize": text8(0),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2_000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2_000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text8(5 * ONE),
            "applyMinToMarket": True,
            "maxNotional": text8(9_000_000 * ONE),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
    ]
