"""The shell of live accounts at a scripted venue: orders are seen through, gaps asked about, differences halt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Decimal as D
from typing import Any

import execute_world as w
import pytest

from libs.core.stages.execute_state import ExecuteState
from libs.core.types import (
    SECOND,
    Control,
    ControlKind,
    Event,
    Instrument,
    Mode,
    Order,
    OrderState,
    Reconciliation,
    ReconciliationKind,
    ReportKind,
    VenueReport,
)
from libs.venues.base import Holds, PrivateSink, VenuePosition
from libs.venues.budget import Budget
from libs.venues.errors import VenueRefused, VenueUnavailable, VenueUnresolved
from services.execute import live, private
from services.execute.live import LiveDesk
from services.execute.private import PrivateDesk
from services.execute.reconcile import Reconciler

ACCOUNT = "binance-paper"
S = OrderState
K = ReconciliationKind


def told(kind: ReportKind, intent: str = "in", trade: str = "", **fields: Any) -> VenueReport:
    """A venue's word."""
    return VenueReport(
        id=f"{kind}-{intent}-{trade}",
        ts_event=w.T0 + SECOND,
        kind=kind,
        intent_id=intent,
        venue_order_id="v",
        trade_id=trade,
        **fields,
    )


def filled(intent: str = "in", trade: str = "1", quantity: str = "0.01") -> VenueReport:
    """One execution."""
    return told(ReportKind.FILLED, intent, trade, price=D(50_000), quantity=D(quantity))


Answer = list[VenueReport] | Exception | None


class Scripted:
    """A venue of assets that answers what it is told to; `asked` says what it was asked."""

    name = "binance"
    holds = Holds.ASSETS

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dated: list[int] = []
        self.submits: list[Answer] = []
        self.resolves: list[Answer] = []
        self.cancels: list[Answer] = []
        self.held: dict[str, D] = {"USDT": D(10_000)}
        self.positions: list[VenuePosition] = []
        self.on_balances: Callable[[], None] = lambda: None
        self.streams: list[Exception | None] = []
        self.hold_back = asyncio.Event()
        self.hold_back.set()

    async def _answer(self, what: str, script: list[Answer]) -> Any:
        self.asked.append(what)
        await self.hold_back.wait()
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        return list(await self._answer("submit", self.submits) or [])

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        return list(await self._answer("close", self.submits) or [])

    async def cancel(self, order: Order) -> list[VenueReport]:
        return list(await self._answer("cancel", self.cancels) or [])

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        self.dated.append(order.ts_event)
        found: list[VenueReport] | None = await self._answer("resolve", self.resolves)
        return found

    async def balance(self) -> tuple[D, str]:
        ((currency, cash),) = self.held.items()
        return cash, currency

    async def balances(self) -> dict[str, D]:
        self.asked.append("balances")
        self.on_balances()
        return dict(self.held)

    async def open_positions(self) -> list[VenuePosition]:
        return self.positions

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        return []

    async def listen(self, sink: PrivateSink) -> None:
        self.asked.append("listen")
        end = self.streams.pop(0) if self.streams else None
        if end is not None:
            raise end
        await sink.resumed("test")
        await asyncio.Event().wait()

    def budgets(self) -> tuple[Budget, ...]:
        return ()

    async def aclose(self) -> None:
        return None


class Shell:
    """A live stage, its desk, and a venue."""

    def __init__(self) -> None:
        self.world = w.World(w.config(Mode.LIVE)).open_market()
        self.venue = Scripted()
        self.tasks: list[asyncio.Task[Any]] = []
        self.desk = LiveDesk(
            {ACCOUNT: self.venue}, lambda: self.state, self.record, self.spawn, self.hand_over, patience_s=0.02
        )
        self.compared = Reconciler(
            ACCOUNT, self.venue, lambda: self.state, self.record, self.command, lambda: self.clock(), again_s=0.01
        )
        self._now = w.T0
        self.commands: list[Control] = []
        self.halts = True
        self.planned: list[str] = []

    @property
    def state(self) -> ExecuteState:
        return self.world.stage.state

    def clock(self) -> int:
        """A later moment each time."""
        self._now += SECOND
        return self._now

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self.tasks.append(task)
        return task

    async def record(self, event: Event) -> None:
        self.world.give(event)

    async def hand_over(self, order: Order) -> None:
        self.planned.append(order.intent_id)

    async def command(self, control: Control) -> None:
        self.commands.append(control)
        if self.halts:
            self.world.give(control)

    def order(self, name: str = "in") -> Order:
        """Send an entry."""
        self.world.give(w.permit(name, instrument=w.BTC, quantity="0.01", worst="50001"))
        order: Order = self.world.last_order()
        assert order.state is S.SENT
        self.desk.send(order)
        return order

    async def becomes(self, state: OrderState, name: str = "in") -> None:
        """Wait until the order is there."""
        async with asyncio.timeout(5):
            while self.world.states(name)[-1] is not state:  # noqa: ASYNC110 - the stage has no event to wait for
                await asyncio.sleep(0.001)

    def kinds(self) -> list[ReconciliationKind]:
        """What comparisons had to say."""
        return [event.kind for event in self.world.of(Reconciliation)]


