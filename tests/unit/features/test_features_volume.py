"""Volume, profile and the cost of trading in situations with a known answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.grid import OFF, grid_of
from libs.core.features.inputs import EXTRA
from libs.core.features.kit import PLAIN
from libs.core.features.sets import make_set
from libs.core.types import SECOND

Floats = NDArray[np.float64]

HOUR = 3600
MIDNIGHT = 475_200  # number of an hour that begins a day


def bars_of(high: Floats, low: Floats, close: Floats, volume: Floats, first: int = MIDNIGHT) -> Bars:
    """One-hour bars."""
    return Bars(
        open_time=(first + np.arange(len(close))) * HOUR * SECOND,
        open=close.copy(),
        high=high,
        low=low,
        close=close,
        volume=volume,
    )


def flat(price: Floats, volume: Floats) -> Bars:
    """Bars that each stand at one price."""
    return bars_of(price, price, price, volume)


def computed(bars: Bars, entry: str, extras: Mapping[str, Floats] | None = None) -> dict[str, Floats]:
    features = make_set("test", (entry,))
    rows = None
    if extras is not None:
        rows = np.full((len(EXTRA), len(bars)), np.nan)
        for name, values in extras.items():
            rows[EXTRA.index(name)] = values
    values = FeatureEngine("binance", "BTCUSDT", HOUR, features).batch(bars, rows).values
    return dict(zip(features.names, values.T, strict=True))


def walk(count: int, seed: int = 9) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, count)))
    up, down = np.abs(rng.normal(0.0, 1e-3, (2, count)))
    return bars_of(close * (1.0 + up), close * (1.0 - down), close, rng.lognormal(1.0, 1.0, count))


def test_session_vwap_begins_anew_with_the_day() -> None:
    price = np.concatenate([np.full(24, 10.0), np.full(24, 20.0)])
    price[[0, 24]] = 12.0
    made = computed(flat(price, np.ones(48)), "vwap_session")["vwap_session"]
    assert np.isnan(made[0])
    assert made[23] == pytest.approx((12.0 + 23 * 10.0) / 24)
    assert made[24] == 12.0
    assert made[47] == pytest.approx((12.0 + 23 * 20.0) / 24)


def test_session_vwap_follows_the_sessions_of_the_exchange() -> None:
    friday = grid_of("us_stocks", HOUR)
    hours = np.arange(475_200 - 24 * 14, 475_200, dtype=np.int64)
    numbers, sessions, _ = friday.places(hours * HOUR * SECOND)
    open_hours, sessions = hours[numbers != OFF], sessions[numbers != OFF]
    price = np.arange(1.0, len(open_hours) + 1.0)
    bars = msgspec.structs.replace(flat(price, np.ones(len(price))), open_time=open_hours * HOUR * SECOND)
    values = FeatureEngine("alpaca", "SPY", HOUR, make_set("test", ("vwap_session",))).batch(bars).values[:, 0]
    for session in np.unique(sessions)[1:]:
        of_session = sessions == session
        expected = np.cumsum(price[of_session]) / np.arange(1.0, of_session.sum() + 1.0)
        assert values[of_session] == pytest.approx(expected, rel=1e-12)


def test_a_bar_without_volume_leaves_the_vwap_where_it_is() -> None:
    price, volume = np.array([10.0, 20.0, 99.0, 30.0]), np.array([1.0, 1.0, 0.0, 1.0])
    made = computed(flat(price, volume), "vwap_session")["vwap_session"]
    assert made[1:].tolist() == [15.0, 15.0, 20.0]


def test_vwap_of_a_window_without_volume_is_the_newest_price() -> None:
    price, volume = np.linspace(10.0, 20.0, 200), np.where(np.arange(200) < 100, 1.0, 0.0)
    made = computed(flat(price, volume), "vwap(n=60)")["vwap_60"]
    assert made[99] == pytest.approx(price[40:100].mean())
    np.testing.assert_allclose(made[159:], price[159:], rtol=1e-15)


def test_volume_that_only_rises_with_the_price_gives_the_steepest_balance() -> None:
    rising = computed(flat(np.arange(1.0, 61.0), np.ones(60)), "obv_slope(n=20)")["obv_slope_20"]
    falling = computed(flat(np.arange(61.0, 1.0, -1.0), np.ones(60)), "obv_slope(n=20)")["obv_slope_20"]
    np.testing.assert_allclose(rising[19:], 1.0 / 20.0)
    np.testing.assert_allclose(falling[19:], -1.0 / 20.0)


def test_closes_at_the_high_are_all_bought() -> None:
    low, high = np.full(5, 9.0), np.full(5, 11.0)
    bars = bars_of(high, low, np.array([11.0, 9.0, 10.0, 10.5, 11.0]), np.full(5, 4.0))
    assert computed(bars, "delta_proxy")["delta_proxy"].tolist() == [4.0, -4.0, 0.0, 2.0, 4.0]
    assert computed(bars, "ad_line")["ad_line"].tolist() == [4.0, 0.0, 0.0, 2.0, 6.0]


def test_cumulative_delta_says_nothing_of_bars_whose_trades_are_unknown() -> None:
    bought, sold = np.array([3.0, np.nan, 5.0, 1.0]), np.array([1.0, np.nan, 2.0, 4.0])
    bars = flat(np.full(4, 10.0), np.ones(4))
    made = computed(bars, "cumulative_delta", {"buy_volume": bought, "sell_volume": sold})["cum_delta"]
    np.testing.assert_array_equal(made, [2.0, np.nan, 5.0, 2.0])
    assert np.isnan(computed(bars, "cumulative_delta")["cum_delta"]).all()


def test_the_profile_finds_where_most_was_traded_and_the_value_area_around_it() -> None:
    price = np.exp(np.linspace(np.log(100.0), np.log(200.0), 241))
    volume = np.ones(241)
    volume[180] = 1_000.0  # three quarters up
    made = computed(flat(price, volume), "volume_profile(n=240)")
    step = np.log(price[240] / price[1]) / 50
    assert np.isnan(made["vp_poc_240"][:240]).all()
    assert abs(np.log(made["vp_poc_240"][240] / price[180])) <= step
    # That bar alone holds more than seven tenths: the area is its bin.
    assert np.log(made["vp_high_240"][240] / made["vp_low_240"][240]) == pytest.approx(step)
    assert made["vp_low_240"][240] < made["vp_poc_240"][240] < made["vp_high_240"][240]


def test_even_volume_has_a_value_area_of_seven_tenths_of_the_range() -> None:
    low, high = np.full(300, 100.0), np.full(300, 200.0)
    made = computed(bars_of(high, low, np.full(300, 150.0), np.full(300, 7.0)), "volume_profile(n=240)")
    area = np.log(made["vp_high_240"][240:] / made["vp_low_240"][240:])
    np.testing.assert_allclose(area, 0.7 * np.log(2.0))


def test_the_profile_of_a_market_without_range_or_volume_is_its_price() -> None:
    still = computed(flat(np.full(300, 123.0), np.ones(300)), "volume_profile(n=240)")
    for values in still.values():
        np.testing.assert_allclose(values[240:], 123.0)
    bars = walk(300)
    silent = computed(bars_of(bars.high, bars.low, bars.close, np.zeros(300)), "volume_profile(n=240)")
    middle = np.sqrt(bars.high[-240:].max() * bars.low[-240:].min())
    for values in silent.values():
        assert values[-1] == pytest.approx(middle)


@settings(max_examples=80 if not PLAIN else 2, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(5, 60),
    bins=st.integers(2, 20),
    span=st.integers(1, 12),
    quiet=st.floats(0.0, 0.9),
    start=st.integers(1, 200),
)
def test_the_profile_depends_on_its_window_alone(
    seed: int, n: int, bins: int, span: int, quiet: float, start: int
) -> None:
    """Coarse prices and volumes make bins that are exactly equal: the same one must be chosen whatever was before."""
    rng = np.random.default_rng(seed)
    count = 400
    close = 100.0 + rng.integers(0, span, count) * 0.5
    volume = np.where(rng.random(count) < quiet, 0.0, rng.integers(1, 4, count)) * rng.choice([1.0, 1e6], count)
    bars = bars_of(close + rng.integers(0, 3, count) * 0.5, close - rng.integers(0, 2, count) * 0.25, close, volume)
    entry = f"volume_profile(n={n},bins={bins})"
    whole = computed(bars, entry)
    late = bars_of(bars.high[start:], bars.low[start:], close[start:], volume[start:], first=MIDNIGHT + start)
    for name, values in computed(late, entry).items():
        np.testing.assert_array_equal(values[n:], whole[name][start + n :])


def test_amihud_leaves_out_bars_without_volume() -> None:
    price = 100.0 * np.exp(0.01 * (np.arange(121) % 2))
    volume = np.where(np.arange(121) % 2, 5.0, 0.0)
    made = computed(flat(price, volume), "amihud(n=60)")["amihud_60"]
    assert made[-1] == pytest.approx(1e6 * 0.01 / (5.0 * 100.0 * np.exp(0.01)))


def test_kyle_finds_the_impact_that_is_there_and_waits_for_a_whole_window_of_flow() -> None:
    rng = np.random.default_rng(8)
    flow = rng.normal(0.0, 10.0, 500)
    flow[200] = np.nan
    extras = {"signed_volume": flow, "mid_change": 0.03 * flow}
    made = computed(walk(500), "kyle(n=120)", extras)["kyle_120"]
    known = ~np.isnan(made)
    np.testing.assert_array_equal(np.flatnonzero(known), [*range(120, 200), *range(320, 500)])
    np.testing.assert_allclose(made[known], 0.03, rtol=1e-12)


def test_kyle_of_a_market_in_which_nobody_trades_is_nothing() -> None:
    extras = {"signed_volume": np.zeros(300), "mid_change": np.full(300, 0.5)}
    assert not computed(walk(300), "kyle(n=120)", extras)["kyle_120"][120:].any()


def test_corwin_schultz_finds_a_spread_around_a_price_that_does_not_move() -> None:
    """With no volatility each bar runs from bid to ask, and so do two of them."""
    bid, ask = np.full(10, 99.5), np.full(10, 100.5)
    made = computed(bars_of(ask, bid, np.full(10, 100.0), np.ones(10)), "corwin_schultz")["corwin_schultz"]
    assert np.isnan(made[0])
    np.testing.assert_allclose(made[1:], 2.0 * (100.5 - 99.5) / (100.5 + 99.5), rtol=1e-3)


def test_a_gap_between_two_bars_is_no_spread() -> None:
    high, low = np.array([100.0, 120.0]), np.array([99.9, 119.9])
    assert computed(bars_of(high, low, high, np.ones(2)), "corwin_schultz")["corwin_schultz"][1] == 0.0
