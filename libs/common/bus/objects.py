"""The object store over JetStream: values of any size by name; every failure of the server is a BusError."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from typing import Final

from nats.js.api import ObjectStoreConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError, ObjectNotFoundError

from libs.common.bus.base import BusError
from libs.common.bus.keyvalue import as_bus_error

GET_S: Final = 30.0
"""Longest for all parts of an object to arrive."""


async def ensure_stores(js: JetStreamContext, names: tuple[str, ...], replicas: int = 1) -> None:
    """Make the object stores that are missing. `replicas`: servers that hold each.

    Raises:
        BusError: one is missing and this user may not make it.
    """
    for name in names:
        try:
            await js.object_store(name)
        except (BucketNotFoundError, NotFoundError):
            try:
                await js.create_object_store(name, ObjectStoreConfig(bucket=name, replicas=replicas))
            except APIError:  # another one made it in the meantime
                await js.object_store(name)
            except TimeoutError:  # a server does not answer what a user may not ask
                raise BusError(
                    f"object store {name} is not made yet and this user may not make it; "
                    "run `python -m libs.common.prepare` as the operator first"
                ) from None


class Objects:
    """See the object methods of `Bus`."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def put(self, store: str, name: str, data: bytes) -> None:
        with as_bus_error(f"write object {store}/{name}"):
            await (await self._js.object_store(store)).put(name, data)

    async def get(self, store: str, name: str) -> bytes | None:
        with as_bus_error(f"read object {store}/{name}"):
            try:
                info = await (await self._js.object_store(store)).get_info(name)
            except (ObjectNotFoundError, BucketNotFoundError):
                return None
            async with asyncio.timeout(GET_S):
                data = await self._parts(store, str(info.nuid), info.chunks or 0)
        if f"SHA-256={_digest(data)}" != info.digest:
            raise BusError(f"object {store}/{name} is damaged: it is not what was put")
        return data

    async def _parts(self, store: str, nuid: str, count: int) -> bytes:
        # The client's own get() looks the stream up by its subject, which a service may not, and waits for ever.
        parts: list[bytes] = []
        if not count:
            return b""
        subject = f"$O.{store}.C.{nuid}"
        reading = await self._js.subscribe(subject, stream=f"OBJ_{store}", ordered_consumer=True)
        try:
            while len(parts) < count:
                parts.append((await reading.next_msg(timeout=GET_S)).data)
        finally:
            await reading.unsubscribe()
        return b"".join(parts)

    async def names(self, store: str) -> list[str]:
        # The client's list() watches the store, which needs a consumer; the subjects of the stream tell the same.
        prefix = f"$O.{store}.M."
        with as_bus_error(f"list objects of {store}"):
            try:
                info = await self._js.stream_info(f"OBJ_{store}", subjects_filter=prefix + ">")
            except NotFoundError:
                return []
        return sorted(filter(None, (_name(s.removeprefix(prefix)) for s in info.state.subjects or {})))


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()


def _name(encoded: str) -> str:
    try:
        return base64.urlsafe_b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
