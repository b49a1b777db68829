"""What becomes of frames on a faulty line."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.faults import spoil
from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import plan_of
from services.simulator.record import Record

FRAMES = [f'{{"n":{n}}}'.encode() for n in range(6)]


async def until(condition: Any) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


def live(*rules: dict[str, Any]) -> PlannedFaults:
    return PlannedFaults(plan_of({"seed": 5, "rules": list(rules)}, "test"), Record(None))


def send_all(faults: PlannedFaults, out: Any, channel: str = "data") -> Any:
    line = faults.line("deriv", channel, out.send, out.cut)
    for frame in FRAMES:
        line(frame)
    return line


def test_without_a_rule_that_matches_frames_go_straight_through(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "drop", "match": "trade"}), out)
    assert out.frames == FRAMES


def test_a_dropped_frame_never_comes(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "drop", "nth": 3}), out)
    assert out.frames == FRAMES[:2] + FRAMES[3:]


def test_only_frames_with_the_text_are_concerned(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "drop", "contains": '"n":4'}), out)
    assert out.frames == FRAMES[:4] + FRAMES[5:]


def test_a_doubled_frame_comes_twice(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "duplicate", "nth": 1}), out)
    assert out.frames == [FRAMES[0], *FRAMES]


async def test_a_reordered_frame_comes_after_its_successor(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "reorder", "nth": 2}), out)
    assert out.frames == [FRAMES[0], FRAMES[2], FRAMES[1], *FRAMES[3:]]


async def test_a_reordered_last_frame_comes_all_the_same(out: Any) -> None:
    send_all(live({"fault": "reorder", "nth": 6, "delay_s": 0.01}), out)
    await until(lambda: out.frames == FRAMES)


async def test_a_delayed_frame_holds_up_what_follows(out: Any) -> None:
    send_all(live({"fault": "delay", "nth": 3, "delay_s": 0.03}), out)
    assert out.frames == FRAMES[:2]
    await until(lambda: out.frames == FRAMES)


async def test_a_stalled_line_stays_open_and_catches_up(out: Any) -> None:
    send_all(live({"fault": "stall", "nth": 1, "lasts_s": 0.03}), out)
    assert (out.frames, out.cuts) == ([], 0)
    await until(lambda: out.frames == FRAMES)


async def test_healing_lets_a_stalled_line_go(faults: Any, out: Any) -> None:
    planned = faults({"fault": "stall", "nth": 2})
    line = send_all(planned, out)
    planned.heal()
    assert out.frames == FRAMES
    line(b"{}")
    assert out.frames[-1] == b"{}"


def test_a_cut_line_is_cut_once_and_stays_silent(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "close", "nth": 3}, {"fault": "close", "nth": 5}), out)
    assert (out.frames, out.cuts) == (FRAMES[:2], 1)


def test_a_new_connection_after_a_cut_works(faults: Any, out: Any) -> None:
    planned = faults({"fault": "close", "nth": 1})
    send_all(planned, out)
    send_all(planned, out)
    assert out.frames == FRAMES


def test_maintenance_cuts_every_line_while_it_lasts(faults: Any, out: Any, watch: Any) -> None:
    planned = faults({"fault": "maintenance", "lasts_s": 5})
    send_all(planned, out)
    assert (out.frames, out.cuts) == ([], 1)
    watch.now += 5
    send_all(planned, out)
    assert out.frames == FRAMES


@pytest.mark.parametrize("fault", ["corrupt", "truncate"])
def test_a_spoilt_frame_is_no_json(faults: Any, out: Any, fault: str) -> None:
    send_all(faults({"fault": fault, "nth": 2}), out)
    assert out.frames[0] == FRAMES[0]
    assert out.frames[2:] == FRAMES[2:]
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(out.frames[1])


def test_an_oversized_frame_has_its_size(faults: Any, out: Any) -> None:
    send_all(faults({"fault": "oversize", "nth": 1, "size_bytes": 5_000}), out)
    assert len(out.frames[0]) == 5_000
    assert out.frames[1:] == FRAMES[1:]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(message=st.dictionaries(st.text(max_size=6), JSON, min_size=1), seed=st.integers(0, 2**16))
def test_what_is_spoilt_is_never_what_was_meant_and_never_a_lie(message: dict[str, Any], seed: int) -> None:
    frame = msgspec.json.encode(message)
    for spoilt in (spoil.corrupted(frame, random.Random(seed)), spoil.truncated(frame, random.Random(seed))):
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(spoilt)
    wrong = msgspec.json.decode(spoil.wrong_types(frame, random.Random(seed)))
    assert wrong != message or message == {}
    if isinstance(wrong, dict):  # a value is as it was or a list or an object, never another value
        for key, value in wrong.items():
            assert isinstance(value, (list, dict)) or value == message[key]


@given(
    kinds=st.lists(st.sampled_from(["delay", "duplicate", "reorder", "stall"]), max_size=4),
    seed=st.integers(0, 2**16),
    count=st.integers(0, 30),
)
def test_nothing_is_lost_by_what_only_holds_doubles_or_swaps(kinds: list[str], seed: int, count: int) -> None:
    async def run() -> None:
        rules = [{"fault": kind, "probability": 0.3} for kind in kinds]
        planned = PlannedFaults(plan_of({"seed": seed, "rules": rules}, "test"), Record(None))
        sent = [str(n).encode() for n in range(count)]
        arrived: list[bytes] = []
        line = planned.line("deriv", "data", arrived.append, lambda: None)
        for frame in sent:
            line(frame)
        planned.heal()
        counts = Counter(arrived)
        assert set(counts) == set(sent)
        assert max(counts.values(), default=1) <= 2
        if "reorder" not in kinds:
            assert arrived == sorted(arrived, key=int)

    asyncio.run(run())
