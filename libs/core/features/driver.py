"""Runs the kernels of a set over a packed state; one call a bar live, one a block of bars in a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # type: ignore[attr-defined]  # it does not say what it exports
from numba.extending import intrinsic
from numpy.typing import NDArray

from libs.core.features.inputs import CLOSE, COLUMNS, FLAT, HIGH, LOGVOL, LOW, OPEN, RANGE, RET, SESSION, TIME, VOLUME
from libs.core.features.kit import PLAIN, View, plain_kernel
from libs.core.features.parts import CONTROLS, FIRST, INTERVAL, NUMBER, ROWS, STRIDE, WIDTH

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Statuses of a bar.
TAKEN: Final = 0
FILLED: Final = 1  # taken, after flat bars for the missing ones before it
RESTARTED: Final = 2  # taken as the first bar: more bars are missing than MAX_FILL
STALE: Final = 3  # not taken: at or before the last bar
INVALID: Final = 4  # not taken: a price or volume that cannot be

MAX_FILL: Final = 600
"""Longest hole that flat bars may stand in for; after a longer one every window would hold invented bars only."""

# Slots of the integers `head` of an engine.
COUNT: Final = 0  # bars taken
LAST: Final = 1  # number of the last bar
AT: Final = 2  # column index of the last bar in the window
HEAD: Final = 3

# Columns of a plan, a row per kernel.
ADDRESS: Final = 0
STATE: Final = 1  # offset into the state
PARAMS: Final = 2
OUT: Final = 3  # index of its first output
PLAN: Final = 4


WANTS_RET: Final = 1
WANTS_LOGVOL: Final = 2
WANTS_RANGE: Final = 4

BLOCK: Final = 2048
"""Rows that a batch hands to a kernel at once: few enough to stay in the processor's cache."""

DAY: Final = 86_400_000_000_000
WEEK_S: Final = 7 * 86_400
FIRST_MONDAY: Final = 4 * DAY

SLACK: Final = 64
"""Bars between two moves of a window to its front."""


