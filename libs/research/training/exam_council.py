"""The council in an exam: the speaking agents' forecasts as one, and when it would not act on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from libs.research.training.dataset import Floats, Mask
from libs.research.training.exam import META, Voice
from libs.research.training.scores import two_class


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which confidence on the council acts, and up to which disagreement of its agents."""

    confidence: float = 0.55
    disagreement: float = 0.40


def pooled(voices: Mapping[str, Voice], n: int, thresholds: Thresholds = Thresholds()) -> Voice:
    """The stacked model's forecast where there is one; else the mean of the agents that speak, weighed by their
    confidence, as the meta-agent pools them before live records say whom to trust.

    Where none stands by its opinion, of all that have one; NaN where nobody has. The council acts as the meta-agent
    does: confidence = (1 - disagreement) x the larger of P(up) and P(down) without neutral, disagreement = the
    weight outside the majority's side.
    """
    speakers = [voice for agent, voice in voices.items() if voice.has_direction and agent != META]
    if not speakers:
        return Voice(np.full((n, 3), np.nan), np.zeros(n, dtype=bool))
    stood_by = np.logical_or.reduce([voice.speaks for voice in speakers])
    total, for_up, weight = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
    for voice in speakers:
        taken = np.where(stood_by, voice.speaks, np.isfinite(voice.p).all(axis=1))
        p = voice.p[taken]
        confidence = two_class(p).max(axis=1)
        total[taken] += confidence[:, np.newaxis] * p
        for_up[taken] += confidence * np.where(p[:, 2] > p[:, 0], 1.0, np.where(p[:, 2] < p[:, 0], 0.0, 0.5))
        weight[taken] += confidence
    p = np.full((n, 3), np.nan)
    heard = weight > 0.0
    p[heard] = total[heard] / weight[heard, np.newaxis]
    if META in voices:
        stacked = np.isfinite(voices[META].p).all(axis=1)
        p[stacked] = voices[META].p[stacked]
    share = np.divide(for_up, weight, out=np.full(n, 0.5), where=heard)
    return Voice(p, stood_by & acts(p, np.minimum(share, 1.0 - share), thresholds))


def acts(p: Floats, disagreement: Floats, thresholds: Thresholds) -> Mask:
    """Where the council is sure enough: (n, 3) probabilities and (n,) disagreement against the thresholds."""
    certain = two_class(np.nan_to_num(p, nan=1.0 / 3.0)).max(axis=1)
    confidence = (1.0 - disagreement) * certain
    enough: Mask = (confidence >= thresholds.confidence) & (disagreement <= thresholds.disagreement)
    return enough
