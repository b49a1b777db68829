"""What a kernel touches, in plain Python: python -m libs.research.leak.bounds [FILE], with NUMBA_DISABLE_JIT=1.

Compiled kernels have no bounds checks: one index too far reads another feature's numbers, or ends the process. Here
every index is looked at, history included: a kernel that reads further back than its `lookback` is named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from libs.core.features import driver, parts
from libs.core.features.inputs import COLUMNS
from libs.core.features.kit import PLAIN, REGISTRY, View
from libs.core.features.sets import FULL, load, make_set
from libs.core.types import SECOND
from libs.research.leak.series import History, seeded

_WIDE: Final = 1 << 24
"""Distance between columns: far enough that an index tells its column and its bar."""

_DAY_S: Final = 86_400


class Reach:
    """Columns of bars around one row as a kernel sees them; raises IndexError beyond `lookback` or the last row."""

    def __init__(self, columns: np.ndarray[Any, Any], at: int, lookback: int, rows: int) -> None:
        self._columns, self._at, self._lookback, self._rows = columns, at, lookback, rows

    def __getitem__(self, index: int) -> float:
        column = (index + _WIDE // 2) // _WIDE
        row = index - column * _WIDE
        if not 0 <= column < len(self._columns):
            raise IndexError(f"reads column {column}; there are {len(self._columns)}")
        if row < -self._lookback:
            raise IndexError(f"reads {-row} bars back and more, but its lookback is {self._lookback}")
        if row >= self._rows:
            raise IndexError("reads beyond the last bar")
        return float(self._columns[column, self._at + row])


def columns_of(history: History, lookback: int) -> np.ndarray[Any, Any]:
    """The columns of bars as the driver lays them out, `lookback` empty ones in front."""
    x = np.full((COLUMNS, lookback + len(history)), np.nan)
    bars, derived = history.bars, driver.WANTS_RET | driver.WANTS_LOGVOL | driver.WANTS_RANGE
    session = (bars.open_time // (_DAY_S * SECOND)).astype(np.float64)
    for i in range(len(history)):
        o, h, low, c, v = (float(each[i]) for each in (bars.open, bars.high, bars.low, bars.close, bars.volume))
        end = bars.open_time[i] / SECOND + history.interval_s
        driver.lay(x, lookback + i, i == 0, o, h, low, c, v, float(session[i]), end, 0.0, derived)
    return x


def fault_of(entry: str, history: History) -> str:
    """What is wrong with the kernel of an entry: an index, a division by zero; an empty text when nothing is."""
    features = make_set("bounds", (entry,)).features
    definition = REGISTRY[features[0].kernel]
    params: dict[str, Any] = dict(zip(definition.defaults, features[0].values, strict=True))
    lookback = definition.resolve(definition.lookback, params)
    x = columns_of(history, lookback)
    s = np.zeros(definition.resolve(definition.state, params))
    p = np.array(list(params.values()) or [0.0], dtype=np.float64)
    c = np.zeros(parts.CONTROLS, dtype=np.int64)
    c[parts.WIDTH], c[parts.INTERVAL] = _WIDE, history.interval_s
    first, number = 0, int(history.numbers[0])
    for rows in _blocks(len(history)):
        out = np.empty((len(definition.outputs), rows))
        c[parts.ROWS], c[parts.FIRST], c[parts.NUMBER], c[parts.STRIDE] = rows, first, number + first, rows
        extras = np.ascontiguousarray(history.extras[:, first : first + rows])
        try:
            definition.kernel(
                View(s, 0), Reach(x, lookback + first, lookback, rows), View(extras, 0), View(p, 0), c, View(out, 0)
            )
        except Exception as err:
            return f"{entry}: {err} (bars {first} to {first + rows - 1})"
        first += rows
    return ""


def _blocks(count: int) -> Iterable[int]:
    """One by one at first, as bars arrive, then in blocks, as a batch has them."""
    left = count
    while left:
        rows = min(1 if left > count // 2 else 64, left)
        yield rows
        left -= rows


def faults(entries: Iterable[str], bars: int = 60) -> list[str]:
    """Faults of these entries over their warm-up and `bars` more, flat stretches and missing inputs among them."""
    found = []
    for entry in entries:
        warmup = max(feature.warmup for feature in make_set("bounds", (entry,)).features)
        for history in (_contiguous(warmup + bars), _contiguous(warmup + bars).flat_from(warmup // 2)):
            if fault := fault_of(entry, history):
                found.append(fault)
                break
    return found


def _contiguous(count: int) -> History:
    history = seeded(11, count, clean=True)
    history.extras[:, count // 3 : count // 2] = np.nan
    return history


def main() -> int:
    """Print a line per fault; 1 when there is one."""
    if not PLAIN:
        sys.stderr.write("bounds: kernels are compiled here; set NUMBA_DISABLE_JIT=1\n")
        return 2
    found = faults(load(sys.argv[1]) if len(sys.argv) > 1 else FULL.entries)
    for line in found:
        sys.stdout.write(line + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
