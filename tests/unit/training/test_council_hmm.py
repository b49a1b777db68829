"""Hidden Markov models: published figures, what states are called, and that a refit keeps their order."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.agents import hmm_kernels as kernels
from libs.research.training.dataset import DataProblem, Floats, Ints
from libs.research.training.hmm import Hmm, choose_hmm, fit_hmm, match, names_of

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
SP500 = SHARED / "fx_equity" / "arch_sp500.csv.gz"
GNP = SHARED / "regime" / "hamilton_rgnp.csv"


def two_states(n: int, seed: int, stay: float = 0.97) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    state = np.cumsum(rng.random(n) > stay) % 2
    return np.where(state == 0, 0.1 + 0.5 * rng.standard_normal(n), -0.2 + 2.0 * rng.standard_normal(n)), state


@pytest.mark.skipif(not SP500.exists(), reason="the S&P series is not on this machine")
def test_two_states_of_the_sp500_are_the_known_ones() -> None:
    """Daily log returns in percent, 1999 to 2018; the period means are those of smoothed probabilities."""
    import polars as pl

    frame = pl.read_csv(SP500)
    returns = 100.0 * np.diff(np.log(frame["Adj Close"].to_numpy()))
    day = frame["Date"].str.to_date("%m/%d/%Y").to_numpy()[1:]
    hmm = fit_hmm(returns, 2)
    assert hmm.log_likelihood == pytest.approx(-7131.6536, abs=1e-3)
    np.testing.assert_allclose(hmm.mean, (0.06914, -0.08825), atol=2e-5)
    np.testing.assert_allclose(np.sqrt(hmm.variance), (0.68459, 1.80558), atol=1e-4)
    np.testing.assert_allclose(np.diag(hmm.transition), (0.98798, 0.97745), atol=2e-5)
    wild = {"filtered": hmm.filter(returns)[:, 1], "smoothed": hmm.smooth(returns)[:, 1]}
    for begin, end, smoothed in (
        ("2000-03-24", "2002-10-09", 0.653),
        ("2007-10-09", "2009-03-09", 0.859),
        ("2008-09-15", "2009-03-09", 0.999),
        ("2003-04-01", "2007-06-30", 0.041),
        ("2012-06-01", "2015-07-31", 0.076),
    ):
        within = (day >= np.datetime64(begin)) & (day <= np.datetime64(end))
        assert wild["smoothed"][within].mean() == pytest.approx(smoothed, abs=1e-3)
        # Without hindsight the filter is later and less sure, on the same side.
        assert abs(wild["filtered"][within].mean() - smoothed) < 0.09


@pytest.mark.skipif(not GNP.exists(), reason="Hamilton's series is not on this machine")
def test_the_filter_with_hamiltons_parameters_has_his_likelihood() -> None:
    """Hamilton 1989: growth less its state's mean follows an AR(4); a state of the chain is those of five quarters."""
    growth = np.loadtxt(GNP, skiprows=1)
    stay, fall = 0.904083, 0.245330
    mean, variance = np.array([1.163516, -0.358815]), 0.591368
    phi = np.array([0.013485, -0.057524, -0.246983, -0.212921])
    chain = np.array([[stay, 1.0 - stay], [fall, 1.0 - fall]])
    settled = np.array([fall, 1.0 - stay]) / (fall + 1.0 - stay)
    paths = list(itertools.product((0, 1), repeat=5))  # newest first
    transition, start = np.zeros((32, 32)), np.empty(32)
    for i, path in enumerate(paths):
        start[i] = settled[path[-1]] * np.prod([chain[path[k + 1], path[k]] for k in range(4)])
        for k in (0, 1):
            transition[i, paths.index((k, *path[:-1]))] = chain[path[0], k]
    logs = np.array(
        [
            [
                kernels.log_normal(
                    growth[t], mean[path[0]] + phi @ (growth[t - 1 : t - 5 : -1] - mean[list(path[1:])]), variance
                )
                if t > 4
                else kernels.log_normal(
                    growth[4], mean[path[0]] + phi @ (growth[3::-1] - mean[list(path[1:])]), variance
                )
                for path in paths
            ]
            for t in range(4, len(growth))
        ]
    )
    assert kernels.filtered(logs, transition, start, np.empty_like(logs)) == pytest.approx(-181.263394, abs=1e-3)


