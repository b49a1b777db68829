"""What all price paths share: ranges of ticks assembled from chunks, and sums that any two processes agree on."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.simulator.deriv.symbols import Symbol

CHUNK: Final = 4096
CACHED_CHUNKS: Final = 32

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Chunked:
    """Assembles a range of ticks from chunks of `size`, keeping the last used ones; a chunk depends on nothing else."""

    def __init__(self, seed: int, symbol: Symbol, size: int = CHUNK) -> None:
        self.symbol = symbol
        self._seed = seed
        self._size = size
        self._cache: OrderedDict[int, Floats] = OrderedDict()

    def prices(self, first: int, last: int) -> Floats:
        """Return the quotes of ticks first..last, both included, rounded to the symbol's decimals."""
        if last < first:
            return np.empty(0)
        size = self._size
        if first // size == last // size:
            return self._cached(first // size)[first % size : last % size + 1]
        chunks = [self._cached(chunk) for chunk in range(first // size, last // size + 1)]
        whole = np.concatenate(chunks)
        start = first - first // size * size
        return whole[start : start + last - first + 1]

    def _cached(self, chunk: int) -> Floats:
        found = self._cache.get(chunk)
        if found is None:
            found = np.asarray(np.round(self._levels(chunk), self.symbol.pip_size), dtype=np.float64)
            found.flags.writeable = False
            self._cache[chunk] = found
            if len(self._cache) > CACHED_CHUNKS:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(chunk)
        return found

    def _levels(self, chunk: int) -> Floats:
        """Return the exact prices of a chunk."""
        raise NotImplementedError

    def _draws(self, chunk: int) -> np.random.Generator:
        """Return the random numbers of a chunk, the same ones each time."""
        stream = np.random.SeedSequence([self._seed, zlib.crc32(self.symbol.name.encode()), chunk])
        return np.random.Generator(np.random.PCG64(stream))


class Sums:
    """The sum of all chunks before one, counted outwards from an anchor, always in the same order."""

    def __init__(self, anchor: int, start: float, total: Callable[[int], float]) -> None:
        """`start` is the sum at chunk `anchor`; `total` gives what one chunk adds."""
        self._sums = {anchor: start}
        self._lowest = self._highest = anchor
        self._total = total

    def before(self, chunk: int) -> float:
        """Return the sum at the beginning of a chunk."""
        while self._highest < chunk:
            self._sums[self._highest + 1] = self._sums[self._highest] + self._total(self._highest)
            self._highest += 1
        while self._lowest > chunk:
            self._sums[self._lowest - 1] = self._sums[self._lowest] - self._total(self._lowest - 1)
            self._lowest -= 1
        return self._sums[chunk]
