"""Any sequence of signals, orders, fills, crashes and re-deliveries: what is at risk stays under its limit."""

import random
from collections.abc import Iterable
from decimal import Decimal as D

import msgspec
from hypothesis import given, settings, target
from hypothesis import strategies as st

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.limits import AccountSpec, Limits
from libs.core.stages.risk import RiskConfig, RiskStage
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Bar,
    Control,
    ControlKind,
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
    Side,
    Signal,
    Ticks,
    TimePassed,
    Trade,
    Verdict,
    stable_id,
)

START = 1_700_000_000 * SECOND
SYMBOLS = tuple(f"S{i}" for i in range(8))
EQUITY = D(10_000)
# Position limit of 40 % and a cheap market, so that open risk and exposure are what binds.
LIMITS = Limits(
    max_position=D("0.40"), max_exposure=D("0.90"), max_trades_per_day=10**6, cooldown_s=0.0, risk_per_trade=D("0.01")
)
CONFIG = RiskConfig(
    accounts=(AccountSpec(id="acc", venue="v", currency="USD"),), limits=LIMITS, costs=Costs(spread_bps=D(0))
)


class World:
    """A market, an executor that does all an executor may do, and the risk stage between them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.stage = RiskStage(CONFIG)
        self.now = START
        self.count = 0
        self.permits: dict[str, Permit] = {}
        self.unused: list[str] = []
        self.working: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.verdicts: dict[str, int] = {}
        self.signals: list[Signal] = []
        self.sent: list[Event] = []
        self.halted = False
        for symbol in SYMBOLS:
            self.give(
                Instrument(
                    id=symbol,
                    ts_event=0,
                    venue="v",
                    symbol=symbol,
                    canonical=symbol,
                    name=symbol,
                    kind=InstrumentKind.MULTIPLIER,
                    base=symbol,
                    quote="USD",
                    decimals=2,
                    price_step=D("0.01"),
                    qty_step=D("0.01"),
                    min_qty=D("0.01"),
                    max_qty=D(10_000),
                    multiplier=10,
                )
            )
            self.give(FeedHealth(id="h", ts_event=self.now, venue="v", symbol=symbol, score=1.0))
        self.give(self.account())

    def account(self) -> AccountState:
        self.count += 1
        return AccountState(
            id=f"a{self.count}",
            ts_event=self.now,
            account="acc",
            venue="v",
            mode=Mode.PAPER,
            currency="USD",
            balance=EQUITY,
            equity=EQUITY,
            peak_equity=EQUITY,
            day=self.now // (86_400 * SECOND),
            day_start_equity=EQUITY,
            revision=self.count,
        )

    def give(self, event: Event) -> None:
        self.sent.append(event)
        for output in self.stage.apply(event, 7):
            if isinstance(output, Permit):
                assert not self.halted or output.action is Action.EXIT
                self.permits[output.id] = output
                self.unused.append(output.id)
            if isinstance(output, Verdict):
                self.verdicts[output.signal_id] = self.verdicts.get(output.signal_id, 0) + 1

    def price(self, symbol: str) -> None:
        items = (Trade(ts_event=self.now, price=100.0, size=1.0, side=1, seq=self.count),)
        self.give(Ticks(id="t", ts_event=self.now, venue="v", symbol=symbol, items=items))

    def enter(self) -> None:
        atr = self.chance.choice([0.3, 0.9, 5.0, None])
        self.signal(self.chance.choice(SYMBOLS), self.chance.choice(list(Side)), Action.ENTER, atr)

    def leave(self) -> None:
        self.signal(self.chance.choice(SYMBOLS), self.chance.choice(list(Side)), Action.EXIT, None)

    def signal(self, symbol: str, side: Side, action: Action, atr: float | None) -> None:
        self.count += 1
        self.price(symbol)
        wish = Signal(
            id=f"s{self.count}",
            ts_event=self.now,
            strategy="ema",
            params_hash="p",
            venue="v",
            symbol=symbol,
            interval_s=1,
            bar_time=self.now,
            side=side,
            action=action,
            price=100.0,
            atr=atr,
            reason="r",
        )
        self.signals.append(wish)
        self.give(wish)

    def order(self, permit: Permit, state: OrderState, revision: int, filled: D = D(0)) -> Order:
        order = Order(
            id=stable_id("o", permit.id, revision),
            ts_event=self.now,
            intent_id=permit.id,
            revision=revision,
            state=state,
            mode=Mode.PAPER,
            venue="v",
            account="acc",
            symbol=permit.symbol,
            strategy=permit.strategy,
            side=permit.side,
            action=permit.action,
            quantity=permit.quantity,
            filled=filled,
            worst_price=permit.worst_price,
            stop_price=permit.stop_price,
            position_id=permit.position_id or permit.id,
            reason="entry",
            permit_id=permit.id,
        )
        self.give(order)
        if state.is_final:
            self.working.pop(permit.id, None)
        else:
            self.working[permit.id] = order
        return order

    def take_permit(self) -> None:
        if self.unused:
            key = self.chance.choice(self.unused)
            self.unused.remove(key)
            self.order(self.permits[key], OrderState.PLANNED, 0)

    def decide_order(self) -> None:
        fate = self.chance.choice(["fill", "fill", "fill", "reject", "unresolved", "cancel"])
        if not self.working:
            return
        key = self.chance.choice(sorted(self.working))
        permit, revision = self.permits[key], self.working[key].revision + 1
        if fate == "unresolved":
            self.order(permit, OrderState.UNRESOLVED, revision)
        elif fate != "fill":
            self.order(permit, OrderState.REJECTED if fate == "reject" else OrderState.CANCELLED, revision)
        elif permit.action is Action.ENTER:
            self.order(permit, OrderState.FILLED, revision, permit.quantity)
            self.fill(permit)
            self.hold(permit)
        else:
            self.order(permit, OrderState.FILLED, revision, permit.quantity)
            self.fill(permit)
            self.close(permit.position_id)
        self.give(self.account())

    def fill(self, permit: Permit) -> None:
        self.count += 1
        self.give(
            Fill(
                id=f"f{self.count}",
                ts_event=self.now,
                intent_id=permit.id,
                trade_id=f"t{self.count}",
                mode=Mode.PAPER,
                venue="v",
                account="acc",
                symbol=permit.symbol,
                strategy=permit.strategy,
                side=permit.side,
                action=permit.action,
                price=permit.worst_price,
                quantity=permit.quantity,
                currency="USD",
                position_id=permit.position_id or permit.id,
                reason="r",
            )
        )

    def hold(self, permit: Permit) -> None:
        assert permit.stop_price is not None
        levered = permit.quantity * 10
        position = Position(
            id=f"p{permit.id}",
            ts_event=self.now,
            position_id=permit.id,
            revision=0,
            mode=Mode.PAPER,
            venue="v",
            account="acc",
            symbol=permit.symbol,
            strategy=permit.strategy,
            side=permit.side,
            quantity=permit.quantity,
            entry_price=permit.worst_price,
            stop_price=permit.stop_price,
            notional=levered,
            risk=min(permit.quantity, levered * abs(permit.worst_price - permit.stop_price) / permit.worst_price),
            currency="USD",
            opened=self.now,
        )
        self.positions[permit.id] = position
        self.give(position)

    def close(self, position_id: str) -> None:
        position = self.positions.pop(position_id, None)
        if position is not None:
            self.give(
                msgspec.structs.replace(
                    position, revision=position.revision + 1, quantity=D(0), notional=D(0), risk=D(0)
                )
            )

    def stopped_out(self) -> None:
        exiting = {self.permits[key].position_id for key in self.working}
        free = sorted(set(self.positions) - exiting)
        if free:
            self.close(self.chance.choice(free))

    def wait(self) -> None:
        self.now += self.chance.choice([1, 6, 11]) * SECOND
        deadline = self.stage.next_deadline("v")
        if deadline is not None and self.now >= deadline:
            void = {key for key in self.unused if self.permits[key].expires <= self.now}
            self.unused = [key for key in self.unused if key not in void]
            self.give(TimePassed(id="t", ts_event=self.now, venue="v"))
            after = self.stage.next_deadline("v")
            assert after is None or after > self.now

    def deliver_again(self) -> None:
        if self.signals:
            again = self.chance.choice(self.signals)
            assert self.stage.apply(again, 9) == ()

    def command(self) -> None:
        kind = self.chance.choice([ControlKind.HALT, ControlKind.REDUCE_ONLY, ControlKind.REARM, ControlKind.REARM])
        if kind is not ControlKind.REARM and self.chance.random() < 0.7:
            return
        self.count += 1
        self.halted = kind is not ControlKind.REARM
        self.give(Control(id=f"c{self.count}", ts_event=self.now, kind=kind, scope="*", reason="test", actor="cli"))

    def crash(self) -> None:
        before = self.stage.snapshot()
        self.stage = RiskStage(CONFIG)
        self.stage.restore(before)
        assert self.stage.snapshot() == before

    def noise(self) -> None:
        nan = float("nan")
        self.give(
            Bar(id="b", ts_event=self.now, venue="v", symbol="S0", interval_s=1, open_time=0, open=nan, high=nan,
                low=nan, close=nan)
        )  # fmt: skip
        items = (Trade(ts_event=self.now, price=-1.0, size=nan, side=9, seq=0),)
        self.give(Ticks(id="t", ts_event=self.now, venue="v", symbol="S0", items=items))

    def at_stake(self) -> Iterable[Permit]:
        """Every entry that can still become a position or is one, whatever risk believes."""
        live = set(self.unused) | set(self.working) | set(self.positions)
        return (self.permits[key] for key in live if self.permits[key].action is Action.ENTER)

    def open_risk_is_under_its_limit(self) -> None:
        risk = D(0)
        exposure = D(0)
        for permit in self.at_stake():
            assert permit.stop_price is not None
            levered = permit.quantity * 10
            exposure += levered
            risk += min(permit.quantity, levered * abs(permit.worst_price - permit.stop_price) / permit.worst_price)
        assert risk <= LIMITS.max_open_risk * EQUITY
        assert exposure <= LIMITS.max_exposure * EQUITY

    def one_entry_per_symbol(self) -> None:
        symbols = [permit.symbol for permit in self.at_stake()]
        assert len(symbols) == len(set(symbols))

    def every_signal_has_one_verdict(self) -> None:
        assert self.verdicts == {signal.id: 1 for signal in self.signals}

    def same_again(self) -> None:
        """The same inputs give the same outputs and the same state, to the last bit."""
        again = RiskStage(CONFIG)
        for event in self.sent:
            again.apply(event, 7)
        assert again.snapshot() == self.stage.snapshot()


STEPS = (
    (World.enter, 30),
    (World.leave, 8),
    (World.take_permit, 20),
    (World.decide_order, 20),
    (World.stopped_out, 5),
    (World.wait, 8),
    (World.deliver_again, 3),
    (World.command, 3),
    (World.crash, 3),
    (World.noise, 2),
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_sequence_puts_more_at_risk_than_the_limit(seed: int) -> None:
    world = World(random.Random(seed))
    steps = [step for step, weight in STEPS for _ in range(weight)]
    for _ in range(120):
        world.chance.choice(steps)(world)
        world.open_risk_is_under_its_limit()
        world.one_entry_per_symbol()
        world.every_signal_has_one_verdict()
    target(float(len(world.permits)))
    world.same_again()