def test_the_filter_is_a_sum_over_all_paths() -> None:
    rng = np.random.default_rng(1)
    logs = rng.standard_normal((6, 2))
    chain, start = np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.4, 0.6])
    joint = {
        path: start[path[0]]
        * np.prod([chain[a, b] for a, b in itertools.pairwise(path)])
        * np.exp(sum(logs[t, k] for t, k in enumerate(path)))
        for path in itertools.product((0, 1), repeat=6)
    }
    total = sum(joint.values())
    posterior, smooth = np.empty((6, 2)), np.empty((6, 2))
    assert kernels.filtered(logs, chain, start, posterior) == pytest.approx(math.log(total))
    kernels.smoothed(posterior, chain, smooth)
    for t in range(6):
        assert smooth[t, 0] == pytest.approx(sum(p for path, p in joint.items() if path[t] == 0) / total)
    np.testing.assert_allclose(posterior[-1], smooth[-1])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(2, 12))
def test_no_step_of_the_fit_is_less_likely_than_the_one_before(seed: int, steps: int) -> None:
    values, _ = two_states(400, seed)
    results = []
    for count in (steps, steps + 1):
        mean, variance = np.array([0.0, 0.1]), np.array([0.3, 3.0])
        chain, start = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0.5, 0.5])
        results.append(kernels.maximise(values, mean, variance, chain, start, count, 0.0))
    assert results[1] >= results[0] - 1e-9


def test_states_that_made_a_series_are_found_and_their_number_too() -> None:
    values, state = two_states(6_000, 7)
    hmm = choose_hmm(values, 3, starts=2)
    assert hmm.states == 2
    np.testing.assert_allclose(np.sqrt(hmm.variance), (0.5, 2.0), rtol=0.08)
    assert ((hmm.filter(values)[:, 1] > 0.5) == (state == 1)).mean() > 0.93


def test_a_hole_tells_nothing() -> None:
    values, _ = two_states(800, 2)
    hmm = fit_hmm(values, 2)
    values[500:503] = math.nan
    after = hmm.filter(values)
    np.testing.assert_allclose(after[500], after[499] @ hmm.transition)
    assert np.isfinite(fit_hmm(values, 2).log_likelihood)


def test_refits_on_other_data_and_other_starts_keep_the_order_of_the_states() -> None:
    values, _ = two_states(4_000, 11)
    fits = [
        fit_hmm(values[a:b], 2, seed=seed, starts=3) for seed, (a, b) in enumerate(((0, 3000), (500, 4000), (0, 4000)))
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(np.sqrt(fit.variance), np.sqrt(fits[0].variance), rtol=0.15)
        assert names_of(fit) == names_of(fits[0])


@given(order=st.permutations(range(3)), noise=st.floats(0.0, 0.1))
def test_switched_labels_are_switched_back(order: list[int], noise: float) -> None:
    mean, deviation = np.array([0.1, 0.0, -0.2]), np.array([0.5, 1.0, 2.5])
    chain = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]])
    before = Hmm(mean, deviation**2, chain, np.full(3, 1 / 3), 0.0, 100)
    switched = before.ordered(order)
    found = switched.ordered(match(switched.mean + noise, switched.variance, mean, deviation**2).tolist())
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.transition, chain)


def test_names_tell_level_and_trend() -> None:
    hmm = Hmm(np.array([0.1, 0.0, -0.5]), np.array([0.25, 1.0, 4.0]), np.eye(3), np.full(3, 1 / 3), 0.0, 100)
    assert names_of(hmm) == ("calm up", "normal", "wild down")


@pytest.mark.parametrize("values", [np.zeros(1_000), np.arange(50.0), np.full(1_000, math.nan)])
def test_returns_that_do_not_move_or_are_too_few_are_refused(values: Floats) -> None:
    with pytest.raises(DataProblem, match="too few"):
        fit_hmm(values, 2)
