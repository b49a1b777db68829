"""What could not be used is put aside with the reason, so many a second; the rest is only counted."""

from __future__ import annotations

import time
from typing import Final

from libs.core.types import DeadLetter, Nanos, stable_id
from services.ingest.outgoing import Outgoing

PER_SECOND: Final = 20
MOST_BYTES: Final = 65_536


class DeadLetters:
    """Dead letters of one venue. `dropped` counts those beyond PER_SECOND."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._out = outgoing
        self._left = PER_SECOND
        self.dropped = 0

    def put(self, subject: str, payload: bytes, reason: str, ts_event: Nanos) -> None:
        """Put `payload` aside under `dlq.<subject>`."""
        if self._left <= 0:
            self.dropped += 1
            return
        self._left -= 1
        now = time.time_ns()
        letter = DeadLetter(
            id=stable_id("dlq", subject, reason, payload.hex(), now),
            ts_event=ts_event,
            ts_init=now,
            subject=subject,
            reason=reason,
            payload=payload[:MOST_BYTES],
            ts_recv=now,
        )
        self._out.put(letter)

    def renew(self) -> None:
        """A new second has begun."""
        self._left = PER_SECOND
