"""One ordered, self-healing reader of a JetStream stream: gaps, silence and reconnects make it start again in time."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ReplayPolicy

log = structlog.get_logger(__name__)

HEARTBEAT_S = 1.0
SILENCE_S = 3.5
"""No message and no heartbeat for this long: the consumer is gone (server restart, lost ephemeral) and is made anew."""
OVERLAP_NS = 10_000_000_000
"""After an outage reading starts this much earlier: what an unsynced server lost is published again, out of order."""

Take = Callable[[Msg, int, int, int], Awaitable[None]]
"""message, stream sequence, capture time in ns, messages still waiting in the stream"""


class StreamReader:
    """Reads one stream on some filters from a start, for ever."""

    def __init__(self, nc: Client, stream: str, filters: list[str], start_ns: int | None, take: Take) -> None:
        self._nc, self._js = nc, nc.jetstream()
        self.stream, self._filters, self._take = stream, filters, take
        self._start_ns = start_ns
        self._last_ns = 0
        self._next_cseq = 1
        self._heard = time.monotonic()
        self._sub: NatsSubscription | None = None
        self._generation = 0
        self._watchdog: asyncio.Task[None] | None = None
        self._restart = asyncio.Lock()
        self._busy = False
        self._closed = False
        self.pending = 0
        self.caught_up = asyncio.Event()

    async def start(self) -> None:
        await self._create()
        self._watchdog = asyncio.create_task(self._watch(), name=f"reader-{self.stream}")

    async def close(self) -> None:
        self._closed = True
        if self._watchdog:
            self._watchdog.cancel()
        await self._drop()

    async def renew(self) -> None:
        """Make the consumer anew from a little before the last message (after a reconnect)."""
        async with self._restart:
            if self._closed:
                return
            await self._drop()
            await self._create()

    async def _create(self) -> None:
        self._generation += 1
        generation = self._generation
        self._next_cseq = 1
        self._heard = time.monotonic()
        inbox = self._nc.new_inbox()
        config = ConsumerConfig(
            deliver_subject=inbox,
            ack_policy=AckPolicy.NONE,
            replay_policy=ReplayPolicy.INSTANT,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_S,
            inactive_threshold=30.0,
            mem_storage=True,
            num_replicas=1,
            filter_subjects=self._filters,
        )
        since = max(self._last_ns - OVERLAP_NS, 0) if self._last_ns else self._start_ns
        if since is None:
            config.deliver_policy = DeliverPolicy.NEW
            self._start_ns = time.time_ns()
        elif since == 0:
            config.deliver_policy = DeliverPolicy.ALL
        else:
            config.deliver_policy = DeliverPolicy.BY_START_TIME
            config.opt_start_time = dt.datetime.fromtimestamp(since / 1e9, tz=dt.UTC)

        async def on_message(msg: Msg) -> None:
            if generation == self._generation and not self._closed:
                await self._on_message(msg)

        self._sub = await self._nc.subscribe(inbox, cb=on_message, pending_msgs_limit=0, pending_bytes_limit=0)
        info = await self._js.add_consumer(self.stream, config)
        self.pending = info.num_pending or 0
        if self.pending == 0:
            self.caught_up.set()

    async def _drop(self) -> None:
        self._generation += 1
        if self._sub is not None:
            try:
                await self._sub.unsubscribe()
            except NatsError as err:
                log.debug("unsubscribe failed", stream=self.stream, error=str(err))
            self._sub = None

    async def _on_message(self, msg: Msg) -> None:
        self._heard = time.monotonic()
        headers = msg.headers
        if not msg.reply.startswith("$JS.ACK."):
            if headers and headers.get("Status") == "100":
                if msg.reply:
                    await self._nc.publish(msg.reply)
                elif stalled := headers.get("Nats-Consumer-Stalled"):
                    await self._nc.publish(stalled)
            return
        tokens = msg.reply.split(".")
        stream_seq, consumer_seq, stamp_ns, pending = (
            (int(token) for token in tokens[-4:])
            if len(tokens) == 9
            else (
                int(tokens[-6]),
                int(tokens[-5]),
                int(tokens[-4]),
                int(tokens[-3]),
            )
        )
        if consumer_seq != self._next_cseq:
            log.warning("messages lost on the way, reading again", stream=self.stream, missed=consumer_seq)
            asyncio.get_running_loop().create_task(self.renew())
            self._generation += 1
            return
        self._next_cseq += 1
        self._busy = True
        try:
            await self._take(msg, stream_seq, stamp_ns, pending)
        finally:
            self._busy = False
            self._heard = time.monotonic()
        self._last_ns = stamp_ns
        self.pending = pending
        if pending == 0:
            self.caught_up.set()

    async def _watch(self) -> None:
        while not self._closed:
            await asyncio.sleep(HEARTBEAT_S / 2)
            if self._busy or not self._nc.is_connected or time.monotonic() - self._heard < SILENCE_S:
                continue
            log.warning("stream went silent, reading again", stream=self.stream)
            try:
                await self.renew()
            except (NatsError, TimeoutError) as err:
                self._heard = time.monotonic()
                log.warning("cannot read the stream yet", stream=self.stream, error=str(err) or type(err).__name__)


def header(headers: dict[str, Any] | None, name: str) -> str:
    """A header's text or ""."""
    return str(headers.get(name, "")) if headers else ""