@intrinsic
def _call(
    context: Any, kernel: Any, s: Any, x: Any, e: Any, p: Any, c: Any, out: Any
) -> tuple[Any, Any]:  # pragma: no cover
    """Call the kernel at an address; every argument is an address, too."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        double, integer = ir.DoubleType().as_pointer(), ir.IntType(64).as_pointer()
        kinds = [double, double, double, double, integer, double]
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(function, [builder.inttoptr(arg, kind) for arg, kind in zip(args[1:], kinds, strict=True)])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), codegen


def _plain_kernels(plan: Ints, params: Floats, s: Floats, x: Floats, at: int, e: Floats, c: Ints, out: Floats) -> None:
    """What `_compiled_kernels` does, in Python and with bounds checks."""
    for k in range(len(plan)):
        plain_kernel(int(plan[k, ADDRESS]))(
            View(s, plan[k, STATE]),
            View(x, at),
            View(e, 0),
            View(params, plan[k, PARAMS]),
            c,
            View(out, plan[k, OUT] * c[STRIDE]),
        )


@njit(cache=True)
def _compiled_kernels(
    plan: Ints, params: Floats, s: Floats, x: Floats, at: int, e: Floats, c: Ints, out: Floats
) -> None:
    """Every kernel of the plan over c[ROWS] rows of x that begin at column index `at`."""
    state, window, extra = s.ctypes.data, x.ctypes.data + 8 * at, e.ctypes.data
    values, controls, written = params.ctypes.data, c.ctypes.data, out.ctypes.data
    stride = c[STRIDE]
    for k in range(plan.shape[0]):
        _call(  # type: ignore[call-arg]
            plan[k, ADDRESS],
            state + 8 * plan[k, STATE],
            window,
            extra,
            values + 8 * plan[k, PARAMS],
            controls,
            written + 8 * plan[k, OUT] * stride,
        )


kernels = _plain_kernels if PLAIN else _compiled_kernels


@njit(cache=True)
def believable(number: int, o: float, h: float, low: float, c: float, v: float) -> bool:
    """Prices and volume that can be."""
    if not (number >= 0 and low > 0.0 and h >= low and o > 0.0 and c > 0.0 and v >= 0.0):
        return False
    return math.isfinite(h) and math.isfinite(o) and math.isfinite(c) and math.isfinite(v)


@njit(cache=True)
def lay(
    x: Floats,
    at: int,
    first: bool,
    o: float,
    h: float,
    low: float,
    c: float,
    v: float,
    session: float,
    end: float,
    flat: float,
    derived: int,
) -> None:
    """Write a bar into column index `at` of x, with what the plan wants derived from it and the bar before."""
    previous = c if first else x[CLOSE, at - 1]
    x[OPEN, at], x[HIGH, at], x[LOW, at], x[CLOSE, at], x[VOLUME, at] = o, h, low, c, v
    if derived & WANTS_RET:
        x[RET, at] = 0.0 if first else math.log(c / previous)
    if derived & WANTS_LOGVOL:
        x[LOGVOL, at] = math.log1p(v)
    if derived & WANTS_RANGE:
        x[RANGE, at] = h - low if first else max(h - low, max(abs(h - previous), abs(low - previous)))
    x[SESSION, at] = session
    x[TIME, at] = end
    x[FLAT, at] = flat


@njit(cache=True)
def slot(head: Ints, x: Floats, keep: int) -> int:
    """Column index for the next bar; the newest `keep` move to the front when the window is full."""
    at = head[AT] + 1
    if at == x.shape[1]:
        for column in range(COLUMNS):
            for j in range(keep):
                x[column, j] = x[column, at - keep + j]
        at = keep
    head[AT] = at
    return int(at)


@njit(cache=True)
def advance(
    plan: Ints,
    params: Floats,
    head: Ints,
    s: Floats,
    x: Floats,
    keep: int,
    derived: int,
    e: Floats,
    nothing: Floats,
    c: Ints,
    out: Floats,
    number: int,
    o: float,
    h: float,
    low: float,
    close: float,
    v: float,
    session: float,
    end: float,
    seconds: int,
) -> int:
    """Take the bar `number` (see `grid`) after what is missing before it; returns a status.

    Missing bars are flat at the last close with no volume and no extra input (`nothing`). A bar that is not taken
    leaves everything alone. `session`: number of the session in which the bar opens; `end`: its end, seconds UTC.
    """
    if not believable(number, o, h, low, close, v):
        return INVALID
    status = TAKEN
    c[ROWS], c[STRIDE], c[WIDTH], c[INTERVAL] = 1, 1, x.shape[1], seconds
    if head[COUNT] > 0:
        missing = number - head[LAST] - 1
        if missing < 0:
            return STALE
        if missing > MAX_FILL:
            head[COUNT] = 0
            s[:] = 0.0
            status = RESTARTED
        elif missing > 0:
            price, before, clock = x[CLOSE, head[AT]], x[SESSION, head[AT]], x[TIME, head[AT]]
            for k in range(missing):
                at = slot(head, x, keep)
                lay(x, at, False, price, price, price, price, 0.0, before, clock + seconds * (k + 1), 1.0, derived)
                c[FIRST], c[NUMBER] = head[COUNT], head[LAST] + 1 + k
                kernels(plan, params, s, x, at, nothing, c, out)
                head[COUNT] += 1
            status = FILLED
    at = slot(head, x, keep)
    lay(x, at, head[COUNT] == 0, o, h, low, close, v, session, end, 0.0, derived)
    c[FIRST], c[NUMBER] = head[COUNT], number
    kernels(plan, params, s, x, at, e, c, out)
    head[COUNT] += 1
    head[LAST] = number
    return status


class Machine(NamedTuple):
    """All that `advance` works on for one engine, held while its addresses are in use.

    `chosen` receives the outputs `columns`; it is `out` itself where every output is wanted, in order.
    """

    plan: Ints
    params: Floats
    head: Ints
    s: Floats
    x: Floats
    keep: int
    derived: int
    e: Floats
    nothing: Floats
    c: Ints
    out: Floats
    columns: Ints
    chosen: Floats
    seconds: int


def packed(machine: Machine) -> Any:
    """What `step` is called with: sizes and addresses in one array, since handing over an array costs 50 ns each."""
    if PLAIN:
        return machine
    plan, params, head, s, x, keep, derived, e, nothing, c, out, columns, chosen, seconds = machine
    whole = chosen is out
    sizes = (len(plan), len(params), len(s), x.shape[1], len(e), len(out), 0 if whole else len(chosen))
    places = (array.ctypes.data for array in (plan, params, head, s, x, e, nothing, c, out, columns, chosen))
    return np.array([keep, derived, seconds, *sizes, *places], dtype=np.int64)


def _to_floats(context: Any, place: Any) -> tuple[Any, Any]:  # pragma: no cover
    """The address as a pointer to float64."""
    pointer = types.CPointer(types.float64)  # type: ignore[no-untyped-call]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.DoubleType().as_pointer())

    return pointer(types.intp), codegen


def _to_integers(context: Any, place: Any) -> tuple[Any, Any]:  # pragma: no cover
    """The address as a pointer to int64."""
    pointer = types.CPointer(types.int64)  # type: ignore[no-untyped-call]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(64).as_pointer())

    return pointer(types.intp), codegen


_floats: Any = intrinsic(_to_floats)
_integers: Any = intrinsic(_to_integers)


@njit(cache=True)
def placed(open_time: int, seconds: int) -> tuple[int, float, float]:
    """Number, session and end of a bar where the market never closes, as `grid.Grid` has them."""
    interval = seconds * 1_000_000_000
    shifted = open_time - (FIRST_MONDAY if seconds == WEEK_S else 0)
    number = shifted // interval
    if number * interval != shifted:
        number = -1
    return number, float(open_time // DAY), (open_time + interval) / 1e9


@njit(cache=True)
def _compiled_step(
    m: Ints,
    number: int,
    session: float,
    end: float,
    o: float,
    h: float,
    low: float,
    close: float,
    v: float,
) -> int:
    """`advance` on what `packed` has packed, then the chosen outputs in their order."""
    keep, derived, seconds = m[0], m[1], m[2]
    kernels_, params, slots, width, extras, outputs, chosen = m[3], m[4], m[5], m[6], m[7], m[8], m[9]
    out = carray(_floats(m[18]), outputs)
    status = advance(
        carray(_integers(m[10]), (kernels_, PLAN)),
        carray(_floats(m[11]), params),
        carray(_integers(m[12]), HEAD),
        carray(_floats(m[13]), slots),
        carray(_floats(m[14]), (COLUMNS, width)),
        keep,
        derived,
        carray(_floats(m[15]), extras),
        carray(_floats(m[16]), extras),
        carray(_integers(m[17]), CONTROLS),
        out,
        number,
        o,
        h,
        low,
        close,
        v,
        session,
        end,
        seconds,
    )
    columns, values = _integers(m[19]), _floats(m[20])
    for f in range(chosen):
        values[f] = out[columns[f]]
    return int(status)


def _plain_step(
    m: Machine,
    number: int,
    session: float,
    end: float,
    o: float,
    h: float,
    low: float,
    close: float,
    v: float,
) -> int:
    """The same in Python."""
    status = int(advance(*m[:11], number, o, h, low, close, v, session, end, m.seconds))
    if m.chosen is not m.out:
        m.chosen[:] = m.out[m.columns]
    return status


@njit(cache=True)
def _compiled_open_step(m: Ints, open_time: int, o: float, h: float, low: float, close: float, v: float) -> int:
    """The same where the market never closes: the place follows from the open time."""
    number, session, end = placed(open_time, m[2])
    return int(_compiled_step(m, number, session, end, o, h, low, close, v))


def _plain_open_step(m: Machine, open_time: int, o: float, h: float, low: float, close: float, v: float) -> int:
    """The same in Python."""
    return _plain_step(m, *placed(open_time, m.seconds), o, h, low, close, v)


step: Callable[..., int] = _plain_step if PLAIN else _compiled_step
"""Take the bar at a place of its grid: number, session, end, open, high, low, close, volume."""

open_step: Callable[..., int] = _plain_open_step if PLAIN else _compiled_open_step
"""Take a bar of a market that never closes by its open time (ns UTC): open, high, low, close, volume."""


@njit(cache=True)
def _flush(
    plan: Ints,
    params: Floats,
    s: Floats,
    x: Floats,
    keep: int,
    e: Floats,
    c: Ints,
    out: Floats,
    rows: int,
    source: Ints,
    values: Floats,
) -> None:
    """Run the block's rows through the kernels and hand the results to the rows of `values` that they belong to."""
    c[ROWS] = rows
    kernels(plan, params, s, x, keep, e, c, out)
    for f in range(out.shape[0]):
        for j in range(rows):
            if source[j] >= 0:
                values[f, source[j]] = out[f, j]
    for column in range(COLUMNS):
        for j in range(keep):
            x[column, j] = x[column, rows + j]
    c[FIRST] += rows
    c[NUMBER] += rows


