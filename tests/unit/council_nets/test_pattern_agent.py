"""The pattern agent from charts to names and directions: what serves is what history says; what it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from nets_world import fold, heard, killed_after, model_of, quick, seen, with_labels, world

from libs.core.agents.artifact import Artifact, ArtifactRefused, make_artifact, pack, unpack
from libs.core.agents.charts import LOOK
from libs.core.agents.model import Model
from libs.research.training.dataset import DataProblem
from libs.research.training.folds import Fold
from libs.research.training.pattern import PatternTrainer
from libs.research.training.pattern_labels import CLASSES

SMALL = {"width": 2, "epochs": 2, "rows": 1_100, "every": 4}


@cache
def fitted(kind: str) -> Artifact:
    return PatternTrainer().fit(world(), fold(), quick(**SMALL, type=kind))


def model(kind: str) -> Model:
    return model_of(unpack(pack(fitted(kind))))


@pytest.mark.parametrize("kind", ["cnn", "resnet"])
def test_bar_by_bar_says_what_history_says(kind: str) -> None:
    pattern = model(kind)
    whole = heard(pattern, world(), slice(0, 200))
    assert np.isnan(whole.p[: LOOK - 1]).all()
    for t in range(LOOK - 1, 200):
        now = pattern.say(np.empty((1, 0)), seen(pattern, world(), t, 1, LOOK))
        np.testing.assert_allclose(now.p[0], whole.p[t], rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(now.classes[0], whole.classes[t], rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(now.novelty[0], whole.novelty[t], rtol=0.0, atol=1e-9)


def test_each_of_many_series_is_told_what_it_would_be_told_alone() -> None:
    pattern = model("cnn")
    views = [seen(pattern, world(), t, 1, LOOK) for t in (300, 500, 900)]
    together = pattern.say(np.empty((3, 0)), replace(views[0], bars=np.concatenate([v.bars for v in views])))
    alone = np.concatenate([pattern.say(np.empty((1, 0)), view).p for view in views])
    assert np.array_equal(together.p, alone)


def test_it_names_what_it_was_taught_to_see() -> None:
    params = {"width": 4, "epochs": 6, "learning_rate": 0.006, "batch": 32, "rows": 0}
    found = PatternTrainer().fit(world(), fold(), quick(**params)).manifest
    assert tuple(found.params["classes"]) == CLASSES
    assert found.metrics["auc_bullish_engulfing"] > 0.65
    assert found.metrics["auc_bearish_engulfing"] > 0.65


def test_it_says_nothing_where_there_is_no_chart() -> None:
    bars = world().bars
    price = np.where(np.arange(len(world())) < 150, 100.0, bars.close)
    still = replace(world(), bars=msgspec.structs.replace(bars, open=price, high=price, low=price, close=price))
    assert np.isnan(heard(model("cnn"), still, slice(0, 150)).p).all()


def test_a_chart_of_another_make_is_novel() -> None:
    pattern = model("cnn")
    assert heard(pattern, world(), slice(1_000, 1_200)).novelty.max() < 1.0
    bars = world().bars
    crash = np.where(np.arange(len(world())) < 1_100, 1.0, 50.0)
    columns = {name: getattr(bars, name) * crash for name in ("open", "high", "low", "close")}
    apart = replace(world(), bars=msgspec.structs.replace(bars, **columns))
    assert heard(pattern, apart, slice(1_000, 1_120)).novelty.max() > 1.0


def test_a_killed_fit_ends_like_one_that_was_not(tmp_path: Path) -> None:
    params = {**SMALL, "epochs": 3}
    straight = PatternTrainer().fit(world(), fold(), quick(**params))
    killed_after(1, PatternTrainer(), quick(resume=tmp_path, **params))
    resumed = PatternTrainer().fit(world(), fold(), quick(resume=tmp_path, **params))
    assert resumed.manifest.parts == straight.manifest.parts


def test_what_cannot_be_learnt_from_is_refused() -> None:
    parts = fold()
    with pytest.raises(DataProblem, match="no pattern model 'vgg'"):
        PatternTrainer().fit(world(), parts, quick(type="vgg"))
    with pytest.raises(DataProblem, match="labelled bars are too few"):
        PatternTrainer().fit(world(), Fold(parts.train[:500], parts.calibrate, parts.test), quick(**SMALL))
    with pytest.raises(DataProblem, match="nothing to learn"):
        PatternTrainer().fit(with_labels(world(), np.full(len(world()), 2)), parts, quick(**SMALL))


def test_a_part_that_does_not_fit_is_refused() -> None:
    good = fitted("cnn")
    for manifest, parts in (
        (msgspec.structs.replace(good.manifest, bars=LOOK + 1), good.parts),
        (msgspec.structs.replace(good.manifest, params={}), good.parts),
        (good.manifest, {}),
    ):
        with pytest.raises(ArtifactRefused):
            model_of(make_artifact(manifest, parts))
