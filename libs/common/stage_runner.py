"""The shell around a stage: applies inputs, journals their order, publishes the outputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from libs.common.bus import Bus, Received
from libs.common.clock import DataClocks
from libs.core.stages.base import Stage
from libs.core.types import (
    MILLISECOND,
    AccountState,
    Applied,
    Control,
    Event,
    Fill,
    Inline,
    Nanos,
    Order,
    Permit,
    Position,
    Reconciliation,
    Ref,
    Restored,
    Started,
    TimePassed,
    encode,
    stable_id,
)

log = structlog.get_logger(__name__)

DURABLE_TYPES: tuple[type[Event], ...] = (Permit, Order, Fill, Position, AccountState, Control, Reconciliation)
FLUSH_ENTRIES = 512
FLUSH_BYTES = 1024 * 1024
FLUSH_S = 0.1
RESTORED_BYTES = 512 * 1024
"""Bytes of a restored state in one entry of the journal: half of NATS' smallest usual limit of a message."""


@dataclass(slots=True)
class Taken:
    """What one input led to: the outputs, and the acknowledgements of those that the ledger must hold."""

    outputs: Sequence[Event]
    acks: list[asyncio.Future[tuple[int, int]]] = field(default_factory=list)

    async def durable(self) -> None:
        """Return when every output that belongs in the ledger is there."""
        if self.acks:
            await asyncio.gather(*self.acks)


class StageRunner:
    """Runs one stage. All inputs go through `take` or `take_inline`; apply, journal and numbering happen in one step.

    Args:
        stage: the pure state machine.
        bus: where outputs go.
        on_output: called with each output before it is sent; returns what to send instead (risk signs permits here).
        observe: called after each input with (input, outputs, seconds in apply), for metrics.
    """

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        *,
        on_output: Callable[[Event], Event] | None = None,
        observe: Callable[[Event, Sequence[Event], float], None] | None = None,
        clock_ns: Callable[[], Nanos] = time.time_ns,
    ) -> None:
        self.stage, self._bus = stage, bus
        self._on_output, self._observe = on_output, observe
        self._clock_ns = clock_ns
        self._entries: list[Ref | Inline] = []
        self._first = 0
        self._bytes = 0
        self._flusher: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._running.set()
        self._acks: set[asyncio.Future[tuple[int, int]]] = set()
        self.applied = 0

    async def start(self, config: bytes, snapshot: bytes | None = None) -> Taken:
        """Journal what the stage is built from and, when given, the state that it takes up."""
        first = await self.take_inline(self._event(Started, "started", stage=self.stage.name, config=config))
        if snapshot is not None:
            self.stage.restore(snapshot)
            await self._journal_restored(snapshot)
        await self.flush()
        self._flusher = asyncio.create_task(self._flush_regularly(), name=f"journal-{self.stage.name}")
        return first

    async def _journal_restored(self, snapshot: bytes) -> None:
        """Note the state that was taken up, in as many entries as it needs messages."""
        parts = max(-(-len(snapshot) // RESTORED_BYTES), 1)
        for part in range(parts):
            at = part * RESTORED_BYTES
            fields = {"snapshot": snapshot[at : at + RESTORED_BYTES], "part": part, "parts": parts}
            self._note(Inline(encode(self._event(Restored, f"restored-{part}", stage=self.stage.name, **fields))))
            if parts > 1:
                await self.flush()

    def _event(self, kind: type[Any], name: str, **fields: Any) -> Any:
        event_id = stable_id(name, self.stage.name, self._bus.epoch)
        return kind(id=event_id, ts_event=0, ts_init=self._clock_ns(), **fields)

    async def take(self, received: Received) -> Taken:
        """Apply a message of the bus."""
        await self._running.wait()
        ref = Ref(received.subject, received.epoch, received.seq)
        return await self._apply(received.event, ref, received.trace)

    async def take_inline(self, event: Event, trace: str = "") -> Taken:
        """Apply an input that no stream holds; the journal keeps it whole."""
        await self._running.wait()
        return await self._apply(event, Inline(encode(event)), trace)

    async def _apply(self, event: Event, entry: Ref | Inline, trace: str) -> Taken:
        begun = time.perf_counter()
        outputs = self.stage.apply(event, self._clock_ns())
        self._note(entry)
        if self._observe:
            self._observe(event, outputs, time.perf_counter() - begun)
        if not outputs:
            if len(self._entries) >= FLUSH_ENTRIES or self._bytes >= FLUSH_BYTES:
                await self.flush()
            return Taken(outputs)
        if self._on_output:
            outputs = [self._on_output(output) for output in outputs]
        # The journal goes first on the same connection: no output is ever seen whose inputs were not recorded.
        await self.flush()
        taken = Taken(outputs)
        for number, output in enumerate(outputs):
            if isinstance(output, DURABLE_TYPES):
                ack = await self._bus.send_durable(output, trace)
                self._acks.add(ack)
                ack.add_done_callback(self._acks.discard)
                taken.acks.append(ack)
            else:
                await self._bus.publish(output, trace)
            if number == 0:
                # Stages put first what the next one waits for; it leaves before the rest is encoded.
                self._bus.push()
        self._bus.push()
        return taken

    def _note(self, entry: Ref | Inline) -> None:
        self._entries.append(entry)
        self.applied += 1
        if isinstance(entry, Inline):
            self._bytes += len(entry.payload)

    async def flush(self) -> None:
        """Publish the journal so far."""
        if not self._entries:
            return
        entries, first = tuple(self._entries), self._first
        self._entries.clear()
        self._bytes = 0
        self._first += len(entries)
        await self._bus.publish(
            Applied(
                id=stable_id("applied", self.stage.name, self._bus.epoch, first),
                ts_event=0,
                ts_init=self._clock_ns(),
                stage=self.stage.name,
                run=self._bus.epoch,
                first=first,
                entries=entries,
            )
        )

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    def pause(self) -> None:
        """Stop taking inputs; they wait in the streams."""
        self._running.clear()

    def resume(self) -> None:
        """Take inputs again."""
        self._running.set()

    async def run_timers(self, clocks: DataClocks, venues: Iterable[str], every_s: float = 0.05) -> None:
        """Tell the stage that time has passed, when something of it waits for that; runs until cancelled.

        A deadline holds in data time; in a replay, where data time jumps, it must also have passed on the machine:
        the wait begins when the deadline is first seen.
        """
        seen: dict[tuple[str, Nanos], Nanos] = {}
        venues = tuple(venues)
        while True:
            await asyncio.sleep(every_s)
            for venue in venues:
                deadline, now = self.stage.next_deadline(venue), clocks.now(venue)
                if deadline is None or not now:
                    continue
                if clocks.extrapolates(venue):
                    due = now >= deadline
                else:
                    first_ns = seen.setdefault((venue, deadline), time.monotonic_ns())
                    seen = {key: value for key, value in seen.items() if key[0] != venue or key[1] == deadline}
                    due = now >= deadline and time.monotonic_ns() - first_ns >= 50 * MILLISECOND
                if due:
                    stamp = max(now, deadline)
                    event = TimePassed(id=stable_id("time", venue, stamp), ts_event=stamp, venue=venue)
                    await self.take_inline(event)

    async def close(self) -> None:
        """Flush the journal and wait for what the ledger has yet to acknowledge."""
        if self._flusher:
            self._flusher.cancel()
        await self.flush()
        if self._acks:
            await asyncio.wait(set(self._acks), timeout=5)
