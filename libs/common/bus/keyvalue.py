"""The key-value buckets over JetStream; every failure of the server is a BusError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from nats.errors import Error as NatsError
from nats.js.client import JetStreamContext
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError

from libs.common.bus.base import BusError


@contextlib.contextmanager
def as_bus_error(what: str) -> Iterator[None]:
    """Turn NATS's errors into one line that says what could not be done."""
    try:
        yield
    except (NatsError, TimeoutError) as err:
        raise BusError(f"bus cannot {what}: {err or type(err).__name__}") from err


class KeyValues:
    """See the kv methods of `Bus`."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def put(self, bucket: str, key: str, data: bytes) -> int:
        with as_bus_error(f"write {bucket}/{key}"):
            return await (await self._js.key_value(bucket)).put(key, data)

    async def entry(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        with as_bus_error(f"read {bucket}/{key}"):
            try:
                entry = await (await self._js.key_value(bucket)).get(key)
            except (KeyNotFoundError, BucketNotFoundError):
                return None
            return entry.value or b"", entry.revision or 0

    async def update(self, bucket: str, key: str, data: bytes, revision: int) -> int | None:
        with as_bus_error(f"write {bucket}/{key}"):
            try:
                return await (await self._js.key_value(bucket)).update(key, data, last=revision)
            except KeyWrongLastSequenceError:
                return None

    async def keys(self, bucket: str) -> list[str]:
        # nats-py's keys() watches the bucket and now and then ends before the first key: the server had sent it, the
        # client had yet to see it. A kill switch that is not in the list would count as lifted.
        prefix = f"$KV.{bucket}."
        with as_bus_error(f"list {bucket}"):
            info = await self._js.stream_info(f"KV_{bucket}", subjects_filter=prefix + ">")
            found = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {})
        return [key for key in found if await self.entry(bucket, key) is not None]

    async def revision(self, bucket: str) -> int:
        with as_bus_error(f"read {bucket}"):
            return (await self._js.stream_info(f"KV_{bucket}")).state.last_seq
