"""The bus over nats-py: unlimited reconnects, numbered publishing with an outbox, self-healing readers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import APIError, NotFoundError
from prometheus_client import Counter, Gauge

from libs.common.bus.base import KV_BUCKETS, OBJECT_STORES, BusError, Handler, Received, SeenFilter, Server
from libs.common.bus.consumer import StreamReader, header
from libs.common.bus.keyvalue import KeyValues, as_bus_error
from libs.common.bus.objects import Objects, ensure_stores
from libs.common.bus.publisher import TRACE_HEADER, Publisher, numbers_of
from libs.common.bus.streams import ensure_buckets, ensure_streams
from libs.core.types import (
    DeadLetter,
    Event,
    Nanos,
    WireError,
    decode,
    encode,
    stable_id,
    stream_of,
    token,
)

log = structlog.get_logger(__name__)

ERROR_HEADER = "Cv-Error"
PROBE_S = 2.0
DEAD_LETTERS = Counter("conclave_bus_dead_letters_total", "Messages that could not be used and were put aside")
RECONNECTS = Counter("conclave_bus_reconnects_total", "Times the bus came back after it was lost")
RECEIVED = Counter("conclave_bus_messages_received_total", "Messages taken from the bus", ["stream"])
LAG = Gauge("conclave_bus_lag_messages", "Messages captured and not yet read by this service", ["stream"])
ROUND_TRIP = Gauge("conclave_bus_round_trip_seconds", "Round trip to the bus at the last probe")
_FIRST: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1}
"""Until it is connected nats-py shall give up at once: by itself it would try a refused login or an absent server for
ever, and `connect` could neither say so nor end."""
_LATER: dict[str, Any] = {"allow_reconnect": True, "max_reconnect_attempts": -1}
_CONNECTION: dict[str, Any] = {
    "reconnect_time_wait": 0.2,
    "connect_timeout": 2,
    "ping_interval": 5,
    "max_outstanding_pings": 2,
    "pending_size": 16 * 1024 * 1024,
}
_list_encoder = msgspec.msgpack.Encoder()


class NatsBus:
    """See `Bus`. Make one with `await NatsBus.connect(...)`."""

    def __init__(self, nc: Client, name: str) -> None:
        self.epoch = time.time_ns() // 1_000_000
        self.name = name
        self._nc = nc
        self._js = nc.jetstream(timeout=10)
        self._publisher = Publisher(nc, self._js, self.epoch)
        self._values = KeyValues(self._js)
        self._objects = Objects(self._js)
        self._market_age_s: float | None = None
        self._open = True
        self._readers: set[StreamReader] = set()
        self._read: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(
        cls,
        url: str,
        name: str,
        timeout_s: float = 30.0,
        replicas: int = 1,
        market_age_s: float | None = None,
    ) -> NatsBus:
        """Connect, waiting for the server up to `timeout_s`, and make sure that streams and buckets exist.

        `replicas`: servers of a cluster that hold each durable stream and each bucket made here. `market_age_s`: the
        stream of raw prices shall keep nothing for longer; None = leave it as it is.

        Raises:
            BusError: no server, refused login, or a server without JetStream; one line says which and what to do.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            nc = Client()
            bus = cls(nc, name)
            try:
                await nc.connect(
                    servers=[url],
                    name=name,
                    inbox_prefix=inbox_of(url),
                    **_CONNECTION,
                    **_FIRST,
                    error_cb=bus._on_error,
                    disconnected_cb=bus._on_disconnected,
                    reconnected_cb=bus._on_reconnected,
                )
                nc.options.update(_LATER)
                break
            except (OSError, NatsError, TimeoutError) as err:
                with contextlib.suppress(Exception):
                    await nc.close()
                if "uthorization" in str(err):
                    raise BusError(
                        f"bus at {_safe(url)} refused the login; check the user and password in NATS_URL"
                    ) from None
                if time.monotonic() > deadline:
                    raise BusError(
                        f"bus at {_safe(url)} does not answer; start it (conclave up) or set NATS_URL"
                    ) from None
                await asyncio.sleep(0.2)
        bus._market_age_s = market_age_s
        try:
            await ensure_streams(bus._js, replicas, market_age_s)
            await ensure_buckets(bus._js, KV_BUCKETS, replicas)
            await ensure_stores(bus._js, OBJECT_STORES, replicas)
        except BusError:
            await nc.close()
            raise
        except (NatsError, TimeoutError) as err:
            await nc.close()
            raise BusError(f"bus at {_safe(url)} has no usable JetStream: {err}; start nats-server with -js") from None
        await bus._begin()
        return bus

    async def _begin(self) -> None:
        await self._publisher.begin()
        self._spawn(self._probe())

    @property
    def connected(self) -> bool:
        return self._nc.is_connected and self._publisher.gate_open

    async def publish(self, event: Event, trace: str = "") -> tuple[int, int]:
        return await self._publisher.publish(event, trace)

    async def publish_durable(self, event: Event, trace: str = "") -> tuple[int, int]:
        return await self._publisher.publish_durable(event, trace)

    async def send_durable(self, event: Event, trace: str = "") -> asyncio.Future[tuple[int, int]]:
        return await self._publisher.send_durable(event, trace)

    def push(self) -> None:
        self._publisher.push()

    # connection ------------------------------------------------------------------------------------------------------

    async def _on_error(self, err: Exception) -> None:
        log.debug("bus", error=str(err) or type(err).__name__)

    async def _on_disconnected(self) -> None:
        self._publisher.lost()
        if self._open:
            log.warning("bus lost, reconnecting", name=self.name)

    async def _on_reconnected(self) -> None:
        RECONNECTS.inc()
        self._spawn(self._repair())

    async def _repair(self) -> None:
        """Make the server whole, then read again."""
        while self._open:
            try:
                await ensure_streams(self._js, market_age_s=self._market_age_s)
                await self._publisher.repair()
                for reader in list(self._readers):
                    await reader.renew()
                log.info("bus is back", name=self.name)
                return
            except (NatsError, APIError, TimeoutError) as err:
                if not self._nc.is_connected:
                    return
                log.warning("bus is back but not ready", error=str(err) or type(err).__name__)
                await asyncio.sleep(0.3)

    async def _probe(self) -> None:
        while self._open:
            await asyncio.sleep(PROBE_S)
            self._show_lag()
            if not self._nc.is_connected:
                continue
            begun = time.monotonic()
            try:
                await self._nc.flush(timeout=5)
                ROUND_TRIP.set(time.monotonic() - begun)
            except (NatsError, TimeoutError):
                ROUND_TRIP.set(time.monotonic() - begun)
                log.warning("bus does not answer the probe", seconds=round(time.monotonic() - begun, 2))

    def _show_lag(self) -> None:
        lag = dict.fromkeys(self._read, 0)
        for reader in self._readers:
            lag[reader.stream] += reader.pending
        for stream, messages in lag.items():
            LAG.labels(stream).set(messages)

    # reading ---------------------------------------------------------------------------------------------------------

    async def subscribe(self, filters: Sequence[str], handler: Handler, start_ns: Nanos | None) -> NatsSubscriptionSet:
        seen = SeenFilter()
        readers = []
        for stream, wanted in _by_stream(filters).items():
            reader = StreamReader(self._nc, stream, wanted, start_ns, self._taker(handler, seen, stream))
            readers.append(reader)
            self._readers.add(reader)
            self._read.add(stream)
            with as_bus_error(f"read {stream}"):
                await reader.start()
        return NatsSubscriptionSet(self, readers)

    def _taker(self, handler: Handler, seen: SeenFilter, stream: str) -> Any:
        counted = RECEIVED.labels(stream)

        async def take(msg: Msg, stream_seq: int, stamp_ns: int, pending: int) -> None:
            numbers = numbers_of(msg.headers) or (0, stream_seq)
            if not seen.is_new(msg.subject, *numbers):
                return
            counted.inc()
            try:
                event = decode(msg.data)
            except WireError as err:
                await self.dead_letter(msg.subject, str(err), msg.data)
                return
            trace = header(msg.headers, TRACE_HEADER)
            received = Received(msg.subject, event, *numbers, stream_seq, trace, time.time_ns(), stamp_ns)
            try:
                await handler(received)
            except asyncio.CancelledError:
                raise
            except Exception as err:  # a poison message must not stop the consumer; it is kept with its reason
                log.exception("message could not be handled", subject=msg.subject)
                await self.dead_letter(msg.subject, f"{type(err).__name__}: {err}", msg.data)

        return take

    async def dead_letter(self, subject: str, reason: str, payload: bytes) -> None:
        """Put aside a message that cannot be used, with the reason."""
        DEAD_LETTERS.inc()
        letter = DeadLetter(
            id=stable_id("dlq", subject, reason, payload.hex()),
            ts_event=0,
            ts_init=time.time_ns(),
            subject=subject,
            reason=reason,
            payload=payload[:65536],
            ts_recv=time.time_ns(),
        )
        await self.publish(letter)

    async def read(self, filters: Sequence[str], start_ns: Nanos = 0) -> AsyncIterator[Received]:
        for stream, wanted in _by_stream(filters).items():
            queue: asyncio.Queue[Received | None] = asyncio.Queue(maxsize=10_000)
            seen = SeenFilter()

            async def collect(
                msg: Msg,
                stream_seq: int,
                stamp_ns: int,
                pending: int,
                queue: asyncio.Queue[Received | None] = queue,
                seen: SeenFilter = seen,
            ) -> None:
                numbers = numbers_of(msg.headers) or (0, stream_seq)
                if seen.is_new(msg.subject, *numbers):
                    try:
                        trace = header(msg.headers, TRACE_HEADER)
                        event = decode(msg.data)
                        await queue.put(Received(msg.subject, event, *numbers, stream_seq, trace, 0, stamp_ns))
                    except WireError as err:
                        log.warning("skipped an unreadable message", subject=msg.subject, error=str(err))
                if pending == 0:
                    await queue.put(None)

            reader = StreamReader(self._nc, stream, wanted, start_ns, collect)
            await reader.start()
            try:
                if reader.pending == 0 and queue.empty():
                    continue
                while (item := await queue.get()) is not None:
                    yield item
            finally:
                await reader.close()

    async def last(self, subject: str) -> Received | None:
        try:
            raw = await self._js.get_last_msg(stream_of(subject), subject)
            event = decode(raw.data or b"")
        except (NotFoundError, WireError):
            return None
        epoch, seq = numbers_of(raw.headers) or (0, raw.seq or 0)
        stamp = int(raw.time.timestamp() * 1e9) if raw.time else 0
        return Received(subject, event, epoch, seq, raw.seq or 0, header(raw.headers, TRACE_HEADER), 0, stamp)

    # request and reply -----------------------------------------------------------------------------------------------

    async def request(self, subject: str, event: Event, timeout_s: float) -> list[Any]:
        try:
            msg = await self._nc.request(subject, encode(event), timeout=timeout_s)
        except NoRespondersError:
            raise BusError(f"nobody serves {subject}; is that service running?") from None
        except (TimeoutError, NatsError) as err:
            raise BusError(f"no answer on {subject} within {timeout_s:g} s ({type(err).__name__})") from None
        if error := header(msg.headers, ERROR_HEADER):
            raise BusError(error)
        return [decode(item) for item in msgspec.msgpack.decode(msg.data, type=list[bytes])]

    async def serve(self, subject: str, handler: Server) -> None:
        async def answer(msg: Msg) -> None:
            try:
                events = await handler(decode(msg.data))
                await msg.respond(_list_encoder.encode([encode(event) for event in events]))
            except Exception as err:  # whatever went wrong belongs to the asker, not to this service's loop
                text = " ".join(str(err).split()) or type(err).__name__
                await self._nc.publish(msg.reply, b"", headers={ERROR_HEADER: text[:500]})

        async def begin(msg: Msg) -> None:
            self._spawn(answer(msg))

        await self._nc.subscribe(subject, queue=self.name, cb=begin)
        await self._nc.flush(timeout=5)

    # key-value -------------------------------------------------------------------------------------------------------

    async def kv_put(self, bucket: str, key: str, data: bytes) -> int:
        return await self._values.put(bucket, key, data)

    async def kv_get(self, bucket: str, key: str) -> bytes | None:
        entry = await self._values.entry(bucket, key)
        return entry[0] if entry else None

    async def kv_entry(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        return await self._values.entry(bucket, key)

    async def kv_update(self, bucket: str, key: str, data: bytes, revision: int) -> int | None:
        return await self._values.update(bucket, key, data, revision)

    async def kv_keys(self, bucket: str) -> list[str]:
        return await self._values.keys(bucket)

    async def kv_revision(self, bucket: str) -> int:
        return await self._values.revision(bucket)

    async def object_put(self, store: str, name: str, data: bytes) -> None:
        await self._objects.put(store, name, data)

    async def object_get(self, store: str, name: str) -> bytes | None:
        return await self._objects.get(store, name)

    async def object_names(self, store: str) -> list[str]:
        return await self._objects.names(store)

    async def close(self) -> None:
        self._open = False
        for reader in list(self._readers):
            await reader.close()
        for task in list(self._tasks):
            task.cancel()
        if self._nc.is_connected:
            with contextlib.suppress(NatsError, TimeoutError, asyncio.TimeoutError):
                await self._nc.flush(timeout=2)
        await self._nc.close()

    def _spawn(self, coro: Any) -> None:
        task = asyncio.get_running_loop().create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class NatsSubscriptionSet:
    """One subscription over several streams."""

    def __init__(self, bus: NatsBus, readers: list[StreamReader]) -> None:
        self._bus, self._readers = bus, readers

    @property
    def lag(self) -> int:
        return sum(reader.pending for reader in self._readers)

    async def close(self) -> None:
        for reader in self._readers:
            self._bus._readers.discard(reader)
            await reader.close()


def _by_stream(filters: Sequence[str]) -> dict[str, list[str]]:
    by_stream: dict[str, list[str]] = {}
    for pattern in filters:
        by_stream.setdefault(stream_of(pattern), []).append(pattern)
    return by_stream


def inbox_of(url: str) -> str:
    """Where answers to this user arrive: a server may let each user hear its own alone."""
    return f"_INBOX.{token(urlsplit(url).username or 'nobody')}"


def _safe(url: str) -> str:
    """The URL without user and password."""
    scheme, sep, rest = url.partition("://")
    return f"{scheme}{sep}{rest.rpartition('@')[2]}"
