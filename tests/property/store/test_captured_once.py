"""However often reading starts again and wherever a crash falls: every message is stored once, in order."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.bus.base import Received
from libs.common.store import Batch, Captured
from libs.common.store.captured import MARGIN
from libs.core.types import SECOND, FeedHealth

SUBJECTS = ("md.health.deriv.R_100", "md.health.binance.BTCUSDT", "ctl.halt")


class Table:
    """The table `captured` as a pool would give it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], tuple[int, str, int]] = {}

    def commit(self, batch: Batch) -> None:
        for subject, epoch, seq, stream, stream_ns in batch.captured():
            before = self.rows.get((subject, epoch), (0, stream, 0))
            self.rows[subject, epoch] = (max(seq, before[0]), stream, max(stream_ns, before[2]))

    async def fetch(self, query: str) -> list[dict[str, Any]]:
        return [
            {"subject": subject, "epoch": epoch, "seq": seq, "stream": stream, "stream_ns": stream_ns}
            for (subject, epoch), (seq, stream, stream_ns) in self.rows.items()
        ]


@st.composite
def streams(draw: st.DrawFn) -> list[Received]:
    """What the streams captured: several publishers' runs, interleaved, each numbering each subject from one."""
    order = draw(st.lists(st.tuples(st.sampled_from(SUBJECTS), st.integers(1, 3)), min_size=1, max_size=80))
    steps = draw(st.lists(st.integers(0, 8), min_size=len(order), max_size=len(order)))
    numbers: dict[tuple[str, int], int] = {}
    captured, now = [], 100 * SECOND
    for i, (key, step) in enumerate(zip(order, steps, strict=True)):
        numbers[key] = numbers.get(key, 0) + 1
        now += step * SECOND
        event = FeedHealth(id=str(i), ts_event=0, venue="v", symbol="s", score=1.0)
        captured.append(Received(key[0], event, key[1], numbers[key], i + 1, "", 0, now))
    return captured


def delivered(captured: list[Received], state: Captured) -> list[Received]:
    """What a reader is handed after it resumed: per stream in order, from where the store says."""
    found: list[Received] = []
    for stream, heads in (("MARKET", ("md.",)), ("CONTROL", ("ctl.",))):
        since = state.resume_ns(stream)
        found += [m for m in captured if m.subject.startswith(heads) and m.stream_ns >= since]
    return found


@settings(max_examples=200, deadline=None)
@given(streams(), st.data())
def test_every_message_is_stored_once_and_in_order(captured: list[Received], data: st.DataObject) -> None:
    table, stored = Table(), []
    for _ in range(data.draw(st.integers(0, 4))):
        stored += run(captured, table, data.draw(st.integers(0, 10)), data.draw(st.integers(1, 10)))
    stored += run(captured, table, len(captured) + 1, 7)
    names = [(m.subject, m.epoch, m.seq) for m in stored]
    assert sorted(names) == sorted((m.subject, m.epoch, m.seq) for m in captured)
    for subject in SUBJECTS:
        for epoch in (1, 2, 3):
            seqs = [m.seq for m in stored if (m.subject, m.epoch) == (subject, epoch)]
            assert seqs == sorted(seqs)


def run(captured: list[Received], table: Table, batches: int, size: int) -> list[Received]:
    """One life of the archive: it commits `batches` of `size` messages, then crashes with more in hand."""
    state = asyncio.run(Captured.load(table))  # type: ignore[arg-type]
    stored: list[Received] = []
    batch, held = Batch(), []
    for message in delivered(captured, state):
        if not state.is_new(message):
            continue
        batch.add(message)
        held.append(message)
        if len(held) == size:
            if not batches:
                return stored
            table.commit(batch)
            stored += held
            batches -= 1
            batch, held = Batch(), []
    if batches:
        table.commit(batch)
        stored += held
    return stored


def test_reading_resumes_a_margin_before_the_newest() -> None:
    table = Table()
    batch = Batch()
    event = FeedHealth(id="x", ts_event=0, venue="v", symbol="s", score=1.0)
    batch.add(Received(SUBJECTS[0], event, 1, 1, 1, "", 0, 100 * SECOND))
    table.commit(batch)
    state = asyncio.run(Captured.load(table))  # type: ignore[arg-type]
    assert state.resume_ns("MARKET") == 100 * SECOND - MARGIN
    assert state.resume_ns("CONTROL") == 0
