"""What an agent asks for, what it sees, and what it must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.types import Abstention, Features, Forecast, Nanos, stable_id

Floats = NDArray[np.float64]


class Series(NamedTuple):
    """One symbol on one bar length: what an agent forecasts and a strategy trades."""

    venue: str
    symbol: str
    interval_s: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent wants to be shown.

    Attributes:
        returns: how many of the newest log returns.
        rows: how many of the newest feature vectors.
        features: names of the features that it reads; one of them NaN makes it abstain.
        refit_bars: it is fitted anew, from its window of returns, about every so many bars of data time; 0 = never.
    """

    returns: int = 1
    rows: int = 1
    features: tuple[str, ...] = ()
    refit_bars: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason outside the agent for which it may not speak now."""

    reason: Abstention
    detail: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """Consecutive closed bars of one series, oldest first, to fit on.

    Attributes:
        returns: (n,) log return of each bar on the bar before; NaN for the first and after a hole.
        rows: (m, features of the set) the newest m <= n feature vectors, the last one of the newest bar.
        end: data time at which the newest bar was known, ns.
        bars: (n, 5) open, high, low, close, volume; time: (n,) open times, ns. Empty where nobody asks for them.
    """

    returns: Floats
    rows: Floats
    end: Nanos
    bars: Floats = field(default_factory=lambda: np.empty((0, 5)))
    time: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Windows:
    """The newest closed bars of n series, oldest first, packed so that one call serves them all.

    Attributes:
        series: whose windows they are.
        newest: the feature vector from whose bar each forecast starts.
        returns: (n, Needs.returns) log returns; NaN where there is none (start, hole).
        rows: (n, Needs.rows, features of the set) feature vectors; NaN where there is none.
        holds: per series why nobody may speak, or None.
        ts_init: machine time that stamps what is said, ns.
    """

    series: tuple[Series, ...]
    newest: tuple[Features, ...]
    returns: Floats
    rows: Floats
    holds: tuple[Hold | None, ...]
    ts_init: Nanos = 0


class Agent(Protocol):
    """Forecasts the next bar of each series, or says why not.

    directional: whether its forecasts, when it speaks, carry a direction vote.
    """

    name: str
    needs: Needs
    directional: bool

    def predict(self, windows: Windows) -> list[Forecast]:
        """One forecast or abstention per series, in their order. Changes nothing."""


class OnlineAgent(Agent, Protocol):
    """An agent that fits itself on history and then learns from each bar."""

    def fit(self, series: Series, history: History) -> bool:
        """Forget the series and fit on this history; False when there is nothing to be learnt from it yet."""

    def learn(self, windows: Windows) -> None:
        """Take the newest bar of each series that has been fitted."""

    def snapshot(self, series: Series) -> bytes:
        """All it knows of a series, b"" when it was never fitted."""

    def restore(self, series: Series, snapshot: bytes) -> None:
        """Take up a snapshot and continue bit for bit. Raises ValueError when it is of another version."""


def said(agent: str, model_id: str, newest: Features, ts_init: Nanos, **fields: Any) -> Forecast:
    """A forecast for the bar after `newest`; `fields` are what the agent has to say.

    Its identity is the agent, the model, the bar and `heard`, the forecasts that it was made of.
    """
    cause = fields.pop("cause", (newest.id,))
    beside = fields.pop("heard", ())
    return Forecast(
        id=stable_id(
            "forecast", agent, model_id, newest.venue, newest.symbol, newest.interval_s, newest.bar_time, *beside
        ),
        cause=cause,
        ts_event=newest.ts_event,
        ts_init=ts_init,
        agent=agent,
        venue=newest.venue,
        symbol=newest.symbol,
        interval_s=newest.interval_s,
        bar_time=newest.bar_time,
        model_id=model_id,
        feature_hash=newest.set_hash,
        **fields,
    )
