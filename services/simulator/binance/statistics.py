"""Statistics of a span of trading - change, average, extremes, volume - as the ticker calls and streams print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.simulator.binance.candles import Candle
from services.simulator.binance.decimals import ONE, text8
from services.simulator.binance.wire import Level, encode


def fold(candles: Iterable[Candle], open_ms: int) -> Candle:
    """Join bars, oldest first, into one that opens at `open_ms`; without bars all is zero."""
    whole: Candle | None = None
    for candle in candles:
        if whole is None:
            whole = candle.copy()
            whole.open_ms = open_ms
        else:
            whole.absorb(candle)
    return Candle.flat(open_ms, 0) if whole is None else whole


def average(candle: Candle) -> int:
    """Volume-weighted average price in 1e-8; the close where nothing traded."""
    return candle.quote // candle.volume if candle.volume else candle.close


def percent(candle: Candle) -> str:
    """Change from open to close in percent, three decimals."""
    if candle.open == 0:
        return "0.000"
    change = candle.close - candle.open
    thousandths = (abs(change) * 200_000 + candle.open) // (2 * candle.open)
    sign = "-" if change < 0 and thousandths else ""
    return f"{sign}{thousandths // 1_000}.{thousandths % 1_000:03d}"


def full_row(symbol: str, whole: Candle, close_ms: int) -> dict[str, Any]:
    """REST ticker and ticker/tradingDay."""
    return {
        "symbol": symbol,
        "priceChange": text8(whole.close - whole.open),
        "priceChangePercent": percent(whole),
        "weightedAvgPrice": text8(average(whole)),
        **{key: value for key, value in mini_row(symbol, whole, close_ms).items() if key != "symbol"},
    }


def mini_row(symbol: str, whole: Candle, close_ms: int) -> dict[str, Any]:
    """The form type=MINI of every statistics call."""
    return {
        "symbol": symbol,
        "openPrice": text8(whole.open),
        "highPrice": text8(whole.high),
        "lowPrice": text8(whole.low),
        "lastPrice": text8(whole.close),
        "volume": text8(whole.volume),
        "quoteVolume": text8(whole.quote // ONE),
        "openTime": whole.open_ms,
        "closeTime": close_ms,
        "firstId": whole.first_id,
        "lastId": whole.last_id,
        "count": whole.trades,
    }


def day_row(
    symbol: str, whole: Candle, close_ms: int, previous_close: int, last_qty: int, bid: Level, ask: Level
) -> dict[str, Any]:
    """REST ticker/24hr."""
    return {
        "symbol": symbol,
        "priceChange": text8(whole.close - whole.open),
        "priceChangePercent": percent(whole),
        "weightedAvgPrice": text8(average(whole)),
        "prevClosePrice": text8(previous_close),
        "lastPrice": text8(whole.close),
        "lastQty": text8(last_qty),
        "bidPrice": text8(bid[0]),
        "bidQty": text8(bid[1]),
        "askPrice": text8(ask[0]),
        "askQty": text8(ask[1]),
        "openPrice": text8(whole.open),
        "highPrice": text8(whole.high),
        "lowPrice": text8(whole.low),
        "volume": text8(whole.volume),
        "quoteVolume": text8(whole.quote // ONE),
        "openTime": whole.open_ms,
        "closeTime": close_ms,
        "firstId": whole.first_id,
        "lastId": whole.last_id,
        "count": whole.trades,
    }


def mini_ticker(symbol: str, whole: Candle, event_ms: int) -> dict[str, Any]:
    """`<s>@miniTicker`."""
    return {
        "e": "24hrMiniTicker",
        "E": event_ms,
        "s": symbol,
        "c": text8(whole.close),
        "o": text8(whole.open),
        "h": text8(whole.high),
        "l": text8(whole.low),
        "v": text8(whole.volume),
        "q": text8(whole.quote // ONE),
    }


def day_ticker(
    symbol: str, whole: Candle, event_ms: int, previous_close: int, last_qty: int, bid: Level, ask: Level
) -> dict[str, Any]:
    """`<s>@ticker`."""
    return {
        "e": "24hrTicker",
        "E": event_ms,
        "s": symbol,
        "p": text8(whole.close - whole.open),
        "P": percent(whole),
        "w": text8(average(whole)),
        "x": text8(previous_close),
        "c": text8(whole.close),
        "Q": text8(last_qty),
        "b": text8(bid[0]),
        "B": text8(bid[1]),
        "a": text8(ask[0]),
        "A": text8(ask[1]),
        **_tail(whole, event_ms),
    }


def window_ticker(symbol: str, window: str, whole: Candle, event_ms: int) -> dict[str, Any]:
    """`<s>@ticker_<window>`, window being 1h, 4h or 1d."""
    return {
        "e": f"{window}Ticker",
        "E": event_ms,
        "s": symbol,
        "p": text8(whole.close - whole.open),
        "P": percent(whole),
        "w": text8(average(whole)),
        "c": text8(whole.close),
        **_tail(whole, event_ms),
    }


def _tail(whole: Candle, event_ms: int) -> dict[str, Any]:
    return {
        "o": text8(whole.open),
        "h": text8(whole.high),
        "l": text8(whole.low),
        "v": text8(whole.volume),
        "q": text8(whole.quote // ONE),
        "O": whole.open_ms,
        "C": event_ms,
        "F": whole.first_id,
        "L": whole.last_id,
        "n": whole.trades,
    }


def average_event(symbol: str, whole: Candle, event_ms: int, last_ms: int) -> bytes:
    """`<s>@avgPrice`."""
    return encode({"e": "avgPrice", "E": event_ms, "s": symbol, "i": "5m", "w": text8(average(whole)), "T": last_ms})
