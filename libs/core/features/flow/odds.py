"""What a fixed payout asks of a digit, and what its frequency says about it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

Z95: Final = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


class DigitOdds(NamedTuple):
    """The probability that a contract needs, the frequency seen, its Wilson interval, and whether that excludes a loss.

    worth: the whole interval lies above what is needed; one look among many proves nothing, see Bonferroni.
    """

    needed: float
    seen: float
    low: float
    high: float
    worth: bool


def break_even(payout: float) -> float:
    """The probability of winning from which a stake that wins `payout` times itself loses nothing: 1 / (1 + payout).

    Raises:
        ValueError: the payout is not above zero.
    """
    if not payout > 0.0:
        raise ValueError(f"payout {payout} is no multiple of the stake; write 0.95 for a win of 95 %")
    return 1.0 / (1.0 + payout)


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Interval of a probability after `hits` in `n` trials (Wilson 1927).

    Raises:
        ValueError: there are no trials, or more hits than trials.
    """
    if n <= 0 or not 0 <= hits <= n:
        raise ValueError(f"{hits} hits in {n} trials cannot be")
    share = hits / n
    middle = share + z * z / (2.0 * n)
    half = z * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    scale = 1.0 + z * z / n
    return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


def digit_odds(hits: int, n: int, payout: float, z: float = Z95) -> DigitOdds:
    """Whether what was seen supports a contract on a digit that wins `payout` times the stake.

    Raises:
        ValueError: as `break_even` and `wilson`.
    """
    needed = break_even(payout)
    low, high = wilson(hits, n, z)
    return DigitOdds(needed, hits / n, low, high, low > needed)