@pytest.fixture
async def shell(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    """Impatient, so that nothing has to be waited for."""
    monkeypatch.setattr(live, "RESOLVE_FIRST_S", 0.002)
    monkeypatch.setattr(private, "AGAIN_S", 0.002)
    made = Shell()
    yield made
    for task in made.tasks:
        task.cancel()
    ended = await asyncio.gather(*made.tasks, return_exceptions=True)
    assert [err for err in ended if isinstance(err, Exception)] == []


async def test_a_refusal_is_proof_and_nothing_is_asked_again(shell: Shell) -> None:
    shell.venue.submits = [VenueRefused("no")]
    shell.order()
    await shell.becomes(S.REJECTED)
    assert shell.venue.asked == ["submit"]


@pytest.mark.parametrize("broken", [VenueUnresolved("no answer"), RuntimeError("a bug")])
async def test_doubt_is_asked_about_until_the_venue_knows(shell: Shell, broken: Exception) -> None:
    shell.venue.submits = [broken]
    shell.venue.resolves = [None, VenueUnavailable("busy"), [filled()]]
    shell.order()
    await shell.becomes(S.FILLED)
    assert shell.venue.asked == ["submit", "resolve", "resolve", "resolve"]
    assert S.UNRESOLVED in shell.world.states("in")


async def test_the_venue_is_asked_around_the_moment_of_sending_however_late_the_doubt_came(shell: Shell) -> None:
    shell.venue.hold_back.clear()
    shell.venue.submits = [VenueUnresolved("no answer")]
    shell.venue.resolves = [[filled()]]
    sent = shell.order()
    shell.world.give(w.clock(60_000, "binance"))
    shell.venue.hold_back.set()
    await shell.becomes(S.FILLED)
    assert shell.venue.dated == [sent.ts_event]
    doubted = next(order for order in shell.world.of(Order) if order.state is S.UNRESOLVED)
    assert doubted.ts_event > sent.ts_event


async def test_an_adapter_that_stumbles_over_an_order_is_asked_again(shell: Shell) -> None:
    shell.venue.submits = [VenueUnresolved("no answer")]
    shell.venue.resolves = [RuntimeError("a bug"), [filled()]]
    shell.order()
    await shell.becomes(S.FILLED)


async def test_proven_never_placed_ends_an_order(shell: Shell) -> None:
    shell.venue.submits, shell.venue.resolves = [VenueUnresolved("no answer")], [[]]
    shell.order()
    await shell.becomes(S.REJECTED)
    assert shell.world.last_order().reason == "venue: proven never placed"


async def test_a_part_and_then_silence_is_asked_about(shell: Shell) -> None:
    shell.venue.submits = [[filled(quantity="0.004")]]
    shell.venue.resolves = [[filled(quantity="0.004"), told(ReportKind.CANCELLED)]]
    shell.order()
    await shell.becomes(S.CANCELLED)
    assert shell.world.last_order().filled == D("0.004")
    assert len(shell.world.fills) == 1


async def test_what_still_works_at_the_venue_is_cancelled(shell: Shell) -> None:
    shell.venue.submits = [[told(ReportKind.ACKNOWLEDGED)]]
    shell.venue.resolves = [[told(ReportKind.ACKNOWLEDGED)]]
    shell.venue.cancels = [[told(ReportKind.CANCELLED)]]
    shell.order()
    await shell.becomes(S.CANCELLED)
    assert shell.venue.asked == ["submit", "resolve", "cancel"]


async def test_a_gap_in_the_private_stream_asks_after_everything_but_what_is_on_its_way(shell: Shell) -> None:
    shell.venue.submits = [[told(ReportKind.ACKNOWLEDGED)]]
    shell.desk._patience_s = 60
    shell.order()
    await shell.becomes(S.ACKNOWLEDGED)
    shell.venue.hold_back.clear()
    shell.order("second")
    shell.venue.resolves = [[filled()]]
    await asyncio.sleep(0)
    await shell.desk.resume(ACCOUNT)
    shell.venue.hold_back.set()
    await shell.becomes(S.FILLED)
    assert shell.venue.asked.count("resolve") == 1


@pytest.mark.parametrize("kind", [ControlKind.HALT, ControlKind.FLATTEN])
async def test_a_halt_takes_back_entries_that_the_venue_has(shell: Shell, kind: ControlKind) -> None:
    shell.venue.submits = [[told(ReportKind.ACKNOWLEDGED)]]
    shell.venue.cancels = [[filled(quantity="0.004"), told(ReportKind.CANCELLED)]]
    shell.desk._patience_s = 60
    shell.order()
    await shell.becomes(S.ACKNOWLEDGED)
    shell.desk.on_command(w.control(kind, "ETHUSDT"))
    shell.desk.on_command(w.control(kind, ACCOUNT))
    await shell.becomes(S.CANCELLED)
    assert shell.venue.asked == ["submit", "cancel"]


async def test_after_a_restart_nothing_is_sent_before_the_venue_was_asked(shell: Shell) -> None:
    shell.world.hand_over = False
    shell.world.give(w.permit("planned", instrument=w.BTC, quantity="0.01", worst="50001"))
    shell.venue.resolves = [[]]
    await shell.desk.take_up([shell.world.last_order()])
    async with asyncio.timeout(5):
        while not shell.planned:  # noqa: ASYNC110 - the desk hands over in a task of its own
            await asyncio.sleep(0.001)
    assert shell.venue.asked == ["resolve"]
    assert shell.world.states("planned") == [S.PLANNED]


async def test_a_refused_private_stream_is_tried_again_and_a_new_one_resumes(shell: Shell) -> None:
    resumed: list[str] = []

    async def resume(account: str) -> None:
        resumed.append(account)

    shell.venue.streams = [VenueRefused("bad key"), VenueUnavailable("later")]
    desk = PrivateDesk("binance", ACCOUNT, shell.record, resume)
    shell.spawn(desk.follow(shell.venue), "private")
    async with asyncio.timeout(5):
        while not resumed:  # noqa: ASYNC110 - told by a task
            await asyncio.sleep(0.001)
    assert shell.venue.asked == ["listen"] * 3
    assert desk.state == "open"


async def test_the_first_comparison_takes_the_account_as_it_is(shell: Shell) -> None:
    shell.venue.held = {"USDT": D(10_000), "BNB": D(2)}
    assert await shell.compared.look()
    assert shell.kinds() == [K.BASELINE]
    assert shell.state.books[ACCOUNT].beside == shell.venue.held
    assert await shell.compared.look()
    assert shell.kinds() == [K.BASELINE]
    assert shell.compared.last.state == "agreed"


async def test_nothing_is_compared_while_orders_are_under_way(shell: Shell) -> None:
    shell.venue.hold_back.clear()
    shell.order()
    assert not await shell.compared.look()
    assert shell.compared.last.detail == "orders are under way"
    assert "balances" not in shell.venue.asked


async def test_a_fill_while_the_venue_was_asked_makes_the_comparison_void(shell: Shell) -> None:
    await shell.compared.look()
    transfer = Reconciliation(
        id="t",
        ts_event=w.T0 + 999 * SECOND,
        kind=K.TRANSFER,
        venue="binance",
        account=ACCOUNT,
        assets={"USDT": D(5)},
        detail="",
    )
    shell.venue.on_balances = lambda: shell.world.give(transfer) and None
    assert not await shell.compared.look()
    assert shell.commands == []


async def test_a_difference_that_passes_halts_nothing(shell: Shell) -> None:
    await shell.compared.look()
    shell.venue.held = {"USDT": D(9_000)}
    shell.venue.on_balances = lambda: shell.venue.held.update(USDT=shell.venue.held["USDT"] + 500)
    assert not await shell.compared.look()
    shell.venue.on_balances = lambda: None
    shell.venue.held = {"USDT": D(10_000)}
    assert await shell.compared.look()
    assert shell.commands == []
    assert shell.kinds() == [K.BASELINE]


async def test_a_difference_halts_once_and_may_pass_again(shell: Shell) -> None:
    await shell.compared.look()
    shell.venue.held = {"USDT": D(9_000), "BTC": D("0.02")}
    await shell.compared.look()
    await shell.compared.look()
    (halt,) = shell.commands
    assert (halt.kind, halt.scope, halt.actor) == (ControlKind.HALT, ACCOUNT, "reconciliation")
    assert "+0.02 BTC, -1000 USDT" in halt.reason
    assert shell.compared.last.state == "different"
    shell.venue.held = {"USDT": D(10_000)}
    await shell.compared.look()
    assert shell.kinds() == [K.BASELINE, K.DIFFERENCE, K.AGREED]
    assert ACCOUNT in shell.state.halts, "the halt stays until a person re-arms"
    assert shell.compared.last.state == "agreed"


async def test_re_armed_with_the_difference_it_is_taken_as_it_is(shell: Shell) -> None:
    await shell.compared.look()
    shell.venue.held = {"USDT": D(9_000)}
    await shell.compared.look()
    shell.world.give(w.control(ControlKind.REARM, ACCOUNT, "rearm"))
    shell.compared.rearmed = "I moved it (me)"
    await shell.compared.look()
    assert shell.kinds() == [K.BASELINE, K.DIFFERENCE, K.BASELINE]
    assert shell.world.of(Reconciliation)[-1].detail == "re-armed with a difference: I moved it (me)"
    assert len(shell.commands) == 1
    assert shell.state.books[ACCOUNT].balance == D(9_000)


async def test_another_difference_than_the_one_re_armed_halts_again(shell: Shell) -> None:
    await shell.compared.look()
    shell.venue.held = {"USDT": D(9_000)}
    await shell.compared.look()
    shell.world.give(w.control(ControlKind.REARM, ACCOUNT, "rearm"))
    shell.venue.held = {"USDT": D(8_000)}
    await shell.compared.look()
    assert len(shell.commands) == 2
    assert shell.kinds() == [K.BASELINE, K.DIFFERENCE, K.DIFFERENCE]


async def test_a_difference_is_recorded_only_when_its_halt_is_in_force(shell: Shell) -> None:
    """Otherwise the missing halt would look like a re-arm, and the difference would be taken as it is."""
    await shell.compared.look()
    shell.venue.held, shell.halts = {"USDT": D(9_000)}, False
    assert not await shell.compared.look()
    assert shell.kinds() == [K.BASELINE]
    shell.halts = True
    assert await shell.compared.look()
    assert shell.kinds() == [K.BASELINE, K.DIFFERENCE]


async def test_a_venue_that_does_not_answer_is_compared_later(shell: Shell) -> None:
    def away() -> None:
        raise VenueUnavailable("maintenance")

    await shell.compared.look()
    shell.venue.on_balances = away
    assert not await shell.compared.look()
    assert (shell.compared.last.state, shell.compared.last.detail) == ("waiting", "maintenance")


async def test_contracts_are_compared_by_their_ids(shell: Shell) -> None:
    account = "deriv-paper"
    shell.venue.holds, shell.venue.held = Holds.CONTRACTS, {"USD": D(10_000)}
    shell.venue.positions = [VenuePosition("7", "1HZ100V", w.Side.BUY, D(10))]
    desk = Reconciler(
        account, shell.venue, lambda: shell.state, shell.record, shell.command, shell.clock, again_s=0.001
    )
    await desk.look()
    assert shell.world.of(Reconciliation)[-1].unknown == ("7",)
    entry = told(ReportKind.FILLED, "intent-1", "b", price=D(1000), quantity=D(10), fee=D("0.36"))
    shell.world.give(w.permit(), entry)
    shell.venue.held = {"USD": D(9_990)}
    await desk.look()
    (halt,) = shell.commands
    assert "contract v is not at the venue" in halt.reason
    shell.venue.positions += [VenuePosition("v", "1HZ100V", w.Side.BUY, D(10))]
    await desk.look()
    assert shell.kinds()[-1] is K.AGREED
