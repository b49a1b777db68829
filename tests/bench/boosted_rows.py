"""A boosted row as a bar brings it: our walk over flat trees beside LightGBM's and XGBoost's own prediction."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from libs.core.agents.trees import Forest, ForestWalker
from libs.research.training import forests
from tests.bench.harness import REPEATS, Line, Measure, compared, interleaved
from tests.bench.sandbox import BenchError

WIDTH: Final = 150
TREES: Final = 250
FITTED: Final = 5_000
ROWS: Final = 1_000
AGREES: Final = 1e-6


def table(seed: int = 4) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Features and a class that leans on a few of them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((FITTED, WIDTH))
    return x, (x[:, :3].sum(axis=1) + rng.standard_normal(FITTED) > 0.0).astype(np.int64)


def timed(answer: Callable[[np.ndarray[Any, Any]], Any], rows: np.ndarray[Any, Any]) -> Measure:
    """Microseconds a row, asked one at a time."""
    each = [rows[i : i + 1] for i in range(len(rows))]

    async def measure() -> float:
        begun = time.perf_counter()
        for row in each:
            answer(row)
        return (time.perf_counter() - begun) / len(each) * 1e6

    return measure


def lightgbm_pair() -> tuple[Forest, Callable[[np.ndarray[Any, Any]], Any]]:
    """Ours and theirs."""
    import lightgbm

    x, y = table()
    settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), TREES)
    return forests.from_lightgbm(booster), lambda row: booster.predict(row, num_threads=1)


def xgboost_pair() -> tuple[Forest, Callable[[np.ndarray[Any, Any]], Any]]:
    """Ours and theirs; in place, which spares theirs a matrix a row."""
    import xgboost

    x, y = table()
    settings = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": 1}
    booster = xgboost.train(settings, xgboost.DMatrix(x, y), TREES)
    return forests.from_xgboost(booster, WIDTH), booster.inplace_predict


async def run(repeats: int = REPEATS) -> list[Line]:
    """Both lines."""
    lines = []
    rows = np.random.default_rng(5).standard_normal((ROWS, WIDTH))
    for name, make in (("lightgbm", lightgbm_pair), ("xgboost", xgboost_pair)):
        forest, theirs = make()
        walker = ForestWalker(forest, WIDTH)
        if np.abs(walker(rows) - np.asarray(theirs(rows), dtype=np.float64)).max() > AGREES:
            raise BenchError(f"our walk of the trees of {name} does not say what {name} says")
        pairs = await interleaved(timed(walker, rows), timed(theirs, rows), repeats)
        what = f"one row of {WIDTH} features through {TREES} trees; reference: {name}'s own predict, one thread"
        lines.append(compared(f"boosted_row_{name}", pairs, unit="us/row", what=what, at_most=0.5))
    return lines
