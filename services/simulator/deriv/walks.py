"""Index paths other than diffusions: spikes, equal steps, and ranges that break."""

from __future__ import annotations

import numpy as np

from services.simulator.deriv.chunks import CHUNK, Chunked, Floats, Ints, Sums
from services.simulator.deriv.laws import SMALL_SIZES, SPIKE_SIZES, Ranges, Spikes, Steps
from services.simulator.deriv.symbols import Symbol


class SpikePath(Chunked):
    """Boom or crash: small moves one way, spikes at a memoryless rate the other way, a martingale in price."""

    def __init__(self, seed: int, symbol: Symbol, law: Spikes, anchor: int) -> None:
        """`anchor` is the tick near which the path stands at the symbol's start price."""
        super().__init__(seed, symbol)
        self._law = law
        self._drift = -0.5 * law.variance
        start = float(np.log(symbol.start_price))
        self._sums = Sums(anchor // CHUNK, start, lambda chunk: float(self._returns(chunk).sum()))

    def _returns(self, chunk: int) -> Floats:
        law, draws = self._law, self._draws(chunk)
        spikes = draws.random(CHUNK) < 1 / law.gap
        small = np.abs(draws.standard_normal(CHUNK) + SMALL_SIZES.shift) * (law.small / SMALL_SIZES.scale)
        large = np.abs(draws.standard_normal(CHUNK) + SPIKE_SIZES.shift) * (law.spike / SPIKE_SIZES.scale)
        moves = np.where(spikes, large, -small)
        return np.asarray((moves if law.up else -moves) + self._drift, dtype=np.float64)

    def _levels(self, chunk: int) -> Floats:
        return np.asarray(np.exp(self._sums.before(chunk) + np.cumsum(self._returns(chunk))), dtype=np.float64)


class StepPath(Chunked):
    """Step index: one step up or down each tick."""

    def __init__(self, seed: int, symbol: Symbol, law: Steps, anchor: int) -> None:
        """`anchor` is the tick near which the path stands at the symbol's start price."""
        super().__init__(seed, symbol)
        self._law = law
        self._sums = Sums(anchor // CHUNK, 0, lambda chunk: int(self._coins(chunk).sum()))

    def _coins(self, chunk: int) -> Ints:
        return self._draws(chunk).integers(0, 2, CHUNK, dtype=np.int64) * 2 - 1

    def _levels(self, chunk: int) -> Floats:
        steps = self._sums.before(chunk) + np.cumsum(self._coins(chunk))
        return np.asarray(self.symbol.start_price + self._law.size * steps, dtype=np.float64)


class RangePath(Chunked):
    """Range break: a walk folded between two borders; some touches move both borders by a whole width.

    A free walk is folded, so that every chunk follows from where it begins, forwards and backwards.
    """

    def __init__(self, seed: int, symbol: Symbol, law: Ranges, anchor: int) -> None:
        """`anchor` is the tick near which the path stands at the symbol's start price."""
        super().__init__(seed, symbol)
        self._law = law
        self._walk = Sums(anchor // CHUNK, law.width // 2, lambda chunk: int(self._coins(chunk).sum()))
        self._breaks = Sums(anchor // CHUNK, 0, lambda chunk: int(self._broken(chunk).sum()))

    def _coins(self, chunk: int) -> Ints:
        return self._draws(chunk).integers(0, 2, CHUNK, dtype=np.int64) * 2 - 1

    def _free(self, chunk: int) -> Ints:
        return np.asarray(self._walk.before(chunk) + np.cumsum(self._coins(chunk)), dtype=np.int64)

    def _broken(self, chunk: int) -> Ints:
        """Return for each tick of a chunk whether its range broke: 1 up, -1 down, 0 not."""
        draws = self._draws(chunk)
        draws.integers(0, 2, CHUNK, dtype=np.int64)  # those are the walk's
        lucky = draws.random(CHUNK) < 1 / self._law.touches
        border, inside = np.divmod(self._free(chunk), self._law.width)
        outwards = np.where(border % 2 == 1, 1, -1)
        return np.where((inside == 0) & lucky, outwards, 0).astype(np.int64)

    def _levels(self, chunk: int) -> Floats:
        width = self._law.width
        folded = width - np.abs(self._free(chunk) % (2 * width) - width)
        ranges = self._breaks.before(chunk) + np.cumsum(self._broken(chunk))
        return np.asarray(self.symbol.start_price + self._law.size * (folded + ranges * width), dtype=np.float64)
