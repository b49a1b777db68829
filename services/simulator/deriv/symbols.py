"""The symbols this venue lists: how they tick, how they are printed, when they trade, what may be bought on them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.simulator.deriv.hours import ALWAYS, FOREX, NEW_YORK, Hours
from services.simulator.deriv.laws import (
    DailyReset,
    Diffusion,
    Jumps,
    Law,
    Ranges,
    Spikes,
    Steps,
    Wave,
    annual_sigma,
)

PLANTED: Final = "PLANTED"


class Offer(StrEnum):
    """A family of contracts that may be offered on a symbol."""

    RISE_FALL = "rise_fall"
    RISE_FALL_TICKS = "rise_fall_ticks"
    HIGHER_LOWER = "higher_lower"
    DIGITS = "digits"
    MULTIPLIERS = "multipliers"
    CANCELLATION = "cancellation"
    ACCUMULATORS = "accumulators"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a symbol stands in the venue's lists: names of market, submarket and subgroup, and its type."""

    market: str
    market_name: str
    submarket: str
    submarket_name: str
    symbol_type: str
    exchange: str
    subgroup: str = "synthetics"
    subgroup_name: str = "Synthetics"


@dataclass(frozen=True, slots=True)
class Symbol:
    """One listed symbol.

    `period_secs` is the spacing of the tick grid, `pip_size` the decimals of a quote, `start_price` the level at the
    anchor of the path, `multipliers` the leverages offered, `min_secs` the shortest contract that lasts a time.
    """

    name: str
    display_name: str
    law: Law
    period_secs: int
    pip_size: int
    start_price: float
    place: Place
    offers: frozenset[Offer]
    multipliers: tuple[int, ...] = ()
    hours: Hours = ALWAYS
    min_secs: int = 15

    @property
    def sigma(self) -> float:
        """Annual volatility contracts are priced with, as a fraction (365-day years)."""
        return annual_sigma(self.law, self.start_price, self.period_secs)

    @property
    def drift(self) -> float:
        """Annual drift contracts are priced with, as a fraction."""
        return self.law.drift if isinstance(self.law, DailyReset) else 0.0

    @property
    def pip(self) -> Decimal:
        """The smallest price step."""
        return Decimal(1).scaleb(-self.pip_size)

    @property
    def half_spread(self) -> float:
        """Fraction of the quote between it and its bid or ask: 0.017 % on R_100, in proportion to volatility."""
        return 0.00017 * self.sigma

    @property
    def suspended(self) -> bool:
        """Whether nothing may be bought on it."""
        return not self.offers

    def text(self, price: float) -> str:
        """Print a quote with exactly the symbol's decimals."""
        return f"{price:.{self.pip_size}f}"

    def exact(self, price: float) -> Decimal:
        """Return a quote as the exact number that is printed."""
        return Decimal(self.text(price))


def _derived(submarket: str, name: str, symbol_type: str = "stockindex") -> Place:
    return Place("synthetic_index", "Derived", submarket, name, symbol_type, "RANDOM")


_CONTINUOUS: Final = _derived("random_index", "Continuous Indices")
_CRASH_BOOM: Final = _derived("crash_index", "Crash/Boom Indices", "")
_STEP: Final = _derived("step_index", "Step Indices", "")
_JUMP: Final = _derived("jump_index", "Jump Indices")
_DAILY: Final = _derived("random_daily", "Daily Reset Indices")
_RANGE: Final = _derived("range_index", "Range Break Indices")
_FOREX: Final = Place("forex", "Forex", "major_pairs", "Major Pairs", "forex", "FOREX", "none", "None")
_AMERICAN: Final = Place(
    "indices", "Stock Indices", "americas_OTC", "American indices", "stockindex", "OTC_INDEX", "none", "None"
)

_EVERYTHING: Final = frozenset(Offer)
_LEVERED: Final = frozenset({Offer.MULTIPLIERS})
_BY_TIME: Final = frozenset({Offer.RISE_FALL, Offer.HIGHER_LOWER})
_OPTIONS: Final = _BY_TIME | {Offer.RISE_FALL_TICKS, Offer.DIGITS}

# R_10 and forex as recorded; the rest from front ends and reports.
_LEVERAGE: Final = {
    10: (400, 1000, 2000, 3000, 4000),
    15: (300, 600, 1200, 2000, 3000),
    25: (160, 400, 800, 1200, 1600),
    30: (140, 350, 700, 1000, 1400),
    50: (80, 200, 400, 600, 800),
    75: (50, 100, 200, 300, 500),
    90: (45, 100, 200, 300, 400),
    100: (40, 100, 200, 300, 400),
    150: (30, 60, 120, 200, 300),
    200: (20, 50, 100, 150, 200),
    250: (15, 40, 80, 120, 160),
    300: (15, 30, 60, 100, 150),
}
_FOREX_LEVERAGE: Final = (100, 200, 300, 500, 800)
_STEP_LEVERAGE: Final = (750, 2000, 3500, 5500, 7500)
_SPIKE_LEVERAGE: Final = (100, 200, 300, 400, 500)


