"""`conclave tap`: decoded messages of the running stack."""

from __future__ import annotations

import asyncio
import os
import sys

from console.context import CommandError, running_bus
from libs.common.bus import Received
from libs.core.types import STREAMS, stream_of, to_json


async def run_tap(subject: str, last: bool, count: int) -> None:
    """Print messages until `count` are printed or somebody stops it."""
    try:
        stream_of(subject)
    except KeyError:
        known = ", ".join(pattern for patterns in STREAMS.values() for pattern in patterns)
        raise CommandError(f"no stream carries {subject!r}; subjects are {known}") from None
    done = asyncio.Event()
    printed = 0

    async def show(received: Received) -> None:
        nonlocal printed
        if count and printed >= count:
            return
        printed += 1
        try:
            sys.stdout.write(f'{{"subject":"{received.subject}","event":{to_json(received.event).decode()}}}\n')
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read has seen enough, as in `conclave tap 'md.>' | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            done.set()
            return
        if count and printed >= count:
            done.set()

    async with running_bus("tap") as (bus, _):
        await bus.subscribe([subject], show, 0 if last else None)
        await done.wait()