@njit(cache=True)
def run(
    plan: Ints,
    params: Floats,
    slots: int,
    keep: int,
    derived: int,
    extras: Floats,
    numbers: Ints,
    bars: Floats,
    session: Floats,
    ends: Floats,
    seconds: int,
    values: Floats,
) -> Ints:
    """`advance` over bars (open, high, low, close, volume x n) from an empty state, in blocks; returns the statuses.

    `values` is features x n; columns of bars that were not taken stay as they were. `extras` is extra inputs x n, or
    extra inputs x 0 when there are none.
    """
    n = len(numbers)
    statuses = np.empty(n, dtype=np.int64)
    s = np.zeros(slots)
    x = np.zeros((COLUMNS, keep + BLOCK))
    e = np.full((extras.shape[0], BLOCK), np.nan)
    out = np.empty((values.shape[0], BLOCK))
    source = np.empty(BLOCK, dtype=np.int64)
    c = np.zeros(CONTROLS, dtype=np.int64)
    c[STRIDE], c[WIDTH], c[INTERVAL] = BLOCK, x.shape[1], seconds
    rows, count, last = 0, 0, 0
    for i in range(n):
        o, h, low, close, v = bars[0, i], bars[1, i], bars[2, i], bars[3, i], bars[4, i]
        if not believable(numbers[i], o, h, low, close, v):
            statuses[i] = INVALID
            continue
        statuses[i] = TAKEN
        if count > 0:
            missing = numbers[i] - last - 1
            if missing < 0:
                statuses[i] = STALE
                continue
            if missing > MAX_FILL:
                _flush(plan, params, s, x, keep, e, c, out, rows, source, values)
                s[:] = 0.0
                rows, count = 0, 0
                statuses[i] = RESTARTED
            elif missing > 0:
                newest = keep + rows - 1
                price, before, clock = x[CLOSE, newest], x[SESSION, newest], x[TIME, newest]
                for k in range(missing):
                    if rows == BLOCK:
                        _flush(plan, params, s, x, keep, e, c, out, rows, source, values)
                        rows = 0
                    end = clock + seconds * (k + 1)
                    lay(x, keep + rows, False, price, price, price, price, 0.0, before, end, 1.0, derived)
                    e[:, rows] = np.nan
                    source[rows] = -1
                    rows += 1
                statuses[i] = FILLED
        if rows == BLOCK:
            _flush(plan, params, s, x, keep, e, c, out, rows, source, values)
            rows = 0
        if count == 0:
            c[FIRST], c[NUMBER] = 0, numbers[i]
        lay(x, keep + rows, count == 0, o, h, low, close, v, session[i], ends[i], 0.0, derived)
        if extras.shape[1]:
            e[:, rows] = extras[:, i]
        source[rows] = i
        rows += 1
        count += 1
        last = numbers[i]
    _flush(plan, params, s, x, keep, e, c, out, rows, source, values)
    return statuses


def state_of(keep: int, slots: int) -> tuple[Ints, Floats, Floats]:
    """Empty head, state and window of an engine whose kernels want `keep` bars in front of a new one."""
    head = np.zeros(HEAD, dtype=np.int64)
    head[AT] = keep - 1
    return head, np.zeros(slots), np.zeros((COLUMNS, keep + SLACK))
