"""Index paths have the published moments and are the same for everyone who knows seed and anchor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.deriv.chunks import CHUNK
from services.simulator.deriv.hours import Grid
from services.simulator.deriv.laws import YEAR_SECS
from services.simulator.deriv.processes import (
    GeometricBrownianPath,
    PlantedPath,
    PricePath,
    price_path,
)
from services.simulator.deriv.symbols import PLANTED, SYMBOLS

ANCHOR = 1_795_000_000
TICKS = 200_000


def path_of(name: str, seed: int = 7) -> PricePath:
    return price_path(seed, SYMBOLS[name], ANCHOR)


def first_tick(name: str) -> int:
    return Grid(SYMBOLS[name].period_secs, SYMBOLS[name].hours).index_at(ANCHOR)


@pytest.mark.parametrize("name", ["R_10", "R_25", "R_75", "R_100", "1HZ50V", "1HZ75V", "1HZ100V", "1HZ300V"])
def test_index_moments_are_those_of_its_published_process(name: str) -> None:
    symbol = SYMBOLS[name]
    first = first_tick(name)
    returns = np.diff(np.log(path_of(name).prices(first, first + TICKS)))
    sd = symbol.sigma * np.sqrt(symbol.period_secs / YEAR_SECS)
    rounding = float(symbol.pip) / symbol.start_price / sd
    assert returns.std() / sd == pytest.approx(1.0, abs=0.01 + rounding**2)
    assert abs(returns.mean()) < 4 * sd / np.sqrt(TICKS)
    z = returns / returns.std()
    assert (z**4).mean() == pytest.approx(3.0, abs=0.08)
    for series in (z, np.abs(z) - np.abs(z).mean()):
        autocorrelation = (series[1:] * series[:-1]).mean() / series.var()
        assert abs(autocorrelation) < 0.012


@pytest.mark.parametrize("name", sorted(SYMBOLS))
def test_quotes_lie_on_the_pip_grid(name: str) -> None:
    prices = path_of(name).prices(first_tick(name), first_tick(name) + 1000)
    assert [float(SYMBOLS[name].text(price)) for price in prices] == prices.tolist()
    assert len(set(prices.tolist())) > 20


@given(
    offset=st.integers(-3 * CHUNK, 3 * CHUNK),
    length=st.integers(1, 2 * CHUNK),
    name=st.sampled_from(["R_100", PLANTED]),
)
@settings(max_examples=40, deadline=None)
def test_any_window_read_first_equals_the_same_window_of_a_long_read(offset: int, length: int, name: str) -> None:
    first = first_tick(name)
    whole = path_of(name).prices(first - 3 * CHUNK, first + 5 * CHUNK)
    window = path_of(name).prices(first + offset, first + offset + length - 1)
    start = offset + 3 * CHUNK
    assert np.array_equal(window, whole[start : start + length])


def test_paths_differ_by_symbol_and_by_seed() -> None:
    first = first_tick("1HZ100V")
    base = np.diff(np.log(path_of("1HZ100V").prices(first, first + 5000)))
    other_seed = np.diff(np.log(path_of("1HZ100V", seed=8).prices(first, first + 5000)))
    other_symbol = np.diff(np.log(path_of("1HZ50V").prices(first, first + 5000)))
    assert abs(np.corrcoef(base, other_seed)[0, 1]) < 0.05
    assert abs(np.corrcoef(base, other_symbol)[0, 1]) < 0.05


def test_index_starts_near_its_start_price_at_the_anchor() -> None:
    path = path_of("R_100")
    assert isinstance(path, GeometricBrownianPath)
    assert path.prices(first_tick("R_100"), first_tick("R_100"))[0] == pytest.approx(1510.0, rel=0.05)


def _ema(values: np.ndarray, n: int) -> np.ndarray:
    smoothed = np.empty_like(values)
    level = values[0]
    for i, value in enumerate(values):
        level += 2 / (n + 1) * (value - level)
        smoothed[i] = level
    return smoothed


def _ema_cross_profit(prices: np.ndarray, bar_secs: int, latency_secs: int = 2) -> tuple[float, np.ndarray]:
    """Mean profit per EMA 12/26 cross in units of notional, after commission; and the seconds of the crosses."""
    closes = prices[bar_secs - 1 :: bar_secs]
    side = np.sign(_ema(closes, 12) - _ema(closes, 26))
    held = np.zeros(len(prices))
    for i in range(40, len(closes)):
        decided = (i + 1) * bar_secs - 1 + latency_secs
        held[decided : decided + bar_secs] = side[i]
    trades = np.flatnonzero(np.diff(held))
    gross = float((held[:-1] * np.diff(np.log(prices))).sum())
    return gross / len(trades) - 0.00036, trades


@pytest.mark.parametrize("bar_secs", [1, 5])
def test_planted_pattern_pays_a_trend_follower_after_costs_and_latency(bar_secs: int) -> None:
    path = path_of(PLANTED)
    assert isinstance(path, PlantedPath)
    prices = path.prices(ANCHOR, ANCHOR + 7200)
    profit, trades = _ema_cross_profit(prices, bar_secs)
    assert profit > 0.0015
    if bar_secs == 1:
        assert np.diff(trades).max() <= 60, "a trade in every minute"


def test_the_same_follower_earns_nothing_on_an_honest_index() -> None:
    prices = path_of("1HZ100V").prices(ANCHOR, ANCHOR + 7200)
    assert _ema_cross_profit(prices, 1)[0] < 0.0005
