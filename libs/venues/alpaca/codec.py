"""Alpaca's JSON, read into typed structures; money exactly, times to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.core.types import SECOND, Nanos
from libs.venues.checked import Absurd, exact

VENUE: Final = "alpaca"

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes of a stranger may raise; the last for thousands of nested brackets."""

LATEST: Final = 4_102_444_800 * SECOND
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def instant(told: object) -> Nanos:
    """RFC 3339 with up to nine decimals as ns UTC. Raises Absurd."""
    matched = _TIME.fullmatch(told) if isinstance(told, str) else None
    if matched is None:
        raise Absurd(f"time {repr(told)[:40]} is none")
    day, clock, fraction, zone = matched.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
        seconds = int(whole.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise Absurd(f"time {told!r} is none") from None
    ns = seconds * SECOND + int((fraction or "").ljust(9, "0"))
    if not 0 < ns < LATEST:
        raise Absurd(f"time {told!r} is not of this century")
    return ns


def told_at(ns: Nanos) -> str:
    """ns UTC as Alpaca reads it."""
    seconds, rest = divmod(ns, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def signed(value: object, what: str) -> Decimal:
    """As `exact`, but a debt is an amount too. Raises Absurd."""
    if isinstance(value, str) and value.startswith("-"):
        return -exact(value[1:], what)
    return exact(value, what)


class Refusal(msgspec.Struct):
    message: str = ""
    code: int = 0


class Clock(msgspec.Struct):
    timestamp: str
    is_open: bool


class Asset(msgspec.Struct):
    """`asset_class` us_equity or crypto; steps are told for crypto alone."""

    id: str
    symbol: str
    asset_class: str = msgspec.field(name="class")
    name: str | None = None
    status: str = ""
    tradable: bool = False
    min_order_size: str | None = None
    min_trade_increment: str | None = None
    price_increment: str | None = None


class Account(msgspec.Struct):
    cash: str
    currency: str = "USD"


class Holding(msgspec.Struct):
    asset_id: str
    symbol: str
    qty: str
    asset_class: str = ""


class OrderRow(msgspec.Struct):
    id: str
    client_order_id: str
    symbol: str
    status: str
    filled_qty: str
    updated_at: str | None = None
    submitted_at: str | None = None


class Activity(msgspec.Struct):
    """An execution (FILL), or money that moved for another reason."""

    id: str
    activity_type: str = ""
    order_id: str = ""
    transaction_time: str = ""
    price: str = ""
    qty: str = ""
    net_amount: str = ""
    symbol: str = ""


class PrivateFrame(msgspec.Struct):
    """A frame of the trading stream; `data` as the stream says."""

    stream: str
    data: Any = None


class Print(msgspec.Struct):
    t: str
    p: float
    s: float
    i: int = 0
    tks: str = ""


class BarRow(msgspec.Struct):
    t: str
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float
    n: int = 0


class Frame(msgspec.Struct):
    """One message of the data streams, of any kind: T success, error, subscription, t (print), q (quote), b (bar)."""

    T: str
    S: str = ""
    code: int = 0
    msg: str = ""
    t: str = ""
    p: float = 0.0
    s: float = 0.0
    i: int = 0
    tks: str = ""
    bp: float = 0.0
    bs: float = 0.0
    ap: float = 0.0
    as_: float = msgspec.field(name="as", default=0.0)
    o: float = 0.0
    h: float = 0.0
    l: float = 0.0  # noqa: E741
    c: Any = None
    v: float = 0.0
    n: int = 0


class PrintPage(msgspec.Struct):
    trades: dict[str, list[Print]] | None = None
    next_page_token: str | None = None


class BarPage(msgspec.Struct):
    bars: dict[str, list[BarRow]] | None = None
    next_page_token: str | None = None


refusal = msgspec.json.Decoder(Refusal)
clock = msgspec.json.Decoder(Clock)
asset = msgspec.json.Decoder(Asset)
assets = msgspec.json.Decoder(list[Asset])
account = msgspec.json.Decoder(Account)
holdings = msgspec.json.Decoder(list[Holding])
order = msgspec.json.Decoder(OrderRow)
activities = msgspec.json.Decoder(list[Activity])
private = msgspec.json.Decoder(PrivateFrame)
raw_frames = msgspec.json.Decoder(list[msgspec.Raw])
frame = msgspec.json.Decoder(Frame)
prints = msgspec.json.Decoder(PrintPage)
bars = msgspec.json.Decoder(BarPage)
