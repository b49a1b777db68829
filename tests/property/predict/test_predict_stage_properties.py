"""The predict stage over random histories: no look ahead, restore is exact, what comes twice counts once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.features.engine import FeatureEngine
from libs.core.stages.predict import PredictConfig, PredictStage, SeriesConfig, StrategyConfig, build
from libs.core.types import SECOND, Bar, Event, Features, FeedHealth, Forecast, Signal, Warmup, encode

START = 1_790_000_000
CONFIG = PredictConfig(
    series=(
        SeriesConfig(venue="deriv", symbol="PLANTED", interval_s=1),
        SeriesConfig(venue="binance", symbol="BTCUSDT", interval_s=5),
    ),
    min_bars=50,
    strategies=(
        StrategyConfig(name="ema_trend", params={"record_trades": 4}),
        StrategyConfig(name="mean_revert", params={"cost_multiple": 0.2}),
    ),
    cost_bps={"deriv": 5.6, "binance": 2.0},
)


@dataclass(frozen=True)
class Session:
    """Warm-up bars per series and the inputs that follow, in order."""

    warmups: tuple[Warmup, ...]
    inputs: tuple[Event, ...]


def bars(series: SeriesConfig, seed: int, count: int, hole_every: int) -> list[Bar]:
    """A trending wave with noise; every `hole_every` bars three are missing."""
    rng = np.random.Generator(np.random.PCG64(seed))
    close, made, at = 1000.0, [], START // series.interval_s
    for i in range(count):
        at += 4 if hole_every and i and i % hole_every == 0 else 1
        drift = 4e-4 * math.copysign(1.0, math.sin(at / 7.0))
        new = close * math.exp(drift + 2e-4 * float(rng.standard_normal()))
        made.append(
            Bar(
                id=f"{series.symbol}-{at}",
                ts_event=(at + 1) * series.interval_s * SECOND,
                venue=series.venue,
                symbol=series.symbol,
                interval_s=series.interval_s,
                open_time=at * series.interval_s * SECOND,
                open=close,
                high=max(close, new),
                low=min(close, new),
                close=new,
                volume=float(rng.random()),
            )
        )
        close = new
    return made


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    warm = draw(st.sampled_from((0, 30, 120)))
    live = draw(st.integers(60, 130))
    hole_every = draw(st.sampled_from((0, 37)))
    warmups, inputs = [], []
    for series in CONFIG.series:
        made = bars(series, draw(st.integers(0, 10_000)), warm + live, hole_every)
        engine = FeatureEngine(series.venue, series.symbol, series.interval_s)
        vectors = [vector for bar in made if (vector := engine.update(bar)) is not None]
        if warm:
            warmups.append(
                Warmup(
                    id=f"warm-{series.symbol}",
                    ts_event=made[warm - 1].ts_event,
                    venue=series.venue,
                    symbol=series.symbol,
                    interval_s=series.interval_s,
                    bars=tuple(made[:warm]),
                )
            )
        for i, vector in enumerate(vectors[warm:]):
            inputs.append(vector)
            if i % 9 == 0:
                score = draw(st.sampled_from((1.0, 1.0, 0.9, 0.2)))
                inputs.append(
                    FeedHealth(
                        id=f"health-{series.symbol}-{i}",
                        ts_event=vector.ts_event,
                        venue=series.venue,
                        symbol=series.symbol,
                        score=score,
                    )
                )
    return Session(tuple(warmups), tuple(inputs))


def warmed(session: Session) -> PredictStage:
    stage = PredictStage(CONFIG)
    for warmup in session.warmups:
        assert list(stage.apply(warmup, 0)) == []
    return stage


def run(stage: PredictStage, inputs: tuple[Event, ...] | list[Event]) -> list[bytes]:
    return [encode(output) for event in inputs for output in stage.apply(event, 7)]


@settings(max_examples=15, deadline=None)
@given(session=sessions(), cut=st.floats(0.0, 1.0), factor=st.floats(0.5, 2.0))
def test_what_comes_later_never_changes_what_was_said(session: Session, cut: float, factor: float) -> None:
    at = int(cut * len(session.inputs))
    other = list(session.inputs[:at])
    for event in session.inputs[at:]:
        if isinstance(event, Features):
            event = msgspec.structs.replace(event, close=event.close * factor, id=event.id + "x")
        other.append(event)
    prefix = run(warmed(session), session.inputs[:at])
    assert run(warmed(session), session.inputs)[: len(prefix)] == prefix
    assert run(warmed(session), other)[: len(prefix)] == prefix


@settings(max_examples=15, deadline=None)
@given(session=sessions(), cuts=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=3))
def test_a_restored_stage_goes_on_bit_for_bit(session: Session, cuts: list[float]) -> None:
    expected = run(warmed(session), session.inputs)
    stage, said, done = warmed(session), [], 0
    for at in sorted(int(cut * len(session.inputs)) for cut in cuts):
        said += run(stage, session.inputs[done:at])
        done = at
        snapshot = stage.snapshot()
        stage = build(msgspec.json.encode(CONFIG))
        stage.restore(snapshot)
        assert stage.snapshot() == snapshot
    said += run(stage, session.inputs[done:])
    assert said == expected
    assert stage.snapshot() == _final(session)


def _final(session: Session) -> bytes:
    stage = warmed(session)
    run(stage, session.inputs)
    return stage.snapshot()


@settings(max_examples=10, deadline=None)
@given(session=sessions(), data=st.data())
def test_repeats_and_latecomers_change_nothing(session: Session, data: st.DataObject) -> None:
    repeated: list[Event] = []
    for i, event in enumerate(session.inputs):
        repeated.append(event)
        if data.draw(st.booleans()):
            vectors = [e for e in session.inputs[: i + 1] if isinstance(e, Features)]
            repeated.append(vectors[data.draw(st.integers(0, len(vectors) - 1))])
        repeated += session.warmups[:1] if i == 5 else ()
    assert run(warmed(session), repeated) == run(warmed(session), session.inputs)


@settings(max_examples=10, deadline=None)
@given(session=sessions())
def test_every_bar_gets_one_forecast_per_agent_and_every_signal_names_its_causes(session: Session) -> None:
    stage = warmed(session)
    held: dict[tuple[str, str], int] = {}
    for event in session.inputs:
        outputs = stage.apply(event, 7)
        if not isinstance(event, Features):
            assert not outputs
            continue
        forecasts = [o for o in outputs if isinstance(o, Forecast)]
        assert [f.agent for f in forecasts] == ["volatility", "direction", "regime", "meta"]
        for forecast in forecasts:
            assert event.id in forecast.cause
            assert forecast.ts_event == event.ts_event
            assert forecast.ts_init == 7
            if forecast.abstention is None and forecast.p_up is not None:
                assert math.isclose(
                    (forecast.p_up or 0) + (forecast.p_down or 0) + (forecast.p_neutral or 0), 1.0, abs_tol=1e-9
                )
        for signal in outputs[:-4]:
            assert isinstance(signal, Signal)
            assert signal.cause == (event.id, *(f.id for f in forecasts))
            key = (signal.strategy, signal.symbol)
            before = held.get(key, 0)
            assert (signal.action.value == "enter") == (before == 0)
            held[key] = signal.side.sign if before == 0 else 0
            assert before in (0, -signal.side.sign)
