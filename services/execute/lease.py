"""One executor per account: a lease in the bus's key-value store, kept alive by a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable

import msgspec
import structlog

from libs.common.bus import Bus
from libs.common.chassis import FatalError

log = structlog.get_logger("execute")

TTL_S = 3.0
BEAT_S = 1.0
ANSWER_S = 5.0
BUCKET = "leases"
RUN = uuid.uuid4().hex
"""Tells this life of the process from an earlier one with the same number, as the first process of a container has."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease; `beat` grows with each heartbeat, `free` marks one that was given back."""

    host: str
    pid: int
    run: str
    beat: int = 0
    free: bool = False

    def is_dead(self) -> bool:
        """Certainly gone: a process of this machine that no longer runs (or the earlier life of this one)."""
        if self.host != socket.gethostname():
            return False
        if self.pid == os.getpid():
            return self.run != RUN
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class Lease:
    """The right to execute one account.

    A holder elsewhere counts as gone when its heartbeat has not moved for `ttl_s` of our own monotonic clock, so that
    machines need not agree on the time.
    """

    def __init__(
        self,
        bus: Bus,
        account: str,
        *,
        ttl_s: float = TTL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.account = account
        self._bus, self._ttl_s, self._monotonic = bus, ttl_s, monotonic
        self._key = f"account-{account}"
        self._revision = 0
        self._beat = 0
        self._seen: tuple[int, float] = (0, 0.0)
        self.holder: Holder | None = None

    async def try_take(self) -> bool:
        """Take it if it is free, was given back, or its holder is gone; `holder` tells who has it otherwise."""
        entry = await self._bus.kv_entry(BUCKET, self._key)
        revision = 0
        if entry is not None:
            data, revision = entry
            self.holder = _read(data)
            if self.holder is not None and not self.holder.free and not self.holder.is_dead():
                if self._seen[0] != revision:
                    self._seen = (revision, self._monotonic())
                if self._monotonic() - self._seen[1] < self._ttl_s:
                    return False
        taken = await self._bus.kv_update(BUCKET, self._key, self._mine(), revision)
        self._revision = taken or 0
        return taken is not None

    async def keep(self) -> None:
        """Beat until cancelled.

        Raises:
            FatalError: another executor has taken it; this one must not send anything any more.
        """
        while True:
            await asyncio.sleep(BEAT_S)
            await self.beat()

    async def beat(self) -> None:
        """One heartbeat; a bus that does not answer is no reason to stop, for without it nothing is sent either.

        Raises:
            FatalError: as `keep`.
        """
        self._beat += 1
        try:
            await asyncio.wait_for(self._renew(), ANSWER_S)
        except FatalError:
            raise
        except Exception as err:  # every way in which a bus can be away; the next beat tries again
            log.debug("lease not renewed", account=self.account, error=str(err) or type(err).__name__)

    async def _renew(self) -> None:
        taken = await self._bus.kv_update(BUCKET, self._key, self._mine(), self._revision)
        if taken is None:
            # An update of ours whose answer was lost, or a server that lost the bucket, looks like a stranger's hand.
            entry = await self._bus.kv_entry(BUCKET, self._key)
            holder = _read(entry[0]) if entry else None
            if holder is not None and (holder.host, holder.pid, holder.run) != (socket.gethostname(), os.getpid(), RUN):
                raise FatalError(f"account {self.account} was taken over by another executor; this one stops")
            taken = await self._bus.kv_update(BUCKET, self._key, self._mine(), entry[1] if entry else 0)
        self._revision = taken or self._revision

    async def give_back(self) -> None:
        """Free it at once for the next executor."""
        if self._revision:
            with contextlib.suppress(Exception):  # the bus may be gone already; then the heartbeat tells
                await asyncio.wait_for(
                    self._bus.kv_update(BUCKET, self._key, self._mine(free=True), self._revision), ANSWER_S
                )
            self._revision = 0

    def _mine(self, free: bool = False) -> bytes:
        return msgspec.json.encode(Holder(socket.gethostname(), os.getpid(), RUN, self._beat, free))


def _read(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except msgspec.DecodeError:
        return None
