"""What Deriv says, in one internal model that every wire codec reads into; money is exact, times are epoch seconds."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.venues.deriv.limits import Bucket, Quota


class Tick(msgspec.Struct, gc=False):
    """One quote; `quote` is the middle, `bid` and `ask` lie around it. Prices in quote currency."""

    symbol: str
    epoch: int
    quote: float
    bid: float | None = None
    ask: float | None = None


class Fault(msgspec.Struct):
    """An answer of no, in the venue's words."""

    code: str
    message: str | None = ""
    subcode: str | None = ""


class Subscription(msgspec.Struct, gc=False):
    id: str


class Head(msgspec.Struct, gc=False):
    """The part of a frame that routes it: whose answer it is, and the tick when it is one."""

    msg_type: str = ""
    req_id: int | None = None
    error: Fault | None = None
    subscription: Subscription | None = None
    tick: Tick | None = None


class Candle(msgspec.Struct, frozen=True):
    """A venue candle; `epoch` is its open time."""

    epoch: int
    open: float
    high: float
    low: float
    close: float


class Listing(msgspec.Struct, frozen=True):
    """A symbol the venue lists. `pip` is its smallest price step."""

    symbol: str
    name: str
    market: str
    submarket: str
    pip: Decimal
    is_open: bool
    is_suspended: bool


class Offer(msgspec.Struct, frozen=True):
    """Contract types offered on a symbol, and the multipliers that both directions accept (ascending)."""

    contract_types: frozenset[str]
    multipliers: tuple[int, ...]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What to be quoted for. `stake` in `currency`; `multiplier` for multipliers, duration for rise and fall.

    `stop_loss` and `take_profit` are positive amounts of money in `currency`; None = the venue keeps no such order.
    """

    contract_type: str
    symbol: str
    stake: Decimal
    currency: str
    multiplier: int = 0
    duration: int = 0
    duration_unit: str = ""
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


class Bounds(msgspec.Struct, frozen=True):
    """Least and most that the venue accepts, in account currency; None = it does not say."""

    min: Decimal | None = None
    max: Decimal | None = None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A quoted contract.

    `ask_price` is its price, `commission` part of it, `payout` what it pays when won (0 for multipliers), each in
    account currency. `asked_time` is the venue's second. `stop_out` is the spot at which the whole stake is lost, None
    where there is no such level.
    """

    id: str
    ask_price: Decimal
    spot: Decimal
    asked_time: int = 0
    commission: Decimal = Decimal(0)
    payout: Decimal = Decimal(0)
    stop_out: Decimal | None = None
    stake: Bounds = Bounds()
    stop_loss: Bounds = Bounds()
    take_profit: Bounds = Bounds()


class Receipt(msgspec.Struct, frozen=True):
    """Proof of a purchase; money in account currency."""

    contract_id: int
    transaction_id: int
    buy_price: Decimal
    balance_after: Decimal
    purchase_time: int
    shortcode: str


class Sale(msgspec.Struct, frozen=True):
    """Proof of a sale; money in account currency."""

    contract_id: int
    transaction_id: int
    sold_for: Decimal
    balance_after: Decimal


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract as the venue sees it now. Expired is not settled: only `is_sold` ends it.

    Spots are None until known; money in account currency; times epoch seconds, 0 when not yet.
    """

    contract_id: int
    symbol: str
    contract_type: str
    is_sold: bool
    is_expired: bool
    status: str
    buy_price: Decimal
    commission: Decimal
    purchase_time: int
    entry_spot: Decimal | None
    exit_spot: Decimal | None
    current_spot: Decimal | None
    current_spot_time: int
    sell_price: Decimal | None
    sell_time: int
    buy_transaction_id: int
    sell_transaction_id: int
    shortcode: str


class Holding(msgspec.Struct, frozen=True):
    """An open contract in the portfolio, or a closed one in the profit table."""

    contract_id: int
    transaction_id: int
    symbol: str
    contract_type: str
    buy_price: Decimal
    purchase_time: int
    shortcode: str


class Booking(msgspec.Struct, frozen=True):
    """A line of the account statement: `amount` signed, in account currency; `contract_id` 0 where there is none."""

    action: str
    amount: Decimal
    balance_after: Decimal
    contract_id: int
    transaction_id: int
    time: int
    shortcode: str


class Turnover(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the account's stream tells it: buy, sell, deposit and so on.

    `amount` signed and `balance` after it, in `currency`; `contract_id` 0 where there is none.
    """

    action: str
    amount: Decimal
    balance: Decimal
    currency: str
    symbol: str
    contract_id: int
    transaction_id: int
    time: int


class Cash(msgspec.Struct, frozen=True):
    """Account balance."""

    amount: Decimal
    currency: str


class Site(msgspec.Struct, frozen=True):
    """The venue's word on itself: `status` up, down or updating, a message for people, and its rate limits."""

    status: str
    message: str
    quotas: dict[Bucket, Quota]

    @property
    def has_migrated(self) -> bool:
        """Whether the user's accounts have moved to the Options API."""
        return self.message == "migrated"
