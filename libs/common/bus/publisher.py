"""Numbered publishing over nats-py: the outbox, the acknowledgements, and the repair after a server was away."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError
from prometheus_client import Counter

from libs.common.bus.consumer import header
from libs.common.bus.outbox import Entry, Outbox
from libs.core.types import Event, encode, message_id, stream_of, subject_of

log = structlog.get_logger(__name__)

SEQ_HEADER = "Cv-Seq"
TRACE_HEADER = "traceparent"
ACK_RETRY_S = 3.0
PUBLISHED = Counter("conclave_bus_messages_published_total", "Messages published")


class Publisher:
    """Publishes the messages of one run (`epoch`); while the gate is shut they wait in the outbox."""

    def __init__(self, nc: Client, js: JetStreamContext, epoch: int) -> None:
        self.epoch = epoch
        self.gate_open = True
        self._nc, self._js = nc, js
        self._outbox = Outbox()
        self._acks: dict[str, Entry] = {}
        self._ack_prefix = ""
        self._ack_count = 0

    async def begin(self) -> None:
        """Listen for acknowledgements."""
        inbox = self._nc.new_inbox()
        self._ack_prefix = inbox + "."
        await self._nc.subscribe(inbox + ".*", cb=self._on_ack, pending_msgs_limit=0, pending_bytes_limit=0)

    async def publish(self, event: Event, trace: str = "") -> tuple[int, int]:
        """See `Bus.publish`."""
        entry = self._entry(event, trace)
        await self._send(entry)
        return self.epoch, entry.seq

    async def publish_durable(self, event: Event, trace: str = "") -> tuple[int, int]:
        """See `Bus.publish_durable`."""
        return await (await self.send_durable(event, trace))

    async def send_durable(self, event: Event, trace: str = "") -> asyncio.Future[tuple[int, int]]:
        """See `Bus.send_durable`."""
        entry = self._entry(event, trace)
        waiter = self._await_ack(entry)
        await self._send(entry)
        return asyncio.get_running_loop().create_task(self._acknowledged(entry, waiter))

    async def _acknowledged(self, entry: Entry, waiter: asyncio.Future[None]) -> tuple[int, int]:
        while not (await asyncio.wait({waiter}, timeout=ACK_RETRY_S))[0]:
            await self._send(entry)
        return self.epoch, entry.seq

    def push(self) -> None:
        """See `Bus.push`. nats-py hands its queue to the socket from a task of its own, one turn of the loop later."""
        nc = self._nc
        if self.gate_open and nc.is_connected and nc._pending and nc._transport is not None:
            nc._transport.writelines(nc._pending[:])
            nc._pending.clear()
            nc._pending_data_size = 0

    def _entry(self, event: Event, trace: str) -> Entry:
        subject = subject_of(event)
        seq = self._outbox.next_seq(subject)
        PUBLISHED.inc()
        headers = {"Nats-Msg-Id": message_id(subject, event), SEQ_HEADER: f"{self.epoch}.{seq}"}
        if trace:
            headers[TRACE_HEADER] = trace
        entry = Entry(subject, seq, encode(event), headers)
        self._outbox.add(entry)
        return entry

    def _await_ack(self, entry: Entry) -> asyncio.Future[None]:
        self._ack_count += 1
        entry.reply = f"{self._ack_prefix}{self._ack_count}"
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.waiter = waiter
        self._acks[entry.reply] = entry
        return waiter

    async def _send(self, entry: Entry) -> None:
        if not self.gate_open or not self._nc.is_connected:
            return
        try:
            await self._put(entry)
        except NatsError as err:
            log.debug("kept for the next connection", subject=entry.subject, error=str(err))

    async def _put(self, entry: Entry) -> None:
        await self._nc.publish(entry.subject, entry.payload, reply=entry.reply, headers=entry.headers)

    async def _on_ack(self, msg: Msg) -> None:
        entry = self._acks.get(msg.subject)
        if entry is None or header(msg.headers, "Status") == "503":
            return
        answer = msgspec.json.decode(msg.data)
        if "error" in answer:
            log.error("the stream refused a message", subject=entry.subject, error=answer["error"].get("description"))
            return
        del self._acks[msg.subject]
        self._outbox.acknowledged(entry)

    def lost(self) -> None:
        """The connection is gone: shut the gate."""
        self.gate_open = False
        # nats-py would send what it had queued before we know what the server lost; the outbox sends it in order.
        self._nc._pending.clear()
        self._nc._pending_data_size = 0

    async def repair(self) -> None:
        """Publish again what the server does not hold, in order, then open the gate. Raises NATS's errors."""
        sent = {subject: await self._repair_subject(subject) for subject in list(self._outbox.by_subject)}
        # What was published meanwhile goes first and the gate opens in the same step: a message that overtook a
        # waiting one would make the server look as if it held both.
        while waiting := [e for q in self._outbox.by_subject.values() for e in q if e.seq > sent.get(e.subject, 0)]:
            for entry in waiting:
                await self._put(entry)
                sent[entry.subject] = entry.seq
        self.gate_open = True

    async def _repair_subject(self, subject: str) -> int:
        """Publish again what the server lost of a subject; returns the number of the last message it has now."""
        held = await self._held(subject)
        entries = list(self._outbox.by_subject.get(subject, ()))
        for entry in entries:
            if entry.seq > held:
                await self._put(entry)
            elif entry.waiter is not None:
                self._acks.pop(entry.reply, None)
                self._outbox.acknowledged(entry)
        await self._nc.flush(timeout=5)
        return max(held, entries[-1].seq if entries else 0)

    async def _held(self, subject: str) -> int:
        """Number of the newest message of this run that the stream holds on `subject`, 0 when none."""
        try:
            raw = await self._js.get_last_msg(stream_of(subject), subject)
        except NotFoundError:
            return 0
        epoch, seq = numbers_of(raw.headers) or (0, 0)
        return seq if epoch == self.epoch else 0


def numbers_of(headers: dict[str, Any] | None) -> tuple[int, int] | None:
    """The publisher's (epoch, seq) in a message's headers, None when it bears none."""
    epoch, dot, seq = header(headers, SEQ_HEADER).partition(".")
    return (int(epoch), int(seq)) if dot and epoch.isdigit() and seq.isdigit() else None
