"""Champion against challenger: a test that may be looked at after every bar.

The challenger bets that the champion's log-loss is the larger. With d the clipped difference of the losses of a bar and
a stake that the past alone decides, wealth is the product of 1 + stake x d. While the challenger is no better, E[d]
given the past is at most 0, wealth is a non-negative supermartingale that starts at 1, and by Ville's inequality the
chance that it ever reaches 1 / alpha is at most alpha, however often one looks. Waudby-Smith and Ramdas 2024,
"Estimating means of bounded random variables by betting"; Choe and Ramdas 2023, "Comparing sequential forecasters".
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

CLIP: Final = 1.0
"""Nats: a difference of one bar counts for no more, so the test is about the clipped difference."""
MOST_STAKE: Final = 0.8
"""Of the wealth, at a difference of CLIP: no bar takes more of it."""
BEFORE: Final = 50.0
SPREAD: Final = 0.1
"""Stakes are decided as if BEFORE bars of mean 0 and deviation SPREAD (nats) had been seen: early ones are small."""


class Duel(msgspec.Struct, array_like=True):
    """One challenger against the champion of its time."""

    bars: int = 0
    log_wealth: float = 0.0
    best: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def take(self, champion_loss: float, challenger_loss: float) -> None:
        """Judge one bar on which both had said something."""
        d = min(max(champion_loss - challenger_loss, -CLIP), CLIP)
        # Kelly's stake is about mean / mean square; the past's mean is the guess of the next bar's.
        squares = self.squares + BEFORE * SPREAD * SPREAD
        stake = min(max(self.total / squares, 0.0), MOST_STAKE / CLIP)
        self.log_wealth += math.log1p(stake * d)
        self.best = max(self.best, self.log_wealth)
        self.bars += 1
        self.total += d
        self.squares += d * d

    @property
    def wealth(self) -> float:
        """The running statistic: an e-value of "the challenger is no better"."""
        return math.exp(min(self.log_wealth, 700.0))

    def won(self, alpha: float) -> bool:
        """Whether the wealth reached 1 / alpha, now or before."""
        return self.best >= -math.log(alpha)
