"""Price paths: the published index processes and the planted wave, pure functions of (seed, anchor, symbol, tick)."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.simulator.deriv.chunks import CHUNK, Chunked, Floats, Sums
from services.simulator.deriv.hours import DAY_SECS, Grid
from services.simulator.deriv.laws import YEAR_SECS, DailyReset, Jumps, Ranges, Spikes, Steps, Wave
from services.simulator.deriv.symbols import Symbol
from services.simulator.deriv.walks import RangePath, SpikePath, StepPath

# The planted pattern: two triangle waves of the log price. Legs of 36 s turn often enough for a 1 s trend strategy
# to signal every minute; the 300 s wave is what 5 s bars can follow. A leg of 1.5 % pays the 0.036 % commission
# forty times over, so the pattern survives the lag of an EMA cross and two seconds of latency.
FAST_LEG_SECS: Final = 36
FAST_MOVE: Final = 0.015
SLOW_LEG_SECS: Final = 300
SLOW_MOVE: Final = 0.06
NOISE_SD: Final = 0.00015


class PricePath(Protocol):
    """Quotes on a symbol's tick grid; tick index = epoch second // period where the market never closes."""

    def prices(self, first: int, last: int) -> Floats:
        """Return the quotes of ticks first..last, both included, rounded to the symbol's decimals."""
        ...


class GeometricBrownianPath(Chunked):
    """Volatility index: i.i.d. Gaussian log returns of sd sigma * sqrt(dt), a martingale in price.

    The level is pinned at the chunk that holds the anchor tick and summed outwards from there, always in the same
    order, so that any two processes with the same seed and anchor agree on every tick.
    """

    def __init__(self, seed: int, symbol: Symbol, sigma: float, anchor: int) -> None:
        """`anchor` is the tick near which the path stands at the symbol's start price; `sigma` is annual."""
        super().__init__(seed, symbol)
        dt = symbol.period_secs / YEAR_SECS
        self._sd = sigma * float(np.sqrt(dt))
        self._drift = -0.5 * sigma**2 * dt
        start = float(np.log(symbol.start_price))
        self._sums = Sums(anchor // CHUNK, start, lambda chunk: float(self._returns(chunk).sum()))

    def _returns(self, chunk: int) -> Floats:
        return self._draws(chunk).standard_normal(CHUNK) * self._sd + self._drift

    def _levels(self, chunk: int) -> Floats:
        return np.asarray(np.exp(self._sums.before(chunk) + np.cumsum(self._returns(chunk))), dtype=np.float64)


class JumpPath(GeometricBrownianPath):
    """Jump index: the diffusion, and now and then a jump of about thirty of its moves, either way."""

    def __init__(self, seed: int, symbol: Symbol, law: Jumps, anchor: int) -> None:
        """`anchor` is the tick near which the path stands at the symbol's start price."""
        self._chance = law.PER_SECOND * symbol.period_secs
        self._law = law
        super().__init__(seed, symbol, law.sigma, anchor)
        self._drift -= 0.5 * self._chance * (law.SIZE * self._sd) ** 2 * (1 + law.SIZE_SPREAD**2)

    def _returns(self, chunk: int) -> Floats:
        draws = self._draws(chunk)
        moves = draws.standard_normal(CHUNK) * self._sd + self._drift
        jumps = draws.random(CHUNK) < self._chance
        sides = draws.integers(0, 2, CHUNK, dtype=np.int64) * 2 - 1
        sizes = (1 + self._law.SIZE_SPREAD * draws.standard_normal(CHUNK)) * (self._law.SIZE * self._sd)
        return np.asarray(moves + np.where(jumps, sides * sizes, 0.0), dtype=np.float64)


class DailyResetPath(Chunked):
    """Bear or bull market: a diffusion with drift that starts every day at the symbol's start price."""

    def __init__(self, seed: int, symbol: Symbol, law: DailyReset) -> None:
        self._ticks = DAY_SECS // symbol.period_secs
        super().__init__(seed, symbol, self._ticks)
        dt = symbol.period_secs / YEAR_SECS
        self._sd = law.sigma * float(np.sqrt(dt))
        self._drift = (law.drift - 0.5 * law.sigma**2) * dt

    def _levels(self, chunk: int) -> Floats:
        returns = self._draws(chunk).standard_normal(self._ticks) * self._sd + self._drift
        returns[0] = 0.0
        return np.asarray(self.symbol.start_price * np.exp(np.cumsum(returns)), dtype=np.float64)


class PlantedPath(Chunked):
    """The tradable pattern: start price times exp(fast triangle + slow triangle + white noise)."""

    def _levels(self, chunk: int) -> Floats:
        epochs = (np.arange(CHUNK) + chunk * CHUNK) * self.symbol.period_secs
        wave = FAST_MOVE * _triangle(epochs, FAST_LEG_SECS) + SLOW_MOVE * _triangle(epochs, SLOW_LEG_SECS)
        noise = NOISE_SD * self._draws(chunk).standard_normal(CHUNK)
        return np.asarray(np.exp(float(np.log(self.symbol.start_price)) + wave + noise), dtype=np.float64)


def _triangle(epochs: NDArray[np.int64], leg_secs: int) -> Floats:
    """Wave from -0.5 up to 0.5 in one leg and back in the next."""
    phase = epochs % (2 * leg_secs) / leg_secs
    return np.asarray(0.5 - np.abs(phase - 1.0), dtype=np.float64)


def price_path(seed: int, symbol: Symbol, anchor_epoch: int) -> PricePath:
    """Return the path of one symbol, which stands at its start price near epoch second `anchor_epoch`."""
    anchor = Grid(symbol.period_secs, symbol.hours).index_at(anchor_epoch)
    law = symbol.law
    if isinstance(law, Wave):
        return PlantedPath(seed, symbol)
    if isinstance(law, Spikes):
        return SpikePath(seed, symbol, law, anchor)
    if isinstance(law, Steps):
        return StepPath(seed, symbol, law, anchor)
    if isinstance(law, Ranges):
        return RangePath(seed, symbol, law, anchor)
    if isinstance(law, Jumps):
        return JumpPath(seed, symbol, law, anchor)
    if isinstance(law, DailyReset):
        return DailyResetPath(seed, symbol, law)
    return GeometricBrownianPath(seed, symbol, law.sigma, anchor)
