"""Volume: the price at which it traded, and on which side."""

from __future__ import annotations

import math

from numba import njit

from libs.core.features.catalogue import CUMULATIVE
from libs.core.features.inputs import CLOSE, EXTRA, HIGH, LOW, SESSION, VOLUME
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, STRIDE, WIDTH, Pointer, worn

QUOTE = "quote currency"
BASE = "base units"

BUY = EXTRA.index("buy_volume")
SELL = EXTRA.index("sell_volume")


@njit(cache=False)
def typical(x: Pointer, w: int, k: int) -> float:
    """Typical price of the bar k: (high + low + close) / 3."""
    return float((x[HIGH * w + k] + x[LOW * w + k] + x[CLOSE * w + k]) / 3.0)


@njit(cache=False)
def location(x: Pointer, w: int, k: int) -> float:
    """Close location value of the bar k: -1 at its low, 1 at its high, 0 when it has no range."""
    high, low, close = x[HIGH * w + k], x[LOW * w + k], x[CLOSE * w + k]
    return float((2.0 * close - high - low) / (high - low)) if high > low else 0.0


@feature(
    outputs=[Output(name="vwap_session", unit=QUOTE, low=0.0)],
    state=3,
    warmup=1,
    memory=86_400,
    oracle="pandas groupby cumsum",
    source="sum of typical price times volume / sum of volume; memory of a day of one-second bars",
)
def vwap_session(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Volume-weighted average price since the session began, or since the first bar when that came later.

    A bar without volume leaves it where it is; before the session's first volume it is the newest typical price.
    """
    w, first = c[WIDTH], c[FIRST]
    money, volume, session = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        if x[SESSION * w + j] != session or first + j == 0:
            money, volume, session = 0.0, 0.0, x[SESSION * w + j]
        price = typical(x, w, j)
        money += price * x[VOLUME * w + j]
        volume += x[VOLUME * w + j]
        if first + j < 1:
            out[j] = NAN
        else:
            out[j] = money / volume if volume > 0.0 else price
    s[0], s[1], s[2] = money, volume, session


@feature(
    outputs=[Output(name="vwap_{n}", unit=QUOTE, low=0.0)],
    n=60,
    state=3,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="pandas rolling",
    source="sum of typical price times volume / sum of volume",
)
def vwap(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Volume-weighted average price of the last n bars; the newest typical price when none of them has volume."""
    n, w, first, number = int(p[0]), c[WIDTH], c[FIRST], c[NUMBER]
    base = VOLUME * w
    money, volume, peak = s[0], s[1], s[2]
    for j in range(c[ROWS]):
        i = first + j
        price = typical(x, w, j)
        money += price * x[base + j]
        volume += x[base + j]
        if i >= n:
            money -= typical(x, w, j - n) * x[base + j - n]
            volume -= x[base + j - n]
            if worn(volume, peak, number + j):
                money = volume = peak = 0.0
                for k in range(j - n + 1, j + 1):
                    money += typical(x, w, k) * x[base + k]
                    volume += x[base + k]
        peak = max(peak, volume)
        if i < n - 1:
            out[j] = NAN
        else:
            out[j] = money / volume if volume > 0.0 else price
    s[0], s[1], s[2] = money, volume, peak


@feature(
    outputs=[Output(name="obv", unit=BASE)],
    state=1,
    lookback=1,
    warmup=0,
    memory=CUMULATIVE,
    oracle="talib.OBV",
    source="Granville 1963",
)
def obv(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """On-balance volume: volume added when the close rose and taken away when it fell; begins with the first volume."""
    w, first = c[WIDTH], c[FIRST]
    base, volume = CLOSE * w, VOLUME * w
    total = s[0]
    for j in range(c[ROWS]):
        if first + j == 0 or x[base + j] > x[base + j - 1]:
            total += x[volume + j]
        elif x[base + j] < x[base + j - 1]:
            total -= x[volume + j]
        out[j] = total
    s[0] = total


@feature(
    outputs=[Output(name="obv_slope_{n}", unit="share of the volume a bar", low=-1.0, high=1.0)],
    n=20,
    lookback=lambda n: n,
    warmup=lambda n: n - 1,
    memory=lambda n: n,
    oracle="talib.OBV, numpy.polyfit",
    source="least-squares slope of on-balance volume over n bars / their volume",
)
def obv_slope(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """How steeply on-balance volume rises over n bars, in shares of their whole volume; 0 without volume."""
    n, w, first = int(p[0]), c[WIDTH], c[FIRST]
    base, volume = CLOSE * w, VOLUME * w
    middle = (n - 1) / 2.0
    spread = n * (n * n - 1.0) / 12.0
    for j in range(c[ROWS]):
        if first + j < n - 1:
            out[j] = NAN
            continue
        total = x[volume + j - n + 1]
        level = product = 0.0
        for k in range(n - 2, -1, -1):
            change, traded = x[base + j - k] - x[base + j - k - 1], x[volume + j - k]
            total += traded
            if change > 0.0:
                level += traded
            elif change < 0.0:
                level -= traded
            product += level * (middle - k)
        out[j] = product / spread / total if total > 0.0 else 0.0


@feature(
    outputs=[Output(name="ad_line", unit=BASE)],
    state=1,
    warmup=0,
    memory=CUMULATIVE,
    oracle="talib.AD",
    source="Chaikin: sum of (2 close - high - low) / (high - low) times volume",
)
def ad_line(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Accumulation and distribution: volume summed by where in its range each bar closed; no range adds nothing."""
    w = c[WIDTH]
    total = s[0]
    for j in range(c[ROWS]):
        total += location(x, w, j) * x[VOLUME * w + j]
        out[j] = total
    s[0] = total


@feature(
    outputs=[Output(name="delta_proxy", unit=BASE)],
    warmup=0,
    memory=0,
    oracle="formula in numpy",
    source="(2 close - high - low) / (high - low) times volume; its sum since the start is ad_line",
)
def delta_proxy(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Guess of bought minus sold volume of a bar from where it closed in its range, for want of trades."""
    w = c[WIDTH]
    for j in range(c[ROWS]):
        out[j] = location(x, w, j) * x[VOLUME * w + j]


@feature(
    outputs=[Output(name="cum_delta", unit=BASE)],
    state=1,
    warmup=0,
    memory=CUMULATIVE,
    needs=("trades",),
    oracle="numpy cumsum",
    source="sum of volume bought minus volume sold by aggressors",
)
def cumulative_delta(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Bought minus sold volume since the start; a bar of which trades are unknown has none and adds nothing."""
    v = c[STRIDE]
    total = s[0]
    for j in range(c[ROWS]):
        delta = e[BUY * v + j] - e[SELL * v + j]
        if math.isnan(delta):
            out[j] = NAN
        else:
            total += delta
            out[j] = total
    s[0] = total


FULL = (
    "vwap_session",
    "vwap(n=60)",
    "obv",
    "obv_slope(n=20)",
    "ad_line",
    "delta_proxy",
    "cumulative_delta",
)
