"""The JSON of orders and accounts: answers, user data events and the envelope of the WebSocket API."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from libs.venues.base import VenueUnresolved
from libs.venues.binance import codec
from libs.venues.binance.limits import RateLimit
from libs.venues.checked import ZERO

T = TypeVar("T")
NOTHING: Final = msgspec.Raw()

WORKING: Final = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL"})
"""Statuses of an order that may still fill."""


class Failure(msgspec.Struct, gc=False):
    code: int
    msg: str = ""
    data: msgspec.Raw = NOTHING


class Envelope(msgspec.Struct, gc=False):
    """An answer (id, status), an event, or a word to the whole connection (an error without an id)."""

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = NOTHING
    error: Failure | None = None
    rateLimits: list[RateLimit] = []
    event: msgspec.Raw = NOTHING


class Patience(msgspec.Struct):
    """What a rate limit says in error.data: venue times in ms."""

    retryAfter: int = 0
    serverTime: int = 0


class PlacedFill(msgspec.Struct, gc=False):
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    tradeId: int


class Placed(msgspec.Struct, gc=False):
    """order.place with newOrderRespType FULL."""

    symbol: str
    orderId: int
    clientOrderId: str
    transactTime: int
    executedQty: Decimal
    status: str
    fills: list[PlacedFill] = []
    expiryReason: str = ""


class OrderRow(msgspec.Struct, gc=False):
    """order.status."""

    symbol: str
    orderId: int
    clientOrderId: str
    executedQty: Decimal
    status: str
    time: int
    updateTime: int
    expiryReason: str = ""


class TradeRow(msgspec.Struct, gc=False):
    """A row of myTrades."""

    symbol: str
    id: int
    orderId: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    time: int


class Balance(msgspec.Struct, gc=False):
    asset: str
    free: Decimal
    locked: Decimal


class Rate(msgspec.Struct, frozen=True):
    """Fractions of the notional."""

    taker: Decimal = ZERO
    buyer: Decimal = ZERO


class Account(msgspec.Struct):
    balances: list[Balance]
    commissionRates: Rate = Rate()


class Commission(msgspec.Struct):
    """account.commission; the parts add up."""

    standardCommission: Rate
    specialCommission: Rate = Rate()
    taxCommission: Rate = Rate()


class EventHead(msgspec.Struct, gc=False):
    e: str


class ExecutionReport(msgspec.Struct, gc=False):
    s: str
    c: str
    x: str
    X: str
    i: int
    l: Decimal  # noqa: E741
    z: Decimal
    L: Decimal
    n: Decimal
    T: int
    t: int
    N: str | None = None
    C: str = ""
    r: str = ""
    I: int | None = None  # noqa: E741
    eR: str = ""


class BalanceUpdate(msgspec.Struct, gc=False):
    a: str
    d: Decimal
    T: int


envelope = msgspec.json.Decoder(Envelope)
patience = msgspec.json.Decoder(Patience)
placed = msgspec.json.Decoder(Placed)
order_rows = msgspec.json.Decoder(list[OrderRow])
order_row = msgspec.json.Decoder(OrderRow)
trade_rows = msgspec.json.Decoder(list[TradeRow])
account = msgspec.json.Decoder(Account)
commission = msgspec.json.Decoder(Commission)
event_head = msgspec.json.Decoder(EventHead)
execution = msgspec.json.Decoder(ExecutionReport)
balance_update = msgspec.json.Decoder(BalanceUpdate)


def read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, what: str) -> T:
    """A successful answer, decoded; raises VenueUnresolved when it cannot be read: it proves nothing then."""
    try:
        return decoder.decode(body)
    except codec.UNREADABLE as err:
        raise VenueUnresolved(f"Binance's answer to {what} cannot be read: {' '.join(str(err).split())}") from err
