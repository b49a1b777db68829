"""What risk does with what it hears: market, ledger and commands into the stage, and commands into the kill switch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from libs.common.bus import Bus, Received
from libs.common.clock import DataClocks
from libs.common.keys import Signer
from libs.common.stage_runner import StageRunner
from libs.core.stages.risk import RiskStage
from libs.core.types import Control, Event, Permit, Signal, TimePassed
from services.risk import metrics, state

log = structlog.get_logger("risk")


class Handlers:
    """Message handlers. `reached` says how far ledger, commands and signals have been applied."""

    def __init__(self, bus: Bus, runner: StageRunner, clocks: DataClocks) -> None:
        self._bus, self._runner, self._clocks = bus, runner, clocks
        self.reached = state.Reached()
        self._in_force: dict[str, asyncio.Event] = {}

    async def on_market(self, received: Received) -> None:
        """Prices, health, clocks and contracts."""
        self._clocks.observe(received.event)
        await self._runner.take(received)

    async def on_ledger(self, received: Received) -> None:
        """Orders, fills, positions and accounts; a drawdown halt may follow."""
        if not self.reached.is_new(received):
            return
        await self._runner.take(received)
        self.reached.note(received)

    async def on_signal(self, received: Received) -> None:
        """A wish: the stage answers, permit and verdict go out."""
        if not self.reached.is_new(received):
            return
        await self._runner.take(received)
        self.reached.note(received)

    async def wish(self, signal: Signal) -> None:
        """Publish a signal of an operator; it comes back through `on_signal` like everybody's."""
        await self._bus.publish(signal)

    async def on_command(self, received: Received) -> None:
        """A halt, reduce-only, re-arm or flatten: in force first, then into the bucket, then whoever asked is told."""
        control = received.event
        if not isinstance(control, Control) or not self.reached.is_new(received):
            return
        await self._runner.take(received)
        await state.write_kill(self._bus, control)
        self.reached.note(received)
        log.warning(
            "command in force", kind=control.kind.value, scope=control.scope, reason=control.reason, actor=control.actor
        )
        if (waiter := self._in_force.get(control.id)) is not None:
            waiter.set()

    async def command(self, control: Control, timeout_s: float = 3.0) -> bool:
        """Publish a command; True once it is in force here, False when that takes longer than `timeout_s`."""
        waiter = self._in_force[control.id] = asyncio.Event()
        try:
            await self._bus.publish_durable(control)
            await asyncio.wait_for(waiter.wait(), timeout_s)
        except TimeoutError:
            return False
        finally:
            del self._in_force[control.id]
        return True


class Seal:
    """Signs what leaves the stage: a permit gets the key's id and signature, everything else passes."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def __call__(self, output: Event) -> Event:
        if not isinstance(output, Permit):
            return output
        begun = time.perf_counter()
        signed = self._signer.sign(output)
        metrics.SIGN.observe(time.perf_counter() - begun)
        return signed


def observer(stage: RiskStage) -> Callable[[Event, Sequence[Event], float], None]:
    """Metrics of every input, and a log line for each permit that expired unused."""

    def observe(event: Event, outputs: Sequence[Event], seconds: float) -> None:
        metrics.observe(event, outputs, seconds)
        if isinstance(event, TimePassed):
            for intent_id in stage.expired:
                metrics.EXPIRED.inc()
                log.warning("permit expired unused", intent_id=intent_id, venue=event.venue)

    return observe
