"""The trend agent from bars to forecasts: what it learns, what it remembers, what it refuses, what survives a kill."""

from __future__ import annotations

import resource
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_world import HOLE, TINY, fold, heard, killed_after, model_of, quick, seen, with_labels, world

from libs.core.agents.artifact import Artifact, ArtifactRefused, make_artifact, pack, unpack
from libs.core.agents.model import Model
from libs.research.training.dataset import DataProblem
from libs.research.training.folds import Fold
from libs.research.training.trend import TYPES, TrendTrainer

CARRIED = "lstm_carried"


@cache
def fitted(kind: str) -> Artifact:
    return TrendTrainer().fit(world(), fold(), quick(**{**TINY, "type": kind}))


@cache
def model(kind: str) -> Model:
    return model_of(unpack(pack(fitted(kind))))


@pytest.mark.parametrize("kind", TYPES)
def test_bar_by_bar_says_what_history_says(kind: str) -> None:
    trend = model(kind)
    first, begin = HOLE - 150, HOLE - 50
    whole = heard(trend, world(), slice(first, HOLE + 50))
    state = np.zeros((1, trend.state_size))
    trend.start(state[0], seen(trend, world(), begin - 1, 64, 0))
    for t in range(begin, HOLE + 50):
        now = trend.say(state, seen(trend, world(), t, trend.manifest.rows, 0))
        np.testing.assert_allclose(now.p[0], whole.p[t - first], rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(now.novelty[0], whole.novelty[t - first], rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_each_of_many_series_is_told_what_it_would_be_told_alone(kind: str) -> None:
    trend = model(kind)
    ends = (500, 777, 1_200)
    alone, together = [], []
    states = np.zeros((len(ends), trend.state_size))
    views = [seen(trend, world(), t, trend.manifest.rows, 0) for t in ends]
    for i, t in enumerate(ends):
        trend.start(states[i], seen(trend, world(), t - 1, 64, 0))
        alone.append(trend.say(states[i : i + 1].copy(), views[i]).p[0])
    stacked = replace(
        views[0], rows=np.concatenate([v.rows for v in views]), time=np.concatenate([v.time for v in views])
    )
    together = trend.say(states, stacked).p
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, rtol=0.0, atol=1e-9)


@given(begin=st.integers(0, 600))
@settings(max_examples=20, deadline=None)
def test_a_run_that_starts_later_agrees_after_a_window_of_bars(begin: int) -> None:
    trend = model(CARRIED)
    window = int(trend.manifest.params["window"])
    early, late = heard(trend, world(), slice(0, 700)).p, heard(trend, world(), slice(begin, 700)).p
    assert np.isfinite(early[window:]).all()
    np.testing.assert_allclose(late[window:], early[begin + window :], rtol=0.0, atol=1e-9)


def test_what_was_heard_before_the_window_does_not_matter() -> None:
    trend = model(CARRIED)
    window = int(trend.manifest.params["window"])
    other = replace(world(), x=np.where(np.arange(len(world()))[:, np.newaxis] < 400, 9.0, world().x))
    apart = np.abs(heard(trend, other).p - heard(trend, world()).p).max(axis=1)
    assert apart[300:400].max() > 1e-3
    assert apart[400 + window :].max() < 1e-9


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_said_changes_with_what_comes_later(kind: str) -> None:
    trend = model(kind)
    np.testing.assert_allclose(
        heard(trend, world(), slice(0, 100)).p, heard(trend, world(), slice(0, 150)).p[:100], rtol=0.0, atol=1e-9
    )


@pytest.mark.parametrize("kind", ["lstm", CARRIED])
def test_it_learns_that_returns_echo(kind: str) -> None:
    params = {**TINY, "type": kind, "epochs": 8, "patience": 8, "learning_rate": 0.02, "batch": 8}
    found = TrendTrainer().fit(world(), fold(), quick(**params)).manifest.metrics
    assert found["calibration_brier_skill_2c"] > 0.1
    assert found["calibration_brier_skill"] > 0.05


def test_the_same_seed_gives_the_same_model_and_another_another() -> None:
    again, other = (TrendTrainer().fit(world(), fold(), quick(seed, **TINY)) for seed in (1, 2))
    assert again.manifest.parts == fitted(CARRIED).manifest.parts
    assert other.manifest.parts != again.manifest.parts


def test_what_lies_in_the_test_block_changes_nothing() -> None:
    data, parts = world(), fold()
    x, y3 = data.x.copy(), data.y3.copy()
    x[parts.test], y3[parts.test] = 3.0, 2
    spoiled = TrendTrainer().fit(replace(data, x=x, y3=y3), parts, quick(**TINY))
    assert spoiled.manifest.parts == fitted(CARRIED).manifest.parts
    assert spoiled.manifest.calibrator == fitted(CARRIED).manifest.calibrator


@pytest.mark.parametrize("kind", ["lstm", CARRIED])
def test_a_killed_fit_ends_like_one_that_was_not(kind: str, tmp_path: Path) -> None:
    params = {**TINY, "type": kind, "epochs": 4}
    straight = TrendTrainer().fit(world(), fold(), quick(**params))
    killed_after(2, TrendTrainer(), quick(resume=tmp_path, **params))
    told: list[str] = []
    resumed = TrendTrainer().fit(
        world(), fold(), quick(resume=tmp_path, **params), lambda what, share, line: told.append(line)
    )
    assert resumed.manifest.parts == straight.manifest.parts
    assert [line.split(":")[0] for line in told if line.startswith("epoch")] == ["epoch 3", "epoch 4"]


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_half_a_checkpoint_is_as_good_as_none(kept: int, tmp_path: Path) -> None:
    killed_after(1, TrendTrainer(), quick(resume=tmp_path, **TINY))
    (checkpoint,) = tmp_path.iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    again = TrendTrainer().fit(world(), fold(), quick(resume=tmp_path, **TINY))
    assert again.manifest.parts == fitted(CARRIED).manifest.parts


def test_a_checkpoint_of_other_settings_is_not_taken_up(tmp_path: Path) -> None:
    killed_after(1, TrendTrainer(), quick(resume=tmp_path, **{**TINY, "learning_rate": 0.1}))
    again = TrendTrainer().fit(world(), fold(), quick(resume=tmp_path, **TINY))
    assert again.manifest.parts == fitted(CARRIED).manifest.parts


def test_a_full_disk_is_said_in_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(DataProblem, match="cannot be written") as told:
            TrendTrainer().fit(world(), fold(), quick(resume=tmp_path, **TINY))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"type": "gru"}, "no trend model 'gru'"),
        ({"target": "moon"}, "no trend target 'moon'"),
        ({"window": 15}, "must be even"),
        ({"learning_rate": 1e30}, "no number"),
    ],
)
def test_settings_that_cannot_be_are_refused(params: dict[str, object], words: str) -> None:
    with pytest.raises(DataProblem, match=words):
        TrendTrainer().fit(world(), fold(), quick(**{**TINY, **params}))


