"""Trend, bands and volatility in situations with a known answer: worked numbers, standstills, crashes, long runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.sets import FULL, make_set
from libs.core.types import SECOND

Floats = NDArray[np.float64]

MINUTE = 60


def bars_of(
    close: Sequence[float] | Floats,
    *,
    high: Sequence[float] | Floats | None = None,
    low: Sequence[float] | Floats | None = None,
    volume: Sequence[float] | Floats | float = 1.0,
    first: int = 28_000_000,
) -> Bars:
    """One-minute bars that open where the one before closed."""
    closes = np.asarray(close, dtype=np.float64)
    opens = np.concatenate([closes[:1], closes[:-1]])
    return Bars(
        open_time=(first + np.arange(len(closes))) * MINUTE * SECOND,
        open=opens,
        high=np.maximum(opens, closes) if high is None else np.asarray(high, dtype=np.float64),
        low=np.minimum(opens, closes) if low is None else np.asarray(low, dtype=np.float64),
        close=closes,
        volume=np.broadcast_to(np.asarray(volume, dtype=np.float64), closes.shape).copy(),
    )


def computed(bars: Bars, *entries: str) -> dict[str, Floats]:
    features = make_set("test", entries)
    values = FeatureEngine("deriv", "R_100", MINUTE, features).batch(bars).values
    return dict(zip(features.names, values.T, strict=True))


def walk(count: int, start: float = 100.0, seed: int = 3, scale: float = 1e-3) -> Floats:
    return np.asarray(start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, scale, count))))


def test_rsi_of_the_teaching_table() -> None:
    closes = """44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 45.6140
        46.2820 46.2820 46.0028 46.0328 46.4116"""
    made = computed(bars_of([float(close) for close in closes.split()]), "rsi(n=14)")["rsi_14"]
    assert np.round(made[14:], 2).tolist() == [70.53, 66.32, 66.55, 69.41]


def test_parkinson_of_a_constant_range() -> None:
    low = np.full(40, 100.0)
    made = computed(bars_of(low * 1.01, high=low * 1.02, low=low), "parkinson(n=20)")["parkinson_20"]
    assert np.isnan(made[:19]).all()
    assert np.round(made[19:], 6).tolist() == [0.011893] * 21


def test_roll_spread_of_closes_that_bounce_between_bid_and_ask() -> None:
    # The sample covariance of the changes is -0.25: half the spread of 1 squared.
    bounce = 0.5 * np.sqrt(119.0 / 120.0) * (np.arange(200) % 2)
    made = computed(bars_of(100.0 + bounce), "roll(n=120)")
    np.testing.assert_allclose(made["roll_120"][121:], 1.0, rtol=1e-12)
    assert not made["roll_flag_120"][121:].any()


def test_roll_spread_is_nothing_and_flagged_when_changes_follow_each_other() -> None:
    made = computed(bars_of(100.0 + np.sin(np.arange(300) / 10.0)), "roll(n=120)")
    assert not made["roll_120"][121:].any()
    assert made["roll_flag_120"][121:].all()


NEUTRAL = {
    "rsi(n=14)": (50.0, 1.0),
    "stochastic": (50.0, 50.0),
    "williams(n=14)": (-50.0,),
    "roc(n=10)": (0.0,),
    "momentum(n=10)": (0.0,),
    "directional": (0.0, 0.0, 0.0),
    "directional_index(n=14)": (0.0, 0.0, 0.0),
    "trend_strength(n=50)": (0.0,),
    "efficiency(n=10)": (0.0,),
    "donchian(n=20):donchian_pos_20": (0.5,),
    "breakout(n=20)": (0.0,),
    "narrow_range(n=7)": (0.0,),
    "bollinger(n=20):bb_pct_b_20,bb_width_20": (0.5, 0.0),
    "squeeze(n=20)": (0.0,),
    "z_price(n=20)": (0.0,),
    "z_volume(n=60)": (0.0,),
    "realised_vol(n=10)": (0.0, 0.0),
    "bipower(n=60)": (0.0, 0.0),
    "vol_ratio(short=10,long=60)": (0.0,),
    "parkinson(n=20)": (0.0,),
    "garman_klass(n=20)": (0.0,),
    "obv_slope(n=20)": (0.0,),
    "delta_proxy": (0.0,),
    "amihud(n=60)": (0.0,),
    "roll(n=120)": (0.0, 1.0),
    "corwin_schultz": (0.0,),
}


@pytest.mark.parametrize("level", [1e-6, 100.0, 1e6])
@pytest.mark.parametrize("entry", NEUTRAL)
def test_a_market_that_stands_still_gives_the_neutral_value_exactly(entry: str, level: float) -> None:
    lively = walk(400, level, scale=0.01)
    closes = np.concatenate([lively, np.full(1_000, lively[-1])])
    volume = np.concatenate([np.random.default_rng(1).lognormal(3.0, 2.0, 400), np.zeros(1_000)])
    made = computed(bars_of(closes, volume=volume), entry)
    assert tuple(values[-1] for values in made.values()) == NEUTRAL[entry]


@pytest.mark.parametrize(
    "entry", ["sma(n=20)", "bollinger(n=20)", "z_price(n=20)", "realised_vol(n=10)", "parkinson(n=20)"]
)
def test_a_crash_leaves_no_rounding_behind(entry: str) -> None:
    """LUNA fell by a factor of a million within days: what comes after must not carry errors of what was before."""
    before, after = walk(300, 100.0, scale=0.2), walk(300, 1e-4, seed=4, scale=1e-5)
    whole = computed(bars_of(np.concatenate([before, after])), entry)
    alone = computed(bars_of(after, first=28_000_300), entry)
    for name in whole:
        np.testing.assert_allclose(whole[name][-200:], alone[name][-200:], rtol=1e-9, atol=0.0)


def test_running_sums_do_not_drift() -> None:
    closes = walk(30_000, 1e6, scale=1e-5)
    bars = bars_of(closes)
    made = computed(bars, "bollinger(n=20):bb_width_20", "z_price(n=20)", "realised_vol(n=480):rv_480", "sma(n=200)")
    windows = np.lib.stride_tricks.sliding_window_view(closes, 20)
    deviation = windows.std(axis=1)
    np.testing.assert_allclose(made["bb_width_20"][19:], 4.0 * deviation / windows.mean(axis=1), rtol=1e-9)
    long = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(closes)) ** 2, 480).sum(axis=1)
    np.testing.assert_allclose(made["rv_480"][480:], np.sqrt(long), rtol=1e-9)
    mean = np.lib.stride_tricks.sliding_window_view(closes, 200).mean(axis=1)
    np.testing.assert_allclose(made["sma_200"][199:], mean, rtol=1e-13)


def test_closes_on_a_line_have_the_strongest_trend_that_there_is() -> None:
    rising = computed(bars_of(100.0 * 2.0 ** np.arange(60)), "trend_strength(n=50)", "efficiency(n=10)")
    assert rising["trend_t_50"][-1] == 1e6
    assert rising["efficiency_10"][-1] == 1.0
    assert computed(bars_of(2.0 ** -np.arange(60.0)), "trend_strength(n=50)")["trend_t_50"][-1] == -1e6


def test_a_breakout_is_measured_against_the_channel_before_it() -> None:
    closes = [100.0, 101.0] * 15 + [101.5, 101.0, 99.0, 100.0]
    made = computed(bars_of(closes), "breakout(n=20)", "donchian(n=20)")
    assert np.isnan(made["donchian_break_20"][:20]).all()
    assert made["donchian_break_20"][29:].tolist() == [0.0, 1.0, 0.0, -1.0, 0.0]
    assert made["donchian_high_20"][30] == 101.5


def test_a_range_as_narrow_as_another_is_not_the_narrowest() -> None:
    spans = np.array([5.0, 4.0, 3.0, 6.0, 7.0, 8.0, 2.0, 2.0, 1.0])
    made = computed(bars_of(np.full(9, 100.0), high=100.0 + spans, low=np.full(9, 100.0)), "narrow_range(n=7)")
    assert made["nr7"][6:].tolist() == [1.0, 0.0, 1.0]


def test_a_jump_is_told_from_ordinary_moves() -> None:
    calm = walk(200)
    jumped = calm.copy()
    jumped[150:] *= 1.05
    made, ordinary = (computed(bars_of(closes), "bipower(n=60)")["jump_60"] for closes in (jumped, calm))
    assert made[150:200].min() > 0.8
    assert ordinary[61:].max() < 0.5


def test_bands_squeeze_when_closes_are_quieter_than_ranges() -> None:
    rng = np.random.default_rng(5)
    closes = 100.0 + rng.normal(0.0, 0.01, 120)
    quiet = bars_of(closes, high=closes + 0.5, low=closes - 0.5)
    assert computed(quiet, "squeeze(n=20)")["squeeze_20"][20:].all()
    trending = 100.0 + np.arange(120.0)
    assert not computed(bars_of(trending), "squeeze(n=20)")["squeeze_20"][20:].any()


def test_the_volatility_of_a_year_does_not_depend_on_the_interval() -> None:
    """A return of r in each bar of a minute, or of r sqrt(60) in each bar of an hour, is the same volatility."""
    features = make_set("test", ("realised_vol(n=10):rv_year_10",))
    signs = np.cumsum(np.where(np.arange(40) % 2, 1.0, -1.0))
    made = []
    for seconds, step in ((60, 1e-4), (3600, 1e-4 * np.sqrt(60.0))):
        bars = bars_of(100.0 * np.exp(step * signs), first=0)
        at = Bars(
            open_time=bars.open_time // MINUTE * seconds,
            open=bars.open,
            high=bars.high,
            low=bars.low,
            close=bars.close,
            volume=bars.volume,
        )
        made.append(FeatureEngine("deriv", "R_100", seconds, features).batch(at).values[-1, 0])
    assert made[0] == pytest.approx(1e-4 * np.sqrt(365 * 1440), rel=1e-9)
    assert made[0] == pytest.approx(made[1], rel=1e-9)


def test_prices_of_another_size_give_the_same_shares_and_directions() -> None:
    """A power of two scales every float exactly; quotes in another unit must not change what is no price."""
    units = {"quote currency", "base units", "quote currency a base unit", "log return a million of quote currency"}
    ours = [entry for entry in FULL.entries if entry.split("(")[0].split(":")[0] in OURS]
    names = [f.name for f in make_set("test", ours).features if f.unit not in units and not f.needs]
    closes = walk(700)
    volume = np.random.default_rng(2).lognormal(0.0, 1.0, 700)
    one, other = (computed(bars_of(closes * scale, volume=volume), *ours) for scale in (1.0, 1024.0))
    for name in names:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9, atol=1e-12, err_msg=name)


OURS = {entry.split("(")[0].split(":")[0] for entry in NEUTRAL} | {"adx", "ewma_vol", "macd", "log_return"}
