"""The leak attack on every feature that there is, at random: `conclave leakcheck` does the same at length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.core.features.kit import PLAIN, REGISTRY
from libs.core.features.sets import FULL, make_set
from libs.research.leak.attack import attack, length_for
from libs.research.leak.features import FeatureSubject, subjects_of
from libs.research.leak.series import seeded

IN_FULL = {subject.name: subject for subject in subjects_of(FULL)}
INTERVALS = (1, 60, 3600)

# Plain Python is hundreds of times slower: there the attack only has to touch every line.
EXAMPLES, MOMENTS, LONGEST = (1, 1, 300) if PLAIN else (3, 4, 6_000)


def subject_of(kernel: str) -> FeatureSubject:
    """A kernel at its parameters in `full`; at its defaults where it is not in it."""
    return IN_FULL.get(kernel) or FeatureSubject(make_set(kernel, (kernel,)))


@pytest.mark.parametrize("kernel", sorted(REGISTRY))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**31), interval_s=st.sampled_from(INTERVALS))
def test_a_feature_withstands_the_attack(kernel: str, seed: int, interval_s: int) -> None:
    subject = subject_of(kernel)
    history = seeded(seed, min(length_for(subject), LONGEST), interval_s)
    found = [f"{report.value.name}: {report.finding}" for report in attack(subject, history, seed, MOMENTS)]
    caught = [line for line in found if not line.endswith(": None")]
    assert not caught, "; ".join(caught)


@pytest.mark.skipif(PLAIN, reason="the history is cut short in plain Python")
@pytest.mark.parametrize("kernel", sorted(REGISTRY))
def test_the_memory_of_a_feature_is_really_reached(kernel: str) -> None:
    """Otherwise the attack above would pass for want of bars to compare."""
    subject = subject_of(kernel)
    reports = attack(subject, seeded(7, length_for(subject)), 7, 1)
    assert all(report.reached for report in reports)


def test_a_feature_has_values_on_the_history_that_attacks_it() -> None:
    subject = subject_of("sma")
    rows = subject.rows(seeded(1, 600))
    assert np.isfinite(rows[300:]).all()
