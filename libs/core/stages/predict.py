"""The predict stage: features of each traded series become forecasts of every agent, a joint one, and signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from libs.core.agents import History, Hold, MetaAgent, Series
from libs.core.agents.base import Floats
from libs.core.agents.council_bench import Artifacts, no_artifacts
from libs.core.agents.panel import VOTERS, Panel
from libs.core.agents.panel_makers import make_agents
from libs.core.features import feature_set
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.stages.predict_config import PredictConfig, SeriesConfig, StrategyConfig
from libs.core.strategies import RuleStrategy, make_strategy
from libs.core.types import (
    SECOND,
    Abstention,
    Bar,
    BarFlag,
    Event,
    Features,
    FeedHealth,
    FeedState,
    Forecast,
    Headline,
    ModelNote,
    ModelSwap,
    Nanos,
    Scored,
    Warmup,
    restamped,
    stable_id,
)

__all__ = ["PredictConfig", "PredictStage", "SeriesConfig", "StrategyConfig", "build"]

_VERSION = 2


@dataclass(slots=True)
class _Desk:
    """What the stage keeps of one series besides the panel: its newest bar and the strategies that trade it."""

    strategies: list[RuleStrategy[Any]]
    last: Nanos = -1
    close: float = math.nan


class _SavedDesk(msgspec.Struct, frozen=True, array_like=True):
    series: tuple[str, str, int]
    last: Nanos
    close: float
    panel: bytes
    strategies: tuple[bytes, ...]


class _Snapshot(msgspec.Struct, frozen=True):
    version: int
    config: str
    now: dict[str, Nanos]
    health: list[FeedHealth]
    desks: list[_SavedDesk]


@dataclass(slots=True)
class _State:
    panel: Panel
    desks: dict[Series, _Desk]
    now: dict[str, Nanos] = field(default_factory=dict)
    health: dict[tuple[str, str], FeedHealth] = field(default_factory=dict)


class PredictStage:
    """Takes Warmup, Features, FeedHealth, ModelSwap and headlines with their scores.

    Gives Signals, Forecasts (each agent, then "meta", then challengers in shadow) and ModelNotes. A bar at or before
    the newest one of its series, and a series that is not configured, cause nothing.
    """

    name = "predict"

    def __init__(
        self,
        config: PredictConfig,
        artifacts: Artifacts = no_artifacts,
        clock_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        """`artifacts`: where models come from; `clock_ns` measures how long each takes (no part in parity).

        Raises:
            ValueError: the configuration names an agent, feature set, strategy or setting that is none.
        """
        self.config = config
        self._artifacts, self._clock_ns = artifacts, clock_ns
        self._features = feature_set(config.feature_set, config.feature_entries, config.feature_files)
        self._hash = self._features.hash
        self._config_id = stable_id(msgspec.json.encode(config, order="sorted").decode())
        self._state = self._fresh()

    @property
    def series(self) -> tuple[Series, ...]:
        """The series that it forecasts."""
        return tuple(self._state.desks)

    def last_bar(self, series: Series) -> Nanos | None:
        """Open time of the newest bar taken of a series, ns; None before the first."""
        last = self._state.desks[series].last
        return last if last >= 0 else None

    def apply(self, event: Event, ts_init: Nanos) -> Sequence[Event]:
        """Take one input; return the forecasts and signals it causes, in order."""
        match event:
            case Features():
                return self._on_features(event, ts_init)
            case FeedHealth():
                self._on_health(event)
            case Warmup():
                self._on_warmup(event)
            case ModelSwap():
                return self._on_swap(event, ts_init)
            case Headline() | Scored():
                self._state.panel.hear(event)
        return ()

    def models(self, series: Series) -> dict[str, Any]:
        """Which trained models serve a series, by agent, for people."""
        return self._state.panel.info(series)

    def next_deadline(self, venue: str) -> Nanos | None:
        """None: nothing here waits for time to pass."""
        return None

    def snapshot(self) -> bytes:
        """The whole state; `restore` of it continues bit for bit."""
        state = self._state
        return msgspec.msgpack.encode(
            _Snapshot(
                version=_VERSION,
                config=self._config_id,
                now=state.now,
                health=list(state.health.values()),
                desks=[
                    _SavedDesk(
                        (series.venue, series.symbol, series.interval_s),
                        desk.last,
                        desk.close,
                        state.panel.snapshot(series),
                        tuple(strategy.snapshot() for strategy in desk.strategies),
                    )
                    for series, desk in state.desks.items()
                ],
            )
        )

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot of the same configuration.

        Raises:
            ValueError: it is no snapshot, or of another version or configuration; the state stays as it was.
        """
        try:
            saved = msgspec.msgpack.decode(snapshot, type=_Snapshot)
            if (saved.version, saved.config) != (_VERSION, self._config_id):
                raise ValueError("snapshot of another version or configuration")
            state = self._fresh()
            state.now = saved.now
            state.health = {(health.venue, health.symbol): health for health in saved.health}
            for kept in saved.desks:
                series = Series(*kept.series)
                desk = state.desks[series]
                desk.last, desk.close = kept.last, kept.close
                state.panel.restore(series, kept.panel)
                for strategy, part in zip(desk.strategies, kept.strategies, strict=True):
                    strategy.restore(part)
        except (msgspec.MsgspecError, KeyError) as err:
            raise ValueError(f"not a snapshot of this stage: {err}") from err
        self._state = state

    def _fresh(self) -> _State:
        config = self.config
        agents = make_agents(config.agents, self._features, config.online)
        voters = [name for name, agent in agents.items() if (agent.directional if agent else name in VOTERS)]
        council = config.council
        meta = MetaAgent(voters, config.min_confidence, config.max_disagreement, council.combine, council.conflict)
        panel = Panel(agents, meta, self._features, config.min_bars, council, self._artifacts, self._clock_ns)
        return _State(panel, {Series(s.venue, s.symbol, s.interval_s): self._desk(s) for s in config.series})

    def _desk(self, series: SeriesConfig) -> _Desk:
        cost = self.config.cost_bps.get(series.venue, 0.0) / 1e4
        return _Desk(
            [
                make_strategy(strategy.name, strategy.params, self._features, cost)
                for strategy in self.config.strategies
                if strategy.covers(series)
            ]
        )

    def _on_health(self, health: FeedHealth) -> None:
        state, key = self._state, (health.venue, health.symbol)
        self._tell_time(health)
        known = state.health.get(key)
        if known is None or health.ts_event >= known.ts_event:
            state.health[key] = health

    def _tell_time(self, event: Features | FeedHealth) -> None:
        now = self._state.now
        now[event.venue] = max(now.get(event.venue, 0), event.ts_event)

    def _on_warmup(self, warmup: Warmup) -> None:
        series = Series(warmup.venue, warmup.symbol, warmup.interval_s)
        desk = self._state.desks.get(series)
        if desk is None or not warmup.bars or warmup.bars[-1].open_time <= desk.last:
            return
        engine = FeatureEngine(*series, self._features)
        matrix = engine.batch(Bars.of(warmup.bars))
        taken = np.flatnonzero(matrix.taken).tolist()
        if not taken:
            return
        bars = [warmup.bars[i] for i in taken]
        rows = matrix.values[taken]
        returns = _log_returns(bars, series.interval_s)
        table = np.array([(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars])
        times = np.array([bar.open_time for bar in bars], dtype=np.int64)
        self._state.panel.warm(series, History(returns, rows, bars[-1].ts_event, table, times))
        for bar, row in zip(bars, rows, strict=True):
            if bar.open_time > desk.last:
                vector = self._vector(bar, row)
                for strategy in desk.strategies:
                    strategy.rehearse(vector)
        desk.last, desk.close = bars[-1].open_time, bars[-1].close

    def _on_swap(self, swap: ModelSwap, ts_init: Nanos) -> Sequence[Event]:
        series = Series(swap.venue, swap.symbol, swap.interval_s)
        desk = self._state.desks.get(series)
        if desk is None:
            return ()
        at = desk.last + series.interval_s * SECOND if desk.last >= 0 else swap.ts_event
        return [restamped(note, ts_init) for note in self._state.panel.swap(series, swap, at)]

    def _vector(self, bar: Bar, row: Floats) -> Features:
        return Features(
            id=bar.id,
            ts_event=bar.ts_event,
            venue=bar.venue,
            symbol=bar.symbol,
            interval_s=bar.interval_s,
            bar_time=bar.open_time,
            set_hash=self._hash,
            values=row.astype("<f8").tobytes(),
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            flags=bar.flags,
        )

    def _on_features(self, newest: Features, ts_init: Nanos) -> Sequence[Event]:
        series = Series(newest.venue, newest.symbol, newest.interval_s)
        desk = self._state.desks.get(series)
        if desk is None or newest.bar_time <= desk.last:
            return ()
        self._tell_time(newest)
        follows = newest.bar_time == desk.last + newest.interval_s * SECOND and not newest.flags & BarFlag.GAP
        log_return = math.log(newest.close / desk.close) if follows and desk.close > 0.0 < newest.close else math.nan
        desk.last, desk.close = newest.bar_time, newest.close
        known = newest.set_hash == self._hash and len(newest.values) == 8 * len(self._features)
        row = np.frombuffer(newest.values, dtype="<f8") if known else np.full(len(self._features), math.nan)
        hold = self._hold(newest) if known else Hold(Abstention.MISSING_INPUT, "another feature set")
        made = self._state.panel.take(newest, log_return, row, hold, ts_init)
        outputs: list[Event] = []
        if known:
            said = {f.agent: f for f in made if isinstance(f, Forecast) and not f.shadow}
            for strategy in desk.strategies:
                signal = strategy.on_bar(newest, said)
                if signal is not None:
                    outputs.append(restamped(signal, ts_init))
        # Signals first: risk waits for them, nobody waits for a forecast.
        return [*outputs, *(restamped(made_, ts_init) if isinstance(made_, ModelNote) else made_ for made_ in made)]

    def _hold(self, newest: Features) -> Hold | None:
        health = self._state.health.get((newest.venue, newest.symbol))
        if health is None:
            return Hold(Abstention.UNHEALTHY_FEED, "no feed health known yet")
        if health.state is FeedState.DOWN or health.score < self.config.min_health:
            return Hold(
                Abstention.UNHEALTHY_FEED, f"feed {health.state}, score {health.score:.2f} {health.event}".rstrip()
            )
        allowed = max(self.config.stale_after_s, newest.interval_s)
        age = (self._state.now[newest.venue] - newest.ts_event) / SECOND
        if age > allowed or health.staleness_s > allowed:
            return Hold(Abstention.STALE, f"{max(age, health.staleness_s):.1f} s old, {allowed:g} s allowed")
        return None


def _log_returns(bars: Sequence[Bar], interval_s: int) -> Floats:
    """Log return of each bar on the bar before; NaN for the first, after a hole, and in a bar with missing data."""
    closes = np.array([bar.close for bar in bars])
    times = np.array([bar.open_time for bar in bars], dtype=np.int64)
    returns = np.full(len(bars), math.nan)
    returns[1:] = np.log(closes[1:] / closes[:-1])
    returns[1:][np.diff(times) != interval_s * SECOND] = math.nan
    returns[[bool(bar.flags & BarFlag.GAP) for bar in bars]] = math.nan
    return returns


def build(config: bytes, artifacts: Artifacts = no_artifacts) -> PredictStage:
    """The stage from the JSON of its PredictConfig; `artifacts`: where models come from.

    Raises:
        ValueError: it is no PredictConfig, or names something that there is not.
    """
    try:
        decoded = msgspec.json.decode(config, type=PredictConfig)
    except msgspec.MsgspecError as err:
        raise ValueError(f"not a predict configuration: {err}") from err
    return PredictStage(decoded, artifacts)
