"""The regime agent: states that hindsight agrees with, a book that may be missing, one bar at a time as in one go."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from council_series import HOUR, lively

from libs.core.agents.artifact import Artifact, ArtifactRefused, make_artifact
from libs.core.agents.model import Seen, Session, load_model
from libs.core.agents.regime_model import RegimeModel, memory_of, settled
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem, Dataset, Ints
from libs.research.training.folds import Fold, final_split
from libs.research.training.regime import RegimeTrainer

QUICK = TrainOptions(preset="quick", threads=1, params={"states": 2})


def switching(n: int = 4_000, seed: int = 8) -> tuple[Dataset, Ints]:
    """Calm and wild stretches; the spread is wide in wild ones, and unknown for a third of the bars."""
    rng = np.random.default_rng(seed)
    state = np.cumsum(rng.random(n) > 0.985) % 2
    data, _ = lively(n)
    returns = np.where(state == 0, 0.002, 0.008) * rng.standard_normal(n)
    returns[0] = math.nan
    following = np.append(returns[1:], math.nan)
    x = data.x.copy()
    spread = 1.0 + 2.0 * state + 0.5 * rng.standard_normal(n)
    spread[rng.random(n) < 0.33] = math.nan
    x[:, data.names.index("spread_bp")] = spread
    return replace(data, returns=returns, next_return=following, x=x), state


@pytest.fixture(scope="module")
def fitted() -> tuple[Dataset, Fold, Artifact, Ints]:
    data, state = switching()
    fold = final_split(data)
    return data, fold, RegimeTrainer().fit(data, fold, QUICK), state


def no_session(blob: bytes) -> Session:
    raise AssertionError("this model has no graph")


def test_held_out_bars_are_put_into_the_state_that_made_them_and_the_spread_helps(
    fitted: tuple[Dataset, Fold, Artifact, Ints],
) -> None:
    data, fold, artifact, state = fitted
    manifest = artifact.manifest
    assert manifest.params["states"] == ["calm", "wild"]
    assert manifest.features == ("parkinson_20", "spread_bp")
    assert manifest.metrics["calibration_net_loss"] < manifest.metrics["calibration_filter_loss"]
    right = []
    for each in (artifact, RegimeTrainer().fit(data, fold, replace(QUICK, params={"states": 2, "features": ()}))):
        model = load_model(each, no_session)
        said = model.history(data.columns(each.manifest.features), data.returns, data.ohlcv, data.bars.open_time)
        assert said.states[fold.test].sum(axis=1) == pytest.approx(1.0)
        right.append(((said.states[fold.test, 1] > 0.5) == (state[fold.test] == 1)).mean())
    with_net, alone = right
    assert alone > 0.85
    assert with_net > alone


def test_bar_by_bar_is_what_one_go_says_once_the_memory_is_full(fitted: tuple[Dataset, Fold, Artifact, Ints]) -> None:
    data, _, artifact, _ = fitted
    model = RegimeModel(artifact)
    rows = data.columns(artifact.manifest.features)
    whole = model.history(rows, data.returns, data.ohlcv, data.bars.open_time)
    full = 500 + min(artifact.manifest.memory, 3_000)

    def seen(begin: int, end: int) -> Seen:
        return Seen(
            rows=rows[np.newaxis, begin:end],
            returns=data.returns[np.newaxis, begin:end],
            bars=data.ohlcv[np.newaxis, begin:end],
            time=data.bars.open_time[end - 1 : end],
        )

    state = np.zeros(model.state_size)
    model.start(state, seen(500, full))
    for t in range(full, full + 50):
        said = model.say(state[np.newaxis], seen(t, t + 1))
        np.testing.assert_allclose(said.states[0], whole.states[t], atol=1e-9)
        assert said.novelty[0] == pytest.approx(whole.novelty[t])


def test_a_return_far_from_every_state_is_out_of_distribution_and_a_hole_is_not(
    fitted: tuple[Dataset, Fold, Artifact, Ints],
) -> None:
    _, _, artifact, _ = fitted
    model = RegimeModel(artifact)
    rows, bars = np.full((1, 1, 2), math.nan), np.ones((1, 1, 5))
    for value, strange in ((0.5, True), (math.nan, False), (0.001, False)):
        state = settled(np.array([[0.9, 0.1], [0.2, 0.8]]))
        said = model.say(state[np.newaxis], Seen(rows, np.array([[value]]), bars, np.array([HOUR])))
        assert (said.novelty[0] >= 1.0) == strange
        assert said.states[0].sum() == pytest.approx(1.0)


def test_a_refit_keeps_the_order_of_the_model_before(fitted: tuple[Dataset, Fold, Artifact, Ints]) -> None:
    data, fold, artifact, _ = fitted
    params = artifact.manifest.params
    like = {"mean": params["mean"][::-1], "deviation": params["deviation"][::-1]}
    turned = RegimeTrainer().fit(data, fold, replace(QUICK, params={"states": 2, "features": (), "like": like}))
    assert turned.manifest.params["deviation"] == params["deviation"][::-1]
    assert turned.manifest.params["states"] == ["wild", "calm"]


def test_later_bars_do_not_change_the_model(fitted: tuple[Dataset, Fold, Artifact, Ints]) -> None:
    data, fold, artifact, _ = fitted
    returns = data.returns.copy()
    returns[fold.test[0] :] *= 3.0
    again = RegimeTrainer().fit(replace(data, returns=returns), fold, QUICK)
    assert again.parts == artifact.parts


def test_parts_of_another_shape_and_returns_that_do_not_move_are_refused(
    fitted: tuple[Dataset, Fold, Artifact, Ints],
) -> None:
    data, fold, artifact, _ = fitted
    manifest = msgspec.structs.replace(artifact.manifest, features=("spread_bp",))
    for part in (b"x", artifact.parts["states"]):
        with pytest.raises(ArtifactRefused, match="cannot be loaded"):
            load_model(make_artifact(manifest, {"states": part}), no_session)
    with pytest.raises(DataProblem, match="do not move"):
        RegimeTrainer().fit(replace(data, returns=np.zeros(len(data))), fold, QUICK)


def test_memory_and_settled_shares_of_a_chain() -> None:
    """A chain that stays with 0.9 and 0.7 keeps 0.6 of a difference each bar, and is three quarters in the first."""
    chain = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(settled(chain), (0.75, 0.25))
    assert memory_of(chain, 1e-6) == math.ceil(math.log(1e-6) / math.log(0.6))
