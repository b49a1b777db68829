"""The referee's promise, counted: false promotions while nobody is better, and how soon a better one wins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from libs.core.agents.referee import CLIP, Duel

ALPHA = 0.05


def crossing(differences: list[float], alpha: float = ALPHA) -> int | None:
    """The first bar at which the challenger has won, looked at after every bar."""
    duel = Duel()
    for i, difference in enumerate(differences):
        duel.take(difference, 0.0)
        if duel.won(alpha):
            return i
    return None


def streams(kind: str, count: int, length: int) -> list[list[float]]:
    """Differences of log-loss whose mean is zero given the past, of the kinds that forecasts give."""
    rng = np.random.Generator(np.random.PCG64(7))
    if kind == "small":
        made = 0.08 * rng.standard_normal((count, length))
    elif kind == "skewed":
        made = np.where(rng.random((count, length)) < 0.1, 0.45, -0.05)
    elif kind == "clustered":
        scale = np.exp(0.5 * np.sin(np.arange(length) / 40.0)) * 0.1
        made = scale * rng.standard_normal((count, length))
    else:  # the past decides the size of what comes, never its mean
        made = 0.1 * rng.standard_normal((count, length))
        made[:, 1:] *= 1.0 + 3.0 * (made[:, :-1] > 0.1)
    return np.asarray(made).tolist()


@pytest.mark.parametrize("kind", ["small", "skewed", "clustered", "fed back"])
def test_peeking_at_every_bar_promotes_falsely_in_at_most_one_of_twenty(kind: str) -> None:
    count = 400
    wrong = sum(crossing(stream) is not None for stream in streams(kind, count, 800))
    # Three standard errors of a share of 5 % in so many streams: a test that may rarely err on 5 % exactly.
    assert wrong / count <= ALPHA + 3.0 * math.sqrt(ALPHA * (1.0 - ALPHA) / count)


def test_a_better_challenger_wins_and_sooner_the_better_it_is() -> None:
    rng = np.random.Generator(np.random.PCG64(8))
    noise = 0.1 * rng.standard_normal((60, 3000))
    taken = []
    for gain in (0.01, 0.03):
        found = [crossing((gain + row).tolist()) for row in noise]
        won = [at for at in found if at is not None]
        assert len(won) >= 0.9 * len(found)
        taken.append(float(np.median(won)))
    assert taken[1] < taken[0] / 3.0
    assert taken[1] < 200


def test_a_worse_challenger_never_wins() -> None:
    rng = np.random.Generator(np.random.PCG64(9))
    worse = -0.02 + 0.1 * rng.standard_normal((60, 1500))
    assert not any(crossing(row.tolist()) for row in worse)


def test_one_bar_counts_for_no_more_than_the_clip_and_wealth_never_ends() -> None:
    lucky, endless = Duel(), Duel()
    for _ in range(50):
        lucky.take(1e9, 0.0)
        endless.take(CLIP, 0.0)
    assert lucky == endless
    for _ in range(5000):
        lucky.take(0.0, 1e9)
    assert math.isfinite(lucky.log_wealth)
