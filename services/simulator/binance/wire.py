"""The JSON of stream payloads and REST rows, with the keys and the key order of the real venue."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from services.simulator.binance.candles import Candle, Print
from services.simulator.binance.decimals import ONE, text8

Level = tuple[int, int]
"""Price and quantity, both in 1e-8."""

encode: Final = msgspec.json.Encoder().encode


def levels_text(levels: Iterable[Level]) -> list[list[str]]:
    """Print levels as [price, quantity] texts."""
    return [[text8(price), text8(qty)] for price, qty in levels]


def trade_event(symbol: str, trade: Print, event_ms: int) -> bytes:
    """`<s>@trade`."""
    return encode(
        {
            "e": "trade",
            "E": event_ms,
            "s": symbol,
            "t": trade.id,
            "p": text8(trade.price),
            "q": text8(trade.qty),
            "T": trade.ms,
            "m": trade.buyer_is_maker,
            "M": True,
        }
    )


def agg_trade_event(symbol: str, trade: Print, event_ms: int) -> bytes:
    """`<s>@aggTrade`: here every print is one taker order at one price, so aggregate and trade ids are equal."""
    return encode({"e": "aggTrade", "E": event_ms, "s": symbol, **agg_trade_row(trade)})


def agg_trade_row(trade: Print) -> dict[str, Any]:
    """One row of REST aggTrades."""
    return {
        "a": trade.id,
        "p": text8(trade.price),
        "q": text8(trade.qty),
        "f": trade.id,
        "l": trade.id,
        "T": trade.ms,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def trade_row(trade: Print) -> dict[str, Any]:
    """One row of REST trades and historicalTrades."""
    return {
        "id": trade.id,
        "price": text8(trade.price),
        "qty": text8(trade.qty),
        "quoteQty": text8(trade.price * trade.qty // ONE),
        "time": trade.ms,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def book_ticker_event(symbol: str, update_id: int, bid: Level, ask: Level) -> bytes:
    """`<s>@bookTicker`, which carries neither an event type nor a time."""
    return encode(
        {
            "u": update_id,
            "s": symbol,
            "b": text8(bid[0]),
            "B": text8(bid[1]),
            "a": text8(ask[0]),
            "A": text8(ask[1]),
        }
    )


def depth_event(
    symbol: str, event_ms: int, first_id: int, last_id: int, bids: Iterable[Level], asks: Iterable[Level]
) -> bytes:
    """`<s>@depth`: quantities are absolute, 0 deletes the level."""
    return encode(
        {
            "e": "depthUpdate",
            "E": event_ms,
            "s": symbol,
            "U": first_id,
            "u": last_id,
            "b": levels_text(bids),
            "a": levels_text(asks),
        }
    )


def depth_snapshot(last_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
    """REST depth and the partial depth streams, which share one shape."""
    return encode({"lastUpdateId": last_id, "bids": levels_text(bids), "asks": levels_text(asks)})


def kline_event(symbol: str, interval: str, candle: Candle, end_ms: int, event_ms: int, *, closed: bool) -> bytes:
    """`<s>@kline_<i>` of a bar that ends (exclusive) at `end_ms`."""
    return encode(
        {
            "e": "kline",
            "E": event_ms,
            "s": symbol,
            "k": {
                "t": candle.open_ms,
                "T": end_ms - 1,
                "s": symbol,
                "i": interval,
                "f": candle.first_id,
                "L": candle.last_id,
                "o": text8(candle.open),
                "c": text8(candle.close),
                "h": text8(candle.high),
                "l": text8(candle.low),
                "v": text8(candle.volume),
                "n": candle.trades,
                "x": closed,
                "q": text8(candle.quote // ONE),
                "V": text8(candle.taker_base),
                "Q": text8(candle.taker_quote // ONE),
                "B": "0",
            },
        }
    )


def clock_event(event_ms: int, *, speed: float, extrapolate: bool, ended: bool) -> bytes:
    """`!simClock`, ours alone: the venue's time in band with the data."""
    state = "ended" if ended else "open"
    return encode({"e": "simClock", "E": event_ms, "speed": speed, "extrapolate": extrapolate, "state": state})


def shutdown_event(event_ms: int) -> bytes:
    """`serverShutdown`: the connection is about to end."""
    return encode({"e": "serverShutdown", "E": event_ms})
