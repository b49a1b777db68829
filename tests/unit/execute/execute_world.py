"""A small market around one execute stage: builders of its inputs and a shell that hands planned orders over."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

from libs.core.fills.models import PaperCosts
from libs.core.stages.execute import ExecuteStage
from libs.core.stages.execute_permits import Verifier
from libs.core.stages.execute_state import ExecuteAccount, ExecuteConfig
from libs.core.types import (
    MILLISECOND,
    SECOND,
    Action,
    Bar,
    BarFlag,
    Control,
    ControlKind,
    Durable,
    Event,
    FeedHealth,
    Fill,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    Quote,
    Side,
    Ticks,
    Trade,
    VenueClock,
    Verdict,
    stable_id,
)

T0 = 1_700_000_000 * SECOND
"""Start of the data time of every test, ns UTC."""

BTC = Instrument(
    id="i-btc",
    ts_event=T0,
    venue="binance",
    symbol="BTCUSDT",
    canonical="BTC/USDT",
    name="Bitcoin",
    kind=InstrumentKind.SPOT,
    base="BTC",
    quote="USDT",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.00001"),
    min_qty=D("0.00001"),
    max_qty=D(9000),
    min_notional=D(5),
)
V100 = Instrument(
    id="i-v100",
    ts_event=T0,
    venue="deriv",
    symbol="1HZ100V",
    canonical="1HZ100V",
    name="Volatility 100 (1s) Index",
    kind=InstrumentKind.MULTIPLIER,
    base="1HZ100V",
    quote="USD",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.01"),
    min_qty=D(1),
    max_qty=D(2000),
    multiplier=100,
    multipliers=(100, 200),
    commission_rate=D("0.00036"),
    synthetic=True,
)
NO_COSTS = PaperCosts(latency_ms=0.0, slippage_bps=D(0), spread_bps=D(0))


def config(mode: Mode = Mode.PAPER, costs: PaperCosts | None = None, **changes: Any) -> ExecuteConfig:
    """Two accounts of 10,000, the usual costs."""
    return ExecuteConfig(
        accounts=(
            ExecuteAccount(id="deriv-paper", venue="deriv", currency="USD", capital=D(10_000)),
            ExecuteAccount(id="binance-paper", venue="binance", currency="USDT", capital=D(10_000)),
        ),
        mode=mode,
        costs=costs or PaperCosts(fee_bps={"binance": D(10), "deriv": D(0)}),
        **changes,
    )


def trade(ms: float, price: float, venue: str = "deriv", symbol: str = "1HZ100V") -> Ticks:
    """A batch of one print."""
    at = T0 + int(ms * MILLISECOND)
    item = Trade(at, price, 0.0, 0, int(ms) + 1)
    return Ticks(id=stable_id("t", symbol, ms, price), ts_event=at, venue=venue, symbol=symbol, items=(item,))


def quote(ms: float, bid: float, ask: float, venue: str = "binance", symbol: str = "BTCUSDT") -> Ticks:
    """A batch of one quote."""
    at = T0 + int(ms * MILLISECOND)
    item = Quote(at, bid, 1.0, ask, 1.0, int(ms) + 1)
    return Ticks(id=stable_id("q", symbol, ms, bid, ask), ts_event=at, venue=venue, symbol=symbol, items=(item,))


def venue_bar(n: int, open_: float, high: float, low: float, close: float, symbol: str = "BTCUSDT") -> Bar:
    """The n-th one-minute bar of a symbol that has bars only."""
    start = T0 + n * 60 * SECOND
    return Bar(
        id=stable_id("bar", symbol, n),
        ts_event=start + 60 * SECOND,
        venue="binance",
        symbol=symbol,
        interval_s=60,
        open_time=start,
        open=open_,
        high=high,
        low=low,
        close=close,
        flags=BarFlag.VENUE,
    )


def clock(ms: float, venue: str, machine: int = 0) -> VenueClock:
    """The venue's clock."""
    at = T0 + int(ms * MILLISECOND)
    return VenueClock(id=stable_id("c", venue, ms), ts_event=at, venue=venue, ts_machine=machine, extrapolate=True)


