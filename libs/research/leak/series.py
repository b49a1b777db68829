"""Histories to attack with: bars and the extra inputs of their bars, made from a seed or around bars that are given."""

from __future__ import annotations

from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.features.engine import Bars
from libs.core.features.inputs import EXTRA
from libs.core.types import SECOND

Floats = NDArray[np.float64]

EPOCH_S: Final = 1_700_006_400
"""Open time of the first seeded bar, seconds UTC: a midnight."""

MAX_HOLE: Final = 40
"""Longest hole of a seeded history, bars: short of what starts an engine over."""

_BOUNDED: Final = {  # names of extra inputs that begin so, and the range of their values
    "trade_imbalance": (-1.0, 1.0),
    "tick_rule": (-1.0, 1.0),
    "imbalance": (-1.0, 1.0),
    "pressure": (-1.0, 1.0),
    "size_gini": (0.0, 1.0),
    "vpin": (0.0, 1.0),
    "digit_entropy": (0.0, 1.0),
    "digit_freq": (0.0, 0.3),
    "digit_p": (0.0, 1.0),
    "avail": (1.0, 1.0),
    "corr": (-1.0, 1.0),
}
_SIGNED: Final = ("ofi", "large_signed", "lead_return", "outside", "funding", "basis", "digit_runs", "mid_change")
_COUNTS: Final = ("trades", "large_count", "digit_streak", "digit_even", "digit_rise", "digit_longest", "quote")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of one symbol, `interval_s` seconds each, and the extra inputs x bars of `inputs.EXTRA`."""

    bars: Bars
    extras: Floats
    interval_s: int

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Open time / interval of each bar."""
        return self.bars.open_time // (self.interval_s * SECOND)

    @property
    def columns(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Every input by its name: open_time (ns UTC), interval_s, open ... volume, and the extra inputs."""
        bars = self.bars
        prices = {name: getattr(bars, name) for name in ("open_time", "open", "high", "low", "close", "volume")}
        prices["interval_s"] = np.full(len(bars), self.interval_s, dtype=np.int64)
        return prices | dict(zip(EXTRA, self.extras, strict=True))

    def part(self, first: int, end: int) -> Self:
        """Bars first...end - 1, as if there were no others."""
        bars = self.bars
        cut = {name: getattr(bars, name)[first:end] for name in _COLUMNS}
        return type(self)(bars=Bars(**cut), extras=self.extras[:, first:end], interval_s=self.interval_s)

    def scrambled(self, after: int, rng: np.random.Generator) -> Self:
        """The same up to bar `after`; from there on nothing is as it was, but everything could be."""
        count = len(self) - after - 1
        level = np.exp(rng.normal(0.0, 1.0, count))
        bars = self.bars
        changed = {name: getattr(bars, name).copy() for name in _COLUMNS}
        for name in ("open", "high", "low", "close"):
            changed[name][after + 1 :] *= level
        changed["volume"][after + 1 :] = rng.lognormal(0.0, 3.0, count)
        extras = self.extras.copy()
        extras[:, after + 1 :] = extras[:, after + 1 :][:, ::-1] + rng.normal(0.0, 1.0, (len(EXTRA), count))
        return type(self)(bars=Bars(**changed), extras=np.ascontiguousarray(extras), interval_s=self.interval_s)

    def with_hole(self, at: int, missing: int) -> Self:
        """The same with `missing` more bars missing before bar `at`."""
        bars = self.bars
        times = bars.open_time.copy()
        times[at:] += missing * self.interval_s * SECOND
        return type(self)(
            bars=msgspec.structs.replace(bars, open_time=times), extras=self.extras, interval_s=self.interval_s
        )

    def flat_from(self, at: int) -> Self:
        """The same up to bar `at`; after it nothing is traded and every price is its close."""
        bars = self.bars
        changed = {name: getattr(bars, name).copy() for name in _PRICES}
        for name in _PRICES:
            changed[name][at + 1 :] = 0.0 if name == "volume" else bars.close[at]
        return type(self)(bars=msgspec.structs.replace(bars, **changed), extras=self.extras, interval_s=self.interval_s)

    def picked(self, rows: NDArray[np.int64]) -> Self:
        """These rows in this order, repeats and all."""
        bars = self.bars
        taken = {name: getattr(bars, name)[rows] for name in _COLUMNS}
        return type(self)(bars=Bars(**taken), extras=self.extras[:, rows], interval_s=self.interval_s)


_PRICES: Final = ("open", "high", "low", "close", "volume")
_COLUMNS: Final = ("open_time", *_PRICES)


def seeded(seed: int, count: int, interval_s: int = 60, *, clean: bool = False) -> History:
    """A history as unpleasant as markets are: fat tails, spikes, flat stretches, no volume, holes, inputs that fail.

    `clean`: an ordinary walk without holes, flat stretches and missing inputs, as oracles want it.
    """
    rng = np.random.default_rng(seed)
    start = float(rng.choice([0.02, 1.0, 150.0, 60_000.0]))
    returns = rng.standard_t(4, count) * 1e-3
    quiet = np.zeros(count, dtype=bool)
    volume = rng.lognormal(3.0, 1.0, count)
    steps = np.ones(count, dtype=np.int64)
    if not clean:
        for _ in range(max(2, count // 700)):
            begin = int(rng.integers(0, count))
            quiet[begin : begin + int(rng.integers(2, 260))] = True
        returns[quiet] = 0.0
        spikes = rng.random(count) < 0.002
        returns[spikes] = rng.choice([-0.02, 0.025], int(spikes.sum()))
        volume[rng.random(count) < 0.05] = 0.0
        volume[quiet & (rng.random(count) < 0.7)] = 0.0
        holes = rng.random(count) < 0.004
        steps[holes] = rng.integers(2, MAX_HOLE, int(holes.sum()))
        steps[0] = 1
    close = np.round(start * np.exp(np.cumsum(returns)), 6)
    before = np.concatenate([[start], close[:-1]])
    first = np.where(quiet, close, before)
    up, down = np.abs(rng.normal(0.0, 8e-4, (2, count))) * ~quiet
    numbers = EPOCH_S // interval_s + np.cumsum(steps) - 1
    bars = Bars(
        open_time=numbers * (interval_s * SECOND),
        open=first,
        high=np.maximum(first, close) * (1.0 + up),
        low=np.minimum(first, close) / (1.0 + down),
        close=close,
        volume=volume,
    )
    return around(bars, interval_s, seed, clean=clean)


def around(bars: Bars, interval_s: int, seed: int, *, clean: bool = False) -> History:
    """Given bars with seeded extra inputs: trades and books that fit them, missing now and then unless `clean`."""
    rng = np.random.default_rng([seed, 1])
    count = len(bars)
    extras = np.stack([_draw(name, bars, rng) for name in EXTRA]) if count else np.empty((len(EXTRA), 0))
    _agree(extras, bars, rng)
    if not clean:
        for _ in range(count // 900):
            begin = int(rng.integers(0, count))
            which = slice(None) if rng.random() < 0.5 else rng.random(len(EXTRA)) < 0.5
            extras[which, begin : begin + int(rng.integers(1, 60))] = np.nan
    return History(bars=bars, extras=np.ascontiguousarray(extras), interval_s=interval_s)


def _draw(name: str, bars: Bars, rng: np.random.Generator) -> Floats:
    """A plausible series of one extra input."""
    count = len(bars)
    for start, (low, high) in _BOUNDED.items():
        if name.startswith(start):
            return rng.uniform(low, high, count)
    if name.startswith(_COUNTS):
        return rng.integers(0, 30, count).astype(np.float64)
    if name.startswith(_SIGNED):
        return rng.normal(0.0, 1.0, count)
    if name.startswith("lead_sigma"):
        return rng.uniform(5e-4, 2e-3, count)
    return rng.lognormal(0.0, 1.0, count)


def _agree(extras: Floats, bars: Bars, rng: np.random.Generator) -> None:
    """Make inputs that hang together do so: sides of the volume, quotes around the close, sums of sides."""
    row = {name: extras[i] for i, name in enumerate(EXTRA)}
    share = rng.uniform(0.0, 1.0, len(bars))
    half = bars.close * rng.uniform(1e-5, 2e-4, len(bars))
    total = np.where(bars.volume > 0.0, bars.volume, 1.0)
    for name, values in (
        ("buy_volume", bars.volume * share),
        ("sell_volume", bars.volume * (1.0 - share)),
        ("signed_volume", bars.volume * (2.0 * share - 1.0)),
        ("trade_imbalance", bars.volume * (2.0 * share - 1.0) / total),
        ("bid", bars.close - half),
        ("ask", bars.close + half),
        ("spread", 2.0 * half),
        ("spread_bp", 2e4 * half / bars.close),
        ("microprice", bars.close),
        ("mid_change", np.diff(bars.close, prepend=bars.close[:1])),
        ("lead_return", rng.normal(0.0, 1e-3, len(bars))),
    ):
        if name in row:
            row[name][:] = values
