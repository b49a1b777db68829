"""What predict remembers across restarts: the stage's state and how far it had read."""

from __future__ import annotations

import msgspec

from libs.common.bus import Bus, get_large, put_large
from libs.core.types import Nanos

BUCKET = "snapshots"
KEY = "predict"


class Saved(msgspec.Struct, frozen=True):
    """A saved state. `reached_ns`: capture time of the newest feature vector in it, by the bus server's clock."""

    reached_ns: Nanos
    stage: bytes


async def load(bus: Bus) -> Saved | None:
    """The newest saved state, or None when there is none that can be read."""
    data = await get_large(bus, BUCKET, KEY)
    if not data:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Saved)
    except msgspec.MsgspecError:
        return None


async def save(bus: Bus, saved: Saved) -> None:
    """Replace the saved state. One call at a time."""
    await put_large(bus, BUCKET, KEY, msgspec.msgpack.encode(saved))
