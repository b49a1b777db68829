"""The predict service on a bus: history first, then forecasts and signals; its state outlives a kill."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from predict_house import BARS, START, VECTORS, WARM, House, settings, until

from libs.common.bus import BusError, MemoryBus
from libs.common.settings import ConfigError, Settings, load_settings
from libs.core.stages.predict import PredictStage, build
from libs.core.types import (
    Applied,
    Event,
    Forecast,
    Inline,
    Restored,
    Signal,
    Started,
    Warmup,
    decode,
)
from services.predict import app as app_module
from services.predict import state
from services.predict.settings import predict_config, round_trip_bps

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


async def test_not_ready_says_what_it_waits_for_until_history_is_in(house: House) -> None:
    predict = await house.start(clock_s=None)
    await until(lambda: predict.not_ready() == ["waiting for the clock of deriv"])
    await house.tick_clock(START + WARM)
    await until(lambda: any("nobody serves req.history.deriv" in reason for reason in predict.not_ready()))
    await house.open_market()
    await house.ready(predict)
    assert predict.info()["series"] == {"deriv PLANTED 1s": WARM}


async def test_live_vectors_become_forecasts_and_signals_on_the_bus(house: House) -> None:
    await house.open_market()
    predict = await house.start()
    await house.ready(predict)
    await house.live(WARM, WARM + 120)
    spoke = [f for f in house.events(Forecast) if f.abstention is None]
    assert {f.agent for f in spoke} == {"volatility", "direction", "regime", "meta"}
    signals = house.events(Signal)
    assert signals
    ids = {f.id for f in house.events(Forecast)} | {v.id for v in VECTORS}
    assert all(set(signal.cause) <= ids for signal in signals)


async def test_the_journal_rebuilds_every_output(house: House) -> None:
    await house.open_market()
    await house.ready(await house.start())
    await house.live(WARM, WARM + 60)
    for predict, _ in house.running:
        await predict.drain()
    by_ref = {(m[0], m[2], m[3]): decode(m[1]) for stream in house.broker.messages.values() for m in stream}
    stage: PredictStage | None = None
    rebuilt: list[Event] = []
    for applied in house.events(Applied):
        for entry in applied.entries:
            if isinstance(entry, Inline):
                event = decode(entry.payload)
            else:
                event = by_ref[(entry.subject, entry.epoch, entry.seq)]
            if isinstance(event, Started):
                stage = build(event.config)
            assert stage is not None
            rebuilt += stage.apply(event, 0)
    published = house.events(Forecast) + house.events(Signal)
    assert len(published) > 200
    bare = {(e.id, e.ts_event, repr(e).replace(f"ts_init={e.ts_init}", "")) for e in published}
    assert {(e.id, e.ts_event, repr(e).replace("ts_init=0", "")) for e in rebuilt} == bare


async def test_a_killed_service_takes_up_where_it_was_and_misses_no_bar(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "OVERLAP_NS", 0)
    await house.open_market()
    await house.ready(await house.start())
    await house.live(WARM, WARM + 50)
    last_seen = VECTORS[WARM + 40].bar_time
    await until(lambda: _saved_last(house) >= last_seen)
    await house.kill()
    for vector in VECTORS[WARM + 50 : WARM + 60]:
        await house.venue.publish(vector)
    house.history = BARS[: WARM + 60]
    await house.ready(await house.start(START + WARM + 60))
    await house.live(WARM + 60, WARM + 120)
    times = {f.bar_time for f in house.events(Forecast) if f.agent == "meta"}
    assert times == {v.bar_time for v in VECTORS[WARM : WARM + 120]}
    inline = [decode(e.payload) for a in house.events(Applied) for e in a.entries if isinstance(e, Inline)]
    assert sum(isinstance(event, Restored) for event in inline) == 1
    assert sum(isinstance(event, Warmup) for event in inline) == 1
    uninterrupted = PredictStage(predict_config(settings()))
    uninterrupted.apply(next(event for event in inline if isinstance(event, Warmup)), 0)
    expected = [s.id for v in VECTORS[WARM : WARM + 120] for s in uninterrupted.apply(v, 0) if isinstance(s, Signal)]
    assert [s.id for s in house.events(Signal)] == expected


def _saved_last(house: House) -> int:
    entry = house.broker.buckets[state.BUCKET].get(state.KEY)
    if entry is None:
        return -1
    stage = PredictStage(predict_config(settings()))
    stage.restore(msgspec.msgpack.decode(entry[0], type=state.Saved).stage)
    return stage.last_bar(stage.series[0]) or -1


async def test_a_recording_played_again_does_not_meet_a_state_from_its_own_future(house: House) -> None:
    await house.open_market()
    await house.ready(await house.start())
    await house.live(WARM, WARM + 50)
    await until(lambda: _saved_last(house) >= VECTORS[WARM + 40].bar_time)
    await house.kill()
    await house.ready(await house.start(START + 10))
    inline = [decode(e.payload) for a in house.events(Applied) for e in a.entries if isinstance(e, Inline)]
    assert not any(isinstance(event, Restored) for event in inline)


async def test_a_saved_state_that_cannot_be_read_is_left_alone(house: House) -> None:
    await house.open_market()
    await house.venue.kv_put(state.BUCKET, state.KEY, b"torn")
    await house.ready(await house.start())
    await house.venue.kv_put(state.BUCKET, state.KEY, b"torn again")
    await until(lambda: house.broker.buckets[state.BUCKET][state.KEY][0] != b"torn again")


async def test_a_venue_without_history_is_ready_and_warms_up_live(house: House) -> None:
    await house.open_market()
    house.history = []
    await house.ready(await house.start())
    await house.live(WARM, WARM + 3)
    meta = house.said("meta", VECTORS[WARM])
    assert meta is not None
    assert meta.abstention == "warming_up"


async def test_a_bus_that_cannot_save_does_not_stop_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.open_market()
    tried = 0

    async def refuse(*_: object) -> int:
        nonlocal tried
        tried += 1
        raise BusError("bucket gone")

    monkeypatch.setattr(MemoryBus, "kv_put", refuse)
    await house.ready(await house.start())
    await until(lambda: tried >= 2)
    await house.live(WARM, WARM + 3)
    assert not any(task.done() for _, chassis in house.running for task in chassis.tasks)


async def test_a_paused_service_takes_its_vectors_when_resumed(house: House) -> None:
    await house.open_market()
    await house.ready(await house.start())
    _, chassis = house.running[0]
    for callback in chassis.on_pause:
        callback(True)
    await house.venue.publish(VECTORS[WARM])
    await asyncio.sleep(0.05)
    assert house.said("meta", VECTORS[WARM]) is None
    for callback in chassis.on_pause:
        callback(False)
    await until(lambda: house.said("meta", VECTORS[WARM]) is not None)


def test_the_example_configuration_makes_a_stage() -> None:
    made = predict_config(load_settings(EXAMPLE))
    PredictStage(made)
    assert {(s.symbol, s.interval_s) for s in made.series} >= {("PLANTED", 1), ("PLANTED", 5), ("BTCUSDT", 1)}
    assert made.cost_bps["binance"] == pytest.approx(2 * 10 + 2 * 0.5 + 1)
    assert made.cost_bps["deriv"] == pytest.approx(2 * 0.5 + 1 + 3.6)


def test_wrong_strategy_settings_name_their_place() -> None:
    raw = settings().model_dump()
    raw["trading"]["strategies"] = [{"name": "mean_revert"}, {"name": "ema_trend", "params": {"fats": 3, "slow": 2}}]
    with pytest.raises(ConfigError) as caught:
        predict_config(Settings.model_validate(raw))
    assert len(caught.value.problems) == 2
    assert all(line.startswith("trading.strategies[1].params: ema_trend.") for line in caught.value.problems)


def test_disabled_strategies_stay_out_and_costs_follow_the_paper_venue() -> None:
    raw = settings().model_dump()
    raw["trading"]["strategies"] = [
        {"name": "ema_trend", "enabled": False},
        {"name": "mean_revert", "intervals": ["5s"]},
    ]
    raw["trading"]["paper"] = {"fee_bps": {"deriv": 3}, "slippage_bps": 1, "spread_bps": 2}
    configured = Settings.model_validate(raw)
    made = predict_config(configured)
    assert [(s.name, s.intervals_s) for s in made.strategies] == [("mean_revert", (5,))]
    assert round_trip_bps(configured, "deriv") == pytest.approx(2 * 3 + 2 * 1 + 2 + 3.6)
