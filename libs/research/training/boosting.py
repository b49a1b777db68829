"""Trains the boosting agent: trees of five kinds or a small net, beside a linear model, for the two direction heads."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact
from libs.core.agents.boosting_model import AGENT, KINDS, PART, BoostingModel, Heads, Linear, Member, Net, Trees
from libs.core.agents.trees import Forest
from libs.research.training import forests
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints, uniqueness
from libs.research.training.folds import Fold
from libs.research.training.horizon import over
from libs.research.training.manifests import Scaling, described, finished
from libs.research.training.select import usable_features

Grow = Callable[[Floats, Ints, Floats, int, TrainOptions], Forest]

ROUNDS: Final = {"quick": 60, "default": 250, "full": 250}
SEEDS: Final = {"quick": 1, "default": 2, "full": 4}
MOST_ROWS: Final = {"quick": 15_000, "default": 60_000, "full": 10_000_000}

NET_BATCH: Final = 512
NET_STEPS: Final = 200
"""Fewer steps than this leave a net where it began, however few the rows are."""

DEFAULTS: Final[dict[str, Any]] = {
    "model": "lightgbm",
    "learning_rate": 0.02,
    "leaves": 15,
    "depth": 4,
    "min_rows": 200,
    "feature_share": 0.3,
    "row_share": 0.7,
    "l2": 20.0,
    "linear_weight": 0.3,
    "linear_c": 0.0001,
    "half_life": 0.0,
    "refit": True,
    "horizon": 1,
}
"""Chosen on the first 40 % of BTC and ETH hourly, BTC 15 m and BTC 5 m bars, the same for all. linear_weight: share of
the linear member in each head's mean. half_life: of a row's weight, as a share of the training rows; 0 = all rows
weigh the same. refit: once the calibrator is fitted on the calibration slice, the heads are fitted again with that
slice, for the newest bars are the likest to come. horizon: bars over which rise or fall is forecast; exam and live
record judge the next bar, so only 1 makes an agent of the council."""


class BoostingTrainer:
    """Fits both heads on the newest feature vector."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`.

        Raises:
            DataProblem: too few rows, one class only, or an unknown kind of model.
        """
        params = {**DEFAULTS, **{k: v for k, v in options.params.items() if k in DEFAULTS or k == "rounds"}}
        kind = str(params["model"])
        if kind not in KINDS:
            raise DataProblem(f"no boosting model {kind!r}; there are {', '.join(KINDS)}")
        if int(params["horizon"]) != 1:
            data = over(data, int(params["horizon"]))
            fold = Fold(*(part[data.usable[part]] for part in (fold.train, fold.calibrate, fold.test)))
        train = fold.train[-MOST_ROWS[options.preset] :]
        if len(train) < 2 * int(params["min_rows"]):
            raise DataProblem(f"{data.symbol}: {len(train)} labelled bars are too few to grow trees on")
        names = usable_features(data, train)
        x = data.columns(names)
        scaling = Scaling.of(x[train])
        flat = scaling.apply(x)
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=kind,
            features=names,
            scaling=scaling,
            samples=len(train),
            sampling="all" if len(train) == len(fold.train) else f"newest {len(train)} rows",
            params=params,
            memory=max_memory(names),
        )
        passes = 2 if params["refit"] else 1

        def grow(rows: Ints, number: int) -> bytes:
            def tell(share: float, line: str) -> None:
                progress(f"{AGENT} {kind}", (number + share) / passes, line)

            return _grow(data, rows, x, flat, kind, params, options, tell)

        judged = grow(train, 0)
        model = BoostingModel(Artifact(manifest=manifest, parts={PART: judged}))
        p = model.history(x, data.returns, data.ohlcv, data.bars.open_time).p
        if not params["refit"]:
            return finished(manifest, {PART: judged}, data, fold, p)
        both = np.concatenate([train, fold.calibrate])[-MOST_ROWS[options.preset] :]
        return finished(manifest, {PART: grow(both, 1)}, data, fold, p)


def _grow(
    data: Dataset,
    rows: Ints,
    x: Floats,
    flat: Floats,
    kind: str,
    params: dict[str, Any],
    options: TrainOptions,
    tell: Callable[[float, str], None],
) -> bytes:
    """Both heads on these rows, packed."""
    age = np.arange(len(rows))[::-1] / max(len(rows), 1)
    weight = np.exp2(-age / params["half_life"]) if params["half_life"] else np.ones(len(rows))
    weight *= uniqueness(data.span_end)[rows]
    moved = data.y2[rows] >= 0
    sides = data.y2[rows][moved]
    # Up and down weigh the same: which of them was more frequent is the past trend, not what comes next.
    fair = weight[moved] * np.where(sides == 1, 0.5 / max(sides.mean(), 1e-9), 0.5 / max(1.0 - sides.mean(), 1e-9))
    neutral = (data.y3[rows] == 1).astype(np.int64)
    if len(np.unique(neutral)) < 2 or len(np.unique(sides)) < 2:
        raise DataProblem(f"{data.symbol}: one class only in the training part; there is nothing to learn")
    heads = []
    for i, (taken, y, w) in enumerate(((rows, neutral, weight), (rows[moved], sides, fair))):

        def part(share: float, line: str, i: int = i) -> None:
            tell((i + share) / 2.0, line)

        heads.append(_members(x[taken], flat[taken], y, w, kind, params, options, part))
    spread = np.sqrt((flat[rows] ** 2).mean(axis=1))
    return msgspec.msgpack.encode(Heads(neutral=heads[0], up=heads[1], novel=2.0 * float(np.quantile(spread, 0.999))))


def max_memory(names: tuple[str, ...]) -> int:
    """Bars that the features of these names remember."""
    from libs.core.features.sets import FULL

    return max((feature.memory for feature in FULL.features if feature.name in set(names)), default=0)


def _members(
    x: Floats,
    flat: Floats,
    y: Ints,
    weight: Floats,
    kind: str,
    params: dict[str, Any],
    options: TrainOptions,
    tell: Callable[[float, str], None],
) -> tuple[Member, ...]:
    members = []
    share = float(params["linear_weight"])
    if share > 0.0:
        members.append(Member(_linear(flat, y, weight, float(params["linear_c"])), share))
        tell(0.1, "linear")
    if kind == "mlp":
        members.append(Member(_net(flat, y, options), 1.0 - share))
        return tuple(members)
    seeds = SEEDS[options.preset]
    rounds = int(params.get("rounds", ROUNDS[options.preset]))
    for s in range(seeds):
        grown = GROWERS[kind](x, y, weight, options.seed + s, params, rounds, options.threads)
        members.append(Member(Trees(grown), (1.0 - share) / seeds))
        tell(0.1 + 0.9 * (s + 1) / seeds, f"{kind} {s + 1} of {seeds}")
    return tuple(members)


def _linear(flat: Floats, y: Ints, weight: Floats, c: float) -> Linear:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=c, max_iter=500).fit(flat, y, sample_weight=weight)
    return Linear(weights=tuple(map(float, fitted.coef_[0])), bias=float(fitted.intercept_[0]))


def _net(flat: Floats, y: Ints, options: TrainOptions) -> Net:
    from sklearn.neural_network import MLPClassifier

    rounds = max(5 if options.preset == "quick" else 20, -(-NET_STEPS * NET_BATCH // len(y)))
    batch = min(NET_BATCH, len(y))
    net = MLPClassifier((32, 16), alpha=0.1, batch_size=batch, max_iter=rounds, random_state=options.seed)
    net.n_iter_no_change = rounds + 1  # a fixed number of passes: an early stop would look at a random split
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
        net.fit(flat, y)
    layers = tuple(
        (tuple(tuple(map(float, row)) for row in w), tuple(map(float, b)))
        for w, b in zip(net.coefs_, net.intercepts_, strict=True)
    )
    return Net(layers=layers)


def _lightgbm(
    x: Floats, y: Ints, weight: Floats, seed: int, params: dict[str, Any], rounds: int, threads: int
) -> Forest:
    import lightgbm

    settings = {
        "objective": "binary",
        "learning_rate": params["learning_rate"],
        "num_leaves": params["leaves"],
        "min_data_in_leaf": params["min_rows"],
        "feature_fraction": params["feature_share"],
        "bagging_fraction": params["row_share"],
        "bagging_freq": 1,
        "lambda_l2": params["l2"],
        "verbose": -1,
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y, weight=weight), rounds)
    return forests.from_lightgbm(booster)


def _xgboost(
    x: Floats, y: Ints, weight: Floats, seed: int, params: dict[str, Any], rounds: int, threads: int
) -> Forest:
    import xgboost

    settings = {
        "objective": "binary:logistic",
        "eta": params["learning_rate"],
        "max_depth": params["depth"],
        "min_child_weight": params["min_rows"] / 4.0,
        "colsample_bynode": params["feature_share"],
        "subsample": params["row_share"],
        "lambda": params["l2"],
        "tree_method": "hist",
        "nthread": threads,
        "seed": seed,
    }
    booster = xgboost.train(settings, xgboost.DMatrix(x, y, weight=weight), rounds)
    return forests.from_xgboost(booster, x.shape[1])


def _catboost(
    x: Floats, y: Ints, weight: Floats, seed: int, params: dict[str, Any], rounds: int, threads: int
) -> Forest:
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=rounds,
        learning_rate=params["learning_rate"],
        depth=params["depth"],
        l2_leaf_reg=params["l2"],
        rsm=params["feature_share"],
        bootstrap_type="Bernoulli",
        subsample=params["row_share"],
        random_seed=seed,
        thread_count=threads,
        verbose=0,
        allow_writing_files=False,
    )
    model.fit(x, y, sample_weight=weight)
    handle, path = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    try:
        return forests.from_catboost(model, path)
    finally:
        os.unlink(path)


def _gradient_boosting(
    x: Floats, y: Ints, weight: Floats, seed: int, params: dict[str, Any], rounds: int, threads: int
) -> Forest:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=min(rounds, 120),
        learning_rate=2.5 * params["learning_rate"],
        max_depth=3,
        min_samples_leaf=params["min_rows"],
        subsample=0.3,
        max_features=0.2,
        random_state=seed,
    ).fit(_filled(x), y, sample_weight=weight)
    share = float(model.init_.class_prior_[1])
    return forests.from_sklearn_trees(
        list(model.estimators_[:, 0]),
        base=float(np.log(share / (1.0 - share))),
        factor=model.learning_rate,
        sigmoid=True,
        nan_left=True,
    )


def _random_forest(
    x: Floats, y: Ints, weight: Floats, seed: int, params: dict[str, Any], rounds: int, threads: int
) -> Forest:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        n_estimators=min(rounds, 150),
        max_depth=8,
        min_samples_leaf=params["min_rows"],
        max_features=0.2,
        max_samples=0.5,
        random_state=seed,
        n_jobs=threads,
    ).fit(x, y, sample_weight=weight)
    return forests.from_sklearn_trees(model.estimators_, base=0.0, factor=1.0 / len(model.estimators_), sigmoid=False)


def _filled(x: Floats) -> Floats:
    """Without NaN, which this library's gradient boosting does not take: the value that serving sends left, too."""
    filled: Floats = np.nan_to_num(x, nan=-1e30)
    return filled


GROWERS: Final = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "catboost": _catboost,
    "gradient_boosting": _gradient_boosting,
    "forest": _random_forest,
}
"""By kind: (rows, classes, weights, seed, settings, rounds, threads) to trees of P(class 1)."""
