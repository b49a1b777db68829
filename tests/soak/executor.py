"""A seeded run of the house's own executor: its stage, desk, private stream and reconciler at a venue full of faults.

Everything but the bus is real. Permits come from here; what the ledger then holds is compared with the venue's record.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any, Final

from acceptance_ledger import held
from acceptance_world import House, Part, eventually, patiently, running

from libs.core.stages.execute import ExecuteStage
from libs.core.stages.execute_remains import REMAINS
from libs.core.stages.execute_state import ExecuteAccount, ExecuteConfig, ExecuteState
from libs.core.types import (
    SECOND,
    Action,
    Control,
    Durable,
    Event,
    FeedState,
    Fill,
    Instrument,
    Mode,
    Nanos,
    Order,
    OrderState,
    Permit,
    Quote,
    Reconciliation,
    ReconciliationKind,
    Side,
    Ticks,
    Trade,
    VenueClock,
    Verdict,
    stable_id,
)
from libs.venues.base import Trading
from services.execute.live import LiveDesk
from services.execute.private import PrivateDesk
from services.execute.reconcile import Reconciler
from tests.soak.mischief import draw_plan
from tests.soak.run import CALM_S, TROUBLE_S, Outcome, shown

ACCOUNT: Final = "soak"
PERMIT_S: Final = 20
LOOK_S: Final = 20.0
AGAIN_S: Final = 3.0


class Executor:
    """The live half of the execute service without its bus: what is planned is durable at once."""

    def __init__(self, venue: str, trading: Trading, cash: Decimal, currency: str) -> None:
        account = ExecuteAccount(id=ACCOUNT, venue=venue, currency=currency, capital=cash)
        self.stage = ExecuteStage(ExecuteConfig(accounts=(account,), mode=Mode.LIVE), lambda _: None)
        self.venue = venue
        self.fills: dict[str, Fill] = {}
        self.orders: dict[str, Order] = {}
        self.alarms: list[str] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.desk = LiveDesk({ACCOUNT: trading}, lambda: self.state, self.record, self.spawn, self.hand_over)
        self.private = PrivateDesk(venue, ACCOUNT, self.record, self.resume)
        self.reconciler = Reconciler(
            ACCOUNT, trading, lambda: self.state, self.record, self.command, self.now, again_s=AGAIN_S
        )
        self.spawn(self.private.follow(trading), "private")
        self.spawn(self.reconciler.run(LOOK_S), "reconcile")
        self.spawn(self.desk.watch(), "watch")

    @property
    def state(self) -> ExecuteState:
        return self.stage.state

    def now(self) -> Nanos:
        return self.state.now.get(self.venue, time.time_ns())

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        return task

    def give(self, event: Event) -> None:
        """Apply one input and follow up what comes of it, as the service's handlers do."""
        for output in self.stage.apply(event, time.time_ns()):
            if isinstance(output, Fill):
                if not output.trade_id.startswith(f"{REMAINS}-"):  # what is written off was never traded
                    self.fills[output.id] = output
            elif isinstance(output, Order):
                self.orders[output.intent_id] = output
                if output.state is OrderState.PLANNED:
                    self.give(Durable(id=f"d-{output.intent_id}", ts_event=self.now(), intent_id=output.intent_id))
                elif output.state is OrderState.SENT:
                    self.desk.send(output)
        if isinstance(event, Reconciliation) and event.kind is ReconciliationKind.DIFFERENCE:
            self.alarms.append(event.detail)

    async def record(self, event: Event) -> None:
        self.give(event)

    async def hand_over(self, order: Order) -> None:
        raise AssertionError(f"{order.intent_id} was planned before a restart, and there was none")

    async def command(self, control: Control) -> None:
        self.give(control)
        self.desk.on_command(control)

    async def resume(self, account: str) -> None:
        await self.desk.resume(account)
        self.reconciler.wake()

    async def stop(self) -> list[str]:
        """End every task; what failed before."""
        failed = [f"{t.get_name()}: {t.exception()!r}" for t in self.tasks if t.done() and t.exception()]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return failed

    # --- market data: a FeedSink ---------------------------------------------------------------------------------

    def trade(self, symbol: str, trade: Trade, recv_ns: Nanos) -> None:
        self._ticks(symbol, trade)

    def quote(self, symbol: str, quote: Quote, recv_ns: Nanos) -> None:
        self._ticks(symbol, quote)

    def _ticks(self, symbol: str, item: Trade | Quote) -> None:
        name = stable_id("ticks", symbol, type(item).__name__, item.seq)
        self.give(Ticks(id=name, ts_event=item.ts_event, venue=self.venue, symbol=symbol, items=(item,)))

    def clock(self, ts_event: Nanos, recv_ns: Nanos, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        name = stable_id("clock", self.venue, ts_event)
        self.give(VenueClock(id=name, ts_event=ts_event, venue=self.venue, ts_machine=recv_ns, extrapolate=extrapolate))

    def book(self, *told: Any) -> None:
        """Not needed here."""

    kline = status = reject = book


class Trader:
    """Asks for one order after the other on one market, as risk would."""

    def __init__(self, run: ExecutorRun, instrument: Instrument, rng: random.Random, count: int) -> None:
        self.run, self.instrument, self.rng, self.left = run, instrument, rng, count

    async def work(self) -> None:
        state, symbol = self.run.executor.state, self.instrument.symbol
        while self.left > 0 and not self.run.is_calm:
            await asyncio.sleep(self.rng.uniform(0.2, 2.0))
            if any(working.order.symbol == symbol for working in state.working.values()):
                continue
            self.left -= 1
            self.run.outcome.orders += 1
            holdings = state.books[ACCOUNT].holdings.values()
            holding = next((each for each in holdings if each.symbol == symbol), None)
            if holding is None:
                side = self.rng.choice((Side.BUY, Side.SELL)) if Part.SHORT in self.run.house.parts else Side.BUY
                self._permit(Action.ENTER, side, self.run.house.quantity(self.instrument), "")
            else:
                self._permit(Action.EXIT, holding.side.opposite, holding.quantity, holding.position_id)

    def _permit(self, action: Action, side: Side, quantity: Decimal, position: str) -> None:
        run, row = self.run, self.instrument
        run.house.orders += 1
        now, name = run.executor.now(), stable_id("soak", run.outcome.seed, run.house.orders)[:32]
        same: dict[str, Any] = {
            "account": ACCOUNT,
            "strategy": "soak",
            "venue": row.venue,
            "symbol": row.symbol,
            "side": side,
            "action": action,
            "quantity": quantity,
            "limits_hash": "soak",
        }
        verdict = Verdict(
            id=f"v-{name}",
            ts_event=now,
            signal_id=f"s-{name}",
            intent_id=name,
            approved=True,
            reasons=("ok",),
            checks=(),
            **same,
        )
        run.executor.give(
            Permit(
                id=name,
                ts_event=now,
                worst_price=run.house.far(row, side),
                stop_price=None,
                target_price=None,
                position_id=position,
                expires=now + PERMIT_S * SECOND,
                verdict=verdict,
                signature=b"soak",
                **same,
            )
        )


class ExecutorRun:
    """One run."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.rng = house, random.Random(seed)
        self.outcome = Outcome(seed, f"{house.title} executor")
        self.executor: Executor
        self.is_calm = False

    def differ(self, text: str) -> None:
        self.outcome.differences.append(text)

    async def go(self) -> Outcome:
        """Play it."""
        house = self.house
        async with house.life():
            began = time.monotonic()
            trading, feed = house.trading(), house.market_data()
            instruments = await feed.instruments(list(house.soaked))
            cash, currency = await trading.balance()
            self.executor = executor = Executor(house.venue, trading, cash, currency)
            for row in instruments:
                executor.give(row)
            async with running(feed.stream([row.symbol for row in instruments], executor)):
                await eventually(lambda: executor.reconciler.last.state == "agreed", "the account is taken up", 120.0)
                await self._trouble(instruments)
                house.heal()
                self.is_calm = True
                await self._settle()
                await self._compare(trading)
            for failed in await executor.stop():
                self.differ(failed)
            self.outcome.world_s = round(time.monotonic() - began, 1)
        return self.outcome

    async def _trouble(self, instruments: Sequence[Instrument]) -> None:
        house, seed = self.house, self.outcome.seed
        count = self.rng.randint(10, 30) // len(instruments) + 1
        self.outcome.plan = draw_plan(self.rng, house.entries + house.exits, house.streams)
        house.plan(*self.outcome.plan, seed=seed)
        traders = [Trader(self, row, random.Random(f"{seed}/{row.symbol}"), count) for row in instruments]
        working = [asyncio.create_task(trader.work()) for trader in traders]
        _, late = await asyncio.wait(working, timeout=TROUBLE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        self.outcome.faults = house.faults.total

    async def _settle(self) -> None:
        """Until the executor itself says that nothing is under way and that ledger and venue agree."""
        executor, end = self.executor, time.monotonic() + CALM_S
        while time.monotonic() < end:
            if not executor.state.working:
                await executor.reconciler.look()
                if executor.reconciler.last.state == "agreed":
                    return
            await asyncio.sleep(2.0)
        for working in executor.state.working.values():
            self.differ(f"{working.order.reason} {working.order.intent_id} is still {working.order.state}")
        self.differ(f"the comparison is {executor.reconciler.last.state}: {executor.reconciler.last.detail}")

    async def _compare(self, trading: Trading) -> None:
        house, book = self.house, self.executor.state.books[ACCOUNT]
        truth, ledger = held(house.truth_balances()), held(book.expected)
        if ledger != truth:
            self.differ(f"ledger {shown(ledger)}, venue {shown(truth)}")
        told = held(await patiently(trading.balances, CALM_S))
        if told != truth:
            self.differ(f"adapter says {shown(told)}, venue {shown(truth)}")
        self.outcome.executed = len(self.executor.fills)
        if self.outcome.executed != house.truth_executions():
            self.differ(f"{self.outcome.executed} executions in the ledger, {house.truth_executions()} at the venue")
        if Part.CONTRACTS in house.parts:
            ours = {holding.venue_position_id for holding in book.holdings.values()}
            if ours != house.truth_positions():
                self.differ(f"positions: ledger {sorted(ours)}, venue {sorted(house.truth_positions())}")
        for alarm in self.executor.alarms:
            self.differ(f"false alarm: {alarm}")
        if house.overruns():
            self.differ(f"{house.overruns()} calls above the venue's limits")
