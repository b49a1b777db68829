"""What was published and may still be lost: kept per subject until the stream is known to hold it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

PER_SUBJECT = 4096
"""Messages kept per subject. Without acknowledgements (asynchronous streams) this is how far back a crashed server can
be made whole again; at 20 batches of ticks a second it is more than three minutes."""


@dataclass(slots=True)
class Entry:
    """One published message; `waiter` is set when somebody waits for the acknowledgement."""

    subject: str
    seq: int
    payload: bytes
    headers: dict[str, str]
    reply: str = ""
    waiter: asyncio.Future[None] | None = None


@dataclass(slots=True)
class Outbox:
    """The last messages of each subject, in order of their numbers."""

    by_subject: dict[str, deque[Entry]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    dropped: int = 0

    def next_seq(self, subject: str) -> int:
        seq = self.numbers.get(subject, 0) + 1
        self.numbers[subject] = seq
        return seq

    def add(self, entry: Entry) -> None:
        kept = self.by_subject.setdefault(entry.subject, deque())
        kept.append(entry)
        while len(kept) > PER_SUBJECT and kept[0].waiter is None:
            kept.popleft()
            self.dropped += 1

    def acknowledged(self, entry: Entry) -> None:
        """The stream holds `entry` durably: neither it nor the waiter is needed any longer."""
        if entry.waiter is not None and not entry.waiter.done():
            entry.waiter.set_result(None)
        entry.waiter = None
        kept = self.by_subject.get(entry.subject)
        while kept and kept[0].seq <= entry.seq and kept[0].waiter is None:
            kept.popleft()

    def after(self, subject: str, seq: int) -> list[Entry]:
        """Entries of `subject` numbered above `seq`, in order."""
        return [entry for entry in self.by_subject.get(subject, ()) if entry.seq > seq]
