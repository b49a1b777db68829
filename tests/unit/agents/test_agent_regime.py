"""The regime agent against a published fit, brute force over all paths, and processes whose regime is known."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from libs.core.agents import regime_kernels as kernels

SP500 = Path(__file__).parents[3].parent / "shared" / "data" / "fx_equity" / "arch_sp500.csv.gz"


def two_regimes(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(seed))
    wild, states = 0, np.empty(n, dtype=int)
    for i in range(n):
        wild = 1 - wild if rng.random() < 0.02 else wild
        states[i] = wild
    return rng.standard_normal(n) * np.where(states == 1, 3e-3, 1e-3), states


def test_sp500_daily_returns_give_the_known_two_state_fit() -> None:
    """Log likelihood -7131.65, sigma .685 and 1.806 %, stay .988 and .977 (own maximum likelihood run, quant notes)."""
    if not SP500.exists():
        pytest.skip("the S&P 500 closes are not beside the repository")
    with gzip.open(SP500, "rt") as lines:
        rows = list(csv.DictReader(lines))
    closes = np.array([float(row["Adj Close"]) for row in rows])
    returns = 100.0 * np.diff(np.log(closes))
    state = np.zeros(kernels.STATE_SIZE)
    likelihood = kernels.fit(state, returns, 100)
    assert likelihood == pytest.approx(-7131.65, abs=1.5)
    assert math.sqrt(state[kernels.VAR0]) == pytest.approx(0.68459, abs=0.003)
    assert math.sqrt(state[kernels.VAR1]) == pytest.approx(1.80558, abs=0.008)
    assert state[kernels.STAY0] == pytest.approx(0.98798, abs=0.001)
    assert state[kernels.STAY1] == pytest.approx(0.97745, abs=0.001)


def test_filter_equals_the_sum_over_all_paths() -> None:
    returns = np.array([0.002, -0.001, 0.004, -0.0005, 0.0])
    state = np.zeros(kernels.STATE_SIZE)
    mu, variance, stay, calm = (1e-4, -2e-4), (1e-6, 9e-6), (0.95, 0.9), 0.6
    state[kernels.MU0], state[kernels.MU1] = mu
    state[kernels.VAR0], state[kernels.VAR1] = variance
    state[kernels.STAY0], state[kernels.STAY1] = stay
    state[kernels.CALM] = calm
    likelihood = sum(kernels.filter_step(state, r) for r in returns)
    totals = [0.0, 0.0]
    for path in itertools.product((0, 1), repeat=len(returns) + 1):
        weight = calm if path[0] == 0 else 1 - calm
        for i, r in enumerate(returns):
            before, now = path[i], path[i + 1]
            weight *= stay[before] if before == now else 1 - stay[before]
            weight *= math.exp(-((r - mu[now]) ** 2) / (2 * variance[now])) / math.sqrt(2 * math.pi * variance[now])
        totals[path[-1]] += weight
    assert likelihood == pytest.approx(math.log(sum(totals)), rel=1e-12)
    assert state[kernels.CALM] == pytest.approx(totals[0] / sum(totals), rel=1e-12)


def test_known_regimes_are_told_apart_and_ordered_by_sigma() -> None:
    returns, states = two_regimes(11, 2000)
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, returns[:600].copy(), 30)
    assert state[kernels.GAIN] > 0.0
    assert math.sqrt(state[kernels.VAR0]) == pytest.approx(1e-3, rel=0.15)
    assert math.sqrt(state[kernels.VAR1]) == pytest.approx(3e-3, rel=0.15)
    right = 0
    for r, wild in zip(returns[600:], states[600:], strict=True):
        kernels.filter_step(state, r)
        right += (state[kernels.CALM] < 0.5) == bool(wild)
    assert right / 1400 > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_one_gaussian_is_not_split_in_two(seed: int) -> None:
    returns = np.random.Generator(np.random.PCG64(seed)).standard_normal(600) * 1e-3
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, returns, 30)
    assert state[kernels.FITTED] == 1.0
    assert state[kernels.GAIN] <= 0.0


def test_more_steps_never_lower_the_likelihood() -> None:
    returns, _ = two_regimes(4, 600)
    likelihoods = [kernels.fit(np.zeros(kernels.STATE_SIZE), returns, steps) for steps in (1, 5, 10, 30, 60)]
    assert all(later >= earlier - 0.5 for earlier, later in itertools.pairwise(likelihoods))
    assert likelihoods[-1] - likelihoods[-2] < 1.0


def test_a_hole_lets_the_chain_drift_towards_its_stationary_share() -> None:
    returns, _ = two_regimes(4, 600)
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, returns, 30)
    for _ in range(5000):
        assert kernels.filter_step(state, math.nan) == 0.0
    leave0, leave1 = 1 - state[kernels.STAY0], 1 - state[kernels.STAY1]
    assert state[kernels.CALM] == pytest.approx(leave1 / (leave0 + leave1), rel=1e-9)


def test_an_impossible_return_leaves_finite_probabilities() -> None:
    returns, _ = two_regimes(4, 600)
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, returns, 30)
    kernels.filter_step(state, 5.0)
    assert 0.0 <= state[kernels.CALM] <= 1.0
    assert state[kernels.DISTANCE] > 100.0


def test_a_price_that_stands_still_cannot_be_fitted() -> None:
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, np.zeros(300), 30)
    assert state[kernels.FITTED] == 0.0
