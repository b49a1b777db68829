"""The feature engine at the edges: old, repeated, impossible and missing bars, flat markets, snapshots."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from libs.core.features.catalogue import Feature, FeatureSet, feature_set
from libs.core.features.driver import MAX_FILL
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.sets import CORE20, FULL, define, make_set
from libs.core.types import SECOND, Bar, BarFlag, Features


def bar(number: int, close: float = 100.0, **changes: object) -> Bar:
    fields: dict[str, object] = {
        "open": close,
        "high": close * 1.001,
        "low": close * 0.999,
        "close": close,
        "volume": 1.0 + number % 7,
    }
    fields |= changes
    return Bar(
        id=f"bar-{number}",
        ts_event=(number + 1) * 5 * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        open_time=number * 5 * SECOND,
        **fields,  # type: ignore[arg-type]
    )


def walk(first: int, count: int) -> list[Bar]:
    rng = np.random.default_rng(first)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, count)))
    return [bar(first + i, float(close)) for i, close in enumerate(closes)]


def engine() -> FeatureEngine:
    return FeatureEngine("deriv", "R_100", 5)


def value(features: Features | None, name: str) -> float:
    assert features is not None
    return features.unpack()[CORE20.index(name)]


def test_the_vector_carries_the_bar_and_its_cause() -> None:
    given = bar(7, 101.0, flags=BarFlag.TIMER.value, ts_recv=99)
    made = engine().update(given, ts_init=5)
    assert made is not None
    assert (made.bar_time, made.ts_event, made.ts_init, made.ts_recv) == (given.open_time, given.ts_event, 5, 99)
    assert made.cause == (given.id,)
    assert (made.open, made.high, made.low, made.close, made.volume) == (
        given.open,
        given.high,
        given.low,
        given.close,
        given.volume,
    )
    assert made.flags == BarFlag.TIMER
    assert made.set_hash == CORE20.hash
    assert len(made.unpack()) == len(CORE20) == 20


def test_the_same_bar_gives_the_same_id_in_another_run() -> None:
    first, second = engine().update(bar(7), ts_init=1), engine().update(bar(7), ts_init=2)
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert first.id != engine().update(bar(8)).id  # type: ignore[union-attr]


def test_it_is_warm_from_the_first_bar_at_which_every_feature_has_a_value() -> None:
    running = engine()
    made = [running.update(b) for b in walk(0, CORE20.warmup + 2)]
    states = [m.warm for m in made if m is not None]
    assert states.index(True) == CORE20.warmup
    for m in made:
        assert m is not None
        assert m.warm == (not any(math.isnan(x) for x in m.unpack()))


@pytest.mark.parametrize("number", [80, 99])
def test_an_old_or_repeated_bar_changes_nothing(number: int) -> None:
    running = engine()
    for b in walk(0, 100):
        running.take(b)
    before = running.snapshot()
    assert running.update(bar(number, 55.0)) is None
    assert running.snapshot() == before
    assert running.ignored == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"close": math.nan},
        {"close": 0.0},
        {"close": math.inf},
        {"high": math.inf},
        {"open": -1.0},
        {"low": 0.0},
        {"low": 200.0},
        {"volume": -1.0},
        {"volume": math.nan},
    ],
    ids=str,
)
def test_an_impossible_bar_is_refused_and_leaves_no_trace(changes: dict[str, float]) -> None:
    running = engine()
    for b in walk(0, 100):
        running.take(b)
    before = running.snapshot()
    assert running.update(bar(100, **changes)) is None  # type: ignore[arg-type]
    assert running.rejected == 1
    assert running.snapshot() == before


def test_a_bar_off_the_grid_of_its_interval_is_refused() -> None:
    running = engine()
    odd = Bar(
        id="x",
        ts_event=8 * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        open_time=3 * SECOND,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
    )
    assert running.update(odd) is None
    assert running.rejected == 1
    assert running.last_open_time is None
    assert not running.batch(Bars.of([odd])).taken.any()


def test_missing_bars_count_as_flat_ones_and_are_marked() -> None:
    history = walk(0, 100)
    close = history[-1].close
    holed, filled = engine(), engine()
    for b in history:
        holed.take(b)
        filled.take(b)
    for number in (100, 101, 102):
        filled.take(bar(number, close, high=close, low=close, volume=0.0))
    after_hole, after_flat = holed.update(bar(103)), filled.update(bar(103))
    assert after_hole is not None
    assert after_flat is not None
    assert after_hole.values == after_flat.values
    assert after_hole.flags & BarFlag.GAP
    assert not after_flat.flags & BarFlag.GAP


def test_after_a_hole_longer_than_any_window_it_starts_over() -> None:
    running, fresh = engine(), engine()
    for b in walk(0, 100):
        running.take(b)
    first = 100 + MAX_FILL + 1
    for number, b in enumerate(walk(first, 80)):
        ours, theirs = running.update(b), fresh.update(b)
        assert ours is not None
        assert theirs is not None
        assert ours.values == theirs.values
        assert ours.warm == theirs.warm == (number >= CORE20.warmup)
        assert bool(ours.flags & BarFlag.GAP) == (number == 0)


def test_a_flat_market_gives_the_neutral_values() -> None:
    running = engine()
    flat = [bar(n, 60_123.45, high=60_123.45, low=60_123.45, volume=0.0) for n in range(100)]
    made = [running.update(b) for b in flat][-1]
    assert value(made, "rsi_14") == 50.0
    assert value(made, "bb_pct_b_20") == 0.5
    assert value(made, "bb_width_20") == 0.0
    assert value(made, "donchian_pos_20") == 0.5
    assert value(made, "z_price_20") == 0.0
    assert value(made, "z_volume_60") == 0.0
    assert value(made, "atr_14") == 0.0


@pytest.mark.parametrize("damage", [b"", b"\x80", b"no snapshot"])
def test_what_is_no_snapshot_is_refused_and_the_state_stays(damage: bytes) -> None:
    running = engine()
    for b in walk(0, 30):
        running.take(b)
    before = running.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        running.restore(damage)
    assert running.snapshot() == before


def test_a_snapshot_of_another_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="another"):
        engine().restore(FeatureEngine("deriv", "R_100", 1).snapshot())


def plain(name: str = "a", params: str = "1", version: int = 1, kernel: str = "sma") -> Feature:
    return Feature(name=name, version=version, kernel=kernel, params=params, warmup=0, memory=0, unit="")


def test_a_feature_whose_kernel_is_not_loaded_is_refused() -> None:
    other = FeatureSet(name="other", features=(plain("x", kernel="nowhere"),))
    with pytest.raises(ValueError, match="kernel 'nowhere', whose file is not loaded"):
        FeatureEngine("deriv", "R_100", 5, other)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("smaa(n=5)", "no feature 'smaa'; there are"),
        ("sma(m=5)", "sma has no parameter 'm'; it has n"),
        ("sma(n=five)", "n=five is no number"),
        ("macd:macd_lines", "macd gives macd_line, macd_signal, macd_hist, not 'macd_lines'"),
        ("sma(n=5", "is no feature; write for example"),
    ],
)
def test_an_entry_that_is_wrong_is_told_what_there_is(entry: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make_set("mine", (entry,))


def test_a_set_of_ones_own_is_known_by_its_name_and_its_name_is_not_given_twice() -> None:
    made = define("mine_3", ("sma(n=3)", "macd:macd_hist"))
    assert made.names == ("sma_3", "macd_hist")
    assert feature_set("mine_3") == made == define("mine_3", made.entries)
    with pytest.raises(ValueError, match="taken"):
        define("mine_3", ("sma(n=4)",))
    with pytest.raises(ValueError, match="twice"):
        make_set("other", ("sma(n=3)", "sma(n=3)"))
    with pytest.raises(ValueError, match="empty"):
        make_set("other", ())


def test_a_subset_gives_the_same_values_as_the_whole() -> None:
    chosen = make_set("chosen", ("macd:macd_hist", "rsi(n=14)", "sma(n=50)"))
    bars = Bars.of(walk(0, 400))
    ours = FeatureEngine("deriv", "R_100", 5, chosen).batch(bars).values
    whole = FeatureEngine("deriv", "R_100", 5, FULL).batch(bars).values
    np.testing.assert_array_equal(ours, whole[:, [FULL.index(name) for name in chosen.names]])


def test_asking_for_what_is_not_there_names_what_is() -> None:
    with pytest.raises(KeyError, match="rsi_14"):
        CORE20.index("rsi_15")
    with pytest.raises(ValueError, match="core20"):
        feature_set("core21")


def test_the_hash_changes_with_name_version_and_parameters() -> None:
    variants = [plain(), plain(name="b"), plain(params="2"), plain(version=2)]
    assert len({FeatureSet(name="s", features=(each,)).hash for each in variants}) == 4


def test_what_a_feature_is_can_be_read_without_numba() -> None:
    code = "import sys, libs.core.features.catalogue; assert 'numba' not in sys.modules, 'numba is loaded'"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
