"""What happens to each bar and what a set reads beside it, and how the engines are warmed before the first one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from libs.common.bus import Bus, BusError, Received
from libs.common.bus.base import Subscription
from libs.common.clock import DataClocks
from libs.common.stage_runner import StageRunner
from libs.common.store import Store
from libs.core.stages.features import FeaturesConfig
from libs.core.types import SECOND, Bar, Event, Features, Nanos, interval_token
from services.features import metrics, warmup
from services.features.inputs import Inputs
from services.features.outages import BUS_FAILURES

log = structlog.get_logger(__name__)

OVERLAP: Nanos = 5 * SECOND
"""Live bars are read from this much before the history was asked for; known ones are skipped by their time."""
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
TOGETHER = 8
"""History requests under way at once."""


class FeaturePath:
    """Warm-up, then live bars and what the set needs beside them."""

    def __init__(
        self,
        bus: Bus,
        runner: StageRunner,
        config: FeaturesConfig,
        needs: frozenset[str],
        clocks: DataClocks,
        bars: int,
    ) -> None:
        self._bus, self._runner, self._config, self._clocks = bus, runner, config, clocks
        self._inputs = Inputs(config, needs)
        self._bars = bars
        self._subscription: Subscription | None = None
        self.waiting: dict[tuple[str, str, int], str] = {
            (entry.venue, entry.symbol, interval): "not asked yet"
            for entry in config.symbols
            for interval in entry.intervals_s
        }

    @property
    def live(self) -> bool:
        """Whether bars are being taken."""
        return self._subscription is not None

    async def run(self, store: Store | None) -> None:
        """Load all history that there is, then take live bars. Returns once bars flow."""
        since = time.time_ns() - OVERLAP
        gate = asyncio.Semaphore(TOGETHER)
        leaders = [key for key in self.waiting if self._config.flow.leader.get(key[0]) == key[1]]
        for keys in (leaders, [key for key in self.waiting if key not in leaders]):
            # Those that follow look their leader's bars up in its history, so that comes first.
            await asyncio.gather(*(self._warm_up(key, store, gate) for key in keys))
        for subject in self._inputs.standing:
            await self._take_standing(subject)
        self._subscription = await self._bus.subscribe(self._inputs.subjects, self._on_event, since)

    async def stop(self) -> None:
        """Take no more bars."""
        if self._subscription is not None:
            await self._subscription.close()

    async def _take_standing(self, subject: str) -> None:
        """Take up what was published before anybody listened and still holds."""
        tries = 0
        while True:
            try:
                last = await self._bus.last(subject)
                break
            except BUS_FAILURES as err:
                log.warning("not read yet", subject=subject, reason=str(err) or type(err).__name__)
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
        if last is not None:
            await self._runner.take_inline(last.event)

    async def _warm_up(self, key: tuple[str, str, int], store: Store | None, gate: asyncio.Semaphore) -> None:
        tries = 0
        while True:
            try:
                async with gate:
                    history = await warmup.history(self._bus, store, *key, self._bars)
                break
            except BusError as err:
                if str(err) != self.waiting[key]:
                    log.warning("no history yet", venue=key[0], symbol=key[1], interval_s=key[2], reason=str(err))
                self.waiting[key] = str(err)
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
        await self._runner.take_inline(history)
        # Alone in its journal entry: several histories together may exceed the bus's largest message.
        await self._runner.flush()
        del self.waiting[key]
        log.info("warmed", venue=key[0], symbol=key[1], interval_s=key[2], bars=len(history.bars))

    async def _on_event(self, received: Received) -> None:
        if isinstance(received.event, Bar):
            self._clocks.observe(received.event)
        taken = await self._runner.take(received)
        for output in taken.outputs:
            if isinstance(output, Features):
                metrics.VECTORS.labels(interval_token(output.interval_s), str(output.warm).lower()).inc()
                if output.ts_recv:
                    metrics.LATENCY.observe(max(time.time_ns() - output.ts_recv, 0) / SECOND)


def observe(event: Event, outputs: Sequence[Event], seconds: float) -> None:
    """Count the time of inputs that gave a vector."""
    if outputs:
        metrics.COMPUTE.observe(seconds)
