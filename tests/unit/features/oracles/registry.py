"""Oracles: what a kernel's values must be, by other people's code or by brute force over the definition.

A module of this folder registers one function per kernel; `test_oracles.py` and `make features-table` run them all:

    @oracle(kernel="sma", by="talib.SMA")
    def sma(columns: Columns, n: int) -> Values:
        return {f"sma_{n}": talib.SMA(columns["close"], n)}

The function is called for every parameterisation of the kernel in the set `full` (its defaults where there is none),
on a seeded series and on real hours. `columns` has every input by its name (`History.columns`). It returns an array
over all bars for each output of the kernel, or for those named: @oracle("macd_line", kernel="macd", ...). What it says
before the warm-up is not looked at; after it NaN must stand exactly where the kernel has none.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from libs.core.features.catalogue import FeatureSet
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.kit import REGISTRY
from libs.core.features.sets import FULL, make_set
from libs.research.leak.agree import RTOL, compare
from libs.research.leak.series import History, around, seeded

Floats = NDArray[np.float64]
Columns = dict[str, Any]
Values = dict[str, Floats]

BARS: Final = 5_000
REAL: Final = Path(__file__).parents[4].parent / "shared" / "data" / "bars" / "binance_BTCUSDT_1h.parquet"


class Oracle(NamedTuple):
    """One registered function; see `oracle`."""

    kernel: str
    names: tuple[str, ...]
    by: str
    function: Callable[..., Values]
    rtol: float
    atol: float
    absent: float
    reason: str
    given: Callable[[], History] | None


class Agreement(NamedTuple):
    """How well one feature agrees with its oracle. error: the worst, relative to the value or to a typical one."""

    feature: str
    by: str
    series: str
    bars: int
    error: float
    problem: str


ORACLES: Final[list[Oracle]] = []
EXCUSED: Final[dict[str, str]] = {}
"""Kernels that have no oracle, and why."""


def oracle(
    *names: str,
    kernel: str,
    by: str,
    rtol: float = RTOL,
    atol: float = 0.0,
    absent: float = 0.0,
    reason: str = "",
    given: Callable[[], History] | None = None,
) -> Callable[[Callable[..., Values]], Callable[..., Values]]:
    """Register function(columns, **params) -> values by feature name as oracle of a kernel.

    Args:
        names: outputs that it speaks for, as the kernel names them ("macd_line", "sma_{n}"); all when none is given.
        by: who says so: "talib.SMA", "statsmodels acf", "brute force".
        rtol: bound of the error relative to the value, or to a typical one where that is larger.
        atol: an error below this is none. absent: largest share of bars at which the oracle has no opinion (NaN).
        reason: why rtol, atol or absent is not the default; needed then.
        given: the history to use instead of the seeded and the real one.
    """
    if (rtol > RTOL or atol or absent) and not reason:
        raise ValueError(f"the oracle of {kernel} is looser than {RTOL}: say why in `reason`")

    def register(function: Callable[..., Values]) -> Callable[..., Values]:
        ORACLES.append(Oracle(kernel, names, by, function, rtol, atol, absent, reason, given))
        return function

    return register


def without_oracle(kernel: str, reason: str) -> None:
    """Declare that a kernel has no oracle, and why."""
    EXCUSED[kernel] = reason


def load_all() -> None:
    """Import every module of this folder, so that its oracles are registered."""
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.name.startswith("oracles_"):
            importlib.import_module(f"tests.unit.features.oracles.{found.name}")


def entries_of(kernel: str) -> tuple[str, ...]:
    """The parameterisations of a kernel in the set `full`; its defaults where it is not in it."""
    used = tuple(dict.fromkeys(entry.split(":")[0] for entry in FULL.entries if _kernel_of(entry) == kernel))
    return used or (kernel,)


def _kernel_of(entry: str) -> str:
    return entry.split(":")[0].split("(")[0].strip()


def covered(one: Oracle) -> tuple[str, ...]:
    """Names of outputs, as the kernel declares them, for which an oracle speaks."""
    return one.names or tuple(output.name for output in REGISTRY[one.kernel].outputs)


@lru_cache(maxsize=2)
def series(name: str) -> History | None:
    """The seeded hours, or the newest real ones; None where these are not on this machine."""
    if name == "seeded":
        return seeded(20, BARS, 3600, clean=True)
    if not REAL.exists():
        return None
    import polars

    frame = polars.read_parquet(REAL).tail(BARS)
    prices = {key: frame[key].to_numpy().astype(np.float64) for key in ("open", "high", "low", "close", "volume")}
    bars = Bars(open_time=frame["ts"].cast(polars.Int64).to_numpy() * 1_000_000, **prices)
    return around(bars, 3600, 21, clean=True)


@cache
def _values(entry: str, name: str, given: Callable[[], History] | None) -> tuple[FeatureSet, History, Floats]:
    history = given() if given is not None else series(name)
    assert history is not None
    features = make_set("oracle", (entry,))
    engine = FeatureEngine("binance", "BTCUSDT", history.interval_s, features)
    return features, history, engine.batch(history.bars, history.extras).values


def agreements(one: Oracle, name: str) -> Iterator[Agreement]:
    """Compare a kernel with an oracle on a series, at every parameterisation."""
    definition = REGISTRY[one.kernel]
    for entry in entries_of(one.kernel):
        features, history, values = _values(entry, name, one.given)
        params = dict(zip(definition.defaults, features.features[0].values, strict=True))
        said = one.function(history.columns, **params)
        wanted = {pattern.format(**params) for pattern in covered(one)}
        if set(said) != wanted:
            yield Agreement(entry, one.by, name, 0, math.inf, f"gives {sorted(said)}, not {sorted(wanted)}")
            continue
        for feature, ours in zip(features.features, values.T, strict=True):
            if feature.name in wanted:
                expected = np.asarray(said[feature.name], dtype=np.float64)
                gap = compare(ours, expected, feature.warmup, rtol=one.rtol, atol=one.atol, absent=one.absent)
                label = name if one.given is None else one.given.__name__
                problem = f"{gap.problem} (bar {gap.row})" if gap.problem else ""
                yield Agreement(feature.name, one.by, label, len(ours), gap.error, problem)
