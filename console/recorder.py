"""Write what the streams hold since a moment into a session file."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from libs.common.bus import Bus
from libs.core.types import Nanos, encode
from libs.core.types.subjects import STREAMS
from libs.research.session import Message, Meta, write_session

SESSIONS = "sessions"
MODELS = "models"


async def collect(bus: Bus, since_ns: Nanos) -> AsyncIterator[Message]:
    """Every message of every stream since `since_ns` (machine clock)."""
    for patterns in STREAMS.values():
        async for item in bus.read(patterns, since_ns):
            yield Message(item.subject, item.epoch, item.seq, item.stream_ns, encode(item.event))


async def record_session(bus: Bus, folder: Path, since_ns: Nanos, facts: dict[str, Any]) -> Path:
    """Record everything since `since_ns` as `<folder>/<UTC time>.session`."""
    messages = [message async for message in collect(bus, since_ns)]
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(since_ns / 1e9))
    path = folder / f"{name}.session"
    meta = Meta(started_ns=since_ns, ended_ns=time.time_ns(), facts=facts)
    write_session(path, meta, messages)
    return path


def keep_models(taken_up: Path, sessions: Path) -> None:
    """Keep the models that a stack took up beside its sessions: a replay needs them when the stack is gone."""
    for path in sorted(taken_up.glob("[0-9a-f]*")):
        kept = sessions / MODELS / path.name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)


def latest_session(folder: Path) -> Path | None:
    """The newest recorded session, or None."""
    return max(folder.glob("*.session"), key=lambda path: path.stat().st_mtime, default=None)
