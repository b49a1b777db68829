"""Feed a recorded session to the same core stages in the recorded order and compare what comes out, event for event."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.core.stages.base import Stage
from libs.core.types import (
    Applied,
    Control,
    Event,
    Inline,
    Nanos,
    Ref,
    Restored,
    Started,
    WireError,
    decode,
    stream_of,
    subject_of,
)
from libs.research.session import Message

STAGES = ("features", "predict", "risk", "execute")
_NOT_COMPARED = frozenset({"ts_init", "latency_us", "signature", "key_id"})
"""Machine times and the signature take no part in parity: the private key is not in the recording."""

StageFactory = Callable[[str, bytes], Stage]
"""stage name and Started.config to a fresh stage"""


@dataclass(frozen=True)
class Difference:
    """The first thing in which replay and recording differ."""

    stage: str
    at: str
    field: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        where = f"{self.stage}, {self.at}"
        return f"{where}: {self.field}: recorded {self.recorded}, replayed {self.replayed}"


@dataclass
class ReplayReport:
    """What was compared: applied inputs by stage, equal outputs by type, and the first difference if any."""

    applied: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    difference: Difference | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.difference is None and not self.problems


class Recording:
    """A session, indexed: messages by (subject, epoch, seq), outputs by (subject, id), journals by stage.

    `until_ns`: of a stack that still runs, the moment (clock of the bus) up to which the journals are replayed; what
    was captured later may be an output of it or of what came after.
    """

    def __init__(self, messages: Iterable[Message], until_ns: Nanos | None = None) -> None:
        self.by_ref: dict[tuple[str, int, int], bytes] = {}
        self.outputs: dict[tuple[str, str], bytes] = {}
        self.journals: dict[str, dict[int, dict[int, Applied]]] = defaultdict(lambda: defaultdict(dict))
        self.later: set[tuple[str, str]] = set()
        for message in messages:
            is_later = until_ns is not None and message.stream_ns > until_ns
            self.by_ref[message.subject, message.epoch, message.seq] = message.payload
            head = message.subject.split(".", 1)[0]
            if head == "applied":
                if is_later:
                    continue
                applied = message.event()
                self.journals[applied.stage][applied.run][applied.first] = applied
            elif head in _OUTPUT_HEADS and message.subject != TRAINING:
                output = message.subject, _peek_id(message.payload)
                self.outputs.setdefault(output, message.payload)
                if is_later:
                    self.later.add(output)

    def entries(self, stage: str) -> Iterator[tuple[int, Ref | Inline]]:
        """(run, entry) of a stage in the order of application."""
        for run in sorted(self.journals.get(stage, {})):
            expected = 0
            for first in sorted(self.journals[stage][run]):
                batch = self.journals[stage][run][first]
                if first != expected:
                    raise ReplayError(f"{stage}: the journal lacks entries {expected} to {first - 1} of run {run}")
                for entry in batch.entries:
                    yield run, entry
                expected = first + len(batch.entries)

    def event(self, entry: Ref | Inline) -> Event:
        """The input that an entry names."""
        if isinstance(entry, Inline):
            event: Event = decode(entry.payload)
            return event
        payload = self.by_ref.get((entry.subject, entry.epoch, entry.seq))
        if payload is None:
            raise ReplayError(f"{entry.subject} {entry.epoch}.{entry.seq} was applied and is not in the recording")
        referred: Event = decode(payload)
        return referred


class ReplayError(Exception):
    """The recording cannot be replayed; the text is one line for people."""


_OUTPUT_HEADS = frozenset(
    {"feat", "forecast", "model", "signal", "risk", "permit", "order", "fill", "position", "account", "recon", "ctl"}
)


TRAINING = "model.training"
"""How far the trainer is: no stage says so."""


class _Identity(msgspec.Struct):
    id: str


_peek = msgspec.msgpack.Decoder(_Identity)


def _peek_id(payload: bytes) -> str:
    try:
        return _peek.decode(payload).id
    except msgspec.MsgspecError:
        return ""


def replay(
    recording: Recording,
    make_stage: StageFactory,
    progress: Callable[[int], None] = lambda _: None,
) -> ReplayReport:
    """Replay every stage; stops comparing at the first difference."""
    report = ReplayReport()
    made: set[tuple[str, str]] = set()
    for name in STAGES:
        try:
            _replay_stage(name, recording, make_stage, report, made, progress)
        except (ReplayError, WireError) as err:
            report.problems.append(str(err))
        if report.difference is not None:
            return report
    _look_for_unmade(recording, made, report)
    return report


def _replay_stage(
    name: str,
    recording: Recording,
    make_stage: StageFactory,
    report: ReplayReport,
    made: set[tuple[str, str]],
    progress: Callable[[int], None],
) -> None:
    stage: Stage | None = None
    parts: list[bytes] = []
    for run, entry in recording.entries(name):
        event = recording.event(entry)
        report.applied[name] += 1
        progress(1)
        if isinstance(event, Started):
            stage = make_stage(name, event.config)
            report.runs[name] += 1
        if stage is None:
            raise ReplayError(f"{name}: run {run} does not begin with how it was started")
        if isinstance(event, Restored):
            parts = [] if event.part == 0 else parts
            parts.append(event.snapshot)
            if len(parts) == event.parts:
                stage.restore(b"".join(parts))
            continue
        for output in stage.apply(event, 0):
            subject = subject_of(output)
            made.add((subject, output.id))
            payload = recording.outputs.get((subject, output.id))
            if payload is None:
                if _was_captured(recording, subject):
                    report.difference = Difference(name, _where(output), "event", "absent", _where(output))
                    return
                raise ReplayError(f"{subject}: the recording holds nothing of it")
            report.difference = _compare(name, decode(payload), output)
            if report.difference is not None:
                return
            report.equal[_kind(output)] += 1
    if stage is None:
        raise ReplayError(f"{name}: the recording holds no journal of it")


def _was_captured(recording: Recording, subject: str) -> bool:
    return any(stream_of(subject) == stream_of(other) for other, _ in recording.outputs)


def _kind(event: Event) -> str:
    return type(event).__name__


def _where(event: Event) -> str:
    return f"{_kind(event)} {event.id[:12]} at {event.ts_event}"


def _compare(stage: str, recorded: Event, replayed: Event) -> Difference | None:
    if type(recorded) is not type(replayed):
        return Difference(stage, _where(replayed), "type", _kind(recorded), _kind(replayed))
    found = _first_difference(_plain(recorded), _plain(replayed), "")
    return Difference(stage, _where(replayed), *found) if found else None


def _plain(event: Event) -> Any:
    return msgspec.to_builtins(event, builtin_types=(bytes,), enc_hook=str)


def _first_difference(a: Any, b: Any, path: str) -> tuple[str, str, str] | None:
    """(field path, recorded, replayed) of the first place where two plain values differ, machine times aside."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            if key not in _NOT_COMPARED:
                found = _first_difference(a.get(key), b.get(key), f"{path}.{key}".lstrip("."))
                if found:
                    return found
        return None
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return next((found for i, (x, y) in pairs if (found := _first_difference(x, y, f"{path}[{i}]"))), None)
    same = a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
    return None if same else (path, repr(a), repr(b))


def _look_for_unmade(recording: Recording, made: set[tuple[str, str]], report: ReplayReport) -> None:
    """Everything recorded as an output must have come out of the replay too."""
    for subject, event_id in recording.outputs:
        if (subject, event_id) not in made and (subject, event_id) not in recording.later:
            recorded = decode(recording.outputs[subject, event_id])
            if isinstance(recorded, Control) and recorded.actor != "risk":
                continue  # a person's command is an input
            report.difference = Difference("recording", subject, "event", _where(recorded), "absent")
            return
