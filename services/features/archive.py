"""The archive: what the bus captured goes into the store, in its own time, once, whatever breaks in between.

It reads the streams through subscriptions of its own. When the store fails, everything in hand is dropped and reading
resumes from what the store itself says it has: even a server that lost its last commits ends up complete.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from libs.common.bus import Bus, Received
from libs.common.bus.base import Subscription
from libs.common.store import Batch, Captured, RowRefused, Store, StoreError, StoreMismatch, StoreRefused
from libs.core.types import SECOND, DeadLetter, Nanos, Ticks, encode, stable_id
from services.features import metrics
from services.features.citations import Citations
from services.features.outages import BUS_FAILURES
from services.features.settings import ArchiveSettings

log = structlog.get_logger(__name__)

SUBJECTS: Final = {
    "MARKET": ("md.tick.>", "md.book.>", "md.bar.>", "md.health.>", "md.series.>", "news.headline.>"),
    "FEATURES": ("feat.>",),
    "DECISIONS": ("forecast.>", "signal.>", "risk.verdict.>"),
    "ORDERS": ("order.>", "fill.>", "position.>", "account.>"),
    "CONTROL": ("ctl.>",),
}
QUEUE: Final = 2_000
"""Messages in hand; when it is full the subscriptions wait and the streams keep the rest."""
SLICE: Final = 100
"""Messages turned into rows before the feature path gets a turn."""
POLL_S: Final = 0.05
BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
ROLLUP_S: Final = 60.0
RETENTION_S: Final = 600.0
"""Rows are dropped this much before their time, so that none outlives it."""


class Archive:
    """Runs until it is drained. `problem` is why nothing is stored now, "" when all is well."""

    def __init__(self, bus: Bus, store: Store, settings: ArchiveSettings) -> None:
        self._bus, self._store, self._settings = bus, store, settings
        self._queue: asyncio.Queue[Received] = asyncio.Queue(QUEUE)
        self._captured = Captured()
        self._citations = Citations()
        self._newest_quotes: dict[tuple[str, str], int] = {}
        self._subscriptions: list[Subscription] = []
        self._reading = False
        self._draining = asyncio.Event()
        self._opened = False
        self._oldest_waiting_ns: Nanos = 0
        self.problem = "connecting to the store"
        self.stored = 0
        metrics.LAG_MESSAGES.set_function(lambda: self.lag)
        metrics.LAG_SECONDS.set_function(lambda: self.lag_seconds)

    @property
    def lag(self) -> int:
        """Messages that wait: in hand and, as last told, in the streams."""
        return self._queue.qsize() + sum(subscription.lag for subscription in self._subscriptions)

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest message that is known and not stored; 0 when none waits."""
        return (time.time_ns() - self._oldest_waiting_ns) / SECOND if self._oldest_waiting_ns else 0.0

    async def run(self) -> None:
        """Write until drained, through every outage.

        Raises:
            StoreRefused, StoreMismatch: the store has never been open and only a person can change that.
        """
        failures = 0
        while not self._draining.is_set():
            try:
                await self._open()
                failures = 0
                await self._write_until_drained()
            except (StoreRefused, StoreMismatch) as err:
                if not self._opened:
                    raise
                self._failed(err)
            except (StoreError, *BUS_FAILURES) as err:
                self._failed(err)
            finally:
                await self._stop_reading()
            if not self._draining.is_set():
                await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
        await self._store.close()

    async def run_retention(self) -> None:
        """Roll bars up every minute and drop old rows every ten, for the life of the service."""
        due = 0.0
        while True:
            await asyncio.sleep(ROLLUP_S)
            if self.problem:
                continue
            try:
                if time.monotonic() < due:
                    await self._store.roll_up()
                    continue
                removed = await self._store.drop_old(self._settings.keep.sooner(timedelta(seconds=RETENTION_S)))
                due = time.monotonic() + RETENTION_S
                log.info("retention", removed={name: count for name, count in removed.items() if count})
            except StoreError as err:
                log.warning("roll-ups or retention failed, next try in a minute", error=str(err))

    def drain(self) -> None:
        """Stop reading, write what is in hand, end `run`; the streams keep the rest for the next start."""
        self._reading = False
        self._draining.set()

    async def _open(self) -> None:
        await self._store.open()
        self._captured = await self._store.captured()
        self._newest_quotes.clear()
        self._oldest_waiting_ns = 0
        self._opened = True
        if self.problem:
            log.info("the store takes batches")
        self.problem = ""
        metrics.UP.set(1)
        self._reading = True
        for stream, subjects in SUBJECTS.items():
            start = self._captured.resume_ns(stream)
            self._subscriptions.append(await self._bus.subscribe(subjects, self._take, start))

    def _failed(self, err: Exception) -> None:
        said = str(err) or type(err).__name__
        if said != self.problem:
            log.error("nothing is stored for now; the bus keeps it", error=said)
        self.problem = said
        self._oldest_waiting_ns = self._oldest_waiting_ns or time.time_ns()
        metrics.UP.set(0)

    async def _take(self, received: Received) -> None:
        if not self._reading:
            return
        self._citations.remember(received.event)
        if self._captured.is_new(received):
            self._oldest_waiting_ns = self._oldest_waiting_ns or received.stream_ns
            await self._queue.put(received)

    async def _stop_reading(self) -> None:
        self._reading = False
        while not self._queue.empty():
            # Wakes handlers that wait for room; what they hold is read again from the stream.
            self._queue.get_nowait()
            await asyncio.sleep(0)
        for subscription in self._subscriptions:
            await subscription.close()
        self._subscriptions.clear()

    async def _write_until_drained(self) -> None:
        while True:
            messages = await self._gather()
            if not messages:
                return
            begun = time.perf_counter()
            await self._write(messages)
            metrics.WRITE.observe(time.perf_counter() - begun)
            self._oldest_waiting_ns = 0 if self._queue.empty() else messages[-1].stream_ns

    async def _gather(self) -> list[Received]:
        """The next messages: as many as make a batch, or what came within the flush time. Empty = drained."""
        messages: list[Received] = []
        rows = 0
        deadline = time.monotonic() + self._settings.flush_s
        while rows < self._settings.rows:
            if not self._queue.empty():
                messages.append(self._queue.get_nowait())
                event = messages[-1].event
                rows += len(event.items) if isinstance(event, Ticks) else 1
                if len(messages) % SLICE == 0:
                    await asyncio.sleep(0)
                continue
            if self._draining.is_set() or (messages and time.monotonic() >= deadline):
                return messages
            if not messages:
                deadline = time.monotonic() + self._settings.flush_s
            await self._pause(POLL_S)
        return messages

    async def _write(self, messages: Sequence[Received]) -> None:
        """Write; a message that no column holds is put aside with the reason, the others are written."""
        batch = Batch(self._newest_quotes)
        for i, message in enumerate(messages):
            batch.add(message)
            for intent_id, cited in self._citations.found(message.event):
                batch.cite(intent_id, cited)
            if i % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        try:
            await self._store.write(batch)
        except RowRefused as err:
            if len(messages) == 1:
                await self._put_aside(messages[0], str(err))
                return
            self._newest_quotes.clear()
            half = len(messages) // 2
            await self._write(messages[:half])
            await self._write(messages[half:])
            return
        self.stored += batch.size
        for table, count in batch.counts().items():
            metrics.ROWS.labels(table).inc(count)

    async def _put_aside(self, message: Received, reason: str) -> None:
        metrics.REFUSED.inc()
        log.error("a message fits no column, put aside", subject=message.subject, reason=reason)
        payload = encode(message.event)
        await self._bus.publish(
            DeadLetter(
                id=stable_id("dead-letter", "store", message.subject, message.epoch, message.seq),
                ts_event=message.event.ts_event,
                ts_init=time.time_ns(),
                subject=message.subject,
                reason=reason,
                payload=payload,
                ts_recv=message.recv_ns,
            )
        )
        skipped = Batch()
        skipped.skip(message)
        await self._store.write(skipped)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake up to drain."""
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            return
