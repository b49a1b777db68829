"""The features stage: silent warm-up, one vector per live bar, restarts that continue."""

from __future__ import annotations

import msgspec
import pytest

from libs.core.features.sets import CORE20
from libs.core.stages.features import FeaturesConfig, FeaturesStage, FeaturesSymbol, build
from libs.core.types import SECOND, Bar, Event, Features, TimePassed, Warmup

CONFIG = FeaturesConfig(
    symbols=(
        FeaturesSymbol(venue="deriv", symbol="R_100", intervals_s=(1, 5)),
        FeaturesSymbol(venue="binance", symbol="BTCUSDT", intervals_s=(5,)),
    )
)


def bar(number: int, venue: str = "deriv", symbol: str = "R_100", interval_s: int = 5) -> Bar:
    close = 100.0 + (number * 7919 % 101) / 50
    return Bar(
        id=f"{symbol}-{interval_s}-{number}",
        ts_event=(number + 1) * interval_s * SECOND,
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        open_time=number * interval_s * SECOND,
        open=close,
        high=close + 0.5,
        low=close - 0.5,
        close=close,
        volume=1.0 + number % 3,
    )


def warmup(numbers: range) -> Warmup:
    bars = tuple(bar(n) for n in numbers)
    return Warmup(id="w", ts_event=bars[-1].ts_event, venue="deriv", symbol="R_100", interval_s=5, bars=bars)


def only(outputs: object) -> Features:
    assert isinstance(outputs, tuple)
    assert len(outputs) == 1
    return outputs[0]


def test_warm_up_is_silent_and_the_next_live_bar_is_warm() -> None:
    stage = FeaturesStage(CONFIG)
    assert list(stage.apply(warmup(range(CORE20.warmup)), 0)) == []
    assert only(stage.apply(bar(CORE20.warmup), 42)).warm
    assert only(stage.apply(bar(CORE20.warmup + 1), 42)).ts_init == 42


def test_without_history_the_vector_says_that_it_is_cold() -> None:
    assert not only(FeaturesStage(CONFIG).apply(bar(0), 0)).warm


@pytest.mark.parametrize(
    "event",
    [
        bar(1, symbol="R_50"),
        bar(1, interval_s=60),
        bar(1, venue="binance", symbol="BTCUSDT", interval_s=1),
        TimePassed(id="t", ts_event=1, venue="deriv"),
    ],
    ids=["symbol", "interval", "interval of another symbol", "no bar"],
)
def test_what_is_not_configured_gives_nothing(event: Event) -> None:
    stage = FeaturesStage(CONFIG)
    before = stage.snapshot()
    assert list(stage.apply(event, 0)) == []
    assert stage.snapshot() == before


def test_a_bar_delivered_twice_gives_one_vector() -> None:
    stage = FeaturesStage(CONFIG)
    only(stage.apply(bar(3), 0))
    assert list(stage.apply(bar(3), 0)) == []
    assert list(stage.apply(bar(2), 0)) == []


def test_a_warm_up_that_overlaps_continues_after_the_last_known_bar() -> None:
    straight, overlapped = FeaturesStage(CONFIG), FeaturesStage(CONFIG)
    straight.apply(warmup(range(100)), 0)
    overlapped.apply(warmup(range(60)), 0)
    overlapped.apply(warmup(range(30, 100)), 0)
    assert overlapped.snapshot() == straight.snapshot()
    assert only(overlapped.apply(bar(100), 0)) == only(straight.apply(bar(100), 0))


def test_a_warm_up_that_leaves_a_hole_starts_the_engine_anew() -> None:
    fresh, stale = FeaturesStage(CONFIG), FeaturesStage(CONFIG)
    stale.apply(warmup(range(50)), 0)
    stale.apply(warmup(range(51, 150)), 0)
    fresh.apply(warmup(range(51, 150)), 0)
    assert stale.snapshot() == fresh.snapshot()


def test_an_empty_warm_up_changes_nothing() -> None:
    stage = FeaturesStage(CONFIG)
    before = stage.snapshot()
    empty = Warmup(id="w", ts_event=0, venue="deriv", symbol="R_100", interval_s=5, bars=())
    assert list(stage.apply(empty, 0)) == []
    assert stage.snapshot() == before


def test_symbols_and_intervals_do_not_touch_each_other() -> None:
    stage, alone = FeaturesStage(CONFIG), FeaturesStage(CONFIG)
    for number in range(80):
        alone.apply(bar(number), 0)
        stage.apply(bar(number), 0)
        stage.apply(bar(number, interval_s=1), 0)
        stage.apply(bar(number, venue="binance", symbol="BTCUSDT"), 0)
    assert only(stage.apply(bar(80), 0)) == only(alone.apply(bar(80), 0))


def test_a_restored_stage_continues_bit_for_bit() -> None:
    whole = FeaturesStage(CONFIG)
    for number in range(90):
        whole.apply(bar(number), 0)
    restored = FeaturesStage(CONFIG)
    restored.restore(whole.snapshot())
    assert only(restored.apply(bar(90), 0)) == only(whole.apply(bar(90), 0))


def test_a_snapshot_of_other_symbols_leaves_new_ones_cold_and_restores_the_shared() -> None:
    whole = FeaturesStage(CONFIG)
    for number in range(90):
        whole.apply(bar(number), 0)
    changed = FeaturesStage(
        FeaturesConfig(
            symbols=(
                FeaturesSymbol(venue="deriv", symbol="R_100", intervals_s=(5,)),
                FeaturesSymbol(venue="deriv", symbol="R_50", intervals_s=(5,)),
            )
        )
    )
    changed.restore(whole.snapshot())
    assert only(changed.apply(bar(90), 0)).warm
    assert not only(changed.apply(bar(90, symbol="R_50"), 0)).warm


@pytest.mark.parametrize("damage", [b"", b"x", b"\x83"])
def test_a_damaged_snapshot_is_refused_and_nothing_changes(damage: bytes) -> None:
    stage = FeaturesStage(CONFIG)
    stage.apply(bar(0), 0)
    before = stage.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        stage.restore(damage)
    assert stage.snapshot() == before


def test_it_is_built_from_the_configuration_on_record() -> None:
    stage = build(msgspec.json.encode(CONFIG))
    assert set(stage.engines) == {("deriv", "R_100", 1), ("deriv", "R_100", 5), ("binance", "BTCUSDT", 5)}
    assert stage.next_deadline("deriv") is None


@pytest.mark.parametrize("config", [b"{}", b"nonsense", b'{"symbols": [], "set": "core21"}'])
def test_a_wrong_configuration_is_refused(config: bytes) -> None:
    with pytest.raises(ValueError):
        build(config)
