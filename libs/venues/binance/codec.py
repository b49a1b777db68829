"""Binance's JSON, parsed in one pass into typed structures; prices and sizes turn from text into floats on the way."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import msgspec

from libs.core.types import MILLISECOND, FeedState, Nanos, Quote, Trade
from libs.venues.checked import LATEST_MS, Absurd, check_time

VENUE: Final = "binance"

INTERVALS: Final[dict[int, str]] = {
    1: "1s",
    60: "1m",
    180: "3m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
    7200: "2h",
    14400: "4h",
    21600: "6h",
    28800: "8h",
    43200: "12h",
    86400: "1d",
}
"""Seconds to Binance's spelling, for the kline lengths that begin at multiples of themselves."""

Levels = list[tuple[float, float]]


class Frame(msgspec.Struct, gc=False):
    """A combined-stream message, or the answer to a control message (no stream)."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    id: int | str | None = None
    code: int | None = None
    msg: str = ""


class TradeEvent(msgspec.Struct, gc=False):
    s: str
    t: int
    p: float
    q: float
    T: int
    E: int
    m: bool


class BookTicker(msgspec.Struct, gc=False):
    u: int
    s: str
    b: float
    B: float
    a: float
    A: float


class DepthUpdate(msgspec.Struct, gc=False):
    E: int
    s: str
    U: int
    u: int
    b: Levels
    a: Levels


class KlineBody(msgspec.Struct, gc=False):
    t: int
    i: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float
    n: int
    x: bool
    V: float
    L: int = -1


class KlineEvent(msgspec.Struct, gc=False):
    E: int
    s: str
    k: KlineBody


class SimClock(msgspec.Struct, gc=False):
    """The simulator's own in-band message: where its clock stands (ms) and how it moves."""

    E: int
    extrapolate: bool
    speed: float = 1.0
    state: FeedState = FeedState.OPEN


class Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: Levels
    asks: Levels


class PastTrade(msgspec.Struct, gc=False):
    id: int
    price: float
    qty: float
    time: int
    isBuyerMaker: bool


class PastAggregate(msgspec.Struct, gc=False):
    a: int
    p: float
    q: float
    f: int
    T: int
    m: bool


class KlineRow(msgspec.Struct, array_like=True, gc=False):
    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_time: int
    quote_volume: float
    trades: int
    buy_volume: float


class ServerTime(msgspec.Struct):
    serverTime: int


class AveragePrice(msgspec.Struct):
    price: Decimal


class SymbolPrice(msgspec.Struct, gc=False):
    symbol: str
    price: Decimal


class Refusal(msgspec.Struct):
    code: int
    msg: str = ""


frame = msgspec.json.Decoder(Frame)
trade = msgspec.json.Decoder(TradeEvent, strict=False)
book_ticker = msgspec.json.Decoder(BookTicker, strict=False)
depth = msgspec.json.Decoder(DepthUpdate, strict=False)
kline = msgspec.json.Decoder(KlineEvent, strict=False)
sim_clock = msgspec.json.Decoder(SimClock)
snapshot = msgspec.json.Decoder(Snapshot, strict=False)
past_trades = msgspec.json.Decoder(list[PastTrade], strict=False)
past_aggregates = msgspec.json.Decoder(list[PastAggregate], strict=False)
kline_rows = msgspec.json.Decoder(list[KlineRow], strict=False)
server_time = msgspec.json.Decoder(ServerTime)
average_price = msgspec.json.Decoder(AveragePrice)
symbol_prices = msgspec.json.Decoder(list[SymbolPrice])
refusal = msgspec.json.Decoder(Refusal)


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes of a stranger may raise; the last for thousands of nested brackets."""


def check_id(value: int) -> None:
    """A sequence number that fits 64 bits, as every one of the venue's does. Raises Absurd."""
    if not 0 <= value < 1 << 63:
        raise Absurd(f"sequence {value} is none")


def trade_of(ms: int, price: float, size: float, buyer_is_maker: bool, trade_id: int) -> Trade:
    """A print at the venue's own stamp; the aggressor sold when the buyer was the maker.

    Raises Absurd.
    """
    if not 0.0 < price < math.inf or not 0.0 < size < math.inf:
        raise Absurd(f"trade {trade_id} at price {price}, size {size}")
    if not (0 < ms < LATEST_MS and 0 <= trade_id < 1 << 63):
        check_time(ms)
        check_id(trade_id)
    return Trade(ms * MILLISECOND, price, size, -1 if buyer_is_maker else 1, trade_id)


def quote_of(ticker: BookTicker, ts_event: Nanos) -> Quote:
    """Best bid and ask; the message has no time of its own. Raises Absurd."""
    if not (0.0 < ticker.b < math.inf and 0.0 < ticker.a < math.inf):
        raise Absurd(f"bid {ticker.b} or ask {ticker.a} is no price")
    if not (0.0 <= ticker.B < math.inf and 0.0 <= ticker.A < math.inf):
        raise Absurd(f"bid size {ticker.B} or ask size {ticker.A} is no size")
    check_id(ticker.u)
    return Quote(ts_event, ticker.b, ticker.B, ticker.a, ticker.A, ticker.u)


def check_levels(levels: Levels) -> None:
    """Every price positive, every size zero or more, all finite. Raises Absurd."""
    for price, size in levels:
        if not (0.0 < price < math.inf and 0.0 <= size < math.inf):
            raise Absurd(f"book level {price} x {size}")
