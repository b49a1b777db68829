"""The trained volatility agent: log-HAR on ranges of bars with GARCH and the clock beside, and small nets on top."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents import har_kernels as har
from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Said, Seen, said
from libs.core.agents.tanh_net import NetWalker, TanhNet
from libs.core.types import SECOND

AGENT: Final = "volatility"
KIND: Final = "har_garch"
PART: Final = "regression"
CLIP: Final = 4.0
"""Columns are held within so many deviations of their training mean."""

HOURS: Final = 24
DAYS: Final = 7
_HOUR: Final = 3600 * SECOND
_DAY: Final = 86_400 * SECOND
_MONDAY: Final = 3  # of the day that was 0 in ns UTC


class Line(msgspec.Struct, frozen=True):
    """A logarithm as a sum: bias, weights of the scaled columns, effect of the hour and the day that follow (UTC)."""

    bias: float
    weights: tuple[float, ...]
    hours: tuple[float, ...]
    days: tuple[float, ...]


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of the model.

    Attributes:
        settings: of `har_kernels`, in its order.
        center, scale: of the columns, then of ln(implied volatility) where the manifest names that feature; a column
            of infinite scale is left out.
        variance: of the next log return; span: of the next bar's log range; both before the nets.
        nets: their mean, through tanh, moves sigma and span by up to half either way.
        novel: root mean square of scaled columns that is novelty 1.
    """

    settings: tuple[float, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    variance: Line
    span: Line
    nets: tuple[TanhNet, ...] = ()
    novel: float = math.inf


def calendar(time: NDArray[np.int64], interval_s: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(hour, day of the week) UTC in which the bar after each opening time begins; Monday is 0."""
    following = time + interval_s * SECOND
    return following // _HOUR % HOURS, (following // _DAY + _MONDAY) % DAYS


class Formula:
    """A regression ready to run on columns: used alike by serving, training and the exam."""

    def __init__(self, regression: Regression, width: int) -> None:
        """`width`: columns in all. Raises ValueError when the numbers are not those of so many columns."""
        if len(regression.settings) != har.SETTINGS or (len(regression.center), len(regression.scale)) != (
            width,
            width,
        ):
            raise ValueError("settings or scaling of another shape")
        for line in (regression.variance, regression.span):
            if (len(line.weights), len(line.hours), len(line.days)) != (width, HOURS, DAYS):
                raise ValueError("weights of another shape")
        self._center, self._scale = np.array(regression.center), np.array(regression.scale)
        self._lines = [
            (line.bias, np.array(line.weights), np.array(line.hours), np.array(line.days))
            for line in (regression.variance, regression.span)
        ]
        self._nets = [NetWalker(net, width + 1, 1) for net in regression.nets]
        self._novel = regression.novel

    def scaled(self, columns: Floats) -> Floats:
        """(n, width) centred, scaled and clipped; an implied volatility that is missing counts as its mean."""
        flat: Floats = (columns - self._center) / self._scale
        flat[:, har.COLUMNS :] = np.nan_to_num(flat[:, har.COLUMNS :], nan=0.0)
        return flat

    def base(self, flat: Floats, hour: NDArray[np.int64], day: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """(n,) log variance and log span before the nets."""
        held = np.clip(flat, -CLIP, CLIP)
        (bias, weights, hours, days), (bias2, weights2, hours2, days2) = self._lines
        variance: Floats = held @ weights + hours[hour] + days[day] + bias
        span: Floats = held @ weights2 + hours2[hour] + days2[day] + bias2
        return variance, span

    def inputs(self, flat: Floats, hour: NDArray[np.int64], day: NDArray[np.int64]) -> Floats:
        """(n, width + 1) what the nets look at: columns and what the clock adds."""
        _, _, hours, days = self._lines[0]
        return np.column_stack([np.clip(flat, -CLIP, CLIP), hours[hour] + days[day]])

    def __call__(self, columns: Floats, hour: NDArray[np.int64], day: NDArray[np.int64]) -> Said:
        """Sigma, span and novelty; NaN where a column is."""
        flat = self.scaled(columns)
        variance, span = self.base(flat, hour, day)
        factor = np.ones(len(flat))
        if self._nets:
            x = self.inputs(flat, hour, day)
            factor = 1.0 + 0.5 * np.tanh(sum(net(x)[:, 0] for net in self._nets) / len(self._nets))
        novelty = np.sqrt((flat * flat).mean(axis=1)) / self._novel
        return said(sigma=np.exp(0.5 * variance) * factor, span=np.exp(span) * factor, novelty=novelty)


class VolatilityModel:
    """Carries rings of the newest bars and a GARCH variance, O(1) a bar; silent until its windows are full."""

    state_size: int = har.STATE_SIZE

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        try:
            regression = msgspec.msgpack.decode(artifact.parts[PART], type=Regression)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its regression cannot be read: {err}") from None
        self._settings = np.array(regression.settings)
        self._formula = Formula(regression, har.COLUMNS + len(self.manifest.features))

    def start(self, state: Floats, seen: Seen) -> None:
        """Take the bars that there are."""
        har.start(state, self._settings)
        bars, returns = np.ascontiguousarray(seen.bars[0]), seen.returns[0]
        moved = np.full(len(bars), math.nan)
        known = min(len(bars), len(returns))
        if known:
            moved[-known:] = returns[-known:]
        for bar, r in zip(bars, moved, strict=True):
            har.take(state, bar, r, math.nan, self._settings)

    def say(self, states: Floats, seen: Seen) -> Said:
        """Sigma and span of the bar after the newest of each of n series."""
        n = len(states)
        columns = np.empty((n, har.COLUMNS))
        bars = np.ascontiguousarray(seen.bars[:, -1])
        for i in range(n):
            har.take(states[i], bars[i], seen.returns[i, -1], math.nan, self._settings)
            har.columns(states[i], self._settings, columns[i])
        return self._say(columns, seen.rows[:, -1] if self.manifest.features else None, seen.time)

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        unknown = np.full(len(bars), math.nan)
        columns = har.design(np.ascontiguousarray(bars), np.ascontiguousarray(returns), unknown, self._settings)
        return self._say(columns, rows if self.manifest.features else None, time)

    def _say(self, columns: Floats, rows: Floats | None, time: NDArray[np.int64]) -> Said:
        return self._formula(with_implied(columns, rows), *calendar(time, self.manifest.interval_s))


def with_implied(columns: Floats, rows: Floats | None) -> Floats:
    """The columns, and ln of each implied volatility in `rows` (n, series) where there are such."""
    if rows is None or not rows.shape[1]:
        return columns
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(rows > 0.0, np.log(rows), math.nan)
    return np.column_stack([columns, logs])


def _load(artifact: Artifact, make_session: MakeSession) -> VolatilityModel:
    return VolatilityModel(artifact)


LOADERS[f"{AGENT}.{KIND}"] = _load
