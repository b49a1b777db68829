"""The symbols this venue lists: how they tick, how they are printed, what may be bought on them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

PLANTED: Final = "PLANTED"
YEAR_SECS: Final = 365 * 24 * 3600


class Offer(StrEnum):
    """A family of contracts that may be offered on a symbol."""

    RISE_FALL = "callput"
    HIGHER_LOWER = "higherlower"
    DIGITS = "digits"
    MULTIPLIERS = "multiplier"
    ACCUMULATORS = "accumulator"


EVERYTHING: Final = frozenset(Offer)


@dataclass(frozen=True, slots=True)
class Symbol:
    """One listed index.

    `sigma` is the annual volatility as a fraction (365-day years); for the planted symbol it is only what its
    contracts are priced with. `period_secs` is the spacing of the tick grid, `pip_size` the decimals of a quote,
    `start_price` the level at the anchor of the path, `multipliers` the leverages offered.
    """

    name: str
    display_name: str
    sigma: float
    period_secs: int
    pip_size: int
    start_price: float
    multipliers: tuple[int, ...]
    planted: bool = False
    drift: float = 0.0
    offers: frozenset[Offer] = EVERYTHING
    cancellation: bool = True
    min_secs: int = 15

    @property
    def pip(self) -> Decimal:
        """The smallest price step."""
        return Decimal(1).scaleb(-self.pip_size)

    @property
    def half_spread(self) -> float:
        """Fraction of the quote between it and its bid or ask: 0.017 % on R_100, in proportion to volatility."""
        return 0.00017 * self.sigma

    def text(self, price: float) -> str:
        """Print a quote with exactly the symbol's decimals."""
        return f"{price:.{self.pip_size}f}"

    def exact(self, price: float) -> Decimal:
        """Return a quote as the exact number that is printed."""
        return Decimal(self.text(price))

    def last_epoch(self, epoch: int) -> int:
        """Return the newest tick second of the grid that is not after `epoch`."""
        return epoch - epoch % self.period_secs


def _volatility(n: int, pip_size: int, start_price: float, multipliers: tuple[int, ...]) -> Symbol:
    return Symbol(f"R_{n}", f"Volatility {n} Index", n / 100, 2, pip_size, start_price, multipliers)


def _one_second(n: int, start_price: float, multipliers: tuple[int, ...]) -> Symbol:
    return Symbol(f"1HZ{n}V", f"Volatility {n} (1s) Index", n / 100, 1, 2, start_price, multipliers)


_LEVERAGE: Final = {
    10: (400, 1000, 2000, 3000, 4000),
    25: (160, 400, 800, 1200, 1600),
    50: (80, 200, 400, 600, 800),
    75: (50, 100, 200, 300, 500),
    100: (40, 100, 200, 300, 400),
}

SYMBOLS: Final[dict[str, Symbol]] = {
    symbol.name: symbol
    for symbol in (
        _volatility(10, 3, 6_200.0, _LEVERAGE[10]),
        _volatility(25, 3, 2_160.0, _LEVERAGE[25]),
        _volatility(50, 4, 272.0, _LEVERAGE[50]),
        _volatility(75, 4, 9_480.0, _LEVERAGE[75]),
        _volatility(100, 2, 1_510.0, _LEVERAGE[100]),
        _one_second(10, 9_700.0, _LEVERAGE[10]),
        _one_second(25, 7_400.0, _LEVERAGE[25]),
        _one_second(50, 2_200.0, _LEVERAGE[50]),
        _one_second(75, 5_300.0, _LEVERAGE[75]),
        _one_second(100, 782.0, _LEVERAGE[100]),
        Symbol(
            PLANTED,
            "PLANTED trend wave (1s)",
            1.0,
            1,
            2,
            1_000.0,
            _LEVERAGE[100],
            planted=True,
            offers=EVERYTHING - {Offer.ACCUMULATORS},
        ),
    )
}