def health(ms: float, venue: str, symbol: str) -> FeedHealth:
    """A perfect feed."""
    at = T0 + int(ms * MILLISECOND)
    return FeedHealth(id=stable_id("h", symbol, ms), ts_event=at, venue=venue, symbol=symbol, score=1.0)


def control(kind: ControlKind, scope: str = "*", name: str = "c1", ts_init: int = 0) -> Control:
    """A command."""
    return Control(id=name, ts_event=T0, ts_init=ts_init, kind=kind, scope=scope, reason="test", actor="cli")


def permit(
    name: str = "intent-1",
    *,
    instrument: Instrument = V100,
    side: Side = Side.BUY,
    quantity: str = "10",
    worst: str = "0",
    stop: str | None = None,
    target: str | None = None,
    action: Action = Action.ENTER,
    position_id: str = "",
    account: str = "",
    ms: float = 0,
    ttl_s: float = 5.0,
    signature: bytes = b"good",
    **changes: Any,
) -> Permit:
    """A signed permit, approved at `ms` and valid for `ttl_s`."""
    at = T0 + int(ms * MILLISECOND)
    account = account or f"{instrument.venue}-paper"
    verdict = Verdict(
        id=f"verdict-{name}",
        ts_event=at,
        signal_id=f"signal-{name}",
        intent_id=name,
        account=account,
        strategy="ema_trend",
        venue=instrument.venue,
        symbol=instrument.symbol,
        side=side,
        action=action,
        approved=True,
        reasons=("ok",),
        checks=(),
        quantity=D(quantity),
        limits_hash="limits",
    )
    fields: dict[str, Any] = {
        "id": name,
        "ts_event": at,
        "venue": instrument.venue,
        "account": account,
        "symbol": instrument.symbol,
        "strategy": "ema_trend",
        "side": side,
        "action": action,
        "quantity": D(quantity),
        "worst_price": D(worst),
        "stop_price": D(stop) if stop else None,
        "target_price": D(target) if target else None,
        "position_id": position_id,
        "expires": at + int(ttl_s * SECOND),
        "verdict": verdict,
        "limits_hash": "limits",
        "signature": signature,
    }
    return Permit(**(fields | changes))


def trust_signed(permit: Permit) -> str | None:
    """Any signature is a good one."""
    return None if permit.signature else "unsigned"


class World:
    """One stage, fed like a service feeds it: what is planned is durable at once and handed over."""

    def __init__(self, settings: ExecuteConfig | None = None, verifier: Verifier = trust_signed) -> None:
        self.stage = ExecuteStage(settings or config(), verifier)
        self.out: list[Event] = []
        self.hand_over = True

    def give(self, *events: Event) -> list[Event]:
        """Apply events; returns all that came out, hand-overs included."""
        begun = len(self.out)
        for event in events:
            self._apply(event)
        return self.out[begun:]

    def _apply(self, event: Event) -> None:
        outputs: Sequence[Event] = self.stage.apply(event, 1)
        self.out += outputs
        for output in outputs:
            if isinstance(output, Order) and output.state is OrderState.PLANNED and self.hand_over:
                self._apply(Durable(id=f"d-{output.intent_id}", ts_event=0, intent_id=output.intent_id))

    def open_market(self) -> World:
        """Instruments, clocks and first prices: 1HZ100V at 1000, BTCUSDT at 50000/50001."""
        self.give(
            V100,
            BTC,
            clock(0, "deriv"),
            clock(0, "binance"),
            trade(0, 1000.0),
            quote(0, 50_000.0, 50_001.0),
        )
        return self

    def of(self, kind: type[Any]) -> list[Any]:
        """Everything of one type that came out."""
        return [event for event in self.out if isinstance(event, kind)]

    @property
    def fills(self) -> list[Fill]:
        """All fills."""
        return self.of(Fill)

    @property
    def positions(self) -> list[Position]:
        """All position revisions."""
        return self.of(Position)

    def states(self, intent: str) -> list[OrderState]:
        """The life of one order."""
        return [order.state for order in self.of(Order) if order.intent_id == intent]

    def last_order(self) -> Order:
        """The newest order revision."""
        order: Order = self.of(Order)[-1]
        return order
