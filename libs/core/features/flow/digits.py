"""Last digits of printed prices: windows of counts as prints come, statistics of them when a bar asks; compiled."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from libs.core.features.flow.layout import (
    DIGIT_RING,
    DIGITS,
    EVEN_STREAK,
    FAR,
    FAR_COUNT,
    JOINED,
    LONG,
    MOVE_RING,
    MOVES,
    NEAR,
    NEAR_COUNT,
    PAIR_RING,
    PAIRS,
    RISE_STREAK,
    RUNS,
    STREAK,
)
from libs.core.features.inputs import EXTRA

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHI2_NEAR: Final = EXTRA.index("digit_chi2_100")
_CHI2_FAR: Final = EXTRA.index("digit_chi2_1000")
_P_NEAR: Final = EXTRA.index("digit_p_100")
_P_FAR: Final = EXTRA.index("digit_p_1000")
_ENTROPY_NEAR: Final = EXTRA.index("digit_entropy_100")
_ENTROPY_FAR: Final = EXTRA.index("digit_entropy_1000")
_STREAK: Final = EXTRA.index("digit_streak")
_EVEN: Final = EXTRA.index("digit_even_streak")
_RISE: Final = EXTRA.index("digit_rise_streak")
_LONGEST: Final = EXTRA.index("digit_longest_100")
_RUNS_RISE: Final = EXTRA.index("digit_runs_rise")
_RUNS_EVEN: Final = EXTRA.index("digit_runs_even")
_PAIRS: Final = EXTRA.index("digit_pairs")
_PAIRS_P: Final = EXTRA.index("digit_pairs_p")
_SHARE_NEAR: Final = EXTRA.index("digit_freq_0_100")
_SHARE_FAR: Final = EXTRA.index("digit_freq_0_1000")


def digit_of(price: float, decimals: int) -> int:
    """The last character of a price as it is printed with that many decimals: 1234.5 at 3 gives 0."""
    return ord(f"{price:.{decimals}f}"[-1]) - 48


@njit(cache=True)
def _longer(streak: int, up: bool) -> int:
    """A signed streak after one more of its kind."""
    if up:
        return streak + 1 if streak > 0 else 1
    return streak - 1 if streak < 0 else -1


@njit(cache=True)
def take_digit(k: Ints, digit: int, move: float) -> None:
    """Take the digit (-1 = unknown) of a print that moved the price by `move`."""
    if digit < 0:
        k[JOINED] = 0
        return
    seen = k[DIGITS]
    if k[JOINED] == 1:
        before = k[DIGIT_RING + (seen - 1) % FAR]
        moves = k[MOVES]
        k[MOVE_RING + moves % RUNS] = 1 if move > 0.0 else 0
        pair = PAIR_RING + moves % LONG
        if moves >= LONG:
            k[PAIRS + k[pair]] -= 1
        k[pair] = 10 * before + digit
        k[PAIRS + k[pair]] += 1
        k[MOVES] = moves + 1
        k[STREAK] = k[STREAK] + 1 if digit == before else 1
        k[RISE_STREAK] = 0 if move == 0.0 else _longer(k[RISE_STREAK], move > 0.0)
        k[EVEN_STREAK] = _longer(k[EVEN_STREAK], digit % 2 == 0)
    else:
        k[STREAK], k[RISE_STREAK], k[EVEN_STREAK] = 1, 0, _longer(0, digit % 2 == 0)
    if seen >= NEAR:
        k[NEAR_COUNT + k[DIGIT_RING + (seen - NEAR) % FAR]] -= 1
    if seen >= FAR:
        k[FAR_COUNT + k[DIGIT_RING + seen % FAR]] -= 1
    k[DIGIT_RING + seen % FAR] = digit
    k[NEAR_COUNT + digit] += 1
    k[FAR_COUNT + digit] += 1
    k[DIGITS] = seen + 1
    k[JOINED] = 1


@njit(cache=True)
def chi_square_tail(x: float, df: int) -> float:
    """Probability that chi-square with `df` degrees of freedom exceeds x (Abramowitz & Stegun 26.4.4, 26.4.5)."""
    if df % 2 == 0:
        term = total = math.exp(-x / 2.0)
        for r in range(1, df // 2):
            term *= x / (2.0 * r)
            total += term
        return min(total, 1.0)
    chi = math.sqrt(x)
    total = math.erfc(chi / math.sqrt(2.0))
    term = chi * math.sqrt(2.0 / math.pi) * math.exp(-x / 2.0)
    for r in range(1, (df - 1) // 2 + 1):
        total += term
        term *= x / (2.0 * r + 1.0)
    return min(total, 1.0)


@njit(cache=True)
def runs_z(ups: int, downs: int, runs: int) -> float:
    """Wald and Wolfowitz: how far the number of runs is from its mean, in deviations; 0 when only one kind occurs."""
    n = ups + downs
    product = 2.0 * ups * downs
    variance = product * (product - n) / (float(n) * n * (n - 1.0))
    if variance <= 0.0:
        return 0.0
    return (runs - product / n - 1.0) / math.sqrt(variance)


@njit(cache=True)
def _frequencies(k: Ints, at: int, n: int, out: Floats, share: int, chi2: int, p: int, entropy: int) -> None:
    expected = n / 10.0
    statistic = information = 0.0
    for digit in range(10):
        count = k[at + digit]
        statistic += (count - expected) ** 2 / expected
        part = count / n
        if part > 0.0:
            information -= part * math.log(part)
        out[share + digit] = part
    out[chi2], out[p] = statistic, chi_square_tail(statistic, 9)
    out[entropy] = min(max(information / math.log(10.0), 0.0), 1.0)


@njit(cache=True)
def _transitions(k: Ints, out: Floats) -> None:
    """Chi-square of the transitions against independence, margins as observed; digits that never occur left out."""
    rows, columns = np.zeros(10), np.zeros(10)
    for a in range(10):
        for b in range(10):
            rows[a] += k[PAIRS + 10 * a + b]
            columns[b] += k[PAIRS + 10 * a + b]
    statistic = 0.0
    for a in range(10):
        for b in range(10):
            expected = rows[a] * columns[b] / LONG
            if expected > 0.0:
                statistic += (k[PAIRS + 10 * a + b] - expected) ** 2 / expected
    df = ((rows > 0.0).sum() - 1) * ((columns > 0.0).sum() - 1)
    out[_PAIRS] = statistic
    out[_PAIRS_P] = chi_square_tail(statistic, df) if df > 0 else 1.0


@njit(cache=True)
def digit_columns(k: Ints, out: Floats) -> None:
    """Write the digits' columns of `inputs.EXTRA`; those whose window is not full stay as they are."""
    seen, moves = k[DIGITS], k[MOVES]
    if seen > 0:
        out[_STREAK], out[_EVEN], out[_RISE] = k[STREAK], k[EVEN_STREAK], k[RISE_STREAK]
    if seen >= RUNS:
        evens, runs = 0, 1
        for j in range(seen - RUNS, seen):
            even = k[DIGIT_RING + j % FAR] % 2 == 0
            evens += 1 if even else 0
            if j > seen - RUNS and even != (k[DIGIT_RING + (j - 1) % FAR] % 2 == 0):
                runs += 1
        out[_RUNS_EVEN] = runs_z(evens, RUNS - evens, runs)
    if moves >= RUNS:
        rises, runs = 0, 1
        for j in range(moves - RUNS, moves):
            rises += k[MOVE_RING + j % RUNS]
            if j > moves - RUNS and k[MOVE_RING + j % RUNS] != k[MOVE_RING + (j - 1) % RUNS]:
                runs += 1
        out[_RUNS_RISE] = runs_z(rises, RUNS - rises, runs)
    if seen >= NEAR:
        longest = run = 1
        for j in range(seen - NEAR + 1, seen):
            run = run + 1 if k[DIGIT_RING + j % FAR] == k[DIGIT_RING + (j - 1) % FAR] else 1
            longest = max(longest, run)
        out[_LONGEST] = longest
        _frequencies(k, NEAR_COUNT, NEAR, out, _SHARE_NEAR, _CHI2_NEAR, _P_NEAR, _ENTROPY_NEAR)
    if seen >= FAR:
        _frequencies(k, FAR_COUNT, FAR, out, _SHARE_FAR, _CHI2_FAR, _P_FAR, _ENTROPY_FAR)
    if moves >= LONG:
        _transitions(k, out)
