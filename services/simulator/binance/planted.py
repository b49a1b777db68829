"""The planted pair: a documented pattern that can be traded, so that a demonstration has something to trade here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.simulator.binance.draws import Floats, Ints

SYMBOL: Final = "PLANTEDUSDT"


@dataclass(frozen=True)
class Wave:
    """A triangle of the log price: up by `move` in `leg_ms`, and down again in the next; `noise` is white (sd)."""

    leg_ms: int
    move: float
    noise: float

    def at(self, ms: Ints) -> Floats:
        """Return the log distance from the middle at times in ms UTC, without the noise."""
        phase = ms % (2 * self.leg_ms) / self.leg_ms
        return np.asarray(self.move * (0.5 - np.abs(phase - 1.0)), dtype=np.float64)


# A spot account can only buy, and pays two fees of 0.1 %: one up-leg in every 32 s, of 2.5 %, leaves a trend strategy
# on 1 s bars several times the 0.22 % of a round trip after its lag, and a signal in every half minute. At 0.16 % a
# second an entry has more than a second until the price has left the 20 basis points that a permit allows.
WAVE: Final = Wave(leg_ms=16_000, move=0.025, noise=0.0001)
