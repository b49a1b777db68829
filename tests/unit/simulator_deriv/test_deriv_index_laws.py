"""The indices other than diffusions move as measured on real ticks or, where none are known, as documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.deriv.chunks import CHUNK, Floats
from services.simulator.deriv.hours import DAY_SECS, Grid
from services.simulator.deriv.laws import YEAR_SECS, Ranges
from services.simulator.deriv.processes import price_path
from services.simulator.deriv.symbols import SYMBOLS

ANCHOR = 1_795_000_000
SPIKY = sorted(name for name in SYMBOLS if name.startswith(("BOOM", "CRASH")))


def prices_of(name: str, ticks: int, seed: int = 7) -> Floats:
    symbol = SYMBOLS[name]
    first = Grid(symbol.period_secs, symbol.hours).index_at(ANCHOR)
    return price_path(seed, symbol, ANCHOR).prices(first, first + ticks)


def moves_of(name: str, ticks: int) -> Floats:
    """Relative moves in the direction of the symbol's spikes."""
    prices = prices_of(name, ticks)
    return np.asarray(np.diff(prices) / prices[:-1] * (1 if name.startswith("BOOM") else -1))


@pytest.mark.parametrize(
    ("name", "small"), [("BOOM500", 2.05e-6), ("BOOM600", 1.70e-6), ("BOOM900", 1.15e-6), ("CRASH1000", 1.06e-6)]
)
def test_small_moves_of_boom_and_crash_are_as_measured(name: str, small: float) -> None:
    moves = moves_of(name, 400_000)
    usual = -moves[moves <= 0]
    assert usual.mean() == pytest.approx(small, rel=0.05)
    assert usual.std() / usual.mean() == pytest.approx(0.65, abs=0.03)
    assert 0.01 < (usual == 0).mean() < 0.05
    gap = int("".join(digit for digit in name if digit.isdigit()))
    assert (moves > 0).mean() == pytest.approx(1 / gap, rel=0.12), "only spikes go the other way"


@pytest.mark.parametrize("name", SPIKY)
def test_spikes_are_memoryless_and_of_the_measured_sizes(name: str) -> None:
    gap = int("".join(digit for digit in name if digit.isdigit()))
    moves = moves_of(name, 400 * gap)
    # A spike is as large as all small moves between two of them; one in some hundreds hides among the small moves.
    spikes = np.flatnonzero(moves > 2e-5)
    gaps = np.diff(spikes)
    assert gaps.mean() == pytest.approx(gap, rel=0.2)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.2), "geometric spacing"
    sizes = moves[spikes]
    assert 0.8e-3 < sizes.mean() < 1.25e-3
    low, high = np.quantile(sizes / sizes.mean(), (0.1, 0.9))
    assert 0.15 < low < 0.35
    assert 1.55 < high < 1.95
    assert 2 < sizes.max() / sizes.mean() < 4


@pytest.mark.parametrize("name", SPIKY)
def test_boom_and_crash_do_not_drift(name: str) -> None:
    moves = moves_of(name, 400_000)
    assert abs(moves.mean()) < 4 * moves.std() / np.sqrt(moves.size)
    symbol = SYMBOLS[name]
    annual = moves.std() * np.sqrt(YEAR_SECS / symbol.period_secs)
    assert annual == pytest.approx(symbol.sigma, rel=0.15), "contracts are priced with the volatility it has"


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_step_index_moves_by_exactly_one_step_either_way(number: int) -> None:
    prices = prices_of(f"stpRNG{number if number > 1 else ''}", 200_000)
    steps = np.round(np.diff(prices) * 10).astype(int)
    assert set(np.abs(steps)) == {number}
    up = (steps > 0).astype(float)
    assert up.mean() == pytest.approx(0.5, abs=0.005)
    assert abs(np.corrcoef(up[1:], up[:-1])[0, 1]) < 0.01


