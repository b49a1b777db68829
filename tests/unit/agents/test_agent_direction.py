"""The direction agent: what it learns, what it refuses to say about noise, and one step of its gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest

from libs.core.agents import direction_kernels as kernels
from libs.core.agents.direction import MIN_SKILL_T, skill_t

K = 3


def history(seed: int, n: int, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns whose next value leans on the first feature by `signal` deviations; the other features are noise."""
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = rng.standard_normal((n, K)) * np.array([1.0, 50.0, 1e-4]) + np.array([0.0, 100.0, 0.0])
    returns = np.empty(n)
    returns[0] = math.nan
    returns[1:] = 1e-3 * (signal * rows[:-1, 0] + rng.standard_normal(n - 1))
    return returns, rows


def fitted(returns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    state = np.zeros(kernels.state_size(K))
    kernels.fit(state, K, returns, rows, 0.05, 1e-3, 10)
    return state


def test_a_real_dependence_is_learnt_and_its_sign_is_right() -> None:
    returns, rows = history(1, 600, 1.5)
    state = fitted(returns, rows)
    assert skill_t(state) > MIN_SKILL_T
    p = np.empty(3)
    kernels.step(state, K, 0.0, np.array([2.0, 100.0, 0.0]), 0.05, 1e-3, True)
    kernels.probabilities(state, K, p)
    assert p[2] > 2 * p[0]
    kernels.step(state, K, 0.0, np.array([-2.0, 100.0, 0.0]), 0.05, 1e-3, True)
    kernels.probabilities(state, K, p)
    assert p[0] > 2 * p[2]


def test_noise_rarely_passes_for_skill() -> None:
    skilled = 0
    for seed in range(20):
        returns, rows = history(seed, 600, 0.0)
        skilled += skill_t(fitted(returns, rows)) > MIN_SKILL_T
    assert skilled <= 4


def test_probabilities_sum_to_one_whatever_the_inputs() -> None:
    state = fitted(*history(2, 400, 0.5))
    p = np.empty(3)
    for value in (-1e9, -1.0, 0.0, 1e9):
        kernels.step(state, K, 1e-3, np.full(K, value), 0.05, 1e-3, True)
        kernels.probabilities(state, K, p)
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        assert (p >= 0.0).all()


@pytest.mark.parametrize(
    ("deviations", "label"),
    [(-2.0, 0), (-0.44, 0), (-0.42, 1), (0.0, 1), (0.42, 1), (0.44, 2), (2.0, 2)],
)
def test_one_step_makes_what_happened_more_probable(deviations: float, label: int) -> None:
    state = fitted(*history(3, 400, 0.5))
    r = deviations * math.sqrt(state[kernels.VARIANCE])
    before, after = np.empty(3), np.empty(3)
    kernels.probabilities(state, K, before)
    kernels.learn_outcome(state, K, r, 0.05, 0.0, True)
    kernels.probabilities(state, K, after)
    assert after[label] > before[label]


def test_the_rate_bounds_the_change_of_a_score() -> None:
    state = fitted(*history(3, 400, 0.5))
    p, q = np.empty(3), np.empty(3)
    kernels.probabilities(state, K, p)
    kernels.learn_outcome(state, K, 1.0, 0.05, 0.0, True)
    kernels.probabilities(state, K, q)
    change = np.log(q / q[1]) - np.log(p / p[1])
    assert np.abs(change).max() <= 2 * 0.05 + 1e-12


def test_a_hole_drops_the_pending_forecast_without_learning() -> None:
    state = fitted(*history(3, 400, 0.5))
    weights = state[kernels.CENTRE + 2 * K + K + 1 :].copy()
    scored = state[kernels.SCORED]
    kernels.step(state, K, math.nan, np.ones(K), 0.05, 1e-3, True)
    assert np.array_equal(state[kernels.CENTRE + 2 * K + K + 1 :], weights)
    assert state[kernels.SCORED] == scored


def test_a_missing_feature_opens_no_forecast_to_learn_from() -> None:
    state = fitted(*history(3, 400, 0.5))
    kernels.step(state, K, 1e-3, np.array([1.0, math.nan, 1.0]), 0.05, 1e-3, True)
    scored = state[kernels.SCORED]
    kernels.step(state, K, 1e-3, np.ones(K), 0.05, 1e-3, True)
    assert state[kernels.SCORED] == scored


def test_too_little_history_fits_nothing() -> None:
    returns, rows = history(1, 80, 1.5)
    assert fitted(returns, rows)[kernels.FITTED] == 0.0
    assert skill_t(fitted(returns, rows)) == 0.0


def test_the_scaler_never_sees_the_judged_third() -> None:
    returns, rows = history(1, 600, 1.0)
    other = rows.copy()
    other[400:] *= 7.0
    centre = slice(kernels.CENTRE, kernels.CENTRE + 2 * K)
    assert np.array_equal(fitted(returns, rows)[centre], fitted(returns, other)[centre])
