"""What execute does with what it hears: the ledger first, then the paper venue or the live one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from libs.common.bus import Received
from libs.common.clock import DataClocks
from libs.common.stage_runner import StageRunner, Taken
from libs.core.stages.execute import ExecuteStage
from libs.core.types import (
    Bar,
    Control,
    Durable,
    Event,
    Fill,
    Order,
    OrderState,
    Permit,
    Ticks,
    VenueClock,
    VenueReport,
    stable_id,
)
from services.execute import metrics

log = structlog.get_logger("execute")

HAND_OVER_S = 0.02

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a task whose failure ends the service."""
Send = Callable[[Order], None]
"""Gives a sent order to the live venue; returns at once."""


class Handlers:
    """Feeds the stage, one input at a time, and follows up its outputs.

    A permit from before a restart must not be judged by a clock of before the restart: permits and planned orders of
    a venue wait until that venue has told the time in this run.
    """

    def __init__(self, runner: StageRunner, clocks: DataClocks, spawn: Spawn, send: Send | None = None) -> None:
        self._runner, self._clocks, self._spawn, self._send = runner, clocks, spawn, send
        self._one_at_a_time = asyncio.Lock()
        self._planned = 0
        self._all_safe = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_time: set[str] = set()
        self._waiting: dict[str, list[Received | Durable]] = {}
        self.on_command: Callable[[Control], None] = lambda _: None

    @property
    def stage(self) -> ExecuteStage:
        """The stage that is fed; for reading only."""
        stage = self._runner.stage
        assert isinstance(stage, ExecuteStage)
        return stage

    def has_time(self, venue: str) -> bool:
        """Whether the venue has told the time in this run."""
        return venue in self._told_time

    async def on_market(self, received: Received) -> None:
        """A message of md.>."""
        event = received.event
        self._clocks.observe(event)
        async with self._one_at_a_time:
            await self._follow(await self._runner.take(received), received.trace)
            if isinstance(event, VenueClock | Ticks | Bar) and event.venue not in self._told_time:
                self._told_time.add(event.venue)
                for held in self._waiting.pop(event.venue, []):
                    await self._release(held)

    async def on_order(self, received: Received) -> None:
        """A permit or a command."""
        event = received.event
        async with self._one_at_a_time:
            if isinstance(event, Permit) and event.venue not in self._told_time:
                self._waiting.setdefault(event.venue, []).append(received)
                return
            await self._follow(await self._runner.take(received), received.trace)
        if isinstance(event, Control):
            self.on_command(event)

    async def hand_over(self, order: Order) -> None:
        """An order that the ledger holds as planned since before a restart goes on its way."""
        event = durable(order)
        async with self._one_at_a_time:
            if order.venue in self._told_time:
                await self._release(event)
            else:
                self._waiting.setdefault(order.venue, []).append(event)

    async def on_report(self, report: VenueReport) -> None:
        """What the live venue said; returns when the ledger has it."""
        await self.on_inline(report)

    async def on_inline(self, event: Event) -> None:
        """An input that no stream holds."""
        async with self._one_at_a_time:
            taken = await self._runner.take_inline(event)
            await self._follow(taken, "")
            await taken.durable()

    async def _release(self, held: Received | Durable) -> None:
        if isinstance(held, Durable):
            await self._follow(await self._runner.take_inline(held), "")
        else:
            await self._follow(await self._runner.take(held), held.trace)

    async def _follow(self, taken: Taken, trace: str) -> None:
        planned: list[Order] = []
        for output in taken.outputs:
            metrics.count(output)
            if isinstance(output, Order):
                self._say_order(output)
                if output.state is OrderState.PLANNED:
                    planned.append(output)
                elif output.state is OrderState.SENT and self._send is not None:
                    # The buy is made once and cannot be taken back: the ledger must know of it before the venue does.
                    await taken.durable()
                    self._send(output)
            elif isinstance(output, Fill):
                say_fill(output)
        if planned:
            self._planned += 1
            self._all_safe.clear()
            task = self._spawn(self._when_durable(taken, planned, trace), "hand-over")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _when_durable(self, taken: Taken, planned: list[Order], trace: str) -> None:
        """Hand planned orders over once the ledger has them.

        Meanwhile further permits are planned: orders of one burst share the ledger's disk, so what follows the first
        waits until the last is safe, HAND_OVER_S at most.
        """
        try:
            await taken.durable()
        finally:
            self._planned -= 1
            if not self._planned:
                self._all_safe.set()
        for order in planned:
            metrics.durable(order)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HAND_OVER_S):
                await self._all_safe.wait()
        async with self._one_at_a_time:
            for order in planned:
                await self._follow(await self._runner.take_inline(durable(order), trace), trace)

    async def settle(self) -> None:
        """Return when every planned order has been handed over."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _say_order(self, order: Order) -> None:
        if order.state in (OrderState.REJECTED, OrderState.CANCELLED, OrderState.UNRESOLVED):
            log.warning(
                "order " + order.state.value,
                symbol=order.symbol,
                account=order.account,
                side=order.side.value,
                action=order.action.value,
                reason=order.reason,
                intent=order.intent_id,
            )


def durable(order: Order) -> Durable:
    """The ledger holds this planned order."""
    return Durable(id=stable_id("durable", order.intent_id), ts_event=order.ts_event, intent_id=order.intent_id)


def say_fill(fill: Fill) -> None:
    """One line per fill."""
    log.info(
        "fill",
        symbol=fill.symbol,
        account=fill.account,
        side=fill.side.value,
        action=fill.action.value,
        quantity=str(fill.quantity),
        price=str(fill.price),
        fee=str(fill.fee),
        spread=str(fill.spread_cost),
        slippage=str(fill.slippage_cost),
        latency_ms=round(fill.latency_ms, 3),
        realised=str(fill.realised),
        currency=fill.currency,
        reason=fill.reason,
        mode=fill.mode.value,
        intent=fill.intent_id,
    )
