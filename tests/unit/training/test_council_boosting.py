"""The boosting agent: every kind of model learns what is there, is served as it was fitted, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from training_world import FAST, dataset

from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest, pack, unpack
from libs.core.agents.boosting_model import KINDS, PART, BoostingModel, Heads, Linear, Member, Net, Trees
from libs.core.agents.meta_model import Weights
from libs.core.agents.model import Seen, load_model
from libs.core.agents.trees import ForestWalker, Grown
from libs.research.training import boosting
from libs.research.training.base import TrainOptions
from libs.research.training.boosting import BoostingTrainer
from libs.research.training.dataset import DataProblem
from libs.research.training.folds import final_split
from libs.research.training.horizon import over
from libs.research.training.manifests import unseen
from libs.research.training.meta import joint, said_unseen, stack
from libs.research.training.scores import skill, two_class

SETTINGS = {**FAST, "learning_rate": 0.2, "refit": False}


def no_session(graph: bytes) -> None:
    raise AssertionError("boosting has no graph")


def fit(kind: str = "lightgbm", seed: int = 1, echo: float = 0.35, **params: object) -> Artifact:
    data = dataset(4_000, echo=echo)
    options = TrainOptions(preset="quick", seed=seed, threads=1, params={**SETTINGS, "model": kind, **params})
    return BoostingTrainer().fit(data, final_split(data), options)


def heard(artifact: Artifact, echo: float = 0.35) -> np.ndarray:
    data = dataset(4_000, echo=echo)
    model = load_model(artifact, no_session)  # type: ignore[arg-type]
    x = data.columns(artifact.manifest.features)
    return model.history(x, data.returns, data.ohlcv, data.bars.open_time).p


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_a_planted_edge_on_bars_after_its_training(kind: str) -> None:
    data = dataset(4_000, echo=0.35)
    artifact = fit(kind, linear_weight=0.0)
    p = heard(unpack(pack(artifact)))
    test = final_split(data).test
    moved = test[data.y2[test] >= 0]
    assert np.allclose(p[test].sum(axis=1), 1.0)
    assert (two_class(p[moved]).argmax(axis=1) == data.y2[moved]).mean() > 0.55


def test_one_bar_at_a_time_equals_the_whole_history() -> None:
    data, artifact = dataset(4_000, echo=0.35), fit()
    model = BoostingModel(artifact)
    x, whole = data.columns(artifact.manifest.features), heard(artifact)
    for t in range(1_000, 4_000, 411):
        seen = Seen(x[t].reshape(1, 1, -1), np.empty((1, 0)), np.empty((1, 0, 5)), data.bars.open_time[t : t + 1])
        assert np.allclose(model.say(np.empty((1, 0)), seen).p[0], whole[t], rtol=0.0, atol=1e-12)


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    one, again, other = fit(), fit(), fit(seed=2)
    assert one.parts == again.parts
    assert one.parts[PART] != other.parts[PART]


def test_a_refit_reads_the_calibration_slice_and_only_then() -> None:
    data = dataset(4_000, echo=0.35)
    fold = final_split(data)
    spoiled = replace(data, y2=data.y2.copy(), y3=data.y3.copy())
    spoiled.y2[fold.calibrate], spoiled.y3[fold.calibrate] = 1, 2
    spoiled.y2[fold.test], spoiled.y3[fold.test] = 1, 2

    def heads(refit: bool, of: object) -> bytes:
        options = TrainOptions(preset="quick", seed=1, threads=1, params={**SETTINGS, "refit": refit})
        return BoostingTrainer().fit(of, fold, options).parts[PART]  # type: ignore[arg-type]

    assert heads(False, data) == heads(False, spoiled)
    assert heads(True, data) != heads(True, spoiled)


def test_what_it_said_before_a_refit_travels_with_it_and_the_stack_learns_from_that() -> None:
    data = dataset(4_000, echo=0.35)
    fold = final_split(data)
    plain, refitted = fit(), fit(refit=True)
    rows, said = unseen(data, refitted) or (np.empty(0), np.empty(0))
    assert np.array_equal(rows, fold.calibrate)
    assert np.allclose(said, heard(plain)[rows], atol=1e-6)

    guesses = np.random.default_rng(1).dirichlet((9.0, 9.0, 9.0), len(data))
    made = stack(data, fold, {"boosting": said_unseen(data, plain), "trend": guesses}, TrainOptions(threads=1))
    weights = msgspec.msgpack.decode(made.parts["weights"], type=Weights)
    assert weights.where[0] > 0.55 > 0.45 > weights.where[1]
    model = load_model(made, no_session)  # type: ignore[arg-type]
    p = joint(made, model, {"boosting": heard(plain)}, len(data))
    moved = fold.test[data.y2[fold.test] >= 0]
    assert skill(two_class(p[moved]), data.y2[moved], np.array([0.5, 0.5])) > 0.02
    with pytest.raises(DataProblem, match="two agents"):
        stack(data, fold, {"boosting": said_unseen(data, plain)}, TrainOptions(threads=1))


@pytest.mark.parametrize(
    ("params", "line"),
    [({"model": "prophecy"}, "no boosting model 'prophecy'"), ({"min_rows": 5_000}, "too few")],
)
def test_what_cannot_be_fitted_is_said_in_one_line(params: dict[str, object], line: str) -> None:
    with pytest.raises(DataProblem, match=line) as problem:
        fit(**params)  # type: ignore[arg-type]
    assert "\n" not in str(problem.value)


def test_one_class_only_is_said_in_one_line() -> None:
    data = dataset(4_000, echo=0.35)
    rising = replace(data, y2=np.where(data.y2 >= 0, 1, data.y2), y3=np.where(data.y3 >= 0, 2, data.y3))
    with pytest.raises(DataProblem, match="nothing to learn"):
        BoostingTrainer().fit(rising, final_split(data), TrainOptions(preset="quick", threads=1, params=SETTINGS))


def test_rise_and_fall_over_several_bars_is_learnt_and_labelled_as_it_happened() -> None:
    data = dataset(4_000, echo=0.35)
    three = over(data, 3)
    moves = np.log(data.bars.close[3:] / data.bars.close[:-3])
    known = three.y2[:-3] >= 0
    assert np.array_equal(three.y2[:-3][known] == 1, moves[known] > 0.0)
    assert not three.usable[-3:].any()
    artifact = fit(horizon=3)
    test = final_split(data).test
    moved = test[three.y2[test] >= 0]
    assert artifact.manifest.params["horizon"] == 3
    assert (two_class(heard(artifact)[moved]).argmax(axis=1) == three.y2[moved]).mean() > 0.53
    with pytest.raises(DataProblem, match="horizon of 61"):
        fit(horizon=61)


def made_of(heads: Heads, width: int = 4) -> Artifact:
    manifest = Manifest(
        agent="boosting", kind="mlp", venue="v", symbol="s", interval_s=60, set_hash="", trained_from=0, trained_to=1,
        data_hash="", samples=1, features=tuple(f"f{i}" for i in range(width)), center=(0.0,) * width,
        scale=(1.0,) * width,
    )  # fmt: skip
    return Artifact(manifest=manifest, parts={PART: msgspec.msgpack.encode(heads)})


def flat(width: int = 4) -> tuple[Member, ...]:
    return (Member(Linear((0.0,) * width, 0.0), 1.0),)


def p_up(artifact: Artifact, x: np.ndarray) -> np.ndarray:
    p = BoostingModel(artifact).history(x, np.empty(0), np.empty((0, 5)), np.empty(0, dtype=np.int64)).p
    return two_class(p)[:, 1]


def test_a_served_net_and_a_served_line_equal_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 4))
    y = (x[:, 0] * x[:, 1] > 0.0).astype(int)
    net = MLPClassifier((8, 5), max_iter=300, tol=1e-2, random_state=1).fit(x, y)
    layers = tuple(
        (tuple(map(tuple, w.tolist())), tuple(b.tolist())) for w, b in zip(net.coefs_, net.intercepts_, strict=True)
    )
    served = p_up(made_of(Heads(flat(), (Member(Net(layers), 1.0),), 1.0)), x)
    assert np.abs(served - net.predict_proba(x)[:, 1]).max() < 1e-9
    line = LogisticRegression().fit(x, y)
    member = Member(Linear(tuple(line.coef_[0].tolist()), float(line.intercept_[0])), 2.0)
    assert np.abs(p_up(made_of(Heads(flat(), (member,), 1.0)), x) - line.predict_proba(x)[:, 1]).max() < 1e-9


def test_gradient_boosting_takes_a_missing_value_as_it_did_in_training() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(2)
    x = rng.standard_normal((900, 4))
    x[rng.random(x.shape) < 0.2] = np.nan
    y = (np.isnan(x[:, 0]) ^ (rng.random(900) < 0.1)).astype(np.int64)
    params = {"learning_rate": 0.08, "min_rows": 20}
    served = ForestWalker(boosting.GROWERS["gradient_boosting"](x, y, np.ones(900), 1, params, 30, 1), 4)(x)
    low = np.nan_to_num(x, nan=-1e30)
    theirs = GradientBoostingClassifier(
        n_estimators=30, learning_rate=0.2, max_depth=3, min_samples_leaf=20, subsample=0.3, max_features=0.2,
        random_state=1,
    ).fit(low, y, sample_weight=np.ones(900))  # fmt: skip
    assert np.abs(served - theirs.predict_proba(low)[:, 1]).max() < 1e-6
    assert served[np.isnan(x[:, 0])].mean() > 0.7 > 0.3 > served[~np.isnan(x[:, 0])].mean()


def test_a_bar_without_any_feature_gets_no_forecast_and_a_strange_one_is_novel() -> None:
    model = BoostingModel(made_of(Heads(flat(), flat(), 2.0)))
    rows = np.array([[np.nan] * 4, [0.1] * 4, [50.0] * 4])
    said = model.history(rows, np.empty(0), np.empty((0, 5)), np.empty(0, dtype=np.int64))
    assert np.isnan(said.p[0]).all()
    assert np.isfinite(said.p[1:]).all()
    assert said.novelty[1] < 1.0 < said.novelty[2]


def circle() -> Trees:
    grown = Grown()
    grown.tree()
    grown.join(grown.split(0, 0.5, nan_left=True), 0, 0)
    return Trees(grown.forest())


@pytest.mark.parametrize(
    "bad",
    [
        made_of(Heads((), flat(), 1.0)),
        made_of(Heads(flat(), flat(3), 1.0)),
        made_of(Heads(flat(), (Member(circle(), 1.0),), 1.0)),
        made_of(Heads(flat(), (Member(Net(()), 1.0),), 1.0)),
        made_of(Heads(flat(), (Member(Linear((float("nan"),) * 4, 0.0), 1.0),), 1.0)),
        made_of(Heads(flat(), flat(), 0.0)),
        made_of(Heads(flat(0), flat(0), 1.0), width=0),
        msgspec.structs.replace(made_of(Heads(flat(), flat(), 1.0)), parts={PART: b"half"}),
        msgspec.structs.replace(made_of(Heads(flat(), flat(), 1.0)), parts={}),
    ],
)
def test_a_foreign_or_damaged_model_is_refused_in_one_line(bad: Artifact) -> None:
    with pytest.raises(ArtifactRefused) as refused:
        load_model(bad, no_session)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
