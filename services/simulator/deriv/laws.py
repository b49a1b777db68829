"""By which law each kind of index moves: its published or measured parameters, without the randomness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import NormalDist
from typing import Final

YEAR_SECS: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Diffusion:
    """Independent Gaussian log returns: `sigma` annual, as a fraction."""

    sigma: float


@dataclass(frozen=True, slots=True)
class Wave:
    """The planted pattern; `sigma` is only what contracts on it are priced with."""

    sigma: float


@dataclass(frozen=True, slots=True)
class Folded:
    """Sizes spread as |N(shift, 1)|, scaled to a mean of one: never negative, seldom near zero."""

    shift: float

    @property
    def scale(self) -> float:
        """The mean of |N(shift, 1)|."""
        normal = NormalDist()
        return 2 * normal.pdf(self.shift) + self.shift * (1 - 2 * normal.cdf(-self.shift))

    @property
    def second_moment(self) -> float:
        """The mean square of a size whose mean is one."""
        return (1 + self.shift**2) / self.scale**2


# Boom and crash as measured: the sd of the small moves is 0.65 of their mean and 1 to 5 % round to zero; the tenth
# percentile of the spikes is 0.2 to 0.3 of their mean, the ninetieth 1.7.
SMALL_SIZES: Final = Folded(1.18)
SPIKE_SIZES: Final = Folded(1.5)
# Relative small move times mean ticks between spikes: 2.05e-6 x 500, 1.70e-6 x 600, 1.15e-6 x 900, 1.06e-6 x 1000.
MOVE_TIMES_GAP: Final = 1.03e-3


@dataclass(frozen=True, slots=True)
class Spikes:
    """Small moves one way and, with chance 1 / `gap` a tick, a spike the other way that makes up for them."""

    gap: int
    up: bool  # whether the spikes go up: boom

    @property
    def small(self) -> float:
        """Mean relative size of a move that is no spike."""
        return MOVE_TIMES_GAP / self.gap

    @property
    def spike(self) -> float:
        """Mean relative size of a spike: the net drift is nought."""
        return self.small * (self.gap - 1)

    @property
    def variance(self) -> float:
        """Mean square of one relative move."""
        chance = 1 / self.gap
        small = self.small**2 * SMALL_SIZES.second_moment
        return (1 - chance) * small + chance * self.spike**2 * SPIKE_SIZES.second_moment


@dataclass(frozen=True, slots=True)
class Steps:
    """Every tick exactly `size` up or down, as a fair coin falls."""

    size: float


@dataclass(frozen=True, slots=True)
class Jumps:
    """A diffusion of `sigma` with three jumps an hour on average, either way, about thirty usual moves in size."""

    sigma: float

    PER_SECOND = 3 / 3600
    SIZE = 30.0
    SIZE_SPREAD = 0.2  # the documents give the size only roughly

    @property
    def total_sigma(self) -> float:
        """Annual volatility with the jumps in it, for ticks a second apart."""
        return self.sigma * sqrt(1 + self.PER_SECOND * self.SIZE**2 * (1 + self.SIZE_SPREAD**2))


@dataclass(frozen=True, slots=True)
class DailyReset:
    """A diffusion with an annual `drift` that starts each day (00:00 UTC) at the same level."""

    sigma: float
    drift: float


@dataclass(frozen=True, slots=True)
class Ranges:
    """Steps between borders `width` steps apart; one touch of a border in `touches` breaks out by a whole width."""

    touches: int
    size: float
    width: int = 20


Law = Diffusion | Wave | Spikes | Steps | Jumps | DailyReset | Ranges


@cache
def annual_sigma(law: Law, price: float, period_secs: int) -> float:
    """Return the annual volatility contracts are priced with, as a fraction, at a `price`."""
    ticks = YEAR_SECS / period_secs
    if isinstance(law, Spikes):
        return sqrt(law.variance * ticks)
    if isinstance(law, Steps | Ranges):
        return law.size / price * sqrt(ticks)
    return law.total_sigma if isinstance(law, Jumps) else law.sigma
