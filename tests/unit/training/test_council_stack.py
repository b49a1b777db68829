"""The stacked meta-agent: what it learns of its agents, what it does without some of them, and what it refuses."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest
from libs.core.agents.meta_model import PART, StackModel, Weights, inputs_of, pooled
from libs.core.agents.model import Seen, load_model, log_odds, of_log_odds
from libs.research.training.meta import fitted
from libs.research.training.scores import log_loss

AGENTS = ("boosting", "pattern", "trend")


def no_session(graph: bytes) -> None:
    raise AssertionError("a stack has no graph")


def artifact(weights: Weights, features: tuple[str, ...] = inputs_of(AGENTS)) -> Artifact:
    manifest = Manifest(
        agent="meta", kind="stack", venue="v", symbol="s", interval_s=60, set_hash="", trained_from=0, trained_to=1,
        data_hash="", samples=1, features=features,
    )  # fmt: skip
    return Artifact(manifest=manifest, parts={PART: msgspec.msgpack.encode(weights)})


def joint(weights: Weights, votes: np.ndarray) -> np.ndarray:
    model = StackModel(artifact(weights))
    return model.history(votes, np.empty(0), np.empty((0, 5)), np.empty(0, dtype=np.int64)).p


def world(seed: int, n: int, noise: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Votes of agents that see the truth through so much noise, and what happened."""
    rng = np.random.default_rng(seed)
    whether, where = 0.6 * rng.standard_normal(n) - 0.7, 0.5 * rng.standard_normal(n)
    y = (rng.random(n)[:, np.newaxis] > of_log_odds(whether, where).cumsum(axis=1)[:, :2]).sum(axis=1)
    votes = [
        of_log_odds(whether + sd * rng.standard_normal(n), where + sd * rng.standard_normal(n)) for sd in noise
    ]  # fmt: skip
    return np.column_stack(votes), y


def test_equal_weights_are_the_mean_of_the_log_odds() -> None:
    votes, _ = world(1, 50, (0.3, 0.3, 0.3))
    p = joint(Weights((1 / 3,) * 3, (1 / 3,) * 3), votes)
    whether, where = log_odds(votes.reshape(-1, 3))
    assert np.allclose(p, of_log_odds(whether.reshape(-1, 3).mean(axis=1), where.reshape(-1, 3).mean(axis=1)))
    assert np.allclose(p.sum(axis=1), 1.0)


def test_the_better_agent_weighs_more_and_the_stack_beats_each_and_their_mean_on_other_bars() -> None:
    noise = (0.2, 1.5, 0.6)
    weights = fitted(*world(2, 20_000, noise))
    for w in (weights.whether, weights.where):
        assert w[0] > w[2] > w[1] >= 0.0
    votes, y = world(3, 20_000, noise)
    mine = log_loss(joint(weights, votes), y).mean()
    assert mine < log_loss(joint(Weights((1 / 3,) * 3, (1 / 3,) * 3), votes), y).mean()
    assert mine < min(log_loss(votes[:, 3 * k : 3 * k + 3], y).mean() for k in range(3))


def test_a_few_bars_hardly_move_the_weights_from_equal_shares() -> None:
    weights = fitted(*world(4, 60, (0.3, 0.3, 0.3)))
    assert np.abs(np.array([weights.whether, weights.where]) - 1 / 3).max() < 0.2


def test_agents_that_say_the_same_share_the_weight_of_one() -> None:
    votes, y = world(5, 20_000, (0.3,))
    weights = fitted(np.column_stack([votes, votes, votes]), y)
    assert np.allclose(weights.where, weights.where[0], atol=1e-3)


@given(
    odds=st.lists(st.floats(-5.0, 5.0), min_size=3, max_size=3),
    weights=st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3),
    known=st.lists(st.booleans(), min_size=3, max_size=3).filter(any),
)
def test_a_silent_agent_changes_nothing_where_the_others_agree(
    odds: list[float], weights: list[float], known: list[bool]
) -> None:
    w, k = np.array(weights), np.array([known])
    same = np.full((1, 3), odds[0])
    assert pooled(same, k, w)[0] == pytest.approx(odds[0] * w.sum())
    total = pooled(np.array([odds]), k, w)[0]
    spoken = np.array(odds)[k[0]] * w.sum()
    assert spoken.min() - 1e-9 <= total <= spoken.max() + 1e-9


def test_where_nobody_speaks_there_is_no_forecast_and_where_one_does_there_is() -> None:
    votes, _ = world(6, 3, (0.2, 0.2, 0.2))
    votes[0] = np.nan
    votes[1, 3:] = np.nan
    p = joint(Weights((0.0, 0.5, 0.5), (0.2, 0.4, 0.4)), votes)
    assert np.isnan(p[0]).all()
    assert np.allclose(p[1], votes[1, :3])
    assert np.isfinite(p[2]).all()


def test_bar_by_bar_equals_the_whole_history() -> None:
    votes, _ = world(7, 20, (0.2, 0.4, 0.6))
    votes[3, :3] = np.nan
    weights = Weights((0.5, 0.1, 0.3), (0.2, 0.0, 0.7))
    model = StackModel(artifact(weights))
    whole = joint(weights, votes)
    for row, expected in zip(votes, whole, strict=True):
        seen = Seen(row.reshape(1, 1, -1), np.empty((1, 0)), np.empty((1, 0, 5)), np.array([0]))
        assert np.array_equal(model.say(np.empty((1, 0)), seen).p[0], expected)


@pytest.mark.parametrize(
    "bad",
    [
        artifact(Weights((0.5, 0.5), (0.5, 0.5))),
        artifact(Weights((0.5, 0.5, -0.1), (0.3, 0.3, 0.3))),
        artifact(Weights((0.5, 0.5, float("nan")), (0.3, 0.3, 0.3))),
        artifact(Weights((0.0, 0.0, 0.0), (0.3, 0.3, 0.3))),
        artifact(Weights((0.3, 0.3, 0.3), (0.3, 0.3, 0.3)), ("boosting.p_up", "trend.p_up", "pattern.p_up")),
        artifact(Weights((0.3, 0.3, 0.3), (0.3, 0.3, 0.3)), ()),
        msgspec.structs.replace(artifact(Weights((0.3,) * 3, (0.3,) * 3)), parts={PART: b"\xff half"}),
        msgspec.structs.replace(artifact(Weights((0.3,) * 3, (0.3,) * 3)), parts={}),
    ],
)
def test_a_foreign_or_damaged_stack_is_refused_in_one_line(bad: Artifact) -> None:
    with pytest.raises(ArtifactRefused) as refused:
        load_model(bad, no_session)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
