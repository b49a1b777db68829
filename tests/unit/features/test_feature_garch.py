"""The GARCH likelihood against differences, a published benchmark and arch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from arch import arch_model
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from libs.core.features import garch_likelihood as garch
from libs.core.features.kit import PLAIN

Floats = NDArray[np.float64]

DATA = Path(__file__).parents[3].parent / "shared" / "data"
MARK = DATA / "garch" / "dem_gbp_markpound.csv"
REAL = ("binance_BTCUSDT_1h", "binance_BTCUSDT_1m_2025", "binance_DOGEUSDT_1m_2021", "binance_ETHUSDT_1m_2024aug")

THETA = (0.0, 2e-6, 0.08, 0.9)


def simulated(n: int, seed: int) -> Floats:
    mu, omega, alpha, beta = THETA
    rng, h, out = np.random.default_rng(seed), omega / (1 - alpha - beta), np.empty(n)
    for t in range(n):
        error = np.sqrt(h) * rng.standard_normal()
        out[t], h = mu + error, omega + alpha * error**2 + beta * h
    return out


def fitted(returns: Floats, tolerance: float = 1e-10) -> Floats:
    slots = np.zeros(garch.FIT_SLOTS)
    assert garch.fit(returns, 0, len(returns), slots, tolerance)
    return slots


@settings(max_examples=5 if PLAIN else 50, deadline=None)
@given(
    mu=st.floats(-1e-3, 1e-3),
    omega=st.floats(1e-7, 1e-4),
    alpha=st.floats(0.0, 0.4),
    share=st.floats(0.0, 0.99),
    seed=st.integers(0, 20),
)
def test_the_gradient_is_that_of_the_loss(mu: float, omega: float, alpha: float, share: float, seed: int) -> None:
    returns, slots = simulated(300, seed), np.zeros(garch.FIT_SLOTS)
    theta = np.array([mu, omega, alpha, share * (1.0 - alpha)])
    loss = garch.score(returns, 0, 300, *theta, slots)
    assert loss == pytest.approx(garch.loss(returns, 0, 300, *theta), rel=1e-12)
    gradient = slots[garch.GRADIENT : garch.GRADIENT + 4]
    for k, step in enumerate((1e-7, 1e-4 * omega, 1e-6, 1e-6)):
        up, down = theta.copy(), theta.copy()
        up[k] += step
        down[k] -= step
        rise = garch.loss(returns, 0, 300, *up) - garch.loss(returns, 0, 300, *down)
        assert rise == pytest.approx(2 * step * gradient[k], rel=1e-3, abs=1e-8 * abs(loss) + 1e-7)


@pytest.mark.skipif(not MARK.exists(), reason="the Deutschmark series is not on this machine")
def test_the_published_benchmark_comes_out_digit_for_digit() -> None:
    """Fiorentini, Calzolari and Panattoni 1996, 1,974 daily returns of DEM/GBP in percent."""
    slots = fitted(np.loadtxt(MARK, skiprows=1), tolerance=1e-24)
    expected = (-0.00619040837994, 0.010761397852, 0.153134061820, 0.805973670305)
    np.testing.assert_allclose(slots[:4], expected, rtol=1e-9)
    assert slots[garch.LOSS] == pytest.approx(1106.60788104, abs=1e-8)


@pytest.mark.parametrize("name", REAL)
def test_a_fit_is_as_likely_as_that_of_arch_on_real_windows(name: str) -> None:
    path = DATA / "bars" / f"{name}.parquet"
    if not path.exists():
        pytest.skip("the real bars are not on this machine")
    returns = np.diff(np.log(pl.read_parquet(path)["close"].cast(pl.Float64).to_numpy()))
    for start in np.linspace(0, len(returns) - 500, 6 if PLAIN else 12, dtype=int):
        window = np.ascontiguousarray(returns[start : start + 500])
        ours = fitted(window)[garch.LOSS]
        scale = 1.0 / window.std()
        scaled = window * scale
        model = arch_model(scaled, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
        backcast = float(np.mean((scaled - scaled.mean()) ** 2))
        found = model.fit(disp="off", backcast=backcast, show_warning=False).params.to_numpy()
        theirs = garch.loss(window, 0, 500, *(found / [scale, scale**2, 1.0, 1.0]))
        assert ours <= theirs + 1e-4 * abs(theirs), f"{name} at {start}"


def test_our_likelihood_is_that_of_arch_at_the_same_parameters_and_presample() -> None:
    returns = simulated(500, seed=3) * 100
    theta = np.array([0.01, 0.02, 0.08, 0.9])
    model = arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
    process, errors = model.volatility, returns - theta[0]
    variance = np.zeros(500)
    process.compute_variance(theta[1:], errors, variance, float(np.mean(errors**2)), np.tile([0.0, 1e9], (500, 1)))
    expected = -model.distribution.loglikelihood([], errors, variance)
    assert garch.loss(returns, 0, 500, *theta) == pytest.approx(expected, rel=1e-12)


def test_parameters_that_made_a_series_are_found() -> None:
    slots = fitted(simulated(1_000 if PLAIN else 50_000, seed=4))
    if not PLAIN:
        np.testing.assert_allclose(slots[[garch.ALPHA, garch.BETA]], THETA[2:], atol=0.02)


def test_returns_that_do_not_move_have_no_fit() -> None:
    slots = np.zeros(garch.FIT_SLOTS)
    assert not garch.fit(np.full(100, 0.001), 0, 100, slots, 1e-10)
    assert not slots.any()


@pytest.mark.parametrize("jumps", [1, 2, 30])
def test_a_few_jumps_among_nothing_have_a_fit_within_its_bounds(jumps: int) -> None:
    returns = np.zeros(200)
    returns[10 : 10 + jumps] = 0.05
    slots = fitted(returns)
    assert np.isfinite(slots[: garch.LOSS + 1]).all()
    assert slots[garch.OMEGA] > 0.0
    assert min(slots[garch.ALPHA], slots[garch.BETA]) >= 0.0
    assert slots[garch.ALPHA] + slots[garch.BETA] <= garch.MAX_PERSISTENCE
    assert slots[garch.NEXT] > 0.0
