"""A recorded session: the stage gives what the batch gives, snapshots or not, and both what a recount gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.flow import rows
from libs.core.features.inputs import EXTRA
from libs.core.features.sets import FULL
from libs.core.stages.features import FeaturesConfig, FeaturesStage, FeaturesSymbol
from libs.core.types import Event, Features, decode, encode
from tests.unit.features.oracles import oracles_flow
from tests.unit.features.oracles.flow_world import World, recorded_world
from tests.unit.features.oracles.registry import Floats, Values

CONFIG = FeaturesConfig(symbols=(FeaturesSymbol(venue="binance", symbol="ETHUSDT", intervals_s=(1,)),), set="full")
NAMES = {"trade_count": "trades", "book_pressure": "pressure"}
"""Features whose input has another name."""


@pytest.fixture(scope="module")
def world() -> World:
    found = recorded_world("ethusdt")
    if found is None:
        pytest.skip("the recorded Binance sessions are not on this machine")
    return found


@pytest.fixture(scope="module")
def extras(world: World) -> Floats:
    return rows(world.events, world.bars)


def vectors(stage: FeaturesStage, events: list[Event]) -> list[bytes]:
    made = [output for event in events for output in stage.apply(event, 0)]
    return [each.values for each in made if isinstance(each, Features)]


def test_streaming_and_batch_agree_bit_for_bit(world: World, extras: Floats) -> None:
    streamed = vectors(FeaturesStage(CONFIG), list(world.events))
    batch = FeatureEngine("binance", "ETHUSDT", 1, FULL).batch(Bars.of(world.bars), extras)
    assert len(streamed) == len(world.bars) > 300
    assert b"".join(streamed) == batch.values.astype("<f8").tobytes()


def test_a_stage_restored_in_the_middle_of_a_bar_goes_on_bit_for_bit(world: World) -> None:
    events = list(world.events)
    whole = vectors(FeaturesStage(CONFIG), events)
    for cut in (len(events) // 3, len(events) - 700):
        first, second = FeaturesStage(CONFIG), FeaturesStage(CONFIG)
        made = vectors(first, events[:cut])
        second.restore(first.snapshot())
        made += vectors(second, [decode(encode(event)) for event in events[cut:]])
        assert made == whole


def test_messages_that_a_restart_reads_again_change_nothing(world: World) -> None:
    events = list(world.events)
    cut = 2 * len(events) // 3
    stage = FeaturesStage(CONFIG)
    made = vectors(stage, events[:cut])
    assert vectors(stage, events[cut - 500 : cut]) == []
    assert made + vectors(stage, events[cut:]) == vectors(FeaturesStage(CONFIG), events)


@pytest.mark.parametrize(
    "recount",
    [
        oracles_flow.trade_flow_of,
        oracles_flow.trade_sizes_of,
        oracles_flow.large_trades_of,
        oracles_flow.book_of,
        lambda world: oracles_flow.frequencies_of(world, 1000),
        lambda world: oracles_flow.uniformity_of(world, 100),
        oracles_flow.streaks_of,
        lambda world: {"intensity": oracles_flow.intensity_of(world)},
    ],
    ids=["trades", "sizes", "large", "book", "frequencies", "uniformity", "streaks", "intensity"],
)
def test_the_recorded_session_counted_again_gives_the_same(
    world: World, extras: Floats, recount: Callable[[World], Values]
) -> None:
    for name, expected in recount(world).items():
        column = NAMES.get(name, name.replace("bp", "") if name.startswith("depth") else name)
        ours = extras[EXTRA.index(column)]
        assert np.isfinite(ours).any(), name
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_prints_counted_in_bars_are_those_of_the_bars_themselves(world: World, extras: Floats) -> None:
    known = ~np.isnan(extras[EXTRA.index("trades")])
    counted = extras[EXTRA.index("trades")][known]
    volume = (extras[EXTRA.index("buy_volume")] + extras[EXTRA.index("sell_volume")])[known]
    bars = [bar for bar, heard in zip(world.bars, known, strict=True) if heard]
    assert len(bars) == len(world.bars) - 1
    assert counted.tolist() == [bar.trades for bar in bars]
    np.testing.assert_allclose(volume, [bar.volume for bar in bars], rtol=1e-12)
    np.testing.assert_allclose(extras[EXTRA.index("buy_volume")][known], [bar.buy_volume for bar in bars], atol=1e-12)