def test_too_few_rows_and_one_class_are_refused() -> None:
    parts = fold()
    with pytest.raises(DataProblem, match="900 labelled bars are too few"):
        TrendTrainer().fit(world(), Fold(parts.train[:900], parts.calibrate, parts.test), quick(**TINY))
    rising = with_labels(world(), np.full(len(world()), 2))
    with pytest.raises(DataProblem, match="nothing to learn"):
        TrendTrainer().fit(rising, parts, quick(**TINY))


def test_it_says_nothing_of_a_window_that_is_mostly_missing() -> None:
    x = world().x.copy()
    x[500:512] = np.nan
    x[600] = np.nan
    holed = replace(world(), x=x)
    windowed, carried = (heard(model(kind), holed, slice(400, 650)).p for kind in ("lstm", CARRIED))
    assert np.isnan(windowed[111]).all()
    assert np.isfinite(windowed[200]).all()
    assert np.isnan(carried[100:112]).all()
    assert np.isfinite(carried[112]).all()


def test_an_input_far_from_the_training_data_is_novel() -> None:
    for kind in TYPES:
        some = slice(1_000, 1_100)
        assert heard(model(kind), world(), some).novelty.max() < 1.0
        assert heard(model(kind), replace(world(), x=world().x + 1e3), some).novelty.min() > 1.0


def test_barriers_are_labels_too_and_reach_into_no_other_part() -> None:
    found = TrendTrainer().fit(world(), fold(), quick(**TINY, target="barrier", horizon=6)).manifest
    assert found.params["target"] == "barrier"
    assert found.trained_to <= world().bars.open_time[fold().test[0]]
    assert found.climatology != fitted(CARRIED).manifest.climatology


def test_a_part_that_does_not_fit_is_refused() -> None:
    good = fitted(CARRIED)
    fewer = {name: getattr(good.manifest, name)[:-1] for name in ("features", "center", "scale")}
    narrow = msgspec.structs.replace(good.manifest, **fewer)
    for manifest, parts in ((narrow, good.parts), (good.manifest, {"weights": b"no"}), (good.manifest, {})):
        with pytest.raises(ArtifactRefused):
            model_of(make_artifact(manifest, parts))
