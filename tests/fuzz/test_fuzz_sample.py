"""A sample of `make fuzz`: every parser, a few hundred spoiled frames each."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import HUGE, LONG, Seed, spans_of
from tests.fuzz.run import fuzz

FRAMES = 20_000
MOST_BYTES = 24 << 20
MOST_BLOCKS = 2_000
"""Kept by everything that is bounded and still fills; one block a frame would be five times as many."""


def todays_seed() -> int:
    return int(os.environ.get("FUZZ_SEED") or time.time() // 86_400)


async def test_no_exception_escapes_and_nothing_is_kept() -> None:
    seed = todays_seed()
    outcome = await fuzz(FRAMES, seed)
    grown, blocks = outcome.grown
    assert grown < MOST_BYTES, f"make fuzz SEED={seed}"
    assert blocks < MOST_BLOCKS, f"make fuzz SEED={seed}"
    useless = [name for name, read in outcome.read.items() if not read]
    assert useless == [], "what these parsers are fed never makes sense to them"
    assert all(outcome.read[name] < outcome.fed[name] for name in outcome.fed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_every_value_of_a_frame_is_found(told: object, compact: bool) -> None:
    frame = json.dumps(told, separators=(",", ":") if compact else None, ensure_ascii=False).encode()
    spans = spans_of(frame)
    assert len(spans) == _count(told)
    for span in spans:
        json.loads(frame[span.begin : span.end])
        assert 0 <= span.member <= span.begin < span.end <= len(frame)


def _count(told: object) -> int:
    if isinstance(told, dict):
        return 1 + sum(map(_count, told.values()))
    return 1 + sum(map(_count, told)) if isinstance(told, list) else 1


@pytest.mark.parametrize("seed", range(3))
def test_frames_are_spoiled_alike_by_the_same_seed_and_in_many_ways(seed: int) -> None:
    whole = Seed(b'{"a":1,"b":["x",{"c":null}],"d":"2.5"}')
    one, other = ([whole.mutated(rng) for _ in range(3_000)] for rng in (random.Random(seed), random.Random(seed)))
    assert one == other
    assert len(set(one)) > 1_500
    valid = sum(_is_json(frame) for frame in one)
    assert 600 < valid < 2_400
    assert 50 < one.count(whole.frame) < 300
    assert any(len(frame) >= LONG for frame in one)


def _is_json(frame: bytes) -> bool:
    if any(huge in frame for huge in HUGE):
        return False
    try:
        json.loads(frame)
    except ValueError:
        return False
    return True
