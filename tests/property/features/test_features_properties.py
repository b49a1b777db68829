"""What must hold for any bars: streaming equals batch, prefixes stand, snapshots continue, all bit for bit."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.kit import PLAIN
from libs.core.features.sets import CORE20
from libs.core.types import SECOND, Bar

INTERVAL = 5
EXAMPLES = settings(max_examples=5 if PLAIN else 100, deadline=None)


@st.composite
def histories(draw: st.DrawFn, least: int = 2, most: int = 200) -> list[Bar]:
    """Walks with jumps, flat stretches, holes, empty bars and any price level."""
    count = draw(st.integers(least, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    level = draw(st.sampled_from([1e-6, 0.5, 100.0, 65_000.0, 1e7]))
    scale = draw(st.sampled_from([0.0, 1e-6, 1e-3, 0.05]))
    holes = draw(st.sampled_from([0.0, 0.05, 0.3]))
    closes = level * np.exp(np.cumsum(rng.normal(0, scale, count)))
    spans = np.abs(rng.normal(0, scale, count))
    volumes = np.where(rng.random(count) < 0.2, 0.0, rng.lognormal(0, 3, count))
    number = draw(st.integers(0, 400_000_000))
    bars = []
    for close, span, volume in zip(closes.tolist(), spans.tolist(), volumes.tolist(), strict=True):
        number += 1 if rng.random() >= holes else int(rng.integers(2, 800))
        bars.append(
            Bar(
                id=f"b{number}",
                ts_event=(number + 1) * INTERVAL * SECOND,
                venue="binance",
                symbol="BTCUSDT",
                interval_s=INTERVAL,
                open_time=number * INTERVAL * SECOND,
                open=close,
                high=close * (1 + span),
                low=close / (1 + span),
                close=close,
                volume=volume,
            )
        )
    return bars


def engine() -> FeatureEngine:
    return FeatureEngine("binance", "BTCUSDT", INTERVAL, CORE20)


def stream(running: FeatureEngine, bars: list[Bar]) -> list[bytes | None]:
    made = [running.update(bar) for bar in bars]
    return [m.values if m is not None else None for m in made]


def rows(bars: list[Bar]) -> list[bytes | None]:
    matrix = engine().batch(Bars.of(bars))
    return [row.tobytes() if taken else None for row, taken in zip(matrix.values, matrix.taken, strict=True)]


@EXAMPLES
@given(histories())
def test_streaming_equals_batch(bars: list[Bar]) -> None:
    assert stream(engine(), bars) == rows(bars)


@EXAMPLES
@given(histories(), st.data())
def test_streaming_equals_batch_with_repeated_and_late_bars(bars: list[Bar], data: st.DataObject) -> None:
    disturbed = list(bars)
    for _ in range(data.draw(st.integers(1, 10))):
        at = data.draw(st.integers(0, len(disturbed)))
        disturbed.insert(at, bars[data.draw(st.integers(0, len(bars) - 1))])
    assert stream(engine(), disturbed) == rows(disturbed)


@EXAMPLES
@given(histories(), st.data())
def test_changing_a_later_bar_changes_nothing_before_it(bars: list[Bar], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(bars) - 2))
    factor = data.draw(st.sampled_from([1e-6, 0.5, 1.5, 1e6]))
    changed = bars[: at + 1] + [
        msgspec.structs.replace(
            bar,
            open=bar.open * factor,
            high=bar.high * factor,
            low=bar.low * factor,
            close=bar.close * factor,
            volume=bar.volume + 1e9,
        )
        for bar in bars[at + 1 :]
    ]
    assert rows(changed)[: at + 1] == rows(bars)[: at + 1]
    assert rows(bars[: at + 1]) == rows(bars)[: at + 1]


@EXAMPLES
@given(histories(), st.data())
def test_a_restored_engine_continues_where_the_snapshot_was_taken(bars: list[Bar], data: st.DataObject) -> None:
    whole = stream(engine(), bars)
    for at in data.draw(st.lists(st.integers(0, len(bars)), min_size=1, max_size=5)):
        first, second = engine(), engine()
        stream(first, bars[:at])
        second.restore(first.snapshot())
        assert stream(second, bars[at:]) == whole[at:]


@EXAMPLES
@given(histories(least=70), st.integers(2, 1_000))
def test_features_without_a_unit_of_price_do_not_depend_on_the_price_level(bars: list[Bar], factor: int) -> None:
    """A power of two scales every float exactly, so these must agree to the last bit but for logarithms."""
    scale = 2.0 ** (factor % 10)
    scaled = [
        msgspec.structs.replace(b, open=b.open * scale, high=b.high * scale, low=b.low * scale, close=b.close * scale)
        for b in bars
    ]
    ours, theirs = engine().batch(Bars.of(bars)).values, engine().batch(Bars.of(scaled)).values
    for name in ("rsi_14", "bb_pct_b_20", "bb_width_20", "donchian_pos_20", "z_price_20"):
        column = CORE20.index(name)
        np.testing.assert_array_equal(ours[:, column], theirs[:, column])
