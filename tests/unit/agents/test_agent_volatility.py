"""The volatility agent against published GARCH figures, hand computations and its own invariances."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.agents import volatility_kernels as kernels

MARKPOUND = Path(__file__).parents[3].parent / "shared" / "data" / "garch" / "dem_gbp_markpound.csv"


def fitted(returns: np.ndarray) -> np.ndarray:
    state = np.zeros(kernels.STATE_SIZE)
    kernels.fit(state, np.ascontiguousarray(returns))
    return state


def garch_path(seed: int, n: int, omega: float, alpha: float, beta: float) -> np.ndarray:
    shocks = np.random.Generator(np.random.PCG64(seed)).standard_normal(n)
    h, path = omega / (1 - alpha - beta), np.empty(n)
    for i in range(n):
        path[i] = math.sqrt(h) * shocks[i]
        h = omega + alpha * path[i] ** 2 + beta * h
    return path


def test_loss_of_three_returns_equals_the_sum_written_out() -> None:
    r, mu, variance, alpha, persistence = np.array([0.01, -0.02, 0.03]), 0.001, 4e-4, 0.1, 0.9
    h, expected = variance, 0.0
    for x in r:
        expected += math.log(h) + (x - mu) ** 2 / h
        h = (1 - persistence) * variance + alpha * (x - mu) ** 2 + (persistence - alpha) * h
    assert kernels.garch_loss(r, mu, variance, alpha, persistence) == pytest.approx(expected, rel=1e-14)


def test_mark_against_pound_is_near_the_published_benchmark() -> None:
    """Fiorentini, Calzolari, Panattoni 1996: alpha .1531, beta .8060; variance targeting moves them a little."""
    if not MARKPOUND.exists():
        pytest.skip("the mark/pound returns are not beside the repository")
    with MARKPOUND.open() as lines:
        rows = list(csv.reader(lines))
    returns = np.array([float(row[-1]) for row in rows[1:]])
    assert len(returns) == 1974
    state = fitted(returns)
    assert state[kernels.ALPHA] == pytest.approx(0.153, abs=0.03)
    assert state[kernels.BETA] == pytest.approx(0.806, abs=0.03)


@pytest.mark.parametrize(("alpha", "beta"), [(0.10, 0.85), (0.30, 0.60)])
def test_parameters_of_a_simulated_process_are_found_again(alpha: float, beta: float) -> None:
    state = fitted(garch_path(7, 6000, 1e-7, alpha, beta))
    assert state[kernels.ALPHA] == pytest.approx(alpha, abs=0.06)
    assert state[kernels.BETA] == pytest.approx(beta, abs=0.08)


def test_no_neighbour_of_the_fit_has_a_smaller_loss() -> None:
    returns = garch_path(3, 800, 1e-7, 0.15, 0.75)
    mu, variance = returns.mean(), returns.var()
    alpha, persistence = kernels.fit_garch(returns, mu, variance)
    best = kernels.garch_loss(returns, mu, variance, alpha, persistence)
    for da in (-0.01, 0.0, 0.01):
        for dp in (-0.01, 0.0, 0.01):
            if 0 < alpha + da <= persistence + dp < 1:
                assert kernels.garch_loss(returns, mu, variance, alpha + da, persistence + dp) >= best - 1e-3


def test_step_is_both_recursions_written_out() -> None:
    state = fitted(garch_path(1, 300, 1e-7, 0.1, 0.8))
    before, r = state.copy(), 0.004
    kernels.step(state, r)
    assert state[kernels.EWMA] == pytest.approx(0.94 * before[kernels.EWMA] + 0.06 * r * r, rel=1e-14)
    expected = (
        before[kernels.OMEGA]
        + before[kernels.ALPHA] * (r - before[kernels.MU]) ** 2
        + before[kernels.BETA] * before[kernels.GARCH]
    )
    assert state[kernels.GARCH] == pytest.approx(expected, rel=1e-14)


def test_a_hole_changes_nothing() -> None:
    state = fitted(garch_path(1, 300, 1e-7, 0.1, 0.8))
    before = state.copy()
    kernels.step(state, math.nan)
    assert np.array_equal(state, before)


@given(scale=st.floats(0.01, 100.0))
def test_forecasts_scale_with_the_returns(scale: float) -> None:
    returns = garch_path(5, 200, 1e-6, 0.1, 0.8)
    one, other = fitted(returns), fitted(returns * scale)
    assert math.sqrt(other[kernels.GARCH]) == pytest.approx(scale * math.sqrt(one[kernels.GARCH]), rel=1e-6)
    assert math.sqrt(other[kernels.EWMA]) == pytest.approx(scale * math.sqrt(one[kernels.EWMA]), rel=1e-6)


def test_a_price_that_stands_still_cannot_be_fitted() -> None:
    assert fitted(np.zeros(300))[kernels.FITTED] == 0.0
    assert fitted(garch_path(1, kernels.MIN_BARS - 1, 1e-7, 0.1, 0.8))[kernels.FITTED] == 0.0


def test_a_long_flat_stretch_leaves_a_finite_forecast() -> None:
    state = fitted(garch_path(1, 300, 1e-7, 0.1, 0.8))
    for _ in range(100_000):
        kernels.step(state, 0.0)
    assert np.isfinite(state).all()
    assert state[kernels.EWMA] > 0.0
    assert state[kernels.GARCH] > 0.0
