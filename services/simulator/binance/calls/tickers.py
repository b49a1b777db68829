"""Ticker calls: statistics over windows and days, last and best prices, the average price, execution rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from services.simulator.binance import exchange_info, statistics
from services.simulator.binance.calls.market import check_status, status, status_of
from services.simulator.binance.calls.params import (
    Param,
    Params,
    invalid,
    may,
    need,
    one_of,
    symbols,
    time_zone,
)
from services.simulator.binance.calls.spec import Call
from services.simulator.binance.candles import Candle
from services.simulator.binance.decimals import text8
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.prices import BUCKET_MS, BUCKETS
from services.simulator.binance.intervals import DAY_MS, FIXED_MS, HOUR_MS, MINUTE_MS
from services.simulator.binance.venue import Venue

AVERAGE_MINUTES: Final = 5
MOST_SYMBOLS: Final = 100
_WINDOW: Final = re.compile(r"([1-9][0-9]?)([mhd])")
_WINDOW_MOST: Final = {"m": (59, MINUTE_MS), "h": (23, HOUR_MS), "d": (7, DAY_MS)}


def window_ms(name: str, value: str) -> int:
    """A window size such as 15m, 4h or 1d, in ms."""
    matched = _WINDOW.fullmatch(value)
    if matched is None or int(matched[1]) > _WINDOW_MOST[matched[2]][0]:
        raise invalid(name)
    return int(matched[1]) * _WINDOW_MOST[matched[2]][1]


async def bars_since(venue: Venue, symbol: str, start: int) -> Sequence[Candle]:
    """The finest statistics bars with open times from `start` (ms) on."""
    interval = venue.feed.finest
    count = (venue.feed.now_ms() - start) // FIXED_MS[interval] + 2
    return await venue.feed.klines(symbol, interval, start, None, max(count, 1))


async def day(venue: Venue, account: int, p: Params) -> Any:
    return await _each(venue, p, _day_row)


async def _day_row(venue: Venue, symbol: str, p: Params) -> dict[str, Any]:
    now = venue.feed.now_ms()
    bars = await bars_since(venue, symbol, now - DAY_MS - MINUTE_MS)
    before = [bar for bar in bars if bar.open_ms < now - DAY_MS]
    bars = [bar for bar in bars if bar.open_ms >= now - DAY_MS] or bars[-1:]
    whole = statistics.fold(bars, now - DAY_MS)
    if p.get("type") == "MINI":
        return statistics.mini_row(symbol, whole, now)
    last = venue.feed.trades(symbol, None, 1)
    bid, ask = _touch(venue, symbol)
    previous = before[-1].close if before else whole.open
    return statistics.day_row(symbol, whole, now, previous, last[-1].qty if last else 0, bid, ask)


async def rolling(venue: Venue, account: int, p: Params) -> Any:
    _need_symbols(p)
    return await _each(venue, p, _rolling_row)


async def _rolling_row(venue: Venue, symbol: str, p: Params) -> dict[str, Any]:
    now = venue.feed.now_ms()
    start = (now - p.get("windowSize", DAY_MS)) // MINUTE_MS * MINUTE_MS
    whole = statistics.fold(await bars_since(venue, symbol, start), start)
    return _form(p)(symbol, whole, now)


async def trading_day(venue: Venue, account: int, p: Params) -> Any:
    _need_symbols(p)
    return await _each(venue, p, _trading_day_row)


async def _trading_day_row(venue: Venue, symbol: str, p: Params) -> dict[str, Any]:
    offset = p.get("timeZone", 0)
    start = (venue.feed.now_ms() + offset) // DAY_MS * DAY_MS - offset
    whole = statistics.fold(await bars_since(venue, symbol, start), start)
    return _form(p)(symbol, whole, start + DAY_MS - 1)


def _form(p: Params) -> Callable[[str, Candle, int], dict[str, Any]]:
    return statistics.mini_row if p.get("type") == "MINI" else statistics.full_row


def _need_symbols(p: Params) -> None:
    if "symbol" not in p and "symbols" not in p:
        raise ApiError(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")
    if len(p.get("symbols", ())) > MOST_SYMBOLS:
        raise invalid("symbols")


async def last_price(venue: Venue, account: int, p: Params) -> Any:
    return await _each(venue, p, _price_row)


async def _price_row(venue: Venue, symbol: str, p: Params) -> dict[str, Any]:
    last = venue.feed.trades(symbol, None, 1)
    if last:
        price = last[-1].price
    else:
        bars = await venue.feed.klines(symbol, venue.feed.finest, None, None, 1)
        price = bars[-1].close if bars else 0
    return {"symbol": symbol, "price": text8(price)}


async def best_prices(venue: Venue, account: int, p: Params) -> Any:
    return await _each(venue, p, _best_row)


async def _best_row(venue: Venue, symbol: str, p: Params) -> dict[str, Any]:
    bid, ask = _touch(venue, symbol)
    return {
        "symbol": symbol,
        "bidPrice": text8(bid[0]),
        "bidQty": text8(bid[1]),
        "askPrice": text8(ask[0]),
        "askQty": text8(ask[1]),
    }


def _touch(venue: Venue, symbol: str) -> tuple[tuple[int, int], tuple[int, int]]:
    bids, asks = venue.feed.depth(symbol).top(1)
    return bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)


async def _each(venue: Venue, p: Params, row: Any) -> Any:
    """One row for `symbol`, else a list: of `symbols`, or of all that are listed."""
    if "symbol" in p:
        return await row(venue, check_status(venue, p), p)
    wanted = p.get("symbols", list(venue.feed.symbols))
    rows = [venue.known(symbol) for symbol in wanted]
    if "symbolStatus" in p:
        rows = [symbol for symbol in rows if status_of(venue, symbol) == p["symbolStatus"]]
    return [await row(venue, symbol, p) for symbol in rows]


async def average_price(venue: Venue, account: int, p: Params) -> Any:
    symbol = venue.known(p["symbol"])
    now = venue.feed.now_ms()
    whole = statistics.fold(await bars_since(venue, symbol, now - AVERAGE_MINUTES * MINUTE_MS), now)
    price = statistics.average(whole)
    if not price:
        bars = await venue.feed.klines(symbol, venue.feed.finest, None, None, 1)
        price = bars[-1].close if bars else 0
    last = venue.feed.trades(symbol, None, 1)
    return {"mins": AVERAGE_MINUTES, "price": text8(price), "closeTime": last[-1].ms if last else now}


def execution_rules(venue: Venue, account: int, p: Params) -> Any:
    wanted = [p["symbol"]] if "symbol" in p else p.get("symbols", list(venue.feed.symbols))
    rows = [venue.known(symbol) for symbol in wanted]
    if "symbolStatus" in p:
        rows = [symbol for symbol in rows if status_of(venue, symbol) == p["symbolStatus"]]
    return exchange_info.execution_rules(venue.feed.symbols[symbol] for symbol in rows)


def reference_price(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.reference_price(venue.known(p["symbol"]))


def reference_calculation(venue: Venue, account: int, p: Params) -> Any:
    return {
        "symbol": check_status(venue, p),
        "calculationType": "ARITHMETIC_MEAN",
        "bucketCount": BUCKETS,
        "bucketWidthMs": BUCKET_MS,
    }


def _day_weight(p: Params) -> int:
    if "symbol" in p:
        return 2
    count = len(p["symbols"]) if "symbols" in p else MOST_SYMBOLS + 1
    return 2 if count <= 20 else 40 if count <= 100 else 80


def _price_weight(p: Params) -> int:
    return 2 if "symbol" in p else 4


def _rolling_weight(p: Params) -> int:
    return min(4 * len(p.get("symbols", (1,))), 200)


def _rules_weight(p: Params) -> int:
    if "symbol" in p:
        return 2
    return min(2 * len(p["symbols"]), 40) if "symbols" in p else 40


_symbols: Final[tuple[Param, ...]] = (may("symbol"), may("symbols", symbols), may("symbolStatus", status))
_type: Final = may("type", one_of(("FULL", "MINI"), -1139, "Invalid ticker type."))
_exclusive: Final = (("symbol", "symbols"),)

CALLS: Final = (
    Call(ws="avgPrice", rest="GET /api/v3/avgPrice", weight=2, params=(need("symbol"),), answer=average_price),
    Call(
        ws="ticker.24hr",
        rest="GET /api/v3/ticker/24hr",
        weight=_day_weight,
        params=(*_symbols, _type),
        exclusive=_exclusive,
        answer=day,
    ),
    Call(
        ws="ticker.tradingDay",
        rest="GET /api/v3/ticker/tradingDay",
        weight=_rolling_weight,
        params=(*_symbols, _type, may("timeZone", time_zone)),
        exclusive=_exclusive,
        answer=trading_day,
    ),
    Call(
        ws="ticker",
        rest="GET /api/v3/ticker",
        weight=_rolling_weight,
        params=(*_symbols, _type, may("windowSize", window_ms)),
        exclusive=_exclusive,
        answer=rolling,
    ),
    Call(
        ws="ticker.price",
        rest="GET /api/v3/ticker/price",
        weight=_price_weight,
        params=_symbols,
        exclusive=_exclusive,
        answer=last_price,
    ),
    Call(
        ws="ticker.book",
        rest="GET /api/v3/ticker/bookTicker",
        weight=_price_weight,
        params=_symbols,
        exclusive=_exclusive,
        answer=best_prices,
    ),
    Call(
        ws="executionRules",
        rest="GET /api/v3/executionRules",
        weight=_rules_weight,
        params=_symbols,
        exclusive=(("symbol", "symbols", "symbolStatus"),),
        answer=execution_rules,
    ),
    Call(
        ws="referencePrice",
        rest="GET /api/v3/referencePrice",
        weight=2,
        params=(need("symbol"),),
        answer=reference_price,
    ),
    Call(
        ws="referencePrice.calculation",
        rest="GET /api/v3/referencePrice/calculation",
        weight=2,
        params=(need("symbol"), may("symbolStatus", status)),
        answer=reference_calculation,
    ),
)
