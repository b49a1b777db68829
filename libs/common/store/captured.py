"""How far the store has got, in the publishers' own numbering: what is redelivered, and where reading resumes."""

from __future__ import annotations

from typing import Final

import asyncpg

from libs.common.bus.base import Received
from libs.core.types import SECOND, Nanos

MARGIN: Final = 10 * SECOND
"""Reading resumes this much before the newest stored capture time; what was stored since then is skipped by number."""

UPSERT: Final = """
INSERT INTO captured (subject, epoch, seq, stream, stream_ns)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
ON CONFLICT (subject, epoch) DO UPDATE
SET seq = greatest(captured.seq, excluded.seq), stream_ns = greatest(captured.stream_ns, excluded.stream_ns),
    stored_at = now()
"""


class Captured:
    """A copy of the table `captured`, advanced as messages are taken for writing."""

    def __init__(self) -> None:
        self._seq: dict[tuple[str, int], int] = {}
        self._newest: dict[str, Nanos] = {}

    @classmethod
    async def load(cls, pool: asyncpg.Pool) -> Captured:
        """What the store says now."""
        captured = cls()
        for row in await pool.fetch("SELECT subject, epoch, seq, stream, stream_ns FROM captured"):
            captured._seq[row["subject"], row["epoch"]] = row["seq"]
            captured._newest[row["stream"]] = max(captured._newest.get(row["stream"], 0), row["stream_ns"])
        return captured

    def is_new(self, received: Received) -> bool:
        """Whether the message is beyond what was taken of its subject and epoch; remembers it if so."""
        key = (received.subject, received.epoch)
        if received.seq <= self._seq.get(key, 0):
            return False
        self._seq[key] = received.seq
        return True

    def resume_ns(self, stream: str) -> Nanos:
        """Machine time from which a stream must be read; 0 = from its beginning.

        A stream is handed over in order and batches are stored in order, so all before the newest is stored.
        """
        return max(self._newest.get(stream, 0) - MARGIN, 0)
