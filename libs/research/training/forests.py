"""Trees of LightGBM, XGBoost, CatBoost and scikit-learn as the flat arrays that serving walks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from libs.core.agents.trees import Forest, Grown


def from_lightgbm(booster: Any) -> Forest:
    """A binary LightGBM booster; the answer is the probability of class 1."""
    grown = Grown()
    dump = booster.dump_model()

    def put(node: dict[str, Any]) -> int:
        if "leaf_value" in node and "split_feature" not in node:
            return grown.leaf(node["leaf_value"])
        if node["decision_type"] != "<=":
            raise ValueError("categorical splits are not served")
        missing = node["missing_type"]
        # Without missing values in training LightGBM reads NaN as zero.
        nan_left = node["default_left"] if missing == "NaN" else node["threshold"] >= 0.0
        number = grown.split(node["split_feature"], node["threshold"], nan_left)
        left = put(node["left_child"])
        right = put(node["right_child"])
        grown.join(number, left, right)
        return number

    for tree in dump["tree_info"]:
        grown.tree()
        put(tree["tree_structure"])
    return grown.forest(link="sigmoid")


def from_xgboost(booster: Any, width: int) -> Forest:
    """A binary XGBoost booster (`binary:logistic`); the answer is the probability of class 1."""
    grown = Grown()
    learner = json.loads(booster.save_raw("json"))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    base = learner["learner_model_param"]["base_score"]
    share = float(json.loads(base)[0]) if str(base).startswith("[") else float(base)

    for tree in trees:
        grown.tree()
        _put_xgboost(grown, tree, 0)
    return grown.forest(base=float(np.log(share / (1.0 - share))), link="sigmoid", single=True)


def _put_xgboost(grown: Grown, tree: dict[str, Any], node: int) -> int:
    left, right = tree["left_children"][node], tree["right_children"][node]
    threshold = np.float32(tree["split_conditions"][node])
    if left < 0:
        return grown.leaf(float(threshold))
    # It goes left below the threshold, we at or below: the single before it is the same border.
    border = float(np.nextafter(threshold, np.float32(-np.inf)))
    number = grown.split(tree["split_indices"][node], border, bool(tree["default_left"][node]))
    at_left = _put_xgboost(grown, tree, left)
    grown.join(number, at_left, _put_xgboost(grown, tree, right))
    return number


def from_sklearn_trees(
    trees: list[Any], *, base: float, factor: float, sigmoid: bool, nan_left: bool | None = None
) -> Forest:
    """Fitted scikit-learn trees; a classifier's leaf is the share of class 1, a regressor's its value.

    `nan_left`: where missing values go; None = where the trees learnt to send them.
    """
    grown = Grown()
    for each in trees:
        grown.tree()
        _put_sklearn(grown, each.tree_, 0, hasattr(each, "classes_"), nan_left)
    return grown.forest(base=base, factor=factor, link="sigmoid" if sigmoid else "identity", single=True)


def _put_sklearn(grown: Grown, tree: Any, node: int, classifier: bool, nan_left: bool | None) -> int:
    if tree.children_left[node] < 0:
        value = tree.value[node, 0]
        return grown.leaf(float(value[1] / value.sum()) if classifier else float(value[0]))
    to_left = bool(tree.missing_go_to_left[node]) if nan_left is None else nan_left
    number = grown.split(int(tree.feature[node]), float(tree.threshold[node]), to_left)
    left = _put_sklearn(grown, tree, int(tree.children_left[node]), classifier, nan_left)
    grown.join(number, left, _put_sklearn(grown, tree, int(tree.children_right[node]), classifier, nan_left))
    return number


def from_catboost(model: Any, path: str) -> Forest:
    """A binary CatBoost model with symmetric trees; `path`: a file that may be written. Probability of class 1."""
    model.save_model(path, format="json")
    with open(path, encoding="utf-8") as source:
        dump = json.load(source)
    features = {f["flat_feature_index"]: f for f in dump["features_info"]["float_features"]}
    index = {f["feature_index"]: f["flat_feature_index"] for f in features.values()}
    nan_left = {f["flat_feature_index"]: f["nan_value_treatment"] != "AsTrue" for f in features.values()}
    grown = Grown()
    for tree in dump["oblivious_trees"]:
        grown.tree()
        splits = [(index[s["float_feature_index"]], float(s["border"])) for s in tree["splits"] or []]
        _put_oblivious(grown, splits, tree["leaf_values"], nan_left, len(splits), 0)
    scale, bias = dump["scale_and_bias"]
    return grown.forest(base=float(np.ravel(bias)[0]), factor=float(scale), link="sigmoid", single=True)


def _put_oblivious(
    grown: Grown, splits: list[tuple[int, float]], leaves: list[float], nan_left: dict[int, bool], depth: int, at: int
) -> int:
    """Splits from the last to the first: bit k of a leaf's number says that split k was true."""
    if depth == 0:
        return grown.leaf(leaves[at])
    feature, border = splits[depth - 1]
    number = grown.split(feature, border, nan_left[feature])
    left = _put_oblivious(grown, splits, leaves, nan_left, depth - 1, at)
    right = _put_oblivious(grown, splits, leaves, nan_left, depth - 1, at | 1 << (depth - 1))
    grown.join(number, left, right)
    return number
