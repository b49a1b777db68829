"""Figures of a forecaster over examined bars: proper scores, calibration, hits by class, and what its side earned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from libs.research.training.dataset import Floats, Ints, Mask
from libs.research.training.exam import Judged, Voice
from libs.research.training.scores import brier, diebold_mariano, ece, log_loss, qlike, two_class

CLASSES: Final = ("down", "neutral", "up")
FEE_BP: Final = 10.0
"""Fee per side, in basis points of what changes hands."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Loss of each bar, (n,), and of each move, (n_2c,)."""

    log3: Floats
    brier3: Floats
    log2: Floats
    brier2: Floats


def spoken(voice: Voice, exam: Judged) -> Floats:
    """(n, 3) its forecast of every bar; climatology where it has none."""
    p: Floats = np.where(has_opinion(voice)[:, np.newaxis], voice.p, exam.climatology)
    return p


def has_opinion(voice: Voice) -> Mask:
    """(n,) where there are probabilities, stood by or not."""
    return np.asarray(np.isfinite(voice.p).all(axis=1))


def sides(p: Floats, voice: Voice, exam: Judged) -> Floats:
    """(n, 2) down and up; the training range's shares where the forecaster has no opinion."""
    base = np.column_stack([1.0 - exam.up, exam.up])
    shares: Floats = np.where(has_opinion(voice)[:, np.newaxis], two_class(p), base)
    return shares


def losses(voice: Voice, exam: Judged) -> Losses:
    """Of a forecaster with a direction."""
    p, moved = spoken(voice, exam), exam.y2 >= 0
    p2 = sides(p, voice, exam)[moved]
    y2 = exam.y2[moved]
    return Losses(log_loss(p, exam.y3), brier(p, exam.y3), log_loss(p2, y2), brier(p2, y2))


def climatology(exam: Judged) -> Voice:
    """The forecaster that everything is measured against."""
    return Voice(np.full((len(exam), 3), np.nan), np.ones(len(exam), dtype=bool))


def figures(voice: Voice, exam: Judged) -> dict[str, float]:
    """Everything that the exam says of a forecaster with a direction, fractions throughout; NaN where undefined.

    Skill is 1 - Brier / Brier of the training range's shares. `dm_t`: Diebold-Mariano of log loss against them.
    """
    base, mine = losses(climatology(exam), exam), losses(voice, exam)
    p, moved = spoken(voice, exam), exam.y2 >= 0
    p2, y2 = sides(p, voice, exam)[moved], exam.y2[moved]
    hits = by_class(p.argmax(axis=1), exam.y3)
    dm, dm_p = diebold_mariano(mine.log3, base.log3)
    dm2, dm2_p = diebold_mariano(mine.log2, base.log2) if len(y2) > 1 else (math.nan, math.nan)
    return {
        "brier_skill": _skill(mine.brier3, base.brier3),
        "ece": ece(p, exam.y3),
        "log_loss": float(mine.log3.mean()),
        "log_loss_climatology": float(base.log3.mean()),
        "accuracy": float((p.argmax(axis=1) == exam.y3).mean()),
        "accuracy_climatology": float((exam.climatology.argmax(axis=1) == exam.y3).mean()),
        "precision": float(np.mean([hit["precision"] for hit in hits])),
        "recall": float(np.mean([hit["recall"] for hit in hits])),
        "f1": float(np.mean([hit["f1"] for hit in hits])),
        "dm_t": dm,
        "dm_p": dm_p,
        "brier_skill_2c": _skill(mine.brier2, base.brier2),
        "ece_2c": ece(p2, y2) if len(y2) else math.nan,
        "log_loss_2c": float(mine.log2.mean()) if len(y2) else math.nan,
        "accuracy_2c": float((p2.argmax(axis=1) == y2).mean()) if len(y2) else math.nan,
        "accuracy_2c_climatology": float(((exam.up[moved] > 0.5) == y2).mean()) if len(y2) else math.nan,
        "dm_t_2c": dm2,
        "dm_p_2c": dm2_p,
        "abstention_rate": float(1.0 - voice.speaks.mean()),
        "n": len(exam),
        "n_2c": int(moved.sum()),
    }


