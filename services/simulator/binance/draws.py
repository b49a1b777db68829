"""Counter-based random numbers: any draw of any moment in O(1), equal in every process with the same seed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


class Draws:
    """One stream of uniform numbers, addressed by a counter (SplitMix64; Steele, Lea and Flood 2014)."""

    def __init__(self, seed: int, *path: str) -> None:
        """`path` names the stream: streams of different names are independent."""
        digest = blake2b("/".join((str(seed), *path)).encode(), digest_size=8).digest()
        self._key = np.uint64(int.from_bytes(digest, "big"))

    def uniform(self, counters: Ints) -> Floats:
        """Return numbers strictly inside (0, 1), one for each counter, in the shape of `counters`."""
        z = np.atleast_1d(counters).astype(np.uint64) * _GOLDEN + self._key
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z ^= z >> np.uint64(31)
        return ((z >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def exponential(self, counters: Ints) -> Floats:
        """Return exponential numbers of mean 1."""
        drawn: Floats = -np.log(self.uniform(counters))
        return drawn

    def normal(self, counters: Ints) -> Floats:
        """Return standard normal numbers (Box and Muller 1958)."""
        radius = np.sqrt(2.0 * self.exponential(2 * counters))
        drawn: Floats = radius * np.cos(2.0 * np.pi * self.uniform(2 * counters + 1))
        return drawn
