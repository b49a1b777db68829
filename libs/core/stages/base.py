"""What a decision stage is: a pure state machine from applied inputs to outputs, fed alike live and in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from libs.core.types import Event, Nanos


class Stage(Protocol):
    """One stage of the house. Everything it knows came through `apply`, so its inputs in order are its whole history.

    A stage ignores events that it does not need, and events that it has already applied (same bar time, same id):
    delivery is at least once.
    """

    name: str

    def apply(self, event: Event, ts_init: Nanos) -> Sequence[Event]:
        """Take one input; return the outputs it causes, in order. `ts_init` only stamps the outputs."""

    def snapshot(self) -> bytes:
        """The whole state; `restore` of it continues bit for bit."""

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot of the same configuration. Raises ValueError when it is of another version or set."""

    def next_deadline(self, venue: str) -> Nanos | None:
        """Earliest data time of `venue` at which a TimePassed would change something; None when nothing waits."""
