"""Trees, a linear model and a net as flat arrays: the same answers as the libraries that fitted them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from libs.core.agents.trees import Forest, ForestWalker, Grown
from libs.research.training import forests

ROWS, WIDTH = 700, 6


def table(seed: int, missing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features to fit on, classes that lean on two of them, and other rows to ask about; a share of values is NaN."""
    rng = np.random.default_rng(seed)
    x, others = rng.standard_normal((ROWS, WIDTH)), rng.standard_normal((ROWS, WIDTH))
    y = (x[:, 0] + np.abs(x[:, 1]) + rng.standard_normal(ROWS) > 0.7).astype(np.int64)
    for rows in (x, others):
        rows[:, 2] = np.round(rows[:, 2])  # ties, and values that lie on a threshold
        rows[rng.random(rows.shape) < missing] = np.nan
    return x, y, others


def lightgbm_pair(x: np.ndarray, y: np.ndarray, others: np.ndarray, folder: Path) -> tuple[Forest, np.ndarray]:
    import lightgbm

    settings = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 20, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), 25)
    return forests.from_lightgbm(booster), np.asarray(booster.predict(others))


def xgboost_pair(x: np.ndarray, y: np.ndarray, others: np.ndarray, folder: Path) -> tuple[Forest, np.ndarray]:
    import xgboost

    settings = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(x, y), 25)
    return forests.from_xgboost(booster, WIDTH), booster.predict(xgboost.DMatrix(others)).astype(np.float64)


def catboost_pair(x: np.ndarray, y: np.ndarray, others: np.ndarray, folder: Path) -> tuple[Forest, np.ndarray]:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=25, depth=4, thread_count=1, verbose=0, allow_writing_files=False, random_seed=1
    ).fit(x, y)
    return forests.from_catboost(model, str(folder / "model.json")), model.predict_proba(others)[:, 1]


def random_forest_pair(x: np.ndarray, y: np.ndarray, others: np.ndarray, folder: Path) -> tuple[Forest, np.ndarray]:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(n_estimators=20, max_depth=6, random_state=1).fit(x, y)
    grown = forests.from_sklearn_trees(model.estimators_, base=0.0, factor=1.0 / 20, sigmoid=False)
    return grown, model.predict_proba(others)[:, 1]


Pair = Callable[[np.ndarray, np.ndarray, np.ndarray, Path], tuple[Forest, np.ndarray]]


@pytest.mark.parametrize("missing", [0.0, 0.15], ids=["complete", "with NaN"])
@pytest.mark.parametrize("pair", [lightgbm_pair, xgboost_pair, catboost_pair, random_forest_pair])
def test_a_walked_forest_equals_its_library(pair: Pair, missing: float, tmp_path: Path) -> None:
    x, y, others = table(3, missing)
    forest, theirs = pair(x, y, others, tmp_path)
    assert theirs.std() > 0.05
    assert np.abs(ForestWalker(forest, WIDTH)(others) - theirs).max() < 1e-6


@pytest.mark.parametrize("pair", [lightgbm_pair, xgboost_pair, catboost_pair])
def test_a_value_that_was_never_missing_in_training_may_be_missing_later(pair: Pair, tmp_path: Path) -> None:
    x, y, _ = table(4, 0.0)
    _, _, holes = table(5, 0.3)
    forest, theirs = pair(x, y, holes, tmp_path)
    assert np.abs(ForestWalker(forest, WIDTH)(holes) - theirs).max() < 1e-6


def test_gradient_boosting_of_scikit_learn_equals_its_library() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    x, y, others = table(6, 0.0)
    model = GradientBoostingClassifier(n_estimators=25, max_depth=3, random_state=1).fit(x, y)
    share = float(model.init_.class_prior_[1])
    forest = forests.from_sklearn_trees(
        list(model.estimators_[:, 0]), base=float(np.log(share / (1.0 - share))), factor=0.1, sigmoid=True
    )
    assert np.abs(ForestWalker(forest, WIDTH)(others) - model.predict_proba(others)[:, 1]).max() < 1e-9


def test_a_categorical_split_is_refused() -> None:
    import lightgbm

    rng = np.random.default_rng(1)
    x = rng.integers(0, 8, (500, 1)).astype(float)
    settings = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 5, "num_threads": 1}
    data = lightgbm.Dataset(x, (x[:, 0] % 2).astype(int), categorical_feature=[0])
    with pytest.raises(ValueError, match="categorical"):
        forests.from_lightgbm(lightgbm.train(settings, data, 3))


def stump(threshold: float = 0.5) -> Forest:
    grown = Grown()
    grown.tree()
    root = grown.split(0, threshold, nan_left=True)
    left = grown.leaf(-1.0)
    grown.join(root, left, grown.leaf(1.0))
    return grown.forest()


def test_a_value_at_the_threshold_and_a_missing_one_go_left() -> None:
    answers = ForestWalker(stump(), 1)(np.array([[0.5], [np.nextafter(0.5, 1.0)], [np.nan]]))
    assert answers.tolist() == [-1.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left", np.array([0, -1, -1], dtype="<i4").tobytes()),  # a circle: the walk would never end
        ("right", np.array([9, -1, -1], dtype="<i4").tobytes()),
        ("right", np.array([-1, -1, -1], dtype="<i4").tobytes()),
        ("roots", np.array([3], dtype="<i4").tobytes()),
        ("roots", np.array([-1], dtype="<i4").tobytes()),
        ("feature", np.array([1, -1, -1], dtype="<i4").tobytes()),  # beyond the row
        ("threshold", np.zeros(2).tobytes()),
        ("value", np.array([0.0, np.nan, 1.0]).tobytes()),
        ("value", b"odd"),
    ],
)
def test_a_forest_that_points_outside_itself_is_refused(field: str, value: bytes) -> None:
    with pytest.raises(ValueError):
        ForestWalker(msgspec.structs.replace(stump(), **{field: value}), 1)
