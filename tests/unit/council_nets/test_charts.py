"""Charts: what is drawn where, the same for one as for many, and the same for prices at any level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nets_world import world

from libs.core.agents.charts import BARS, CANDLES, LOOK, MEAN, SIDE, VOLUME, WICK, charts, upside_down
from libs.research.training.pattern_labels import CLASSES, labels_of

SEEDS = st.integers(0, 10_000)


def walk(seed: int, count: int = LOOK) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Open, high, low, close, volume of bars about 100."""
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.normal(0.0, 1.0, count))
    opened = np.concatenate([[100.0], close[:-1]]) + rng.normal(0.0, 0.2, count)
    wick = rng.exponential(0.5, (2, count))
    top, bottom = np.maximum(opened, close) + wick[0], np.minimum(opened, close) - wick[1]
    return np.column_stack([opened, top, bottom, close, rng.exponential(5.0, count)])


def through(points: list[tuple[int, float]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Bars whose closes run straight from point to point; bar 0 is the first of the chart."""
    at, price = zip(*points, strict=True)
    close = np.interp(np.arange(-(LOOK - BARS), BARS), at, price)
    opened = np.concatenate([close[:1], close[:-1]])
    top, bottom = np.maximum(opened, close) + 0.01, np.minimum(opened, close) - 0.01
    return np.column_stack([opened, top, bottom, close, np.ones(LOOK)])


def newest(bars: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> set[str]:
    """Names of what the last bar is labelled with."""
    return {name for name, shown in zip(CLASSES, labels_of(bars)[-1], strict=True) if shown}


def test_a_chart_shows_each_bar_where_its_prices_are() -> None:
    bars = np.tile([50.0, 50.0, 50.0, 50.0, 1.0], (LOOK, 1))
    bars[-2] = [40.0, 82.0, 19.0, 60.0, 4.0]
    bars[-1] = [60.0, 70.0, 30.0, 40.0, 2.0]
    (image,), (drawn,) = charts(bars, np.array([LOOK - 1]))
    assert drawn
    rising, falling = image[CANDLES, :, 60:62], image[CANDLES, :, 62:64]
    assert rising[22:43].tolist() == [[1.0, 1.0]] * 21
    assert rising[:22].tolist() == [[WICK, 0.0]] * 22
    assert rising[43:].tolist() == [[WICK, 0.0]] * 21
    assert falling[22:43].tolist() == [[-1.0, -1.0]] * 21
    assert not falling[:12].any()
    assert not falling[53:].any()
    assert image[VOLUME].sum(axis=0)[-4:].tolist() == [64.0, 64.0, 32.0, 32.0]
    assert image[VOLUME, -1].all()
    assert image[MEAN].sum(axis=0).tolist() == [1.0] * SIDE
    assert image[MEAN, 32, 0] == 1.0


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_one_chart_is_what_it_is_among_many(seed: int) -> None:
    bars = walk(seed, LOOK + 20)
    before = bars.copy()
    ends = np.arange(LOOK - 3, len(bars))
    many, drawn = charts(bars, ends)
    assert drawn.tolist() == [False, False] + [True] * (len(ends) - 2)
    for i in range(2, len(ends)):
        (one,), _ = charts(bars[ends[i] - LOOK + 1 : ends[i] + 1], np.array([LOOK - 1]))
        assert np.array_equal(one, many[i])
    assert np.array_equal(bars, before)


@given(SEEDS, st.integers(-8, 8))
@settings(max_examples=30, deadline=None)
def test_neither_the_price_level_nor_the_unit_of_volume_shows(seed: int, power: int) -> None:
    bars = walk(seed)
    scaled = bars * np.array([2.0**power] * 4 + [2.0**-power])
    for one, other in zip(charts(bars, np.array([LOOK - 1])), charts(scaled, np.array([LOOK - 1])), strict=True):
        assert np.array_equal(one, other)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_mirrored_prices_give_the_chart_upside_down(seed: int) -> None:
    bars = walk(seed)
    mirrored = np.column_stack([200.0 - bars[:, [0, 2, 1, 3]], bars[:, 4]])
    image, turned = charts(bars, np.array([LOOK - 1]))[0], charts(mirrored, np.array([LOOK - 1]))[0]
    assert np.array_equal(upside_down(image), turned)
    assert np.array_equal(upside_down(turned), image)


@pytest.mark.parametrize("spoil", ["short", "still", "hole"])
def test_without_prices_that_move_there_is_no_chart(spoil: str) -> None:
    bars = walk(1)
    if spoil == "short":
        bars = bars[1:]
    elif spoil == "still":
        bars[:, :4] = 100.0
    else:
        bars[5, 3] = np.nan
    images, drawn = charts(bars, np.array([len(bars) - 1]))
    assert not drawn.any()
    assert not images.any()


def test_a_bar_without_volume_is_drawn_without() -> None:
    bars = walk(1)
    bars[:, 4] = np.nan
    images, drawn = charts(bars, np.array([LOOK - 1]))
    assert drawn.all()
    assert not images[0, VOLUME].any()
    assert images[0, CANDLES].any()


SHAPES: dict[str, list[tuple[int, float]]] = {
    "double_top": [(-9, 0.0), (0, 0.0), (8, 10.0), (15, 4.0), (23, 10.0), (31, 5.0)],
    "head_and_shoulders": [(-9, 0.0), (0, 0.0), (6, 7.0), (10, 4.0), (16, 10.0), (22, 4.0), (26, 7.0), (31, 3.5)],
    "bull_flag": [(-9, 0.0), (8, 0.0), (20, 10.0), (26, 8.5), (31, 8.0)],
    "triangle": [
        (-9, 0.0), (0, 0.0), (4, 10.0), (9, 1.0), (14, 8.5), (18, 2.5), (22, 7.0), (26, 4.0), (29, 6.0), (31, 5.0),
    ],
}  # fmt: skip
MIRRORED = {"double_top": "double_bottom", "head_and_shoulders": "inverse_head_and_shoulders", "bull_flag": "bear_flag"}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_called_by_its_name_and_its_mirror_image_by_the_other(name: str) -> None:
    shown = newest(100.0 + through(SHAPES[name]))
    other = newest(100.0 + through([(at, -price) for at, price in SHAPES[name]]))
    assert name in shown
    assert MIRRORED.get(name, name) in other
    assert not {MIRRORED.get(name)} & shown


def test_a_straight_line_has_no_shape() -> None:
    assert not newest(100.0 + through([(-9, 0.0), (31, 10.0)])) & {*SHAPES, *MIRRORED.values()}


def test_labels_look_back_only() -> None:
    bars = world().ohlcv[:400]
    assert np.array_equal(labels_of(bars)[:300], labels_of(bars[:300]), equal_nan=True)
