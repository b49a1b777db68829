"""Statistical features put to the test: markets that stand still, spikes that pass, noise of a known kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.sets import make_set
from libs.core.types import SECOND

Floats = NDArray[np.float64]

HOUR = 3_600
START = 480_000  # number of the first bar: a midnight, and a multiple of every schedule


def bars(returns: Floats, interval_s: int = HOUR, start: int = START) -> Bars:
    close = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    times = (start + np.arange(len(close))) * interval_s * SECOND
    return Bars(open_time=times, open=close, high=close, low=close, close=close, volume=np.ones(len(close)))


def values(entry: str, history: Bars, interval_s: int = HOUR) -> dict[str, Floats]:
    features = make_set("one", (entry,))
    matrix = FeatureEngine("binance", "BTCUSDT", interval_s, features).batch(history)
    return dict(zip(features.names, matrix.values.T, strict=True))


def still(before: int, bars_still: int) -> Bars:
    """A market that moves and then does not."""
    rng = np.random.default_rng(5)
    history = bars(np.concatenate([rng.normal(0, 1e-2, before), np.zeros(bars_still)]))
    history.close[before:] = history.close[before]
    return history


NEUTRAL = {
    "moments(n=20)": {"ret_mean_20": 0.0, "ret_std_20": 0.0, "skew_20": 0.0, "kurt_20": 0.0},
    "quantiles(n=20)": {"ret_q10_20": 0.0, "ret_q50_20": 0.0, "ret_q90_20": 0.0, "ret_rank_20": 0.5},
    "autocorrelation(n=20)": {"acf_1_20": 0.0, "acf_10_20": 0.0, "pacf_1_20": 0.0, "pacf_10_20": 0.0},
    "sharpe(n=120)": {"sharpe_120": 0.0},
    "sign_entropy(n=64)": {"sign_entropy_64": 0.0},
    "hurst_rs": {"hurst_rs": 0.5},
    "hurst_vt": {"hurst_vt": 0.5},
    "har(n=4,rows=60)": {"har_vol_4": 0.0},
    "garch(n=200)": {"garch_vol": 0.0},
}


@pytest.mark.parametrize("entry", NEUTRAL)
def test_a_market_that_stands_still_has_the_neutral_value_to_the_last_bit(entry: str) -> None:
    for name, column in values(entry, still(before=500, bars_still=600)).items():
        if name in NEUTRAL[entry]:
            assert column[-1] == NEUTRAL[entry][name], name
            assert np.unique(column[400:500]).size > 1, name


@pytest.mark.parametrize(
    ("entry", "window"),
    [("moments(n=60)", 60), ("autocorrelation(n=60)", 60), ("sharpe(n=120)", 120), ("hurst_vt", 256)],
)
def test_a_spike_leaves_no_rounding_behind_when_it_leaves_the_window(entry: str, window: int) -> None:
    returns = np.random.default_rng(6).normal(0, 1e-6, 1_500)
    spiked = returns.copy()
    spiked[700] = 2.0
    calm, shaken = values(entry, bars(returns)), values(entry, bars(spiked))
    for name in calm:
        # The prices after the spike are other floats, whose returns differ in their tenth digit.
        size = np.median(np.abs(calm[name][window:]))
        np.testing.assert_allclose(
            shaken[name][701 + window :], calm[name][701 + window :], rtol=0.0, atol=1e-8 * size, err_msg=name
        )


def test_returns_that_alternate_are_known_as_such() -> None:
    found = values("autocorrelation(n=60)", bars(np.tile([0.01, -0.01], 100)))
    assert found["acf_1_60"][-1] == pytest.approx(-59 / 60)
    assert found["acf_2_60"][-1] == pytest.approx(58 / 60)
    assert found["pacf_1_60"][-1] == pytest.approx(-59 / 60)


def fractional_noise(hurst: float, paths: int, length: int = 256) -> Floats:
    """Independent stretches of fractional Gaussian noise, one after the other, by the root of their covariance."""
    lags = np.arange(length)
    twice = 2 * hurst
    covariance = (np.abs(lags + 1) ** twice - 2.0 * lags**twice + np.abs(lags - 1) ** twice) / 2
    root = np.linalg.cholesky(covariance[np.abs(lags[:, None] - lags)])
    noise = np.random.default_rng(7).standard_normal((paths, length)) @ root.T
    return 1e-3 * noise.reshape(-1)


@pytest.mark.parametrize("name", ["hurst_rs", "hurst_vt"])
@pytest.mark.parametrize(("hurst", "off"), [(0.5, 0.05), (0.7, 0.07), (0.3, 0.1)])
def test_the_hurst_exponent_of_known_noise_comes_out(name: str, hurst: float, off: float) -> None:
    found = values(name, bars(fractional_noise(hurst, paths=300)))[name]
    assert found[256::256].mean() == pytest.approx(hurst, abs=off)


def test_the_highest_close_leaves_the_drawdown_with_its_window() -> None:
    history = bars(np.zeros(30))
    history.close[:] = [200.0, *[100.0] * 20, 150.0, *[120.0] * 9]
    found = values("drawdown(n=10)", history)["drawdown_10"]
    assert np.isnan(found[:9]).all()
    assert found[9] == 0.5
    assert found[10] == 0.0
    assert found[21] == 0.0
    np.testing.assert_allclose(found[22:31], 0.2)


def test_the_clock_is_that_of_the_close() -> None:
    sunday = 19_673 * 24  # 2023-11-12
    found = values("calendar", bars(np.zeros(24), start=sunday))
    assert found["weekend"][0] == 1.0
    assert found["weekend"][23] == 0.0
    assert found["funding_minutes"][:8].tolist() == [420.0, 360.0, 300.0, 240.0, 180.0, 120.0, 60.0, 0.0]
    assert found["hour_sin"][5] == pytest.approx(1.0)
    assert found["hour_cos"][23] == pytest.approx(1.0)


def test_a_garch_fit_lasts_until_the_next_midnight_and_no_longer() -> None:
    """Two histories that differ only in bars that the next fit no longer sees forecast the same from that fit on."""
    rng = np.random.default_rng(8)
    returns = rng.normal(0, 1e-2, 400)
    other = np.concatenate([rng.normal(0, 3e-2, 40), returns[40:]])
    ours, theirs = (values("garch(n=100)", bars(each))["garch_vol"] for each in (returns, other))
    # Bar 144 is the first midnight whose last 100 returns are the same in both.
    assert np.all(ours[100:144] != theirs[100:144])
    np.testing.assert_allclose(ours[144:], theirs[144:], rtol=1e-9)


def test_after_a_fit_on_nothing_the_forecast_is_an_ewma_until_the_next() -> None:
    moves = np.concatenate([np.zeros(100), [0.01, -0.02], np.zeros(50)])
    found = values("garch(n=100)", bars(moves))["garch_vol"]
    assert found[100] == 0.0
    assert found[101] == pytest.approx(np.sqrt(0.06) * 0.01)
    assert found[102] == pytest.approx(np.sqrt(0.94 * 0.06 * 0.01**2 + 0.06 * 0.02**2))


def test_the_har_forecast_knows_a_market_that_is_always_alike() -> None:
    """Returns of one size: every realised variance is the same, and so is the forecast."""
    found = values("har(n=4,rows=60)", bars(np.tile([0.01, -0.01], 200)))["har_vol_4"]
    assert np.isnan(found[: 31 * 4 + 59]).all()
    np.testing.assert_allclose(found[31 * 4 + 59 :], 0.02, rtol=1e-9)


def test_the_har_forecast_is_nearer_than_the_last_variance_where_volatility_has_a_long_memory() -> None:
    """ln volatility is the sum of a fast, a slow and a very slow wandering, which is what Corsi made the model for."""
    rng = np.random.default_rng(9)
    level = np.full(6_000, np.log(1e-3))
    for life, size in ((6, 0.5), (60, 0.4), (300, 0.3)):
        state, decay = 0.0, np.exp(-1.0 / life)
        for t, shock in enumerate(rng.standard_normal(len(level))):
            state = decay * state + size * np.sqrt(1.0 - decay**2) * shock
            level[t] += state
    returns = rng.normal(0, np.exp(level))
    found = values("har(n=12,rows=600)", bars(returns))["har_vol_12"]
    squares = np.concatenate([[0.0], np.cumsum(returns**2)])
    due = np.arange(1_000, 5_980)
    to_come, past = squares[due + 12] - squares[due], squares[due] - squares[due - 12]

    def loss(forecast: Floats) -> float:
        """QLIKE of Patton 2011."""
        return float(np.mean(to_come / forecast - np.log(to_come / forecast) - 1.0))

    assert loss(found[due] ** 2) < 0.7 * loss(past)
    assert np.mean(found[due] ** 2) == pytest.approx(np.mean(to_come), rel=0.2)