def volatility_figures(voice: Voice, exam: Judged) -> dict[str, float]:
    """QLIKE of a deviation forecast against the next bar's range variance, brought to the scale of squared returns."""
    rows = np.isfinite(exam.variance) & np.isfinite(voice.sigma) & (voice.sigma > 0.0)
    known = np.isfinite(exam.variance) & (exam.sigma > 0.0)
    scale = scale_of(exam)
    return {
        "qlike": float(qlike(scale * exam.variance[rows], voice.sigma[rows] ** 2).mean()) if rows.any() else math.nan,
        "qlike_ewma": float(qlike(scale * exam.variance[known], exam.sigma[known] ** 2).mean())
        if known.any()
        else math.nan,
        "abstention_rate": float(1.0 - voice.speaks.mean()),
        "n": len(exam),
        "n_qlike": int(rows.sum()),
    }


def scale_of(exam: Judged) -> float:
    """Squared return per range variance: ranges of discretely traded prices are too small."""
    known = np.isfinite(exam.variance)
    total = float(exam.variance[known].sum())
    return float((exam.next_return[known] ** 2).sum()) / total if total > 0.0 else 1.0


def confusion(voice: Voice, exam: Judged) -> Ints:
    """(3, 3) counts: rows what happened, columns the likeliest class forecast."""
    said = spoken(voice, exam).argmax(axis=1)
    return np.bincount(exam.y3 * 3 + said, minlength=9).reshape(3, 3)


def by_class(said: Ints, y: Ints) -> list[dict[str, float]]:
    """Precision, recall and F1 of each class; 0 where a class is never said or never happens."""
    rows = []
    for k in range(3):
        right = float(np.count_nonzero((said == k) & (y == k)))
        chosen, there = int(np.count_nonzero(said == k)), int(np.count_nonzero(y == k))
        precision, recall = right / max(chosen, 1), right / max(there, 1)
        f1 = 2.0 * precision * recall / (precision + recall) if right else 0.0
        rows.append({"precision": precision, "recall": recall, "f1": f1})
    return rows


def earned(p: Floats, active: Mask, exam: Judged, fee_bp: float = FEE_BP) -> dict[str, float]:
    """Mean log return per bar of holding the likelier side where `active`, in basis points: gross, and after fees.

    Each change of position pays the fee on what changes hands. `break_even_bp`: the fee at which nothing is left.
    """
    side = np.where(active & np.isfinite(p).all(axis=1), np.sign(p[:, 2] - p[:, 0]), 0.0)
    gross = 1e4 * side * exam.next_return
    turnover = np.abs(np.diff(side, prepend=0.0))
    net = gross - fee_bp * turnover
    turned = float(turnover.sum())
    spread = float(gross.std())
    return {
        "share": float((side != 0.0).mean()),
        "gross_bp": float(gross.mean()),
        "gross_t": float(gross.mean() / spread * math.sqrt(len(gross))) if spread > 0.0 else 0.0,
        "net_bp": float(net.mean()),
        "break_even_bp": float(gross.sum()) / turned if turned else math.nan,
    }


def reliability(p: Floats, y: Ints, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean forecast, share that came true, count) of bins of equal count of a class's probability."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(p[part].mean()), float(y[part].mean()), len(part)) for part in parts]


def by_block(voice: Voice, exam: Judged) -> list[dict[str, Any]]:
    """Skill of three and of two classes in each block of time, and when it begins."""
    rows = []
    base, mine = losses(climatology(exam), exam), losses(voice, exam)
    block2 = exam.block[exam.y2 >= 0]
    for block in np.unique(exam.block).tolist():
        three, two = exam.block == block, block2 == block
        rows.append(
            {
                "from": int(exam.time[three][0]),
                "n": int(three.sum()),
                "brier_skill": _skill(mine.brier3[three], base.brier3[three]),
                "brier_skill_2c": _skill(mine.brier2[two], base.brier2[two]),
            }
        )
    return rows


def _skill(mine: Floats, base: Floats) -> float:
    return float(1.0 - mine.mean() / base.mean()) if len(mine) and base.mean() > 0.0 else math.nan
