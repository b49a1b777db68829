"""Calibration on a slice: what a model is wrong about is put right, what a slice cannot tell is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from libs.core.agents.artifact import Calibrator, Manifest
from libs.core.agents.model import calibrated
from libs.research.training.calibrate import conformal_widths, fit_calibrator
from libs.research.training.scores import ece, log_loss


def of(neutral: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(n, 3) from the logit of neutral and of up among moves."""
    n, u = 1.0 / (1.0 + np.exp(-neutral)), 1.0 / (1.0 + np.exp(-up))
    return np.column_stack([(1.0 - n) * (1.0 - u), n, (1.0 - n) * u])


def world(seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of the truth and what happened."""
    rng = np.random.default_rng(seed)
    neutral, up = 0.5 * rng.standard_normal(n) - 0.7, 0.4 * rng.standard_normal(n)
    edges = of(neutral, up).cumsum(axis=1)
    y = (rng.random(n)[:, np.newaxis] > edges[:, :2]).sum(axis=1)
    return neutral, up, y


def applied(p: np.ndarray, calibrator: Calibrator) -> np.ndarray:
    manifest = Manifest(
        agent="trend", kind="test", venue="v", symbol="s", interval_s=60, set_hash="", trained_from=0, trained_to=1,
        data_hash="", samples=1, calibrator=calibrator,
    )  # fmt: skip
    return calibrated(p, manifest)


def test_a_model_too_sure_of_the_side_alone_keeps_what_it_knows_of_the_move() -> None:
    neutral, up, y = world(1)
    sure = of(neutral, 3.0 * up)
    calibrator = fit_calibrator(sure, y, "x")
    after = applied(sure, calibrator)
    assert calibrator.side == pytest.approx(1.0 / 3.0, abs=0.06)
    assert calibrator.temperature == pytest.approx(1.0, abs=0.1)
    assert np.abs(after - of(neutral, up)).mean() < 0.01
    assert ece(after, y) < 0.012 < ece(sure, y)


def test_what_is_reported_is_what_serving_gives() -> None:
    neutral, up, y = world(2, 4_000)
    p = of(1.7 * neutral - 0.8, 0.5 * up)
    calibrator = fit_calibrator(p, y, "x")
    assert ece(applied(p, calibrator), y) == pytest.approx(calibrator.ece, abs=1e-12)
    assert log_loss(applied(p, calibrator), y).mean() < log_loss(p, y).mean()


def test_calibrated_forecasts_stay_as_they_are() -> None:
    neutral, up, y = world(3)
    calibrator = fit_calibrator(of(neutral, up), y, "x")
    assert np.abs(applied(of(neutral, up), calibrator) - of(neutral, up)).max() < 0.04


def test_a_past_trend_moves_up_and_down_alike() -> None:
    neutral, _, y = world(4, 2_000)
    rising = np.where((y == 0) & (np.arange(len(y)) % 3 == 0), 2, y)
    p = of(neutral, np.zeros(len(y)))
    after = applied(p, fit_calibrator(p, rising, "x"))
    assert np.allclose(after[:, 0], after[:, 2])


def test_a_few_hundred_bars_hardly_turn_the_slope_of_the_side() -> None:
    neutral, up, y = world(5, 300)
    calibrator = fit_calibrator(of(neutral, 3.0 * up), y, "x")
    assert 0.5 < calibrator.side < 1.0


def test_a_slice_that_is_too_short_changes_nothing() -> None:
    neutral, up, y = world(6, 150)
    p = of(neutral, up)
    assert np.array_equal(applied(p, fit_calibrator(p, y, "x")).round(12), p.round(12))


def test_conformal_widths_cover_what_they_promise_and_know_when_they_cannot() -> None:
    rng = np.random.default_rng(7)
    seen, later = np.abs(rng.standard_normal(2_000)), np.abs(rng.standard_normal(20_000))
    for level, width in zip((0.5, 0.8, 0.9), conformal_widths(seen), strict=True):
        assert (later <= width).mean() == pytest.approx(level, abs=0.02)
    assert conformal_widths(np.arange(1.0, 100.0), (0.9,)) == (90.0,)
    assert conformal_widths(np.arange(1.0, 10.0), (0.95,)) == (np.inf,)