def _volatility(n: int, pip_size: int, start_price: float) -> Symbol:
    law = Diffusion(n / 100)
    name = f"Volatility {n} Index"
    return Symbol(f"R_{n}", name, law, 2, pip_size, start_price, _CONTINUOUS, _EVERYTHING, _LEVERAGE[n])


def _one_second(n: int, start_price: float, pip_size: int = 2) -> Symbol:
    law = Diffusion(n / 100)
    name = f"Volatility {n} (1s) Index"
    return Symbol(f"1HZ{n}V", name, law, 1, pip_size, start_price, _CONTINUOUS, _EVERYTHING, _LEVERAGE[n])


def _spikes(n: int, *, up: bool) -> Symbol:
    kind, suffix, period = "Boom" if up else "Crash", "N" if n == 300 else "", 2 if n == 300 else 1
    # At ten times the mean gap a small move is about ten pips, so that few of them round to nothing.
    start_price = 10.0 * n
    name = f"{kind.upper()}{n}{suffix}"
    law = Spikes(n, up)
    return Symbol(name, f"{kind} {n} Index", law, period, 3, start_price, _CRASH_BOOM, _LEVERED, _SPIKE_LEVERAGE)


def _step(number: int, start_price: float) -> Symbol:
    name = f"stpRNG{number if number > 1 else ''}"
    law = Steps(round(0.1 * number, 1))
    return Symbol(name, f"Step Index {number}00", law, 1, 1, start_price, _STEP, _LEVERED, _STEP_LEVERAGE)


def _jump(n: int, start_price: float) -> Symbol:
    offers = _OPTIONS | _LEVERED
    return Symbol(f"JD{n}", f"Jump {n} Index", Jumps(n / 100), 1, 2, start_price, _JUMP, offers, _LEVERAGE[n])


def _daily_reset(name: str, drift: float) -> Symbol:
    display_name = f"{name.removeprefix('RD').capitalize()} Market Index"
    return Symbol(name, display_name, DailyReset(0.25, drift), 2, 4, 1_000.0, _DAILY, _OPTIONS)


def _range_break(n: int) -> Symbol:
    return Symbol(f"RB{n}", f"Range Break {n} Index", Ranges(n, 0.1), 2, 1, 5_000.0, _RANGE, frozenset())


def _pair(name: str, sigma: float, pip_size: int, start_price: float) -> Symbol:
    return Symbol(
        f"frx{name}",
        f"{name[:3]}/{name[3:]}",
        Diffusion(sigma),
        2,
        pip_size,
        start_price,
        _FOREX,
        _BY_TIME | _LEVERED,
        _FOREX_LEVERAGE,
        hours=FOREX,
        min_secs=900,
    )


SYMBOLS: Final[dict[str, Symbol]] = {
    symbol.name: symbol
    for symbol in (
        _volatility(10, 3, 6_200.0),
        _volatility(25, 3, 2_160.0),
        _volatility(50, 4, 272.0),
        _volatility(75, 4, 9_480.0),
        _volatility(100, 2, 1_510.0),
        _one_second(10, 9_700.0),
        _one_second(25, 7_400.0),
        _one_second(50, 2_200.0),
        _one_second(75, 5_300.0),
        _one_second(100, 782.0),
        Symbol(
            PLANTED,
            "PLANTED trend wave (1s)",
            Wave(1.0),
            1,
            2,
            1_000.0,
            _CONTINUOUS,
            _EVERYTHING,
            _LEVERAGE[100],
        ),
        _one_second(15, 8_800.0, 3),
        _one_second(30, 6_600.0, 3),
        _one_second(90, 4_100.0, 3),
        _one_second(150, 5_000.0),
        _one_second(200, 4_000.0),
        _one_second(250, 6_000.0),
        _one_second(300, 7_000.0),
        *(_spikes(n, up=up) for up in (True, False) for n in (300, 500, 600, 900, 1000)),
        *(_step(number, start) for number, start in enumerate((8_000.0, 9_000.0, 11_000.0, 13_000.0, 15_000.0), 1)),
        _jump(10, 45_000.0),
        _jump(25, 68_000.0),
        _jump(50, 30_000.0),
        _jump(75, 12_000.0),
        _jump(100, 2_400.0),
        _daily_reset("RDBEAR", -0.35),
        _daily_reset("RDBULL", 0.35),
        _range_break(100),
        _range_break(200),
        _pair("EURUSD", 0.07, 5, 1.08),
        _pair("GBPUSD", 0.08, 5, 1.27),
        _pair("USDJPY", 0.09, 3, 151.2),
        _pair("AUDJPY", 0.10, 3, 98.076),
        Symbol(
            "OTC_NDX",
            "US Tech 100",
            Diffusion(0.20),
            2,
            2,
            19_800.0,
            _AMERICAN,
            _BY_TIME,
            hours=NEW_YORK,
            min_secs=900,
        ),
    )
}
