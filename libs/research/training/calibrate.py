"""Calibration of class probabilities on a slice of its own, and half widths that hold as often as they promise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from libs.core.agents.artifact import Calibrator
from libs.core.types import stable_id
from libs.research.training.dataset import Floats, Ints
from libs.research.training.scores import ece, log_loss

MIN_ROWS = 200
RIDGE = 2.0
"""Pull of the shifts and of ln temperature towards zero, in squared units against the summed log loss."""


def fit_calibrator(p: Floats, y: Ints, name: str) -> Calibrator:
    """Temperature and weight of the neutral class that minimise the log loss of (n, 3) probabilities on a slice.

    Down and up are shifted alike: the balance of a few hundred bars is the past trend, not a fault of the model.
    With fewer than MIN_ROWS rows nothing is changed. Guo et al. 2017, with a ridge and one shift.
    """
    from scipy.optimize import minimize

    if len(y) < MIN_ROWS:
        return Calibrator(id=stable_id("calibrator", name, len(y))[:16], rows=len(y), ece=ece(p, y) if len(y) else 0.0)
    logits = np.log(np.clip(p, 1e-9, 1.0))
    happened = np.zeros_like(p)
    happened[np.arange(len(y)), y] = 1.0

    def after(theta: Floats) -> Floats:
        z = logits * math.exp(-theta[0]) + np.array([-0.5, 1.0, -0.5]) * theta[1]
        q: Floats = np.exp(z - z.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        return q

    def loss(theta: Floats) -> tuple[float, Floats]:
        q = after(theta)
        value = float(log_loss(q, y).sum() + RIDGE * float(theta @ theta))
        d = q - happened
        by_class = d.sum(axis=0)
        slope = -float((d * logits).sum()) * math.exp(-theta[0])
        return value, np.array([slope, by_class[1] - 0.5 * (by_class[0] + by_class[2])]) + 2.0 * RIDGE * theta

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-2.0, 3.0), (-2.0, 2.0)])
    temperature, weight = math.exp(found.x[0]), float(found.x[1])
    identity = stable_id("calibrator", name, len(y), round(temperature, 9), round(weight, 9))[:16]
    shift = (-0.5 * weight, weight, -0.5 * weight)
    return Calibrator(id=identity, temperature=temperature, shift=shift, ece=ece(after(found.x), y), rows=len(y))


def conformal_widths(scores: Floats, levels: Sequence[float] = (0.5, 0.8, 0.9)) -> tuple[float, ...]:
    """Half widths, in forecast deviations, that covered these shares of |y - forecast| / sigma on a calibration slice.

    The ceil((n + 1) level)-th smallest score (Vovk et al. 2005; Lei et al. 2018); inf where the slice is too short.
    """
    ordered = np.sort(scores[np.isfinite(scores)])
    n = len(ordered)
    ranks = [math.ceil((n + 1) * level) for level in levels]
    return tuple(float(ordered[rank - 1]) if 0 < rank <= n else math.inf for rank in ranks)
