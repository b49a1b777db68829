"""GARCH and its variants: published figures, arch, differences, and what forecasts must obey."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from arch import arch_model
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.agents.garch_family import COUNT, Garch, digamma, forecast, likelihood, step, variances
from libs.core.features import garch_likelihood as normal
from libs.research.training.dataset import DataProblem, Floats
from libs.research.training.garch import Errors, Kind, fit_garch, standard_errors

MARK = Path(__file__).parents[3].parent / "shared" / "data" / "garch" / "dem_gbp_markpound.csv"
needs_mark = pytest.mark.skipif(not MARK.exists(), reason="the Deutschmark series is not on this machine")


def skewed(n: int = 1_200, seed: int = 3) -> Floats:
    """Returns with volatility that falls raise, and fat tails."""
    rng, h, out = np.random.default_rng(seed), 1.0, np.empty(n)
    for t in range(n):
        out[t] = math.sqrt(h) * rng.standard_t(6) * math.sqrt(4 / 6)
        h = 0.05 + (0.04 + 0.1 * (out[t] < 0)) * out[t] ** 2 + 0.86 * h
    return out


@needs_mark
def test_published_standard_errors_come_out_within_one_of_their_last_digit() -> None:
    """Fiorentini, Calzolari and Panattoni 1996."""
    returns = np.loadtxt(MARK, skiprows=1)
    fit = fit_garch(returns)
    published: dict[Errors, tuple[float, ...]] = {
        "hessian": (0.00846212, 0.00285271, 0.0265228, 0.0335527),
        "opg": (0.00843359, 0.00132298, 0.0139737, 0.0165604),
        "information": (0.00837628, 0.00192881, 0.0194012, 0.0218399),
        "robust": (0.00873092, 0.00312364, 0.0273219, 0.0301509),
    }
    found = standard_errors(fit, returns)
    for kind, expected in published.items():
        assert tuple(found[kind].values()) == pytest.approx(expected, rel=1e-5), kind
    assert fit.garch.alpha == pytest.approx(0.153134061820, rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    mu=st.floats(-0.1, 0.1),
    omega=st.floats(0.01, 0.5),
    alpha=st.floats(0.0, 0.3),
    gamma=st.floats(0.0, 0.3),
    beta=st.floats(0.0, 0.8),
    nu=st.one_of(st.just(math.inf), st.floats(2.5, 60.0)),
)
def test_the_gradient_is_that_of_the_likelihood(
    mu: float, omega: float, alpha: float, gamma: float, beta: float, nu: float
) -> None:
    r, none = skewed(200), np.empty((0, COUNT))
    theta = np.array([mu, omega, alpha, gamma, beta, nu])
    gradient, unused, scores = np.empty(COUNT), np.empty(COUNT), np.empty((200, COUNT))
    value = likelihood(r, theta, gradient, scores)
    np.testing.assert_allclose(scores.sum(axis=0), gradient, rtol=1e-9, atol=1e-9)
    for k in range(COUNT if math.isfinite(nu) else COUNT - 1):
        size = 1e-6 * max(abs(theta[k]), 0.1)
        up, down = theta.copy(), theta.copy()
        up[k] += size
        down[k] -= size
        rise = (likelihood(r, up, unused, none) - likelihood(r, down, unused, none)) / (2 * size)
        assert gradient[k] == pytest.approx(rise, rel=1e-4, abs=1e-6 * abs(value))


def test_without_leverage_and_fat_tails_it_is_the_likelihood_of_the_features() -> None:
    r = skewed(500)
    theta = np.array([0.01, 0.05, 0.1, 0.0, 0.85, math.inf])
    gradient, slots = np.empty(COUNT), np.zeros(normal.FIT_SLOTS)
    expected = normal.score(r, 0, 500, 0.01, 0.05, 0.1, 0.85, slots)
    assert -likelihood(r, theta, gradient, np.empty((0, COUNT))) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(-gradient[[0, 1, 2, 4]], slots[normal.GRADIENT : normal.GRADIENT + 4], rtol=1e-9)


@pytest.mark.parametrize(("kind", "wish"), [("t", {"dist": "t"}), ("gjr", {"o": 1}), ("gjr-t", {"o": 1, "dist": "t"})])
def test_variants_are_as_likely_as_those_of_arch(kind: Kind, wish: dict[str, object]) -> None:
    r = skewed()
    model = arch_model(r, mean="Constant", p=1, q=1, rescale=False, **wish)  # type: ignore[arg-type]
    theirs = model.fit(disp="off", backcast=float(np.mean((r - r.mean()) ** 2)), show_warning=False)
    ours = fit_garch(r, kind)
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=0.1)
    assert ours.garch.beta == pytest.approx(theirs.params["beta[1]"], abs=0.02)
    if "gjr" in kind:
        assert ours.garch.gamma == pytest.approx(theirs.params["gamma[1]"], abs=0.02)
    if kind.endswith("t"):
        assert ours.garch.nu == pytest.approx(theirs.params["nu"], rel=0.05)


def test_each_variant_explains_more_than_the_plain_one() -> None:
    r = skewed()
    plain, t, gjr, both = (fit_garch(r, kind).log_likelihood for kind in ("normal", "t", "gjr", "gjr-t"))
    assert plain < min(t, gjr)
    assert max(t, gjr) < both


@given(alpha=st.floats(0.01, 0.3), share=st.floats(0.1, 1.2), following=st.floats(0.1, 5.0), bars=st.integers(1, 50))
def test_forecasts_are_the_recursion_with_each_shock_at_its_mean(
    alpha: float, share: float, following: float, bars: int
) -> None:
    garch = Garch(0.0, 0.1, alpha, 0.02, share * (1.0 - alpha))
    path = [following]
    for _ in range(bars - 1):
        path.append(garch.omega + garch.persistence * path[-1])
    np.testing.assert_allclose(forecast(garch, following, bars), path, rtol=1e-9)


def test_a_long_forecast_ends_at_the_unconditional_variance() -> None:
    garch = Garch(0.0, 0.1, 0.05, 0.02, 0.9)
    assert forecast(garch, 30.0, 2_000)[-1] == pytest.approx(garch.variance, rel=1e-9)


def test_a_hole_lets_the_variance_move_towards_its_mean() -> None:
    parameters = (0.0, 0.1, 0.05, 0.02, 0.9)
    assert step(5.0, math.nan, *parameters) == pytest.approx(0.1 + 0.96 * 5.0)
    h = variances(np.array([0.1, math.nan, -0.2]), np.array([*parameters, math.inf]), 1.0)
    assert h[3] == pytest.approx(0.1 + 0.07 * 0.04 + 0.9 * h[2])


@pytest.mark.parametrize("returns", [np.zeros(500), np.ones(20), np.full(500, math.nan)])
def test_what_does_not_move_or_is_too_short_is_refused(returns: Floats) -> None:
    with pytest.raises(DataProblem, match="too few"):
        fit_garch(returns, "gjr-t")


def test_digamma_at_known_places() -> None:
    """Minus Euler's constant at 1, and Gauss's value at 1/2."""
    assert digamma(1.0) == pytest.approx(-0.5772156649015329, rel=1e-12)
    assert digamma(0.5) == pytest.approx(-1.9635100260214235, rel=1e-12)
