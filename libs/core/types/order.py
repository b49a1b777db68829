"""Orders, fills, positions and accounts. Money, prices and quantities here are exact decimals."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from libs.core.types.base import Event, Nanos, Side
from libs.core.types.decision import Action


class Mode(StrEnum):
    PAPER = "paper"
    LIVE = "live"


class OrderState(StrEnum):
    """Where an order stands. UNRESOLVED means nobody knows yet: it blocks its symbol until the venue has been asked."""

    PLANNED = "planned"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    PARTLY_FILLED = "partly_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"

    @property
    def is_final(self) -> bool:
        return self in (OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED)


class Order(Event, tag="order.v1", frozen=True, kw_only=True):
    """One revision of an order. `id` = hash(intent id, revision); the order itself is known by `intent_id`.

    Attributes:
        intent_id: deterministic identity; the client order id at venues that take one.
        revision: 0 when planned, +1 with each change.
        quantity, filled: base units (SPOT) or stake (MULTIPLIER). worst_price: limit of acceptance.
        position_id: the position that it opens or reduces.
        venue_order_id: the venue's own id once known.
        reason: why it exists (entry, exit, stop, target, flatten) or why it ended.
        exploring: placed without evidence (paper only).
        permit_id: the permit that allowed it; "" for protective exits, whose right lies in the entry's permit.
        ticks: ids of the Ticks and FeedHealth that were the newest known when it was planned.
        ts_recv: machine clock at arrival of the message that closed the bar, ns; 0 when unknown.
    """

    intent_id: str
    revision: int
    state: OrderState
    mode: Mode
    venue: str
    account: str
    symbol: str
    strategy: str
    side: Side
    action: Action
    quantity: Decimal
    filled: Decimal = Decimal(0)
    worst_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    average_price: Decimal | None = None
    position_id: str
    venue_order_id: str = ""
    reason: str
    exploring: bool = True
    permit_id: str = ""
    ticks: tuple[str, ...] = ()
    ts_recv: Nanos = 0


class Fill(Event, tag="fill.v1", frozen=True, kw_only=True):
    """One execution. `id` = hash(intent id, venue trade id).

    Attributes:
        price: quote currency, after slippage. quantity: base units or stake.
        fee, spread_cost, slippage_cost: each part in `currency`; spread and slippage are already in the price.
        latency_ms: modelled (paper) or measured (live) time from acceptance to execution, data clock.
        realised: P&L realised by it after fees, in `currency`.
        multiplier: leverage of the contract; 0 for spot. With it a ledger of fills alone rebuilds every position.
        base_asset: the asset that `quantity` moved at a live venue; "" for contracts, on paper, and where nothing moved
            there (the remains of a position that are too small to be sold, written off at price 0).
        fee_asset, fee_quantity: what the venue took when that is not the account's currency ("" otherwise). Taken in
            the base asset it comes out of the position, and `fee` is its worth at this fill's price; taken in a third
            asset it is paid from what the account holds beside this book, and `fee` is 0.
    """

    intent_id: str
    trade_id: str
    mode: Mode
    venue: str
    account: str
    symbol: str
    strategy: str
    side: Side
    action: Action
    price: Decimal
    quantity: Decimal
    currency: str
    fee: Decimal = Decimal(0)
    spread_cost: Decimal = Decimal(0)
    slippage_cost: Decimal = Decimal(0)
    latency_ms: float = 0.0
    realised: Decimal = Decimal(0)
    position_id: str
    reason: str
    exploring: bool = True
    multiplier: int = 0
    base_asset: str = ""
    fee_asset: str = ""
    fee_quantity: Decimal = Decimal(0)

    @property
    def taken_in_kind(self) -> Decimal:
        """Base units that the venue took as its fee out of what was dealt."""
        return self.fee_quantity if self.base_asset and self.fee_asset == self.base_asset else Decimal(0)


class Position(Event, tag="position.v1", frozen=True, kw_only=True):
    """One revision of a position. `position_id` is the intent id of its entry; quantity 0 means closed.

    Attributes:
        quantity: base units or stake, never negative; `side` gives the direction.
        notional: exposure in `currency` at entry price (price x quantity, or stake x multiplier).
        risk: loss in `currency` if stopped at `stop_price`, costs left out.
        unrealised, realised: P&L in `currency`; realised is after fees.
        multiplier: leverage of the contract; 0 for spot.
    """

    position_id: str
    revision: int
    mode: Mode
    venue: str
    account: str
    symbol: str
    strategy: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    notional: Decimal
    risk: Decimal
    currency: str
    unrealised: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    opened: Nanos
    venue_position_id: str = ""
    multiplier: int = 0

    @property
    def is_open(self) -> bool:
        return self.quantity > 0


class AccountState(Event, tag="account.v1", frozen=True, kw_only=True):
    """An account at one moment, in its own currency.

    Attributes:
        balance: cash. equity: balance plus what the open positions are worth now.
        peak_equity: highest equity so far (drawdown = 1 - equity / peak).
        day: UTC day number of `ts_event`. day_start_equity: equity when that day began.
        trades_today: entries filled today. realised_today_by_symbol: after fees.
        fees: paid since start. revision: +1 with each change.
    """

    account: str
    venue: str
    mode: Mode
    currency: str
    balance: Decimal
    equity: Decimal
    peak_equity: Decimal
    day: int
    day_start_equity: Decimal
    trades_today: int = 0
    realised_today_by_symbol: dict[str, Decimal] = {}
    fees: Decimal = Decimal(0)
    revision: int = 0


class ReportKind(StrEnum):
    """What a venue can say about an order or a position."""

    ACKNOWLEDGED = "acknowledged"
    FILLED = "filled"
    CLOSED = "closed"  # the venue closed the position by itself (stop-out, take profit, expiry)
    REJECTED = "rejected"  # with proof of no effect
    CANCELLED = "cancelled"  # the order ended; what was filled before stays filled
    UNRESOLVED = "unresolved"


class VenueReport(Event, tag="venue_report.v1", frozen=True, kw_only=True):
    """What a live venue says about an order; applied inline by the execute stage.

    Attributes:
        price: quote currency. quantity: base units or stake of this one execution.
        fee: in `fee_asset`, which is the account's currency when "".
        proceeds: what a close paid out, in account currency. balance_after: cash at the venue after it.
    """

    kind: ReportKind
    intent_id: str
    venue_order_id: str = ""
    trade_id: str = ""
    price: Decimal | None = None
    quantity: Decimal | None = None
    fee: Decimal = Decimal(0)
    fee_asset: str = ""
    proceeds: Decimal | None = None
    balance_after: Decimal | None = None
    detail: str = ""


class ReconciliationKind(StrEnum):
    BASELINE = "baseline"  # what the account held beside the ledger when it was taken up
    DIFFERENCE = "difference"  # ledger and venue disagree: the account is halted until that is explained
    AGREED = "agreed"  # a difference is gone
    TRANSFER = "transfer"  # money moved without an order; expected from now on


class Reconciliation(Event, tag="reconciliation.v1", frozen=True, kw_only=True):
    """A comparison of the ledger with the venue that had something to say.

    Attributes:
        assets: venue minus ledger per asset (BASELINE: expected beside the ledger from now on; TRANSFER: moved).
        unknown: ids of contracts that the venue holds and the ledger does not; missing: the other way round.
        detail: one line for people.
    """

    kind: ReconciliationKind
    venue: str
    account: str
    assets: dict[str, Decimal] = {}
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    detail: str
