"""The panel: all agents of the house at one table, fitted, taught and asked about one series at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents.base import Floats, History, Hold, OnlineAgent, Series, Windows, said
from libs.core.agents.council_bench import Artifacts, Bench, SavedBench, no_artifacts
from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.council_seat import META, Opinion, Tapes
from libs.core.agents.meta import Context, MetaAgent
from libs.core.agents.packed import abstention
from libs.core.agents.panel_room import Room
from libs.core.agents.sentiment import SentimentAgent
from libs.core.agents.tracks import Outcome
from libs.core.agents.window import Tape
from libs.core.features import FeatureSet
from libs.core.types import (
    SECOND,
    Abstention,
    Event,
    Features,
    Forecast,
    ModelNote,
    ModelSwap,
    Nanos,
    stable_id,
)

FIT_ROWS: Final = 240
"""Feature vectors kept to fit on where the venue has no history: 60 bars of warm-up and 180 to learn from."""

RETRY_BARS: Final = 60
"""An agent that could not be fitted (too few bars, a price that stood still) tries again every so many bars."""

VOTERS: Final = ("trend", "pattern", "boosting")
"""Trained agents whose models forecast a direction."""


@dataclass(slots=True)
class _Place:
    """What the panel keeps of one series. `fitted`: per online agent, empty until min_bars; `phase` spreads fits."""

    tapes: Tapes
    room: Room
    benches: dict[str, Bench]
    phase: int
    fitted: list[bool] = field(default_factory=list)


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    seen: int
    fitted: list[bool]
    returns: bytes
    rows: bytes
    bars: bytes
    times: bytes
    room: Room
    agents: tuple[bytes, ...]
    benches: dict[str, SavedBench]


class Panel:
    """Agents and meta-agent with the windows that they look at.

    An agent that learns online is fitted once its series has `min_bars` bars, from history or live; until then it
    abstains (warming_up). Agents that ask for it are fitted anew every `Needs.refit_bars` bars, counted in data time.
    Where a trained model is seated for an agent, that model speaks in its stead.
    """

    def __init__(
        self,
        agents: Mapping[str, OnlineAgent | None],
        meta: MetaAgent,
        features: FeatureSet,
        min_bars: int,
        council: CouncilConfig = CouncilConfig(),  # noqa: B008
        artifacts: Artifacts = no_artifacts,
        clock_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`agents`: by name, in the order in which they speak; None where only a trained model can.

        `artifacts`: where models come from. `clock_ns`: measures how long each model takes (no part in parity).
        """
        self._agents = dict(agents)
        self._online = [agent for agent in agents.values() if agent is not None]
        self._meta, self._features, self._council = meta, features, council
        self._artifacts, self._clock_ns = artifacts, clock_ns
        self._min_bars = min_bars
        needs = [agent.needs for agent in self._online]
        self._fit_rows = max(min_bars, FIT_ROWS)
        self._row_bars = max(self._fit_rows, council.row_bars, *(need.rows for need in needs), 1)
        self._bars = max(self._fit_rows, council.bars, *(need.returns for need in needs), 1)
        names = features.names
        self._sigma = names.index("ewma_vol") if "ewma_vol" in names else -1
        self._places: dict[Series, _Place] = {}

    def warm(self, series: Series, history: History) -> None:
        """Start the series over from this history, whatever it knew; models and their records stay."""
        benches = self._places[series].benches if series in self._places else None
        place = self._places[series] = self._empty(series, benches)
        tapes = place.tapes
        tapes.returns.fill(history.returns.reshape(-1, 1))
        tapes.rows.fill(history.rows)
        tapes.bars.fill(history.bars)
        tapes.times.fill(history.time.reshape(-1, 1) / SECOND)
        tapes.seen = len(history.returns)
        if len(history.rows):
            place.room.sigma = self._sigma_of(history.rows[-1])
        if tapes.seen >= self._min_bars:
            place.fitted = [agent.fit(series, history) for agent in self._online]
        for bench in place.benches.values():
            bench.restart(tapes)

    def swap(self, series: Series, swap: ModelSwap, at: Nanos) -> list[ModelNote]:
        """Give a model its role, from the next bar on. `at`: the newest bar's close, from which it holds."""
        place = self._place(series)
        bench = self._bench(place, series, swap.agent)
        if swap.agent != META and swap.agent not in self._agents:
            del place.benches[swap.agent]
            return bench.refuse(swap, at, f"no agent {swap.agent} is configured")
        return bench.swap(swap, place.tapes, at)

    def hear(self, event: Event) -> None:
        """Hand a headline or its score to the agents that listen."""
        for agent in self._online:
            if isinstance(agent, SentimentAgent):
                agent.hear(event)

    def take(self, newest: Features, log_return: float, row: Floats, hold: Hold | None, ts_init: Nanos) -> list[Event]:
        """Learn from a closed bar, then one forecast or abstention per agent, the meta-agent's last, shadows and notes.

        `log_return`: of this bar on the bar before, NaN after a hole. `row`: its features in the order of the set.
        `hold`: why nobody may speak although all have seen enough, or None.
        """
        series = Series(newest.venue, newest.symbol, newest.interval_s)
        place = self._place(series)
        tapes, room = place.tapes, place.room
        tapes.push(newest, log_return, row)
        notes = self._settle(place, Outcome(log_return, room.sigma), newest.ts_event)
        room.sigma = self._sigma_of(row)
        warming = hold
        if tapes.seen < self._min_bars:
            warming = Hold(Abstention.WARMING_UP, f"{tapes.seen} of {self._min_bars} bars")
        windows = {agent.name: _windows(agent, series, tapes, newest, warming, ts_init) for agent in self._online}
        self._learn(series, place, newest, windows)
        forecasts = [self._ask(name, place, newest, hold, windows.get(name), ts_init) for name in self._agents]
        forecasts.append(self._join(place, newest, forecasts, hold, ts_init))
        shadows = [
            shadow
            for bench in place.benches.values()
            for shadow in bench.shadows(newest, hold, room.sigma, ts_init)
        ]  # fmt: skip
        return [*forecasts, *shadows, *notes]

    def info(self, series: Series) -> dict[str, Any]:
        """Which models serve a series, for people."""
        place = self._places.get(series)
        return {name: bench.info() for name, bench in place.benches.items()} if place else {}

    def snapshot(self, series: Series) -> bytes:
        """All it knows of a series, b"" when it never saw it."""
        place = self._places.get(series)
        if place is None:
            return b""
        tapes = place.tapes
        bars, rows = min(tapes.seen, self._bars), min(tapes.seen, self._row_bars)
        saved = {name: kept for name, bench in place.benches.items() if (kept := bench.snapshot()) is not None}
        return msgspec.msgpack.encode(
            _Saved(
                tapes.seen,
                place.fitted,
                _packed(tapes.returns.newest(bars)),
                _packed(tapes.rows.newest(rows)),
                _packed(tapes.bars.newest(bars)),
                _packed(tapes.times.newest(bars)),
                place.room,
                tuple(agent.snapshot(series) for agent in self._online),
                saved,
            )
        )

    def restore(self, series: Series, snapshot: bytes) -> None:
        """Take up a snapshot.

        Raises:
            ValueError: it is of another version or set of agents, or a model of it cannot be had.
        """
        self._places.pop(series, None)
        if not snapshot:
            return
        saved = msgspec.msgpack.decode(snapshot, type=_Saved)
        if len(saved.agents) != len(self._online):
            raise ValueError("snapshot of another set of agents")
        place = self._places[series] = self._empty(series)
        tapes = place.tapes
        tapes.returns.fill(_unpacked(saved.returns, 1))
        tapes.rows.fill(_unpacked(saved.rows, len(self._features)))
        tapes.bars.fill(_unpacked(saved.bars, 5))
        tapes.times.fill(_unpacked(saved.times, 1))
        tapes.seen, place.fitted, place.room = saved.seen, saved.fitted, saved.room
        for agent, part in zip(self._online, saved.agents, strict=True):
            agent.restore(series, part)
        for name, bench in saved.benches.items():
            self._bench(place, series, name).restore(bench)

    def _place(self, series: Series) -> _Place:
        return self._places.get(series) or self._places.setdefault(series, self._empty(series))

    def _empty(self, series: Series, benches: dict[str, Bench] | None = None) -> _Place:
        tapes = Tapes(
            Tape(self._row_bars, len(self._features)), Tape(self._bars, 1), Tape(self._bars, 5), Tape(self._bars, 1),
            self._row_bars, self._bars,
        )  # fmt: skip
        return _Place(tapes, Room(), benches or {}, int(stable_id("phase", *series)[:8], 16))

    def _bench(self, place: _Place, series: Series, name: str) -> Bench:
        if name not in place.benches:
            place.benches[name] = Bench(name, series, self._features, self._council, self._artifacts)
        return place.benches[name]

    def _sigma_of(self, row: Floats) -> float:
        return float(row[self._sigma]) if self._sigma >= 0 else math.nan

    def _settle(self, place: _Place, outcome: Outcome, at: Nanos) -> list[ModelNote]:
        notes = [note for bench in place.benches.values() for note in bench.settle(outcome, place.tapes, at)]
        place.room.settle(outcome, self._council)
        return notes

    def _ask(
        self, name: str, place: _Place, newest: Features, hold: Hold | None, windows: Windows | None, ts_init: Nanos
    ) -> Forecast:
        """What the agent of this name says: its champion, else what learns online."""
        bench = place.benches.get(name)
        if bench is not None:
            begun = self._clock_ns()
            bench.hear(place.tapes)
            took = (self._clock_ns() - begun) / 1e3
            if bench.champion is not None:
                fields = bench.champion.fields(hold, newest.warm, place.room.sigma)
                return said(name, bench.champion.model_id, newest, ts_init, latency_us=took, **fields)
        agent = self._agents[name]
        if agent is None or windows is None:
            return said(name, "", newest, ts_init, **abstention(Abstention.NO_MODEL, "no model has been trained yet"))
        (forecast,) = agent.predict(windows)
        edge = place.room.edge(name, self._council)
        place.room.expect(name, forecast)
        if forecast.p_up is None or edge > 0.0:
            return forecast
        fields = abstention(Abstention.NO_EDGE, f"lower bound of the gain {edge * 1e3:.2f} millinats a move")
        return said(name, forecast.model_id, newest, ts_init, **fields)

    def _join(
        self, place: _Place, newest: Features, forecasts: Sequence[Forecast], hold: Hold | None, ts_init: Nanos
    ) -> Forecast:
        room, bench = place.room, place.benches.get(META)
        opinions = {name: self._opinion(place, name, f) for name, f in zip(self._agents, forecasts, strict=True)}
        trust = {
            name: b.champion.trust if (b := place.benches.get(name)) and b.champion else room.trust(name, self._council)
            for name in self._agents
        }
        sigma = next((f.sigma for f in forecasts if f.sigma is not None and f.agent == "volatility"), None) or 0.0
        usual = room.sigma if math.isfinite(room.sigma) else 0.0
        learned, learned_id, extra = None, "", room.record(self._council)
        if bench is not None:
            bench.hear_votes(place.tapes, opinions)
            stack = bench.champion
            if stack is not None and "abstention" not in (fields := stack.fields(hold, newest.warm, usual)):
                learned, learned_id = stack.opinion.p, stack.model_id
                extra |= {key: fields[key] for key in ("calibrator", "in_force") if key in fields}
        context = Context(trust, learned, learned_id, sigma, usual, room.width, extra)
        forecast, p = self._meta.joint(newest, forecasts, ts_init, context)
        room.expect_joint(p, sigma or usual)
        return forecast

    def _opinion(self, place: _Place, name: str, forecast: Forecast) -> Opinion:
        bench = place.benches.get(name)
        if bench is not None and bench.champion is not None:
            return bench.champion.opinion
        p = None
        if forecast.p_down is not None and forecast.p_neutral is not None and forecast.p_up is not None:
            p = (forecast.p_down, forecast.p_neutral, forecast.p_up)
        return Opinion(p, forecast.sigma or 0.0, forecast.span or 0.0, forecast.p_state or ())

    def _learn(self, series: Series, place: _Place, newest: Features, windows: Mapping[str, Windows]) -> None:
        if not place.fitted:
            if place.tapes.seen >= self._min_bars:
                history = self._history(place.tapes, newest)
                place.fitted = [agent.fit(series, history) for agent in self._online]
            return
        number = newest.bar_time // (newest.interval_s * SECOND) + place.phase
        for i, agent in enumerate(self._online):
            every = agent.needs.refit_bars if place.fitted[i] else RETRY_BARS
            if every and number % every == 0:
                place.fitted[i] = agent.fit(series, self._history(place.tapes, newest))
            elif place.fitted[i]:
                agent.learn(windows[agent.name])

    def _history(self, tapes: Tapes, newest: Features) -> History:
        bars = min(tapes.seen, self._bars)
        return History(
            returns=tapes.returns.newest(bars)[:, 0].copy(),
            rows=tapes.rows.newest(min(tapes.seen, self._fit_rows)),
            end=newest.ts_event,
        )


def _packed(rows: Floats) -> bytes:
    return rows.astype("<f8").tobytes()


def _unpacked(data: bytes, width: int) -> Floats:
    return np.frombuffer(data, dtype="<f8").astype(np.float64).reshape(-1, width)


def _windows(
    agent: OnlineAgent, series: Series, tapes: Tapes, newest: Features, hold: Hold | None, ts_init: Nanos
) -> Windows:
    return Windows(
        series=(series,),
        newest=(newest,),
        returns=tapes.returns.newest(agent.needs.returns).reshape(1, -1),
        rows=tapes.rows.newest(agent.needs.rows)[np.newaxis],
        holds=(hold,),
        ts_init=ts_init,
    )
