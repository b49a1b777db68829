"""What a chart is taught to be called: candlesticks by TA-Lib's functions, shapes of pivots by geometric rules."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from libs.core.agents.charts import BARS, LOOK
from libs.research.training.dataset import Floats

CANDLES: Final[dict[str, tuple[str, int]]] = {
    "doji": ("CDLDOJI", 1),
    "marubozu_up": ("CDLMARUBOZU", 1),
    "marubozu_down": ("CDLMARUBOZU", -1),
    "hammer": ("CDLHAMMER", 1),
    "shooting_star": ("CDLSHOOTINGSTAR", -1),
    "bullish_engulfing": ("CDLENGULFING", 1),
    "bearish_engulfing": ("CDLENGULFING", -1),
    "bullish_harami": ("CDLHARAMI", 1),
    "bearish_harami": ("CDLHARAMI", -1),
    "morning_star": ("CDLMORNINGSTAR", 1),
    "evening_star": ("CDLEVENINGSTAR", -1),
    "three_inside_up": ("CDL3INSIDE", 1),
    "three_inside_down": ("CDL3INSIDE", -1),
}
"""Name to TA-Lib's function and the sign of its answer."""

SHAPES: Final = (
    "double_top",
    "double_bottom",
    "head_and_shoulders",
    "inverse_head_and_shoulders",
    "triangle",
    "bull_flag",
    "bear_flag",
)
CLASSES: Final = (*CANDLES, *SHAPES)

PIVOT: Final = 2
"""A pivot is beyond so many bars on both sides of it."""

FLAG: Final = 10
"""Bars of a flag, at the end of the chart."""

# The rules measure in heights of the chart.
EVEN: Final = 0.1
DEEP: Final = 0.3
POLE: Final = 0.6


def labels_of(bars: Floats) -> Floats:
    """(T, classes) 1 where the bars (T, 5) that end there show it, else 0; NaN before there are bars for a chart."""
    import talib

    columns = [np.ascontiguousarray(bars[:, k], dtype=np.float64) for k in range(4)]
    found = np.zeros((len(bars), len(CLASSES)))
    for i, (function, sign) in enumerate(CANDLES.values()):
        found[:, i] = getattr(talib, function)(*columns) * sign > 0
    up = np.ascontiguousarray(bars[:, 1:4], dtype=np.float64)
    down = np.ascontiguousarray(-bars[:, [2, 1, 3]], dtype=np.float64)
    shapes = found[:, len(CANDLES) :]
    for t in range(LOOK - 1, len(bars)):
        window, mirror = up[t - BARS + 1 : t + 1], down[t - BARS + 1 : t + 1]
        height = window[:, 0].max() - window[:, 1].min()
        if not height > 0.0:
            continue
        shapes[t, 0], shapes[t, 1] = _double_top(window, height), _double_top(mirror, height)
        shapes[t, 2], shapes[t, 3] = _head_and_shoulders(window, height), _head_and_shoulders(mirror, height)
        shapes[t, 4] = _triangle(window, height)
        shapes[t, 5], shapes[t, 6] = _flag(window, height), _flag(mirror, height)
    found[: LOOK - 1] = np.nan
    return found


@njit(cache=True)
def _pivots(line: Floats) -> list[int]:
    """Bars that are higher than PIVOT bars on both sides; of equal neighbours the first."""
    found = []
    for i in range(PIVOT, len(line) - PIVOT):
        peak = True
        for k in range(1, PIVOT + 1):
            if line[i - k] >= line[i] or line[i + k] > line[i]:
                peak = False
        if peak:
            found.append(i)
    return found


@njit(cache=True)
def _double_top(window: Floats, height: float) -> bool:
    """Two highs as high as each other, a valley between them and one before, and a close on its way down from them."""
    high, low, close = window[:, 0], window[:, 1], window[:, 2]
    top = high.max()
    peaks = [i for i in _pivots(high) if high[i] >= top - EVEN * height]
    if len(peaks) < 2 or peaks[-1] - peaks[0] < 5:
        return False
    first, last = peaks[0], peaks[-1]
    valley = low[first : last + 1].min()
    rise = top - low[: first + 1].min()
    turned = valley - EVEN * height <= close[-1] <= top - 0.5 * (top - valley)
    shown: bool = top - valley >= DEEP * height and rise >= DEEP * height and turned
    return shown


@njit(cache=True)
def _head_and_shoulders(window: Floats, height: float) -> bool:
    """Three highs of which the middle one stands out, on an even neckline, and a close below both shoulders."""
    high, low, close = window[:, 0], window[:, 1], window[:, 2]
    peaks = _pivots(high)
    for b in range(1, len(peaks) - 1):
        for a in range(b):
            for c in range(b + 1, len(peaks)):
                left, head, right = high[peaks[a]], high[peaks[b]], high[peaks[c]]
                if abs(left - right) > 1.5 * EVEN * height or head < max(left, right) + 1.5 * EVEN * height:
                    continue
                one = low[peaks[a] : peaks[b] + 1].min()
                two = low[peaks[b] : peaks[c] + 1].min()
                if abs(one - two) > 1.5 * EVEN * height or min(left, right) < max(one, two) + EVEN * height:
                    continue
                if close[-1] < min(left, right) and head >= high[peaks[a] :].max():
                    return True
    return False


@njit(cache=True)
def _slope(at: list[int], line: Floats) -> float:
    """Of the least-squares line through these bars."""
    n = len(at)
    mean_x = mean_y = 0.0
    for i in at:
        mean_x += i / n
        mean_y += line[i] / n
    top = bottom = 0.0
    for i in at:
        top += (i - mean_x) * (line[i] - mean_y)
        bottom += (i - mean_x) ** 2
    return top / bottom if bottom > 0.0 else 0.0


@njit(cache=True)
def _triangle(window: Floats, height: float) -> bool:
    """Highs that do not rise and lows that do not fall, and together come nearer by half of the height."""
    high, low = window[:, 0], window[:, 1]
    peaks, valleys = _pivots(high), _pivots(-low)
    if len(peaks) < 3 or len(valleys) < 3:
        return False
    falling, rising = _slope(peaks, high) * BARS / height, _slope(valleys, low) * BARS / height
    return falling <= EVEN and rising >= -EVEN and rising - falling >= 0.5


@njit(cache=True)
def _flag(window: Floats, height: float) -> bool:
    """A steep rise, then ten bars in less than half of its height that do not go on up."""
    high, low, close = window[:, 0], window[:, 1], window[:, 2]
    begin = len(close) - FLAG
    bottom = int(np.argmin(low[:begin]))
    pole = high[bottom:begin].max() - low[bottom]
    narrow = high[begin:].max() - low[begin:].min() <= 0.45 * pole
    held = close[-1] <= close[begin] and low[begin:].min() >= low[bottom] + 0.5 * pole
    shown: bool = pole >= POLE * height and narrow and held
    return shown
