"""Cost of a kernel over a million bars beside TA-Lib's for the same: python -m tests.bench.feature_batch"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import talib
from numba import njit
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from libs.core.features import driver, parts
from libs.core.features.inputs import COLUMNS, EXTRA
from libs.core.features.plan import Plan, plan_of
from libs.core.features.sets import make_set

Floats = NDArray[np.float64]

BARS: Final = 1_000_000
REPEATS: Final = 15
ALLOWED: Final = 2.0
"""How many times TA-Lib's time a kernel may take."""

TALIB: Final[dict[str, Callable[[dict[str, Floats]], Any]]] = {
    "sma(n=20)": lambda b: talib.SMA(b["close"], 20),
    "sma(n=200)": lambda b: talib.SMA(b["close"], 200),
    "ema(n=12)": lambda b: talib.EMA(b["close"], 12),
    "macd": lambda b: talib.MACD(b["close"], 12, 26, 9),
    "rsi(n=14)": lambda b: talib.RSI(b["close"], 14),
    "stochastic": lambda b: talib.STOCH(b["high"], b["low"], b["close"], 14, 3, 0, 3, 0),
    "williams(n=14)": lambda b: talib.WILLR(b["high"], b["low"], b["close"], 14),
    "roc(n=10)": lambda b: talib.ROC(b["close"], 10),
    "directional_index(n=14)": lambda b: [
        function(b["high"], b["low"], b["close"], 14) for function in (talib.PLUS_DI, talib.MINUS_DI, talib.DX)
    ],
    "adx(n=14)": lambda b: talib.ADX(b["high"], b["low"], b["close"], 14),
    "bollinger(n=20)": lambda b: talib.BBANDS(b["close"], 20, 2.0, 2.0, 0),
    "atr(n=14)": lambda b: [function(b["high"], b["low"], b["close"], 14) for function in (talib.ATR, talib.NATR)],
    "donchian(n=20)": lambda b: (talib.MAX(b["high"], 20), talib.MIN(b["low"], 20)),
    "donchian(n=55)": lambda b: (talib.MAX(b["high"], 55), talib.MIN(b["low"], 55)),
    "obv": lambda b: talib.OBV(b["close"], b["volume"]),
    "ad_line": lambda b: talib.AD(b["high"], b["low"], b["close"], b["volume"]),
}
"""What TA-Lib calls for the outputs of a kernel."""


class Cost(NamedTuple):
    """Milliseconds for a kernel over a history, and for TA-Lib where it has the indicator."""

    entry: str
    ours_ms: float
    talib_ms: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.talib_ms is None else self.ours_ms / self.talib_ms


def history(count: int = BARS) -> dict[str, Floats]:
    """A seeded random walk of one-minute bars."""
    rng = np.random.default_rng(11)
    close = 60_000.0 * np.exp(np.cumsum(rng.standard_t(4, count) * 2e-4))
    first = np.concatenate([close[:1], close[:-1]])
    spans = np.abs(rng.normal(0.0, 2e-4, (2, count)))
    return {
        "open": first,
        "high": np.maximum(first, close) * (1.0 + spans[0]),
        "low": np.minimum(first, close) / (1.0 + spans[1]),
        "close": close,
        "volume": rng.lognormal(3.0, 1.0, count),
    }


@njit(cache=False)
def _lay(x: Floats, keep: int, bars: Floats, wanted: int) -> None:
    for i in range(bars.shape[1]):
        o, h, low, c, v = bars[0, i], bars[1, i], bars[2, i], bars[3, i], bars[4, i]
        driver.lay(x, keep + i, i == 0, o, h, low, c, v, i // 1440, 60.0 * (i + 1), 0.0, wanted)


def prepared(bars: dict[str, Floats], keep: int) -> Floats:
    """The columns that kernels read, derived ones among them, behind `keep` bars of nothing."""
    columns = np.array([bars[name] for name in ("open", "high", "low", "close", "volume")])
    x = np.zeros((COLUMNS, keep + columns.shape[1]))
    _lay(x, keep, columns, driver.WANTS_RET | driver.WANTS_LOGVOL | driver.WANTS_RANGE)
    return x


def _run(plan: Plan, x: Floats, extras: Floats) -> None:
    """The kernels of a plan over prepared columns, in blocks as `FeatureEngine.batch` runs them."""
    c = np.zeros(parts.CONTROLS, dtype=np.int64)
    c[parts.WIDTH], c[parts.STRIDE], c[parts.INTERVAL] = x.shape[1], driver.BLOCK, 60
    s, out = np.zeros(max(plan.slots, 1)), np.empty((plan.outputs, driver.BLOCK))
    count = x.shape[1] - plan.keep
    for first in range(0, count, driver.BLOCK):
        c[parts.ROWS] = min(driver.BLOCK, count - first)
        c[parts.FIRST] = c[parts.NUMBER] = first
        driver.kernels(plan.table, plan.params, s, x, plan.keep + first, extras, c, out)


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def cost(entry: str, bars: dict[str, Floats], repeats: int = REPEATS) -> Cost:
    """Time of an entry's kernel over the bars and of TA-Lib's functions, in turn: the fastest of each.

    The fastest, because both do exactly the same work each time: what is slower was disturbed.
    """
    plan = plan_of(make_set(entry, (entry,)))
    x, extras = prepared(bars, plan.keep), np.ones((len(EXTRA), driver.BLOCK))
    theirs = TALIB.get(entry)
    ours_ms, talib_ms = math.inf, math.inf
    for _ in range(repeats):
        ours_ms = min(ours_ms, _timed(lambda: _run(plan, x, extras)))
        if theirs is not None:
            talib_ms = min(talib_ms, _timed(lambda: theirs(bars)))
    return Cost(entry, ours_ms, talib_ms if theirs is not None else None)


def main() -> None:
    """Print the table."""
    table = Table(title=f"{BARS:,} bars, fastest of {REPEATS}; at most {ALLOWED:g} times TA-Lib")
    for heading in ("kernel", "ours ms", "TA-Lib ms", "ratio"):
        table.add_column(heading, justify="left" if heading == "kernel" else "right")
    bars = history()
    for entry in TALIB:
        found = cost(entry, bars)
        theirs = "" if found.talib_ms is None else f"{found.talib_ms:.2f}"
        ratio = "" if found.ratio is None else f"{found.ratio:.2f}" + ("" if found.ratio <= ALLOWED else " missed")
        table.add_row(found.entry, f"{found.ours_ms:.2f}", theirs, ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
