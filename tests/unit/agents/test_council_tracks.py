"""The rolling record of an agent against the same sums by numpy, and what it concludes from them."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.panel_room import MISSES, Room
from libs.core.agents.tracks import Outcome, Reference, Track
from libs.research.training.scores import brier, ece, log_loss, skill

EVEN = Reference((1 / 3, 1 / 3, 1 / 3), 0.5)
ENDLESS = CouncilConfig(window_bars=10**12, calibration_bars=10**12)


def fed(p: np.ndarray, returns: np.ndarray, config: CouncilConfig = ENDLESS, reference: Reference = EVEN) -> Track:
    track = Track()
    for row, r in zip(p.tolist(), returns.tolist(), strict=True):
        track.expect((row[0], row[1], row[2]))
        track.settle(Outcome(r, 1.0), reference, config)
    return track


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(31, 120))
def test_a_record_that_forgets_nothing_has_the_scores_of_the_exam(seed: int, n: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    p, returns = rng.dirichlet((2.0, 2.0, 2.0), n), rng.standard_normal(n)
    y = np.where(returns > 0.43, 2, np.where(returns < -0.43, 0, 1))
    track = fed(p, returns)
    assert track.scored == n
    assert track.mean_loss == pytest.approx(log_loss(p, y).mean())
    assert track.ece == pytest.approx(ece(p, y))
    assert track.brier_skill == pytest.approx(skill(p, y, np.full(3, 1 / 3)))
    assert track.brier / track.weight == pytest.approx(brier(p, y).mean())
    share = p[:, 2] / (p[:, 0] + p[:, 2])
    gain = np.log(np.where(returns > 0, share, 1 - share)) - math.log(0.5)
    assert track.edge(2.0) == pytest.approx(gain.mean() - 2.0 * gain.std() / math.sqrt(n), abs=1e-9)


def test_old_bars_fade() -> None:
    config = CouncilConfig(window_bars=50, calibration_bars=50)
    good, bad = np.array([[0.05, 0.05, 0.9]]), np.array([[0.9, 0.05, 0.05]])
    track = fed(np.vstack([np.repeat(bad, 500, 0), np.repeat(good, 500, 0)]), np.ones(1000), config)
    assert track.mean_loss == pytest.approx(-math.log(0.9), abs=1e-3)
    assert track.edge(1.645) > 0.0


def test_a_share_of_noise_is_let_through_that_is_what_the_bound_says() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    passed = 0
    for _ in range(200):
        up = 0.5 + 0.1 * rng.standard_normal(400).clip(-2, 2)
        p = np.column_stack([0.66 * (1 - up), np.full(400, 0.34), 0.66 * up])
        passed += fed(p, rng.standard_normal(400)).edge(1.645) > 0.0
    assert passed / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_a_record_of_another_time_counts_until_the_window_has_passed() -> None:
    track, config = Track(), CouncilConfig(window_bars=200)
    track.seed(0.01, 0.1, 5000.0, config.window_bars)
    assert track.edge(0.0) == pytest.approx(0.01)
    assert track.edge(1.645) < track.edge(0.0)
    bad = (0.6, 0.34, 0.06)
    for _ in range(200):
        track.expect(bad)
        track.settle(Outcome(1.0, 1.0), EVEN, config)
    assert track.edge(1.645) < 0.0


def test_what_cannot_be_judged_is_not() -> None:
    track = Track()
    for outcome in (Outcome(math.nan, 1.0), Outcome(1.0, math.nan), Outcome(1.0, 0.0)):
        track.expect((0.2, 0.3, 0.5))
        assert math.isnan(track.settle(outcome, EVEN, ENDLESS))
    assert math.isnan(track.settle(Outcome(1.0, 1.0), EVEN, ENDLESS)), "nothing was expected"
    assert track == Track()
    assert (track.ece, track.edge(1.0)) == (None, -math.inf)


def test_a_deviation_alone_is_judged_as_a_density() -> None:
    losses = []
    for sigma in (0.5, 1.0, 2.0):
        track, total = Track(), 0.0
        for r in np.random.Generator(np.random.PCG64(1)).standard_normal(500).tolist():
            track.expect(None, sigma)
            total += track.settle(Outcome(r, 1.5), EVEN, ENDLESS)
        losses.append(total)
    assert min(losses) == losses[1]


@pytest.mark.parametrize("law", ["normal", "student", "shifting"])
def test_the_interval_holds_four_returns_in_five_whatever_their_law(law: str) -> None:
    rng = np.random.Generator(np.random.PCG64(4))
    draws = rng.standard_t(3, 6000) if law == "student" else rng.standard_normal(6000)
    if law == "shifting":
        draws[3000:] *= 2.5
    room, held = Room(sigma=1.0), []
    for r in draws.tolist():
        room.expect_joint(None, 1.0)
        held.append(abs(r) <= room.width)
        room.settle(Outcome(r, 1.0), ENDLESS)
    assert np.mean(held[500:]) == pytest.approx(1.0 - MISSES, abs=0.015)
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(room), type=Room)
    assert copy == room
