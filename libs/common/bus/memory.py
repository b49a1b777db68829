"""The bus in one process, for unit tests: streams as lists, kept honest by the same behaviour suite as NATS."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from libs.common.bus.base import BusError, Handler, Received, SeenFilter, Server, matches
from libs.core.types import (
    DeadLetter,
    Event,
    Nanos,
    WireError,
    decode,
    encode,
    message_id,
    stable_id,
    stream_of,
    subject_of,
)

_epochs = itertools.count(1)


class MemoryBroker:
    """What a server holds: streams, buckets, who serves what. Outlives the buses that connect to it."""

    def __init__(self) -> None:
        self.messages: dict[str, list[tuple[str, bytes, int, int, str, int]]] = defaultdict(list)
        self.ids: set[tuple[str, str]] = set()
        self.buckets: dict[str, dict[str, tuple[bytes, int]]] = defaultdict(dict)
        self.objects: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.revision = 0
        self.servers: dict[str, Server] = {}
        self.wakers: set[asyncio.Event] = set()

    def append(self, subject: str, payload: bytes, epoch: int, seq: int, trace: str, msg_id: str) -> None:
        """Capture a message unless its id was seen."""
        stream = stream_of(subject)
        if (stream, msg_id) in self.ids:
            return
        self.ids.add((stream, msg_id))
        self.messages[stream].append((subject, payload, epoch, seq, trace, time.time_ns()))
        for waker in self.wakers:
            waker.set()


class MemoryBus:
    """See `Bus`."""

    def __init__(self, broker: MemoryBroker | None = None) -> None:
        self.broker = broker or MemoryBroker()
        self.epoch = next(_epochs)
        self.connected = True
        self._numbers: dict[str, int] = defaultdict(int)
        self._subscriptions: set[MemorySubscription] = set()
        self._served: set[str] = set()

    async def publish(self, event: Event, trace: str = "") -> tuple[int, int]:
        subject = subject_of(event)
        self._numbers[subject] += 1
        seq = self._numbers[subject]
        self.broker.append(subject, encode(event), self.epoch, seq, trace, message_id(subject, event))
        return self.epoch, seq

    async def publish_durable(self, event: Event, trace: str = "") -> tuple[int, int]:
        numbers = await self.publish(event, trace)
        await asyncio.sleep(0)
        return numbers

    async def send_durable(self, event: Event, trace: str = "") -> asyncio.Future[tuple[int, int]]:
        return asyncio.get_running_loop().create_task(self.publish_durable(event, trace))

    def push(self) -> None:
        """Nothing waits here."""

    async def subscribe(self, filters: Sequence[str], handler: Handler, start_ns: Nanos | None) -> MemorySubscription:
        for pattern in filters:
            stream_of(pattern)
        subscription = MemorySubscription(self, list(filters), handler, start_ns)
        self._subscriptions.add(subscription)
        return subscription

    def received(self, stream: str, index: int) -> Received:
        """The message at `index` of a stream. Raises WireError when it cannot be decoded."""
        subject, payload, epoch, seq, trace, stamp = self.broker.messages[stream][index]
        return Received(subject, decode(payload), epoch, seq, index + 1, trace, time.time_ns(), stamp)

    async def read(self, filters: Sequence[str], start_ns: Nanos = 0) -> AsyncIterator[Received]:
        seen = SeenFilter()
        for stream in dict.fromkeys(stream_of(pattern) for pattern in filters):
            for index, (subject, _, epoch, seq, _, stamp) in enumerate(list(self.broker.messages[stream])):
                wanted = stamp >= start_ns and any(matches(pattern, subject) for pattern in filters)
                if wanted and seen.is_new(subject, epoch, seq):
                    try:
                        yield self.received(stream, index)
                    except WireError:
                        continue

    async def last(self, subject: str) -> Received | None:
        stream = stream_of(subject)
        for index in range(len(self.broker.messages[stream]) - 1, -1, -1):
            if self.broker.messages[stream][index][0] == subject:
                return self.received(stream, index)
        return None

    async def request(self, subject: str, event: Event, timeout_s: float) -> list[Any]:
        server = self.broker.servers.get(subject)
        if server is None:
            raise BusError(f"nobody serves {subject}; is that service running?")
        try:
            answer = await asyncio.wait_for(server(decode(encode(event))), timeout_s)
        except TimeoutError:
            raise BusError(f"no answer on {subject} within {timeout_s:g} s") from None
        except Exception as err:  # whatever went wrong belongs to the asker
            raise BusError(str(err) or type(err).__name__) from None
        return [decode(encode(item)) for item in answer]

    async def serve(self, subject: str, handler: Server) -> None:
        self.broker.servers[subject] = handler
        self._served.add(subject)

    async def dead_letter(self, subject: str, reason: str, payload: bytes) -> None:
        """Put aside a message that cannot be used, with the reason."""
        letter = DeadLetter(
            id=stable_id("dlq", subject, reason, payload.hex()),
            ts_event=0,
            subject=subject,
            reason=reason,
            payload=payload,
        )
        await self.publish(letter)

    async def kv_put(self, bucket: str, key: str, data: bytes) -> int:
        self.broker.revision += 1
        self.broker.buckets[bucket][key] = (data, self.broker.revision)
        return self.broker.revision

    async def kv_get(self, bucket: str, key: str) -> bytes | None:
        entry = await self.kv_entry(bucket, key)
        return entry[0] if entry else None

    async def kv_entry(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        return self.broker.buckets[bucket].get(key)

    async def kv_update(self, bucket: str, key: str, data: bytes, revision: int) -> int | None:
        held = self.broker.buckets[bucket].get(key)
        if (held[1] if held else 0) != revision:
            return None
        return await self.kv_put(bucket, key, data)

    async def kv_keys(self, bucket: str) -> list[str]:
        return sorted(self.broker.buckets[bucket])

    async def kv_revision(self, bucket: str) -> int:
        return max((revision for _, revision in self.broker.buckets[bucket].values()), default=0)

    async def object_put(self, store: str, name: str, data: bytes) -> None:
        self.broker.objects[store][name] = data

    async def object_get(self, store: str, name: str) -> bytes | None:
        return self.broker.objects[store].get(name)

    async def object_names(self, store: str) -> list[str]:
        return sorted(self.broker.objects[store])

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()
        for subject in self._served:
            self.broker.servers.pop(subject, None)


class MemorySubscription:
    """Hands messages over in its own task, like a reader of NATS."""

    def __init__(self, bus: MemoryBus, filters: list[str], handler: Handler, start_ns: Nanos | None) -> None:
        self._bus, self._filters, self._handler = bus, filters, handler
        self._streams = list(dict.fromkeys(stream_of(pattern) for pattern in filters))
        broker = bus.broker
        self._next = {
            stream: len(broker.messages[stream])
            if start_ns is None
            else sum(1 for message in broker.messages[stream] if message[5] < start_ns)
            for stream in self._streams
        }
        self._seen = SeenFilter()
        self._waker = asyncio.Event()
        self._waker.set()
        broker.wakers.add(self._waker)
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def lag(self) -> int:
        return sum(len(self._bus.broker.messages[stream]) - at for stream, at in self._next.items())

    async def close(self) -> None:
        self._bus.broker.wakers.discard(self._waker)
        self._bus._subscriptions.discard(self)
        if self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await self._waker.wait()
            self._waker.clear()
            for stream in self._streams:
                while self._next[stream] < len(self._bus.broker.messages[stream]):
                    index = self._next[stream]
                    await self._hand_over(stream, index)
                    self._next[stream] = index + 1

    async def _hand_over(self, stream: str, index: int) -> None:
        subject, payload, epoch, seq, _, _ = self._bus.broker.messages[stream][index]
        if not any(matches(pattern, subject) for pattern in self._filters):
            return
        if not self._seen.is_new(subject, epoch, seq):
            return
        try:
            received = self._bus.received(stream, index)
        except WireError as err:
            await self._bus.dead_letter(subject, str(err), payload)
            return
        try:
            await self._handler(received)
        except asyncio.CancelledError:
            raise
        except Exception as err:  # as over NATS: a poison message is put aside, the consumer goes on
            await self._bus.dead_letter(subject, f"{type(err).__name__}: {err}", payload)
