"""Superior predictive ability: the same answers as another implementation, and the bounds that the test promises."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA

from libs.research.training.spa import long_run_variance, spa, stationary_bootstrap


def losses(shifts: tuple[float, ...], n: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, len(shifts)))
    for t in range(1, n):
        noise[t] += 0.3 * noise[t - 1]
    return np.ones(n), 1.0 + noise - np.array(shifts)


@pytest.mark.parametrize("shifts", [(0.0, 0.0, -0.2, 0.02), (0.06, 0.0, 0.03), (-0.02, 0.04, -0.5)])
def test_p_values_are_those_of_the_oracle_where_every_advantage_has_the_same_deviation(
    shifts: tuple[float, ...],
) -> None:
    # The oracle compares bare means; with deviations of one, studentising them changes nothing.
    benchmark, models = losses(shifts)
    models = benchmark[:, None] - (benchmark[:, None] - models) / np.sqrt(long_run_variance(1.0 - models, 10.0))
    oracle = SPA(benchmark, models, block_size=10, reps=4_000, seed=3)
    oracle.compute()

    ours = spa(benchmark, models, block=10, reps=4_000, seed=4)

    assert [ours.lower, ours.consistent, ours.upper] == pytest.approx(list(oracle.pvalues), abs=0.035)


def test_the_variance_is_that_of_the_bootstrap() -> None:
    _, series = losses((0.0,), n=400)
    means = [series[rows].mean() for rows in stationary_bootstrap(400, 8.0, 4_000, np.random.default_rng(1))]

    assert 400 * np.var(means) == pytest.approx(long_run_variance(series, 8.0)[0], rel=0.08)


def test_a_large_advantage_is_found_and_named_and_its_absence_is_not() -> None:
    benchmark, models = losses((0.0, 0.5, -0.1))
    found = spa(benchmark, models, reps=300)
    assert (found.best, found.consistent) == (1, 0.0)

    benchmark, models = losses((-0.5, -0.9))
    none = spa(benchmark, models, reps=300)
    assert (none.best, none.lower, none.consistent, none.upper) == (-1, 1.0, 1.0, 1.0)


def test_p_values_are_ordered() -> None:
    for seed in range(5):
        found = spa(*losses((0.02, -0.3, 0.0), seed=seed), reps=200)
        assert found.lower <= found.consistent <= found.upper


def test_blocks_have_the_mean_length_that_was_asked_for() -> None:
    rows = next(iter(stationary_bootstrap(50_000, 20.0, 1, np.random.default_rng(2))))
    breaks = np.count_nonzero((np.diff(rows) % 50_000) != 1)

    assert 50_000 / (breaks + 1) == pytest.approx(20.0, rel=0.05)
    assert rows.min() >= 0
    assert rows.max() < 50_000


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two bars and one model"):
        spa(np.ones(10), np.ones((10, 0)))
