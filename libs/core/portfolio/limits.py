"""The limits in force, and what a signal is measured against: the market and the account as risk knows them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.types import (
    SMOKE,
    AccountState,
    Action,
    FeedHealth,
    Instrument,
    Nanos,
    OrderState,
    Position,
    Signal,
    stable_id,
)

DAY: Nanos = 86_400_000_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of every account, each in the account's own currency. Fractions are of equity, times are data time.

    Attributes:
        stop_fraction: fixed stop, fraction of the price. atr_stop: stop distance in ATR; the nearer of both counts.
        reward_to_risk: target distance in stop distances.
        drawdown_scale_from, drawdown_halt_at: sizes fall in a straight line from the first to zero at the second.
        max_price_age_s: an older price refuses an entry; symbols priced by bars get their interval on top.
        max_slippage_bps: distance of the worst permitted price from the last price, basis points.
        min_edge_over_cost: the move to the target must be this many round-trip costs; 0 switches the rule off.
    """

    risk_per_trade: Decimal = Decimal("0.02")
    max_open_risk: Decimal = Decimal("0.06")
    max_position: Decimal = Decimal("0.10")
    max_exposure: Decimal = Decimal("0.50")
    max_daily_loss: Decimal = Decimal("0.05")
    max_symbol_daily_loss: Decimal = Decimal("0.02")
    max_trades_per_day: int = 20
    drawdown_scale_from: Decimal = Decimal("0.10")
    drawdown_halt_at: Decimal = Decimal("0.15")
    stop_fraction: Decimal = Decimal("0.02")
    atr_stop: Decimal = Decimal("2.0")
    reward_to_risk: Decimal = Decimal("2.0")
    cooldown_s: float = 10.0
    min_health: float = 0.5
    max_price_age_s: float = 5.0
    max_slippage_bps: Decimal = Decimal(20)
    min_edge_over_cost: Decimal = Decimal("1.0")

    def hash(self) -> str:
        """Identity of these limits: equal for equal values however they were written (0.02 and 0.020)."""
        values = msgspec.structs.asdict(self)
        return stable_id("limits", *(f"{name}={_canonical(values[name])}" for name in sorted(values)))


def _canonical(value: Decimal | float) -> str:
    return format(Decimal(str(value)).normalize(), "f")


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account that risk may spend from."""

    id: str
    venue: str
    currency: str


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol as risk knows it at `now` (data time of its venue, ns).

    Attributes:
        price: last traded or mid price, quote currency; None when never seen. price_ts: its data time, ns.
        price_interval_s: length of the bar that gave the price; 0 when ticks did.
        bid, ask: last quote; None where the venue gives none.
    """

    now: Nanos
    instrument: Instrument | None = None
    price: float | None = None
    price_ts: Nanos = 0
    price_interval_s: int = 0
    bid: float | None = None
    ask: float | None = None
    health: FeedHealth | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A permit that may still become a position, or a position's exit; it counts as exposure until it is settled.

    Attributes:
        notional, risk, cash: what is still reserved, account currency (0 for exits).
        expires: data time after which an unused permit is void, ns.
        state: of its order; None while no order has been seen. revision: of that order.
        quantity: how much may still come to be held; seen: the largest quantity that the position has shown.
        full: quantity, notional, risk and cash of the whole permit, from which the remainder is taken.
        in_kind: fill id to what the venue took of it as its fee, base units: filled, and never held.
    """

    intent_id: str
    symbol: str
    action: Action
    position_id: str
    expires: Nanos
    notional: Decimal = Decimal(0)
    risk: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    state: OrderState | None = None
    revision: int = -1
    quantity: Decimal = Decimal(0)
    seen: Decimal = Decimal(0)
    full: tuple[Decimal, Decimal, Decimal, Decimal] = (Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    in_kind: dict[str, Decimal] = {}


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account as risk knows it when a signal for `symbol` arrives.

    Attributes:
        state: None before the executor has spoken.
        peak: highest equity that drawdown is measured from. day_start: equity when the UTC day began.
        trades_today: entries of the day, open permits included. symbol_result: realised on the symbol today.
        last_entry: data time of the last approved entry on the symbol, ns; None when there was none.
        halted, reduce_only: scopes in force that cover this account, symbol or strategy.
    """

    spec: AccountSpec
    state: AccountState | None = None
    peak: Decimal = Decimal(0)
    day_start: Decimal = Decimal(0)
    positions: tuple[Position, ...] = ()
    pending: tuple[Pending, ...] = ()
    trades_today: int = 0
    symbol_result: Decimal = Decimal(0)
    last_entry: Nanos | None = None
    halted: tuple[str, ...] = ()
    reduce_only: tuple[str, ...] = ()

    @property
    def exposure(self) -> Decimal:
        """Notional of open positions and of what may still become one, account currency."""
        return sum((p.notional for p in self.positions), Decimal(0)) + sum(
            (p.notional for p in self.pending), Decimal(0)
        )

    @property
    def open_risk(self) -> Decimal:
        """Loss if every open position and open permit were stopped, account currency."""
        return sum((p.risk for p in self.positions), Decimal(0)) + sum((p.risk for p in self.pending), Decimal(0))

    @property
    def reserved_cash(self) -> Decimal:
        """Cash that open permits may still spend, account currency."""
        return sum((p.cash for p in self.pending), Decimal(0))

    @property
    def drawdown(self) -> Decimal:
        """1 - equity / peak; 0 at a new high. Call only when `state` is known and sound."""
        if self.state is None or self.peak <= 0:
            return Decimal(0)
        return max(Decimal(0), 1 - self.state.equity / self.peak)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a rule may look at."""

    limits: Limits
    real_money: bool
    signal: Signal
    market: MarketView
    account: AccountView

    @property
    def proves_the_way(self) -> bool:
        """A connectivity trade: the smallest one, made for its own sake, so that costs and waiting do not matter."""
        return self.signal.strategy == SMOKE
