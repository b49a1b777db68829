"""Values of any size in a key-value bucket: in parts where a message is too small, replaced whole or not at all."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from libs.common.bus.base import Bus

PART_BYTES: Final = 512 * 1024
"""Bytes of a part: half of what a NATS server takes as one message unless it is told otherwise."""

SLOTS: Final = ("a", "b")
MARK: Final = b"conclave parts\n"
"""How the head of a value in parts begins; a head without it is the value itself."""


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """Where the parts lie (`<key>.<slot>.<number>`) and the digest of each, in order."""

    slot: str
    digests: tuple[bytes, ...]


async def put_large(bus: Bus, bucket: str, key: str, data: bytes) -> None:
    """Replace a value. Until the last step the old one stays; nobody else may be writing the same key meanwhile.

    A value that fits one message lies under `key` alone. A larger one lies in parts in the slot that the old value
    does not use, and is taken up when `key` names that slot: a writer that is killed leaves the old value whole.

    Raises:
        BusError: it is not kept; the old value is.
    """
    if len(data) <= PART_BYTES and not data.startswith(MARK):
        await bus.kv_put(bucket, key, data)
        return
    old = _head(await bus.kv_get(bucket, key))
    slot = SLOTS[1] if old is not None and old.slot == SLOTS[0] else SLOTS[0]
    view = memoryview(data)
    digests = []
    for number, at in enumerate(range(0, len(data), PART_BYTES)):
        part = bytes(view[at : at + PART_BYTES])
        digests.append(_digest(part))
        await bus.kv_put(bucket, f"{key}.{slot}.{number}", part)
    await bus.kv_put(bucket, key, MARK + msgspec.msgpack.encode(_Head(slot, tuple(digests))))


async def get_large(bus: Bus, bucket: str, key: str) -> bytes | None:
    """The value as it was put, or None when there is none or a part of it is missing or spoiled.

    Raises:
        BusError: the bucket cannot be read.
    """
    found = await bus.kv_get(bucket, key)
    if found is None or not found.startswith(MARK):
        return found
    head = _head(found)
    if head is None:
        return None
    parts = []
    for number, digest in enumerate(head.digests):
        part = await bus.kv_get(bucket, f"{key}.{head.slot}.{number}")
        if part is None or _digest(part) != digest:
            return None
        parts.append(part)
    return b"".join(parts)


def _head(found: bytes | None) -> _Head | None:
    if found is None or not found.startswith(MARK):
        return None
    try:
        return msgspec.msgpack.decode(found[len(MARK) :], type=_Head)
    except msgspec.MsgspecError:
        return None


def _digest(part: bytes) -> bytes:
    return hashlib.blake2b(part, digest_size=16).digest()
