"""Proper scores of probability and volatility forecasts, and the tests that compare two forecasters."""

from __future__ import annotations

import math

import numpy as np

from libs.research.training.dataset import Floats, Ints

FLOOR = 1e-12
BINS = 15


def log_loss(p: Floats, y: Ints) -> Floats:
    """(n,) -ln p[y] of probabilities (n, classes)."""
    loss: Floats = -np.log(np.clip(p[np.arange(len(y)), y], FLOOR, 1.0))
    return loss


def brier(p: Floats, y: Ints) -> Floats:
    """(n,) summed squared distance of the probabilities (n, classes) from what happened."""
    happened = np.zeros_like(p)
    happened[np.arange(len(y)), y] = 1.0
    score: Floats = ((p - happened) ** 2).sum(axis=1)
    return score


def skill(p: Floats, y: Ints, climatology: Floats) -> float:
    """Brier skill against constant class shares: 1 - Brier / Brier of climatology. Positive is better."""
    reference = brier(np.broadcast_to(climatology, p.shape), y).mean()
    return float(1.0 - brier(p, y).mean() / reference)


def ece(p: Floats, y: Ints, bins: int = BINS) -> float:
    """Expected calibration error of the top class, equal-width bins (Guo et al. 2017)."""
    top = p.argmax(axis=1)
    confidence = p[np.arange(len(y)), top]
    right = (top == y).astype(float)
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(at, minlength=bins)
    filled = count > 0
    gap = np.abs(np.bincount(at, right, bins)[filled] - np.bincount(at, confidence, bins)[filled])
    return float(gap.sum() / len(y))


def two_class(p: Floats) -> Floats:
    """(n, 2) down and up of (n, 3), renormalised without neutral."""
    sides = p[:, [0, 2]]
    total = sides.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Floats = np.where(total > 0.0, sides / total, 0.5)
    return shares


def qlike(realised: Floats, forecast: Floats) -> Floats:
    """(n,) RV / h - ln(RV / h) - 1 of variances (Patton 2011)."""
    ratio = realised / forecast
    loss: Floats = ratio - np.log(ratio) - 1.0
    return loss


def diebold_mariano(better: Floats, worse: Floats, lags: int = 20) -> tuple[float, float]:
    """(t, two-sided p) of the mean of worse - better; positive t says that the first one loses less.

    Newey-West variance with Bartlett weights; Harvey, Leybourne, Newbold 1997 factor for one step, t(n - 1).
    """
    from scipy.stats import t as student

    d = worse - better
    n = len(d)
    centred = d - d.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    if variance <= 0.0:
        return 0.0, 1.0
    value = float(d.mean() / math.sqrt(variance / n) * math.sqrt((n - 1) / n))
    return value, float(2.0 * student.sf(abs(value), n - 1))
