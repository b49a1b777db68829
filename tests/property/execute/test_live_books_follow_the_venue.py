"""Whatever a venue executes, in whatever order and however often it tells: the books move as its balances did."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal as D

import execute_world as w
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.core.portfolio.accounting import AccountBook
from libs.core.portfolio.limits import AccountSpec
from libs.core.portfolio.memory import AccountMemory
from libs.core.stages.execute_ledger import LedgerFold
from libs.core.stages.execute_state import encode_state
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Control,
    ControlKind,
    Event,
    Fill,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    Reconciliation,
    ReconciliationKind,
    ReportKind,
    Side,
    VenueReport,
)

ACCOUNT = "binance-paper"
LEDGER = (Order, Fill, Position, AccountState, Reconciliation)
FEES = {"": D("0.001"), "USDT": D("0.001"), "BTC": D("0.001"), "BNB": D("0.00001")}
"""Asset in which the venue takes its fee to the fee as a part of the money (BTC: of the quantity)."""


class Venue:
    """Executes what it is asked for in parts, and remembers its balances."""

    def __init__(self) -> None:
        self.balances: dict[str, D] = defaultdict(D, {"USDT": D(10_000), "BTC": D(1), "BNB": D(1)})
        self.trades = 0

    def deal(self, order: Order, parts: list[D], price: D, fee_asset: str) -> list[VenueReport]:
        """Execute `parts` of the order; what it has to tell, in order."""
        told = [self._report(order, ReportKind.ACKNOWLEDGED)]
        for part in parts:
            self.trades += 1
            fee = (part if fee_asset == "BTC" else part * price) * FEES[fee_asset]
            sign = order.side.sign
            self.balances["BTC"] += sign * part
            self.balances["USDT"] -= sign * part * price
            self.balances[fee_asset or "USDT"] -= fee
            told.append(
                self._report(
                    order,
                    ReportKind.FILLED,
                    trade_id=str(self.trades),
                    price=price,
                    quantity=part,
                    fee=fee,
                    fee_asset=fee_asset,
                )
            )
        if sum(parts, D(0)) < order.quantity:
            told.append(self._report(order, ReportKind.CANCELLED))
        return told

    def _report(self, order: Order, kind: ReportKind, **fields: object) -> VenueReport:
        name = f"{order.intent_id}-{kind}-{fields.get('trade_id')}"
        return VenueReport(
            id=name,
            ts_event=w.T0 + SECOND,
            kind=kind,
            intent_id=order.intent_id,
            venue_order_id=f"v-{order.intent_id}",
            **fields,  # type: ignore[arg-type]
        )


class LiveAccount(RuleBasedStateMachine):
    """One spot account: orders, executions in parts told in any order and twice, doubts, transfers, commands."""

    @initialize()
    def open(self) -> None:
        self.world = w.World(w.config(Mode.LIVE)).open_market()
        self.venue = Venue()
        self.given: list[Event] = [out for out in self.world.out if isinstance(out, LEDGER)]
        self.count = 0
        self.risk = AccountMemory(AccountSpec(id=ACCOUNT, venue="binance", currency="USDT"))
        self.late: list[VenueReport] = []
        self.told: list[VenueReport] = []
        self._give(self._compared(ReconciliationKind.BASELINE, dict(self.venue.balances)))

    def _compared(self, kind: ReconciliationKind, assets: dict[str, D]) -> Reconciliation:
        self.count += 1
        at = w.T0 + self.count * SECOND
        return Reconciliation(
            id=f"r{self.count}", ts_event=at, kind=kind, venue="binance", account=ACCOUNT, assets=assets, detail="test"
        )

    def _give(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, Permit | Control):
                self.given.append(event)
            if isinstance(event, Permit):
                self.risk.permit(event, event.quantity * 50_000, D(1), event.quantity * 50_000)
            told = [out for out in self.world.give(event) if isinstance(out, LEDGER)]
            self.given += told
            for out in told:
                self._risk_hears(out)

    def _risk_hears(self, event: Event) -> None:
        if isinstance(event, Order):
            self.risk.order(event, event.quantity * 50_000, D(1), event.quantity * 50_000)
        elif isinstance(event, Fill):
            self.risk.fill(event)
        elif isinstance(event, Position):
            self.risk.position(event)

    @property
    def book(self) -> AccountBook:
        return self.world.stage.state.books[ACCOUNT]

    def _permit(self, side: Side, quantity: D, position: str = "") -> Order:
        self.count += 1
        self._give(
            w.permit(
                f"p{self.count}",
                instrument=w.BTC,
                side=side,
                action=Action.EXIT if position else Action.ENTER,
                quantity=str(quantity),
                worst="0" if position else "60000",
                stop=None if position else "49000",
                position_id=position,
            )
        )
        return next(order for order in reversed(self.world.of(Order)) if order.intent_id == f"p{self.count}")

    def _tell(self, data: st.DataObject, told: list[VenueReport], *, may_be_late: bool) -> None:
        """In any order, some of it twice, some of it later, some after a doubt."""
        told = data.draw(st.permutations(told))
        if may_be_late and told:
            split = data.draw(st.integers(0, len(told)))
            told, late = told[:split], told[split:]
            self.late += late
        if data.draw(st.booleans()) and told:
            doubt = VenueReport(
                id=f"doubt-{told[0].intent_id}",
                ts_event=w.T0,
                kind=ReportKind.UNRESOLVED,
                intent_id=told[0].intent_id,
            )
            told = [*told[:1], doubt, *told[1:]]
        twice = data.draw(st.lists(st.sampled_from(told), max_size=2)) if told else []
        self._give(*told, *twice)
        self.told += told

    def _parts(self, data: st.DataObject, whole: D) -> list[D]:
        steps = int(whole / w.BTC.qty_step)
        cuts = sorted(data.draw(st.lists(st.integers(0, steps), max_size=4)))
        if data.draw(st.booleans()):
            cuts.append(steps)
        parts = [later - sooner for sooner, later in zip([0, *cuts], cuts, strict=False)]
        return [part * w.BTC.qty_step for part in parts if part]

    @rule(data=st.data(), steps=st.integers(1, 2_000), fee=st.sampled_from(sorted(FEES)), cents=st.integers(0, 9_999))
    def buy(self, data: st.DataObject, steps: int, fee: str, cents: int) -> None:
        order = self._permit(Side.BUY, steps * w.BTC.qty_step)
        if order.state is OrderState.SENT:
            price = D(50_000) + D(cents) / 100
            told = self.venue.deal(order, self._parts(data, order.quantity), price, fee)
            self._tell(data, told, may_be_late=True)

    @rule(data=st.data(), fee=st.sampled_from(["", "USDT", "BNB"]), cents=st.integers(0, 9_999))
    def sell(self, data: st.DataObject, fee: str, cents: int) -> None:
        free = [holding for holding in self.book.holdings.values() if not holding.exit_intent]
        if not free:
            return
        holding = data.draw(st.sampled_from(free))
        order = self._permit(Side.SELL, holding.quantity, holding.position_id)
        if order.state is OrderState.SENT:
            price = D(49_900) + D(cents) / 100
            self._tell(data, self.venue.deal(order, self._parts(data, order.quantity), price, fee), may_be_late=False)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def the_rest_is_told(self, data: st.DataObject) -> None:
        late, self.late = self.late, []
        self._give(*data.draw(st.permutations(late)))
        self.told += late

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def everything_is_told_again(self, data: st.DataObject) -> None:
        before = self.world.stage.snapshot()
        self._give(*data.draw(st.lists(st.sampled_from(self.told), max_size=10)))
        # A doubt's end may be told twice; nothing else moves.
        assert self.world.stage.snapshot() == before or self._doubts()

    def _doubts(self) -> bool:
        return any(x.order.state is not OrderState.SENT for x in self.world.stage.state.working.values())

    @rule(asset=st.sampled_from(["USDT", "BTC", "BNB", "ETH"]), cents=st.integers(1, 99_999))
    def money_comes(self, asset: str, cents: int) -> None:
        amount = D(cents) / 100
        self.venue.balances[asset] += amount
        self._give(self._compared(ReconciliationKind.TRANSFER, {asset: amount}))

    @rule()
    def flatten(self) -> None:
        self.count += 1
        self._give(w.control(ControlKind.FLATTEN, "*", f"c{self.count}", ts_init=1))

    @invariant()
    def money_is_conserved(self) -> None:
        if not hasattr(self, "world"):
            return
        fills = self.world.fills
        cost = sum((h.side.sign * h.cost for h in self.book.holdings.values()), D(0))
        moved = D(10_000) + sum(
            (e.assets.get("USDT", D(0)) for e in self.world.of(Reconciliation) if e.kind == "transfer"), D(0)
        )
        assert self.book.balance + cost == moved + sum((fill.realised for fill in fills), D(0))
        assert all(h.quantity > 0 for h in self.book.holdings.values())
        assert self.book.balance == self.book.expected["USDT"]

    @invariant()
    def risk_knows_what_is_held_and_what_may_still_come(self) -> None:
        if not hasattr(self, "world"):
            return
        held = {holding.position_id: holding.quantity for holding in self.book.holdings.values()}
        assert {position.position_id: position.quantity for position in self.risk.positions.values()} == held
        assert self.risk.pending.keys() <= self.world.stage.state.working.keys() | held.keys()

    @invariant()
    def revisions_never_repeat(self) -> None:
        if not hasattr(self, "world"):
            return
        for kind in (Order, Position, AccountState, Fill):
            ids = [event.id for event in self.world.of(kind)]
            assert len(ids) == len(set(ids)), kind

    @invariant()
    def the_ledger_gives_the_same_books(self) -> None:
        if not hasattr(self, "world") or self.count % 3:
            return
        state = self._fold(len(self.given))
        live = self.world.stage.state
        assert state.unsent == []
        assert {i: x.order for i, x in state.working.items()} == {i: x.order for i, x in live.working.items()}
        assert {i: (x.order, x.trades, x.dealt) for i, x in state.ended.items()} == {
            i: (x.order, x.trades, x.dealt) for i, x in live.ended.items()
        }
        one, other = state.books[ACCOUNT], self.book
        for name in ("balance", "fees", "revision", "moved", "beside", "closed", "trades_today", "day_start_equity"):
            assert getattr(one, name) == getattr(other, name), name
        terms = ("quantity", "cost", "entry_price", "revision", "exit_intent", "base_asset", "realised")
        assert {i: [getattr(h, t) for t in terms] for i, h in one.holdings.items()} == {
            i: [getattr(h, t) for t in terms] for i, h in other.holdings.items()
        }

    def _fold(self, count: int) -> w.ExecuteState:
        fold = LedgerFold(self.world.stage.config)
        for event in self.given[:count]:
            fold.take(event)
        return fold.finish()

    def teardown(self) -> None:
        """Told everything, the books expect just what the venue holds; a snapshot goes on bit for bit."""
        if not hasattr(self, "world"):
            return
        self._give(*self.late)
        held = {asset: amount for asset, amount in self.venue.balances.items() if amount}
        assert {asset: amount for asset, amount in self.book.expected.items() if amount} == held
        restored = w.World(self.world.stage.config)
        restored.stage.restore(self.world.stage.snapshot())
        assert restored.stage.snapshot() == self.world.stage.snapshot()
        for cut in range(0, len(self.given), 7):
            assert encode_state(self._fold(cut)) == encode_state(self._fold(cut))


LiveAccount.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestLiveAccount = LiveAccount.TestCase


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_crash_anywhere_loses_no_execution(data: st.DataObject) -> None:
    """From any prefix of the ledger, what the venue tells again leads to the books of the run that did not crash."""
    world, venue = w.World(w.config(Mode.LIVE)).open_market(), Venue()
    permit = w.permit("p", instrument=w.BTC, quantity="0.01", worst="60000")
    written: list[Event] = [*world.out, permit, *(out for out in world.give(permit) if isinstance(out, LEDGER))]
    sent = len(written)
    parts = [D("0.003"), D("0.002"), D("0.005")][: data.draw(st.integers(1, 3))]
    fee = data.draw(st.sampled_from(sorted(FEES)))
    told = venue.deal(world.last_order(), parts, D(50_000), fee)
    for report in data.draw(st.permutations(told)):
        written += [out for out in world.give(report) if isinstance(out, LEDGER)]
    fold = LedgerFold(world.stage.config)
    for event in written[: data.draw(st.integers(sent, len(written)))]:
        fold.take(event)
    again = w.World(world.stage.config)
    again.stage.restore(encode_state(fold.finish()))
    again.give(w.BTC, w.clock(1_000, "binance"))
    again.give(*told)
    one, other = again.stage.state.books[ACCOUNT], world.stage.state.books[ACCOUNT]
    assert (one.balance, one.moved, one.fees) == (other.balance, other.moved, other.fees)
    assert {i: (h.quantity, h.cost) for i, h in one.holdings.items()} == {
        i: (h.quantity, h.cost) for i, h in other.holdings.items()
    }
    assert again.stage.state.working == {}
