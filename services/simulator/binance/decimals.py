"""Exact prices and quantities as integers of 1e-8, the resolution in which Binance prints every number."""

from __future__ import annotations

from typing import Final

ONE: Final = 10**8


def text8(value: int) -> str:
    """Print an integer count of 1e-8 the way Binance does, with eight decimals."""
    if value < 0:
        return "-" + text8(-value)
    return f"{value // ONE}.{value % ONE:08d}"


def parse8(text: str) -> int:
    """Read a decimal text into a count of 1e-8; further digits are cut. Raises ValueError for anything else."""
    whole, _, fraction = text.partition(".")
    if not whole.isdecimal() or (fraction and not fraction.isdecimal()):
        raise ValueError(f"not a plain decimal: {text!r}")
    return int(whole) * ONE + int(fraction[:8].ljust(8, "0"))


def from_float(value: float) -> int:
    """Round a float to a count of 1e-8 through its shortest decimal, so that 0.1 is exactly 0.10000000."""
    return parse8(f"{value:.8f}")
