"""Bars drawn as a chart of 64 x 64 dots: candles, a moving average and volume, each in a plane of its own."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

SIDE: Final = 64
BARS: Final = 32
"""Bars in a chart; each is two dots wide."""

AVERAGE: Final = 10
LOOK: Final = BARS + AVERAGE - 1
"""Bars that a chart needs: those that it shows, and what its first average reaches back to."""

PLANES: Final = 3
CANDLES: Final = 0
MEAN: Final = 1
VOLUME: Final = 2
WICK: Final = 0.5


@njit(cache=True)
def _row(price: float, low: float, high: float) -> int:
    """Dots from the top: the highest price is in row 0, the lowest in the last."""
    row = int((high - price) / (high - low) * (SIDE - 1) + 0.5)
    return min(max(row, 0), SIDE - 1)


@njit(cache=True)
def _draw(bars: Floats, out: Image) -> bool:
    out[:] = 0.0
    for t in range(LOOK):
        for k in range(4):
            if not np.isfinite(bars[t, k]):
                return False
    low, high, most = bars[AVERAGE - 1, 2], bars[AVERAGE - 1, 1], 0.0
    for t in range(AVERAGE - 1, LOOK):
        low, high = min(low, bars[t, 2]), max(high, bars[t, 1])
        if bars[t, 4] > most:
            most = bars[t, 4]
    if not high > low:
        return False
    for i in range(BARS):
        t = AVERAGE - 1 + i
        left, right = 2 * i, 2 * i + 1
        opened, closed = bars[t, 0], bars[t, 3]
        for y in range(_row(bars[t, 1], low, high), _row(bars[t, 2], low, high) + 1):
            out[CANDLES, y, left] = WICK
        body = 1.0 if closed >= opened else -1.0
        for y in range(_row(max(opened, closed), low, high), _row(min(opened, closed), low, high) + 1):
            out[CANDLES, y, left] = out[CANDLES, y, right] = body
        mean = 0.0
        for k in range(t - AVERAGE + 1, t + 1):
            mean += bars[k, 3]
        y = _row(mean / AVERAGE, low, high)
        out[MEAN, y, left] = out[MEAN, y, right] = 1.0
        if bars[t, 4] > 0.0:
            for y in range(SIDE - int(bars[t, 4] / most * SIDE + 0.5), SIDE):
                out[VOLUME, y, left] = out[VOLUME, y, right] = 1.0
    return True


@njit(cache=True)
def _draw_many(bars: Floats, ends: NDArray[np.int64], out: Image, drawn: NDArray[np.bool_]) -> None:
    for i in range(len(ends)):
        end = ends[i] + 1
        drawn[i] = end >= LOOK and _draw(bars[end - LOOK : end], out[i])
        if not drawn[i]:
            out[i] = 0.0


def charts(bars: Floats, ends: NDArray[np.int64]) -> tuple[Image, NDArray[np.bool_]]:
    """Charts (n, 3, 64, 64) that end with these rows of bars (T, 5: open, high, low, close, volume), and which are one.

    Prices fill the height from the lowest low to the highest high of the 32 bars: rising bodies 1, falling -1, wicks
    0.5, the average of ten closes 1 and cut at the edges; volume fills it from below, the greatest to the top, none
    where it is not known. With fewer than LOOK bars, a price that is none, or none that
    moves, there is no chart: all 0.
    """
    out = np.empty((len(ends), PLANES, SIDE, SIDE), dtype=np.float32)
    drawn = np.empty(len(ends), dtype=np.bool_)
    _draw_many(np.ascontiguousarray(bars, dtype=np.float64), np.asarray(ends, dtype=np.int64), out, drawn)
    return out, drawn


def upside_down(images: Image) -> Image:
    """The charts of prices that fell where these rose: candles and average turned over, volume as it was."""
    turned = images.copy()
    turned[:, CANDLES] = np.where(images[:, CANDLES] == WICK, WICK, -images[:, CANDLES])[:, ::-1]
    turned[:, MEAN] = images[:, MEAN, ::-1]
    return turned
