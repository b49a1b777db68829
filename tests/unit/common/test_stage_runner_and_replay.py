"""What a stage did is journalled so that the same inputs in the same order give the same outputs, event for event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.clock import DataClocks
from libs.common.stage_runner import StageRunner
from libs.core.types import (
    SECOND,
    Bar,
    Event,
    Features,
    Started,
    TimePassed,
    VenueClock,
    encode,
    stable_id,
)
from libs.research import replay as replay_module
from libs.research.replay import Recording, ReplayReport, replay
from libs.research.session import Message, Meta, SessionError, read_session, write_session


class Summing:
    """A toy stage: sums closes; one output a bar; remembers what it was told about time."""

    name = "features"

    def __init__(self, config: bytes = b"1") -> None:
        self.scale = float(config)
        self.total = 0.0
        self.deadline: int | None = None

    def apply(self, event: Event, ts_init: int) -> Sequence[Event]:
        if isinstance(event, TimePassed):
            self.total += 1000
            self.deadline = None
            return []
        if not isinstance(event, Bar):
            return []
        self.total += event.close * self.scale
        return [
            Features(
                id=stable_id("sum", event.id), cause=(event.id,), ts_event=event.ts_event, ts_init=ts_init,
                venue=event.venue, symbol=event.symbol, interval_s=1, bar_time=event.open_time, set_hash="s",
                values=b"", open=0, high=0, low=0, close=self.total, volume=0,
            )
        ]  # fmt: skip

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.total)

    def restore(self, snapshot: bytes) -> None:
        self.total = msgspec.msgpack.decode(snapshot)

    def next_deadline(self, venue: str) -> int | None:
        return self.deadline


def bar(number: int) -> Bar:
    return Bar(
        id=f"bar{number}", ts_event=(number + 1) * SECOND, venue="deriv", symbol="R_100", interval_s=1,
        open_time=number * SECOND, open=1, high=1, low=1, close=number,
    )  # fmt: skip


async def run(broker: MemoryBroker, numbers: range, until, snapshot: bytes | None = None) -> bytes:
    """One run of the stage over bars that a publisher sends; returns its state at the end."""
    source, bus, stage = MemoryBus(broker), MemoryBus(broker), Summing(b"2")
    runner = StageRunner(stage, bus)
    await runner.start(b"2", snapshot)

    async def take(received) -> None:
        await runner.take(received)

    subscription = await bus.subscribe(["md.bar.>"], take, None)
    for number in numbers:
        await source.publish(bar(number))
        if number == 3:
            await runner.take_inline(TimePassed(id="t", ts_event=number * SECOND, venue="deriv"))
    await until(lambda: runner.applied >= len(numbers) + 1, "all bars applied")
    await subscription.close()
    await runner.close()
    return stage.snapshot()


def messages(broker: MemoryBroker) -> list[Message]:
    return [
        Message(subject, epoch, seq, stamp, payload)
        for stream in broker.messages.values()
        for subject, payload, epoch, seq, _, stamp in stream
    ]


def replayed(found: list[Message], monkeypatch: pytest.MonkeyPatch) -> ReplayReport:
    monkeypatch.setattr(replay_module, "STAGES", ("features",))
    return replay(Recording(found), lambda name, config: Summing(config))


async def test_a_recording_replays_equal_across_a_restart_with_a_snapshot(until, monkeypatch) -> None:
    broker = MemoryBroker()
    state = await run(broker, range(8), until)
    await run(broker, range(8, 12), until, snapshot=state)
    report = replayed(messages(broker), monkeypatch)
    assert report.ok, (report.difference, report.problems)
    assert report.equal["Features"] == 12
    assert report.runs["features"] == 2


async def test_a_state_larger_than_a_message_is_journalled_in_parts(until, monkeypatch) -> None:
    class Heavy(Summing):
        def snapshot(self) -> bytes:
            return msgspec.msgpack.encode((self.total, bytes(range(256)) * 5_000))

        def restore(self, snapshot: bytes) -> None:
            self.total, padding = msgspec.msgpack.decode(snapshot)
            assert padding == bytes(range(256)) * 5_000

    broker, stage = MemoryBroker(), Heavy(b"2")
    stage.total = 41.0
    taking = StageRunner(Heavy(b"2"), MemoryBus(broker))
    await taking.start(b"2", stage.snapshot())
    await taking.take_inline(bar(1))
    await taking.close()
    found = messages(broker)
    assert max(len(m.payload) for m in found) < 1024 * 1024
    monkeypatch.setattr(replay_module, "STAGES", ("features",))
    report = replay(Recording(found), lambda name, config: Heavy(config))
    assert report.ok, (report.difference, report.problems)
    assert report.equal["Features"] == 1


async def test_an_altered_input_is_the_first_difference(until, monkeypatch) -> None:
    broker = MemoryBroker()
    await run(broker, range(6), until)
    changed = [
        msgspec.structs.replace(m, payload=encode(msgspec.structs.replace(m.event(), close=99.0)))
        if m.subject.startswith("md.bar") and m.seq == 5
        else m
        for m in messages(broker)
    ]
    report = replayed(changed, monkeypatch)
    assert report.difference is not None
    assert report.difference.field == "close"
    assert report.equal["Features"] == 4


async def test_an_output_that_nothing_made_is_a_difference(until, monkeypatch) -> None:
    broker = MemoryBroker()
    await run(broker, range(4), until)
    found = messages(broker)
    forged = next(m for m in found if m.subject.startswith("feat."))
    event = msgspec.structs.replace(forged.event(), id="forged")
    report = replayed([*found, msgspec.structs.replace(forged, seq=999, payload=encode(event))], monkeypatch)
    assert report.difference is not None
    assert report.difference.replayed == "absent"


async def test_a_lost_input_or_journal_cannot_pass_as_equal(until, monkeypatch) -> None:
    broker = MemoryBroker()
    await run(broker, range(4), until)
    found = messages(broker)
    without_bar = [m for m in found if not (m.subject.startswith("md.bar") and m.seq == 2)]
    assert not replayed(without_bar, monkeypatch).ok
    journal = [m for m in found if m.subject == "applied.features"]
    without_journal = [m for m in found if m is not journal[len(journal) // 2]]
    assert not replayed(without_journal, monkeypatch).ok
    assert not replayed([m for m in found if m.subject != "applied.features"], monkeypatch).ok


async def test_a_stack_that_still_runs_is_replayed_up_to_a_moment(until, monkeypatch) -> None:
    broker = MemoryBroker()
    await run(broker, range(8), until)
    found = sorted(messages(broker), key=lambda m: m.stream_ns)
    monkeypatch.setattr(replay_module, "STAGES", ("features",))
    journal = [m for m in found if m.subject == "applied.features"]
    # What the bus holds of a later input is partly there: its journal and its outputs, not yet the input itself.
    until_ns = journal[len(journal) // 2].stream_ns
    torn = [m for m in found if not (m.subject.startswith("md.bar") and m.seq == 8)]
    assert not replayed(torn, monkeypatch).ok
    report = replay(Recording(torn, until_ns), lambda name, config: Summing(config))
    assert report.ok, (report.difference, report.problems)
    assert 0 < report.equal["Features"] < 8
    before = next(m for m in torn if m.subject.startswith("feat.") and m.stream_ns <= until_ns)
    forged = msgspec.structs.replace(before.event(), id="forged")
    with_forgery = [*torn, msgspec.structs.replace(before, seq=999, payload=encode(forged))]
    assert not replay(Recording(with_forgery, until_ns), lambda name, config: Summing(config)).ok


async def test_inputs_wait_while_paused(until) -> None:
    broker = MemoryBroker()
    bus, stage = MemoryBus(broker), Summing()
    runner = StageRunner(stage, bus)
    await runner.start(b"1")
    runner.pause()
    waiting = asyncio.create_task(runner.take_inline(bar(1)))
    await asyncio.wait({waiting}, timeout=0.05)
    assert stage.total == 0
    runner.resume()
    await waiting
    assert stage.total == 1
    await runner.close()


@pytest.mark.parametrize("live", [True, False])
async def test_a_deadline_of_the_stage_is_told_once_data_time_has_passed_it(live: bool, until) -> None:
    clocks, bus, stage = DataClocks(), MemoryBus(), Summing()
    stage.deadline = 5 * SECOND
    runner = StageRunner(stage, bus)
    await runner.start(b"1")
    timers = asyncio.create_task(runner.run_timers(clocks, ["deriv"], every_s=0.005))
    early = VenueClock(id="a", ts_event=1 * SECOND, venue="deriv", ts_machine=0, extrapolate=False)
    clocks.observe(early)
    await asyncio.wait({timers}, timeout=0.03)
    assert stage.total == 0
    clocks.observe(VenueClock(id="b", ts_event=6 * SECOND, venue="deriv", ts_machine=0, extrapolate=live))
    await until(lambda: stage.total == 1000, "TimePassed")
    timers.cancel()
    await runner.close()


async def test_a_session_file_keeps_everything_and_refuses_what_is_cut(tmp_path: Path, until) -> None:
    broker = MemoryBroker()
    await run(broker, range(4), until)
    path = tmp_path / "one.session"
    meta = Meta(started_ns=1, ended_ns=2, facts={"a": 1})
    assert write_session(path, meta, messages(broker)) == len(messages(broker))
    again, found = read_session(path)
    assert again == meta
    assert list(found) == messages(broker)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SessionError, match="cut short"):
        list(read_session(path)[1])
    for content in (b"", b"not a session"):
        path.write_bytes(content)
        with pytest.raises(SessionError, match="not a recorded session"):
            read_session(path)
    with pytest.raises(SessionError, match="does not exist"):
        read_session(tmp_path / "absent.session")


def test_a_stage_that_started_is_journalled_with_its_configuration() -> None:
    event = Started(id="s", ts_event=0, stage="features", config=b"{}")
    assert msgspec.msgpack.decode(encode(event))["config"] == b"{}"
