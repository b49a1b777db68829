"""Kill -9 at every publish of the service: no order is doubled, none is lost, and the money still adds up."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal as D
from pathlib import Path

import execute_world as w
import pytest
from execute_service import Process, example_settings, ledger, next_life, signer_in, until

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.core.types import AccountState, ControlKind, Fill, Order, OrderState, Position


class Story:
    """Two entries, a stop, a flatten: told to a service that dies once on the way."""

    def __init__(self, var: Path, monkeypatch: pytest.MonkeyPatch, die_at: int, reached: bool) -> None:
        self.broker = MemoryBroker()
        self.market = MemoryBus(self.broker)
        self.var, self.monkeypatch = var, monkeypatch
        self.settings = example_settings()
        self.signer = signer_in(var)
        self.die_at, self.reached = die_at, reached
        self.ms = 0.0
        self.sent: list[str] = []
        self.lives: list[Process] = []

    async def live(self) -> Process:
        """The running process; a new one when the last is dead."""
        if self.lives and not self.lives[-1].bus.dead:
            return self.lives[-1]
        if self.lives:
            await self.lives[-1].kill()
        next_life(self.monkeypatch)
        die_at = 0 if self.lives else self.die_at
        process = Process(self.broker, self.settings, self.var, die_at=die_at, reached=self.reached)
        self.lives.append(process)
        await process.app.start()
        return process

    async def prices_until(self, price: float, fills: int) -> None:
        """Ticks of both symbols until the ledger holds so many fills."""
        for _ in range(400):
            process = await self.live()
            if len(ledger(self.broker, Fill)) >= fills:
                return
            self.ms += 100
            for event in (
                w.clock(self.ms, "deriv"),
                w.clock(self.ms, "binance"),
                w.trade(self.ms, price),
                w.quote(self.ms, 50_000.0, 50_001.0),
            ):
                await self.market.publish(event)
            await self._settled(process)
        raise AssertionError(f"{fills} fills were expected, there are {len(ledger(self.broker, Fill))}")

    async def _settled(self, process: Process) -> None:
        def idle() -> bool:
            subscriptions = process.app._subscriptions
            return process.bus.dead or (bool(subscriptions) and all(s.lag == 0 for s in subscriptions))

        await until(idle, "the service to take what was published")
        assert process.failed == []

    async def tell(self) -> None:
        """The whole story."""
        for instrument in (w.V100, w.BTC):
            await self.market.publish(instrument)
        await self.live()
        first = w.permit(stop="993", ttl_s=600)
        second = w.permit("intent-2", instrument=w.BTC, quantity="0.01", ttl_s=600)
        for permit in (first, second):
            await self.market.publish_durable(self.signer.sign(permit))
        await self.prices_until(1000.0, 2)
        await self.prices_until(992.0, 3)
        await self.market.publish_durable(w.control(ControlKind.FLATTEN, ts_init=time.time_ns()))
        await self.prices_until(992.0, 4)
        await self.prices_until(992.0, 4)
        await until(lambda: self._closed() or self.lives[-1].bus.dead, "the ledger to say that all is closed")
        if not self._closed():
            await self.prices_until(992.0, 5 if len(ledger(self.broker, Fill)) < 4 else 4)
            await until(self._closed, "the ledger to say that all is closed")

    def _closed(self) -> bool:
        positions = {p.position_id: p.quantity for p in ledger(self.broker, Position)}
        last = {s.account: s for s in ledger(self.broker, AccountState)}
        states = {o.intent_id: o.state for o in ledger(self.broker, Order)}
        return (
            len(positions) == 2
            and not any(positions.values())
            and all(state.is_final for state in states.values())
            and all(s.balance == s.equity for s in last.values())
        )

    def check(self) -> None:
        """No order doubled, none lost, all money accounted for."""
        fills = ledger(self.broker, Fill)
        reached = [fill for process in self.lives for fill in process.bus.fills]
        assert Counter(reached) == Counter(fill.id for fill in fills), "a fill was sent twice"
        assert len(fills) == 4
        assert {fill.intent_id for fill in fills} >= {"intent-1", "intent-2"}
        assert Counter(fill.position_id for fill in fills) == {"intent-1": 2, "intent-2": 2}
        orders: dict[str, list[Order]] = {}
        for order in ledger(self.broker, Order):
            orders.setdefault(order.intent_id, []).append(order)
        for revisions in orders.values():
            assert [order.revision for order in revisions] == list(range(len(revisions)))
            assert revisions[-1].state is OrderState.FILLED
            assert [order.state for order in revisions].count(OrderState.SENT) == 1
        last = {state.account: state for state in ledger(self.broker, AccountState)}
        for account in ("deriv-paper", "binance-paper"):
            realised = sum((f.realised for f in fills if f.account == account), D(0))
            assert last[account].balance == last[account].equity == D(10_000) + realised


async def told(var: Path, monkeypatch: pytest.MonkeyPatch, die_at: int, reached: bool) -> Story:
    """The story with a death at one publish."""
    story = Story(var, monkeypatch, die_at, reached)
    await story.tell()
    story.check()
    await story.lives[-1].kill()
    return story


async def test_the_story_without_a_death_is_as_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = await told(tmp_path, monkeypatch, 0, False)
    assert len(story.lives) == 1
    assert [fill.reason for fill in ledger(story.broker, Fill)] == [
        "enter",
        "enter",
        "stop at 993",
        "flatten: test (cli)",
    ]


@pytest.mark.parametrize("reached", [False, True], ids=["before the server has it", "after"])
async def test_a_death_at_any_publish_doubles_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    die_at, died = 1, True
    while died:
        story = await told(tmp_path / str(die_at), monkeypatch, die_at, reached)
        died = len(story.lives) > 1
        die_at += 1
    assert die_at > 20
