"""What a sentiment model is asked and what it answers."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np

from libs.core.agents.base import Floats

CLASSES: Final = ("down", "neutral", "up")
"""Bad, neutral, good news: the order of every row of class numbers."""


class Opinion(NamedTuple):
    """`score` = p_up - p_down, -1 to 1; the probabilities sum to 1."""

    score: float
    p_down: float
    p_neutral: float
    p_up: float


class SentimentModel(Protocol):
    """Anything that reads headlines. `model_id` names what was fitted on what."""

    model_id: str

    def score(self, text: str) -> Opinion:
        """What it thinks of a headline."""


def opinion(logits: Floats) -> Opinion:
    """The opinion of three logits in the order of CLASSES."""
    powers = np.exp(logits - logits.max())
    down, neutral, up = (powers / powers.sum()).tolist()
    return Opinion(up - down, down, neutral, up)
