"""The panel: all agents of the house at one table, fitted, taught and asked about one series at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from libs.core.agents.base import Floats, History, Hold, OnlineAgent, Series, Windows
from libs.core.agents.direction import DirectionAgent
from libs.core.agents.meta import MetaAgent
from libs.core.agents.regime import RegimeAgent
from libs.core.agents.volatility import VolatilityAgent
from libs.core.agents.window import Tape
from libs.core.features import FeatureSet
from libs.core.types import SECOND, Abstention, Features, Forecast, Nanos, stable_id

_MAKERS: Final[dict[str, Callable[[FeatureSet, float, float], OnlineAgent]]] = {
    "volatility": lambda features, rate, l2: VolatilityAgent(features),
    "direction": DirectionAgent,
    "regime": lambda features, rate, l2: RegimeAgent(features),
}


def make_agents(names: Sequence[str], features: FeatureSet, learning_rate: float, l2: float) -> list[OnlineAgent]:
    """The agents of these names, in this order.

    Raises:
        ValueError: there is no such agent; the text lists those there are.
    """
    unknown = [name for name in names if name not in _MAKERS]
    if unknown:
        raise ValueError(f"no agent {unknown[0]!r}; there are {', '.join(_MAKERS)}")
    return [_MAKERS[name](features, learning_rate, l2) for name in names]


FIT_ROWS: Final = 240
"""Feature vectors kept to fit on where the venue has no history: 60 bars of warm-up and 180 to learn from."""

RETRY_BARS: Final = 60
"""An agent that could not be fitted (too few bars, a price that stood still) tries again every so many bars."""


@dataclass(slots=True)
class _Seat:
    """What the panel keeps of one series. `fitted`: per agent, empty until min_bars; `phase` spreads fits over bars."""

    returns: Tape
    rows: Tape
    phase: int
    seen: int = 0
    fitted: list[bool] = field(default_factory=list)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    seen: int
    fitted: list[bool]
    returns: bytes
    rows: bytes
    agents: tuple[bytes, ...]


class Panel:
    """Agents and meta-agent with the windows that they look at.

    A series is fitted once it has `min_bars` bars, from history or live; until then everyone abstains (warming_up).
    Agents that ask for it are fitted anew every `Needs.refit_bars` bars, counted in data time.
    """

    def __init__(self, agents: Sequence[OnlineAgent], meta: MetaAgent, features: FeatureSet, min_bars: int) -> None:
        self._agents = list(agents)
        self._meta = meta
        self._width = len(features)
        self._min_bars = min_bars
        self._fit_rows = max(min_bars, FIT_ROWS)
        self._returns = max(self._fit_rows, *(agent.needs.returns for agent in agents)) if agents else self._fit_rows
        self._rows = max((agent.needs.rows for agent in agents), default=1)
        self._seats: dict[Series, _Seat] = {}

    def warm(self, series: Series, history: History) -> None:
        """Start the series over from this history, whatever it knew."""
        seat = self._seats[series] = self._empty(series)
        seat.returns.fill(history.returns.reshape(-1, 1))
        seat.rows.fill(history.rows)
        seat.seen = len(history.returns)
        if seat.seen >= self._min_bars:
            seat.fitted = [agent.fit(series, history) for agent in self._agents]

    def take(
        self, newest: Features, log_return: float, row: Floats, hold: Hold | None, ts_init: Nanos
    ) -> list[Forecast]:
        """Learn from a closed bar, then one forecast or abstention per agent, the meta-agent's last.

        `log_return`: of this bar on the bar before, NaN after a hole. `row`: its features in the order of the set.
        `hold`: why nobody may speak although all have seen enough, or None.
        """
        series = Series(newest.venue, newest.symbol, newest.interval_s)
        seat = self._seats.get(series) or self._seats.setdefault(series, self._empty(series))
        seat.returns.push(log_return)
        seat.rows.push(row)
        seat.seen += 1
        if seat.seen < self._min_bars:
            hold = Hold(Abstention.WARMING_UP, f"{seat.seen} of {self._min_bars} bars")
        windows = [_windows(agent, series, seat, newest, hold, ts_init) for agent in self._agents]
        self._learn(series, seat, newest, windows)
        forecasts: list[Forecast] = []
        for agent, seen in zip(self._agents, windows, strict=True):
            forecasts += agent.predict(seen)
        forecasts.append(self._meta.combine(newest, forecasts, ts_init))
        return forecasts

    def snapshot(self, series: Series) -> bytes:
        """All it knows of a series, b"" when it never saw it."""
        seat = self._seats.get(series)
        if seat is None:
            return b""
        rows = self._rows if seat.fitted and all(seat.fitted) else self._fit_rows
        return msgspec.msgpack.encode(
            _Saved(
                seat.seen,
                seat.fitted,
                seat.returns.newest(self._returns).astype("<f8").tobytes(),
                seat.rows.newest(rows).astype("<f8").tobytes(),
                tuple(agent.snapshot(series) for agent in self._agents),
            )
        )

    def restore(self, series: Series, snapshot: bytes) -> None:
        """Take up a snapshot of the same agents and continue bit for bit. Raises ValueError when they differ."""
        self._seats.pop(series, None)
        if not snapshot:
            return
        saved = msgspec.msgpack.decode(snapshot, type=_Saved)
        for agent, state in zip(self._agents, saved.agents, strict=True):
            agent.restore(series, state)
        seat = self._seats[series] = self._empty(series)
        seat.returns.fill(np.frombuffer(saved.returns, dtype="<f8").reshape(-1, 1))
        seat.rows.fill(np.frombuffer(saved.rows, dtype="<f8").reshape(-1, self._width))
        seat.seen, seat.fitted = saved.seen, saved.fitted

    def _empty(self, series: Series) -> _Seat:
        return _Seat(
            returns=Tape(self._returns, 1),
            rows=Tape(max(self._fit_rows, self._rows), self._width),
            phase=int(stable_id("phase", *series)[:8], 16),
        )

    def _learn(self, series: Series, seat: _Seat, newest: Features, windows: Sequence[Windows]) -> None:
        if not seat.fitted:
            if seat.seen >= self._min_bars:
                history = self._history(seat, newest)
                seat.fitted = [agent.fit(series, history) for agent in self._agents]
            return
        number = newest.bar_time // (newest.interval_s * SECOND) + seat.phase
        for i, agent in enumerate(self._agents):
            every = agent.needs.refit_bars if seat.fitted[i] else RETRY_BARS
            if every and number % every == 0:
                seat.fitted[i] = agent.fit(series, self._history(seat, newest))
            elif seat.fitted[i]:
                agent.learn(windows[i])

    def _history(self, seat: _Seat, newest: Features) -> History:
        return History(
            returns=seat.returns.newest(min(seat.seen, self._returns))[:, 0].copy(),
            rows=seat.rows.newest(min(seat.seen, self._fit_rows)),
            end=newest.ts_event,
        )


def _windows(
    agent: OnlineAgent, series: Series, seat: _Seat, newest: Features, hold: Hold | None, ts_init: Nanos
) -> Windows:
    return Windows(
        series=(series,),
        newest=(newest,),
        returns=seat.returns.newest(agent.needs.returns).reshape(1, -1),
        rows=seat.rows.newest(agent.needs.rows)[np.newaxis],
        holds=(hold,),
        ts_init=ts_init,
    )
