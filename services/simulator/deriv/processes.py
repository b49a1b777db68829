"""Price paths: the published index process and the planted wave, pure functions of (seed, anchor, symbol, tick)."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.simulator.deriv.symbols import YEAR_SECS, Symbol

CHUNK: Final = 4096
CACHED_CHUNKS: Final = 32

# The planted pattern: two triangle waves of the log price. Legs of 36 s turn often enough for a 1 s trend strategy
# to signal every minute; the 300 s wave is what 5 s bars can follow. A leg of 1.5 % pays the 0.036 % commission
# forty times over, so the pattern survives the lag of an EMA cross and two seconds of latency.
FAST_LEG_SECS: Final = 36
FAST_MOVE: Final = 0.015
SLOW_LEG_SECS: Final = 300
SLOW_MOVE: Final = 0.06
NOISE_SD: Final = 0.00015

Floats = NDArray[np.float64]


class PricePath(Protocol):
    """Quotes on a symbol's tick grid; tick index = epoch second // period."""

    def prices(self, first: int, last: int) -> Floats:
        """Return the quotes of ticks first..last, both included, rounded to the symbol's decimals."""
        ...


def _normals(seed: int, symbol: Symbol, chunk: int) -> Floats:
    stream = np.random.SeedSequence([seed, zlib.crc32(symbol.name.encode()), chunk])
    return np.random.Generator(np.random.PCG64(stream)).standard_normal(CHUNK)


class _Chunked:
    """Assembles a range of ticks from chunks, keeping the last used ones."""

    def __init__(self, seed: int, symbol: Symbol) -> None:
        self._seed = seed
        self._symbol = symbol
        self._cache: OrderedDict[int, Floats] = OrderedDict()

    def prices(self, first: int, last: int) -> Floats:
        """Return the quotes of ticks first..last, both included, rounded to the symbol's decimals."""
        if last < first:
            return np.empty(0)
        if first // CHUNK == last // CHUNK:
            return self._cached(first // CHUNK)[first % CHUNK : last % CHUNK + 1]
        chunks = [self._cached(chunk) for chunk in range(first // CHUNK, last // CHUNK + 1)]
        whole = np.concatenate(chunks)
        start = first - first // CHUNK * CHUNK
        return whole[start : start + last - first + 1]

    def _cached(self, chunk: int) -> Floats:
        found = self._cache.get(chunk)
        if found is None:
            found = np.asarray(np.round(np.exp(self._log_prices(chunk)), self._symbol.pip_size), dtype=np.float64)
            found.flags.writeable = False
            self._cache[chunk] = found
            if len(self._cache) > CACHED_CHUNKS:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(chunk)
        return found

    def _log_prices(self, chunk: int) -> Floats:
        raise NotImplementedError


class GeometricBrownianPath(_Chunked):
    """Volatility index: i.i.d. Gaussian log returns of sd sigma * sqrt(dt), a martingale in price.

    The level is pinned at the chunk that holds the anchor tick and summed outwards from there, always in the same
    order, so that any two processes with the same seed and anchor agree on every tick.
    """

    def __init__(self, seed: int, symbol: Symbol, anchor_epoch: int) -> None:
        """`anchor_epoch` is the epoch second near which the path stands at the symbol's start price."""
        super().__init__(seed, symbol)
        dt = symbol.period_secs / YEAR_SECS
        self._sd = symbol.sigma * float(np.sqrt(dt))
        self._drift = -0.5 * symbol.sigma**2 * dt
        anchor = anchor_epoch // symbol.period_secs // CHUNK
        self._bases = {anchor: float(np.log(symbol.start_price))}
        self._lowest = self._highest = anchor

    def _returns(self, chunk: int) -> Floats:
        return _normals(self._seed, self._symbol, chunk) * self._sd + self._drift

    def _base(self, chunk: int) -> float:
        while self._highest < chunk:
            self._bases[self._highest + 1] = self._bases[self._highest] + float(self._returns(self._highest).sum())
            self._highest += 1
        while self._lowest > chunk:
            self._bases[self._lowest - 1] = self._bases[self._lowest] - float(self._returns(self._lowest - 1).sum())
            self._lowest -= 1
        return self._bases[chunk]

    def _log_prices(self, chunk: int) -> Floats:
        return self._base(chunk) + np.cumsum(self._returns(chunk))


class PlantedPath(_Chunked):
    """The tradable pattern: start price times exp(fast triangle + slow triangle + white noise)."""

    def _log_prices(self, chunk: int) -> Floats:
        epochs = (np.arange(CHUNK) + chunk * CHUNK) * self._symbol.period_secs
        wave = FAST_MOVE * _triangle(epochs, FAST_LEG_SECS) + SLOW_MOVE * _triangle(epochs, SLOW_LEG_SECS)
        noise = NOISE_SD * _normals(self._seed, self._symbol, chunk)
        return float(np.log(self._symbol.start_price)) + wave + noise


def _triangle(epochs: NDArray[np.int64], leg_secs: int) -> Floats:
    """Wave from -0.5 up to 0.5 in one leg and back in the next."""
    phase = epochs % (2 * leg_secs) / leg_secs
    return np.asarray(0.5 - np.abs(phase - 1.0), dtype=np.float64)


def price_path(seed: int, symbol: Symbol, anchor_epoch: int) -> PricePath:
    """Return the path of one symbol."""
    if symbol.planted:
        return PlantedPath(seed, symbol)
    return GeometricBrownianPath(seed, symbol, anchor_epoch)
