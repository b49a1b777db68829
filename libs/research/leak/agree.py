"""How far two series of values may be apart, and how far they are."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RTOL: Final = 1e-9


class Gap(NamedTuple):
    """The worst error between two series, and the row at which it is; `problem` says in words what is wrong, if so."""

    error: float
    row: int
    problem: str


def size_of(values: Floats) -> float:
    """The size of a typical value that is not zero, against which errors of smaller values are measured; 0 = none."""
    known = np.abs(values[np.isfinite(values) & (values != 0.0)])
    return float(np.median(known)) if len(known) else 0.0


def relative_errors(ours: Floats, expected: Floats, size: float, atol: float = 0.0) -> Floats:
    """Errors relative to the expected value, or to `size` where that is larger; up to `atol` none is counted."""
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(ours - expected)
        scaled = off / np.maximum(np.abs(expected), size)
    return np.where((ours == expected) | (off <= atol), 0.0, np.where(np.isfinite(scaled), scaled, math.inf))


def compare(
    ours: Floats, expected: Floats, warmup: int, *, rtol: float = RTOL, atol: float = 0.0, absent: float = 0.0
) -> Gap:
    """Hold values to what they should be.

    Args:
        warmup: rows without a value; what `expected` says there does not matter.
        rtol: bound of the error relative to the value, or to a typical one (`size_of`) where that is larger.
        atol: an error below this is none. absent: largest share of rows where `expected` is NaN and ours is not.
    """
    if ours.shape != expected.shape:
        return Gap(math.inf, 0, f"{len(expected)} values for {len(ours)} bars")
    early = ~np.isnan(ours[:warmup])
    if early.any():
        return Gap(math.inf, int(early.argmax()), f"has a value before its warm-up of {warmup}")
    if len(ours) <= warmup:
        return Gap(math.inf, 0, f"its warm-up of {warmup} is longer than the series")
    late = np.arange(len(ours)) >= warmup
    silent = late & np.isnan(expected) & ~np.isnan(ours)
    if silent.sum() > absent * (len(ours) - warmup):
        return Gap(math.inf, int(silent.argmax()), "has a value where none is expected")
    missing = late & np.isnan(ours) & ~np.isnan(expected)
    if missing.any():
        return Gap(math.inf, int(missing.argmax()), "has no value where one is expected")
    known = late & ~np.isnan(expected)
    if not known.any():
        return Gap(math.inf, warmup, "never has a value")
    errors = np.zeros(len(ours))
    errors[known] = relative_errors(ours[known], expected[known], size_of(expected[known]), atol)
    row = int(errors.argmax())
    error = float(errors[row])
    if error <= rtol:
        return Gap(error, row, "")
    return Gap(error, row, f"{ours[row]:.17g} instead of {expected[row]:.17g}: {error:.2e} relative")