@pytest.mark.parametrize("name", ["JD10", "JD50", "JD100"])
def test_jump_index_jumps_three_times_an_hour_by_thirty_usual_moves(name: str) -> None:
    n = int(name[2:])
    hours = 400
    returns = np.diff(np.log(prices_of(name, hours * 3600)))
    sd = n / 100 / np.sqrt(YEAR_SECS)
    jumps = returns[np.abs(returns) > 8 * sd]
    assert len(jumps) / hours == pytest.approx(3, abs=0.35)
    assert (jumps > 0).mean() == pytest.approx(0.5, abs=0.06)
    assert np.abs(jumps).mean() / sd == pytest.approx(30, rel=0.03)
    assert returns[np.abs(returns) <= 8 * sd].std() == pytest.approx(sd, rel=0.01)
    assert returns.std() * np.sqrt(YEAR_SECS) == pytest.approx(SYMBOLS[name].sigma, rel=0.05)


def day_returns(name: str, days: int) -> Floats:
    symbol = SYMBOLS[name]
    per_day = DAY_SECS // symbol.period_secs
    path = price_path(7, symbol, ANCHOR)
    first = ANCHOR // DAY_SECS * per_day
    opens = [path.prices(first + day * per_day, first + day * per_day)[0] for day in range(3)]
    assert opens == [symbol.start_price] * 3
    ends = [path.prices(first + (day + 1) * per_day - 1, first + (day + 1) * per_day - 1)[0] for day in range(days)]
    return np.asarray(np.log(np.array(ends) / symbol.start_price))


def test_daily_reset_indices_start_every_day_at_their_level_and_drift_apart() -> None:
    bear, bull = day_returns("RDBEAR", 500), day_returns("RDBULL", 500)
    for returns in (bear, bull):
        assert returns.std() == pytest.approx(0.25 / np.sqrt(365), rel=0.1)
    assert bear.mean() < 0 < bull.mean()
    error = np.sqrt((bear.var() + bull.var()) / 500)
    assert (bull.mean() - bear.mean()) == pytest.approx(0.7 / 365, abs=3 * error)


@pytest.mark.parametrize("name", ["RB100", "RB200"])
def test_range_breaks_out_once_in_so_many_touches_of_its_borders(name: str) -> None:
    symbol = SYMBOLS[name]
    law = symbol.law
    assert isinstance(law, Ranges)
    levels = np.round((prices_of(name, 2_000_000) - symbol.start_price) / law.size).astype(int)
    moves = np.abs(np.diff(levels))
    assert set(moves) == {1, 1 + law.width}, "one step, or with the step a whole range"
    touches = np.flatnonzero(levels % law.width == 0)
    breaks = np.flatnonzero(moves > 1) + 1
    assert set(breaks) <= set(touches), "it breaks out where it touches a border"
    assert len(touches) / len(breaks) == pytest.approx(law.touches, rel=0.1)
    between = np.split(levels, breaks)
    assert max(part.max() - part.min() for part in between) <= law.width, "between breaks it stays in its range"


@given(
    offset=st.integers(-3 * CHUNK, 3 * CHUNK),
    length=st.integers(1, 2 * CHUNK),
    name=st.sampled_from(["BOOM500", "CRASH300N", "stpRNG3", "JD75", "RDBEAR", "RB100", "frxEURUSD", "OTC_NDX"]),
)
@settings(max_examples=60, deadline=None)
def test_any_window_read_first_equals_the_same_window_of_a_long_read(offset: int, length: int, name: str) -> None:
    symbol = SYMBOLS[name]
    first = Grid(symbol.period_secs, symbol.hours).index_at(ANCHOR)
    whole = price_path(7, symbol, ANCHOR).prices(first - 3 * CHUNK, first + 5 * CHUNK)
    window = price_path(7, symbol, ANCHOR).prices(first + offset, first + offset + length - 1)
    start = offset + 3 * CHUNK
    assert np.array_equal(window, whole[start : start + length])
