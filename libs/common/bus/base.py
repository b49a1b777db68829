"""What every bus of the house promises: numbered messages, streams that remember, delivery at least once made once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from libs.core.types import Event, Nanos

KV_BUCKETS = ("instruments", "settings", "kill", "snapshots", "leases", "models")
OBJECT_STORES = ("models",)


class BusError(Exception):
    """The bus cannot be used; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it arrived.

    Attributes:
        epoch, seq: the publisher's numbering on this subject; (subject, epoch, seq) names the message for ever.
        stream_seq: position in the stream. trace: W3C traceparent, "" when none.
        recv_ns: machine clock at arrival here. stream_ns: machine clock of the server at capture.
    """

    subject: str
    event: Any
    epoch: int
    seq: int
    stream_seq: int
    trace: str
    recv_ns: Nanos
    stream_ns: Nanos


Handler = Callable[[Received], Awaitable[None]]
Server = Callable[[Event], Awaitable[list[Event]]]


class Subscription(Protocol):
    """A running subscription."""

    @property
    def lag(self) -> int:
        """Messages that the streams hold for it and it has not been handed yet, as last told by the server."""

    async def close(self) -> None:
        """Stop; the handler is not called again after this returns."""


class Bus(Protocol):
    """The bus as services see it. `epoch` numbers this publisher's run."""

    epoch: int

    @property
    def connected(self) -> bool:
        """Whether messages flow now."""

    async def publish(self, event: Event, trace: str = "") -> tuple[int, int]:
        """Number, send and return without waiting; kept until the stream is known to hold it. Returns (epoch, seq)."""

    async def publish_durable(self, event: Event, trace: str = "") -> tuple[int, int]:
        """As `publish`, but return only when the stream has acknowledged it; waits through outages."""

    async def send_durable(self, event: Event, trace: str = "") -> asyncio.Future[tuple[int, int]]:
        """As `publish_durable`, but return as soon as it is sent; the future ends with the acknowledgement."""

    def push(self) -> None:
        """Hand what was published to the network now, not when the event loop next comes round to it."""

    async def subscribe(self, filters: Sequence[str], handler: Handler, start_ns: Nanos | None) -> Subscription:
        """Hand over every message on `filters`, per stream in order, each (subject, epoch, seq) once.

        start_ns: None = only new ones, 0 = everything the streams hold, else from that machine time.
        """

    def read(self, filters: Sequence[str], start_ns: Nanos = 0) -> AsyncIterator[Received]:
        """What the streams hold now, per stream in order, then end."""

    async def last(self, subject: str) -> Received | None:
        """The newest captured message of a subject, or None."""

    async def request(self, subject: str, event: Event, timeout_s: float) -> list[Any]:
        """Ask whoever serves `subject`. Raises BusError when nobody answers in time or the answer is an error."""

    async def serve(self, subject: str, handler: Server) -> None:
        """Answer requests on `subject`; an exception in the handler travels back as the error's text."""

    async def kv_put(self, bucket: str, key: str, data: bytes) -> int:
        """Write a key; returns its revision."""

    async def kv_get(self, bucket: str, key: str) -> bytes | None:
        """A key's value or None."""

    async def kv_entry(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        """A key's value and revision, or None."""

    async def kv_update(self, bucket: str, key: str, data: bytes, revision: int) -> int | None:
        """Write only if the key still has `revision` (0 = absent); the new revision, or None when it has moved on."""

    async def kv_keys(self, bucket: str) -> list[str]:
        """All keys of a bucket."""

    async def kv_revision(self, bucket: str) -> int:
        """Grows with every write to a bucket; 0 before the first."""

    async def object_put(self, store: str, name: str, data: bytes) -> None:
        """Keep a value of any size; it is there whole or not at all."""

    async def object_get(self, store: str, name: str) -> bytes | None:
        """The value under a name or None."""

    async def object_names(self, store: str) -> list[str]:
        """All names of a store."""

    async def close(self) -> None:
        """Flush what is on its way and disconnect."""


class SeenFilter:
    """Drops what was handed over before: per subject and publisher's run, numbers only grow.

    Several may publish on one subject (ctl, dlq), so a message of an older run may follow one of a newer run.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}

    def is_new(self, subject: str, epoch: int, seq: int) -> bool:
        """True once per (subject, epoch, seq), in growing order; remembers it."""
        if seq <= self._last.get((subject, epoch), 0):
            return False
        self._last[subject, epoch] = seq
        return True


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS filter (`*` one token, `>` the rest) covers `subject`."""
    wanted, got = pattern.split("."), subject.split(".")
    for i, part in enumerate(wanted):
        if part == ">":
            return len(got) > i
        if i >= len(got) or part not in ("*", got[i]):
            return False
    return len(wanted) == len(got)
