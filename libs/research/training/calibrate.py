"""Calibration of class probabilities on a slice of its own, and half widths that hold as often as they promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from libs.core.agents.artifact import Calibrator
from libs.core.agents.model import log_odds, of_log_odds
from libs.core.types import stable_id
from libs.research.training.dataset import Floats, Ints, Mask
from libs.research.training.scores import ece

MIN_ROWS = 200
RIDGE = 2.0
"""Pull of shift and ln slope of the neutral class towards zero, in squares against the summed log loss."""

SIDE_RIDGE = 12.5
"""The same for the log of the slope of up against down: a few thousand bars cannot tell a slope of 1 from one of 0.7,
so it starts from a normal prior of deviation 0.2 around no change."""


def fit_calibrator(p: Floats, y: Ints, name: str) -> Calibrator:
    """The calibrator that minimises the log loss of (n, 3) probabilities on a slice.

    Whether and where to are rescaled apart, for volatility is told far more surely than direction. Down and up are
    shifted alike: the balance of a few hundred bars is the past trend, not a fault of the model. With fewer than
    MIN_ROWS rows nothing is changed. Guo et al. 2017, with a ridge, a shift and a slope for each of the two questions.
    """
    if len(y) < MIN_ROWS:
        return Calibrator(id=stable_id("calibrator", name, len(y))[:16], rows=len(y), ece=ece(p, y) if len(y) else 0.0)
    whether, where = log_odds(p)
    moved = y != 1
    temper, shift = _slope(whether, y == 1, RIDGE, shifted=True)
    side, _ = _slope(where[moved], y[moved] == 2, SIDE_RIDGE, shifted=False)
    after = of_log_odds(whether * temper + shift, where * side)
    identity = stable_id("calibrator", name, len(y), *(round(value, 9) for value in (temper, shift, side)))[:16]
    return Calibrator(id=identity, temperature=1.0 / temper, shift=shift, side=side, ece=ece(after, y), rows=len(y))


def _slope(z: Floats, hit: Mask, ridge: float, *, shifted: bool) -> tuple[float, float]:
    """(slope, shift) that minimise the log loss of log odds slope z + shift for what hit."""
    from scipy.optimize import minimize
    from scipy.special import expit

    happened = hit.astype(float)

    def loss(theta: Floats) -> tuple[float, Floats]:
        slope, shift = math.exp(theta[0]), float(theta[1]) if shifted else 0.0
        log = slope * z + shift
        d = expit(log) - happened
        by_slope, by_shift = slope * float(d @ z), float(d.sum()) if shifted else 0.0
        value = float((np.logaddexp(0.0, log) - happened * log).sum())
        return value + ridge * float(theta @ theta), np.array([by_slope, by_shift]) + 2.0 * ridge * theta

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-3.0, 2.0), (-3.0, 3.0)]).x
    return math.exp(found[0]), float(found[1])


def conformal_widths(scores: Floats, levels: Sequence[float] = (0.5, 0.8, 0.9)) -> tuple[float, ...]:
    """Half widths, in forecast deviations, that covered these shares of |y - forecast| / sigma on a calibration slice.

    The ceil((n + 1) level)-th smallest score (Vovk et al. 2005; Lei et al. 2018); inf where the slice is too short.
    """
    ordered = np.sort(scores[np.isfinite(scores)])
    n = len(ordered)
    ranks = [math.ceil((n + 1) * level) for level in levels]
    return tuple(float(ordered[rank - 1]) if 0 < rank <= n else math.inf for rank in ranks)
