"""Detectors of drift against the river library, and the stability index against a count by hand."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift as oracle

from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.drift import BINS, Adwin, PageHinkley, Stability, reference_bins
from libs.core.agents.drift_ladder import Ladder
from libs.core.types import NoteKind


def stream(seed: int, shifts: list[float], length: int) -> list[float]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return np.concatenate([shift + rng.standard_normal(length) for shift in shifts]).tolist()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), shifts=st.lists(st.sampled_from((0.0, 0.3, 1.0, 3.0)), min_size=1, max_size=4))
def test_adwin_cuts_where_river_does_and_keeps_the_same_window(seed: int, shifts: list[float]) -> None:
    ours, theirs = Adwin(), oracle.ADWIN()
    for value in stream(seed, shifts, 200):
        theirs.update(value)
        assert (ours.take(value) != 0.0) == theirs.drift_detected
        if theirs.drift_detected:
            return  # from here on river begins anew, where the paper keeps the newer part
        assert ours.count == theirs.width
        assert ours.total / ours.count == pytest.approx(theirs.estimation, abs=1e-9)


def test_adwin_forgets_the_old_mean_and_memory_stays_small() -> None:
    adwin = Adwin()
    changes = [adwin.take(value) for value in stream(3, [0.0, 1.0], 4000)]
    assert sum(change > 0.0 for change in changes) >= 1
    assert next(i for i, change in enumerate(changes) if change > 0.0) < 4200
    assert adwin.total / adwin.count == pytest.approx(1.0, abs=0.1)
    assert sum(map(len, adwin.buckets)) < 90


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rise=st.sampled_from((0.0, 0.5, 2.0)))
def test_page_hinkley_alarms_where_river_does(seed: int, rise: float) -> None:
    ours = PageHinkley()
    theirs = oracle.PageHinkley(min_instances=30, delta=0.1, threshold=50.0, alpha=0.9999, mode="up")
    for value in stream(seed, [0.0, rise], 400):
        theirs.update(value)
        assert (ours.take(value) > 0.0) == theirs.drift_detected


def test_the_stability_index_is_the_sum_that_it_says_less_what_chance_makes() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    training = rng.standard_normal((5000, 2))
    made = reference_bins(training, ("a", "b"))
    assert made["names"] == ["a", "b"]
    watch = Stability(("a", "b"), made)
    live = np.column_stack([1.0 + rng.standard_normal(400), 1.0 + rng.standard_normal(400)])
    told = [watch.take(row, 400) for row in live]
    assert told[:-1] == [None] * 399
    by_hand = []
    for j in range(2):
        counts = np.bincount(np.searchsorted(made["edges"][j], live[:, j]), minlength=BINS)
        share = (counts + 0.5) / (400 + 0.5 * BINS)
        by_hand.append(sum((s - 0.1) * math.log(s / 0.1) for s in share) - 9 * (1 / 400 + 1 / 5000))
    assert told[-1] == pytest.approx(np.median(by_hand))
    assert told[-1] is not None
    assert told[-1] > 0.25


def test_inputs_that_did_not_move_have_an_index_near_zero() -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    watch = Stability(("a", "b", "c"), reference_bins(rng.standard_normal((4000, 3)), ("a", "b", "c")))
    told = [watch.take(row, 100) for row in rng.standard_normal((3000, 3))]
    assert max(value for value in told if value is not None) < 0.15


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"names": ["z"], "edges": [[0.0] * 9], "rows": 1},
        {"names": ["a"], "edges": [[1.0]], "rows": 1},
    ],
)
def test_a_reference_that_is_none_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="reference of inputs"):
        Stability(("a",), bad)


def climb(losses: list[float], moved: float | None = None, miscalibrated: float = 0.0) -> list[NoteKind]:
    ladder, config = Ladder(), CouncilConfig()
    ladder.refer(0.0, 1.0)
    steps = [ladder.take(loss, miscalibrated, moved, config) for loss in losses]
    return [step.kind for step in steps if step is not None]


def test_inputs_alone_halve_the_weight_and_a_lost_calibration_silences_but_neither_retires() -> None:
    quiet = stream(1, [0.0], 1500)
    assert climb(quiet) == []
    assert climb(quiet, moved=0.5) == [NoteKind.SHRUNK]
    assert climb(quiet, miscalibrated=0.1) == [NoteKind.SHRUNK, NoteKind.SHADOWED]


def test_a_loss_that_stays_high_goes_all_the_way_and_a_lower_one_nowhere() -> None:
    steps = [NoteKind.SHRUNK, NoteKind.SHADOWED, NoteKind.RETRAIN, NoteKind.RETIRED]
    assert climb(stream(1, [0.0, 1.0], 800)) == steps
    assert climb(stream(1, [0.0, -1.0], 800)) == []


def test_a_ladder_travels_as_bytes() -> None:
    ladder, config = Ladder(), CouncilConfig()
    for loss in stream(5, [0.0, 1.0], 300):
        ladder.take(loss, 0.0, None, config)
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(ladder), type=Ladder)
    for loss in stream(6, [1.0, 0.0], 300):
        assert copy.take(loss, 0.0, None, config) == ladder.take(loss, 0.0, None, config)
    assert copy == ladder
