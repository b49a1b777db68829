"""What a batch of prints does to a tape: signs, sizes, intensity, buckets, sums; compiled."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from libs.core.features.flow.digits import take_digit
from libs.core.features.flow.layout import (
    BOUGHT,
    BUCKET_NET,
    BUCKET_SIZE,
    BUCKET_VOLUME,
    BUCKETS,
    COUNTED,
    DAY,
    FILLED,
    FIRST,
    HOUR,
    HOURS,
    INTENSITY,
    LARGE,
    LARGE_NET,
    LOG_SIZES,
    LONG,
    LONG_SORTED,
    NEWEST,
    PRICE,
    PRINTS,
    RECENT,
    RECENT_SORTED,
    SIGN,
    SIGNED,
    SIGNS,
    SINCE,
    SIZED,
    SIZES,
    SOLD,
    VPIN,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_LIFE_S: Final = 30.0
"""Of the intensity."""
DECAY: Final = math.log(2.0) / HALF_LIFE_S
LARGE_QUANTILE: Final = 0.99
BUCKETS_A_DAY: Final = 50.0
HOUR_NS: Final = 3_600_000_000_000
DAY_S: Final = 86_400.0
KNOWN_S: Final = 3_600.0
"""A day's volume is guessed from no less than this."""


@njit(cache=True)
def place(f: Floats, at: int, n: int, value: float) -> int:
    """Index of the first of the n sorted values at f[at] that is not below `value`."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if f[at + middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def insert(f: Floats, at: int, n: int, new: float) -> None:
    """Put `new` among the n sorted values at f[at]; there is room for one more."""
    target = at + place(f, at, n, new)
    for j in range(at + n, target, -1):
        f[j] = f[j - 1]
    f[target] = new


@njit(cache=True)
def exchange(f: Floats, at: int, n: int, old: float, new: float) -> None:
    """Take `old` out of the n sorted values at f[at] and put `new` in."""
    hole, target = at + place(f, at, n, old), at + place(f, at, n, new)
    if target > hole:
        target -= 1
        for j in range(hole, target):
            f[j] = f[j + 1]
    else:
        for j in range(hole, target, -1):
            f[j] = f[j - 1]
    f[target] = new


@njit(cache=True)
def quantile(f: Floats, at: int, n: int, q: float) -> float:
    """The linearly interpolated quantile of the n sorted values at f[at]."""
    position = q * (n - 1)
    below = int(position)
    above = min(below + 1, n - 1)
    return float(f[at + below] + (f[at + above] - f[at + below]) * (position - below))


@njit(cache=True)
def _take_size(f: Floats, k: Ints, size: float) -> None:
    """Into the windows of sizes; the sum of logarithms is made anew whenever the ring begins again."""
    seen = k[SIZED]
    at = seen % LONG
    if seen < LONG:
        insert(f, LONG_SORTED, seen, size)
    else:
        exchange(f, LONG_SORTED, LONG, f[SIZES + at], size)
    if seen < RECENT:
        insert(f, RECENT_SORTED, seen, size)
    else:
        old = f[SIZES + (seen - RECENT) % LONG]
        exchange(f, RECENT_SORTED, RECENT, old, size)
        f[LOG_SIZES] -= math.log(old)
    f[LOG_SIZES] += math.log(size)
    f[SIZES + at] = size
    k[SIZED] = seen + 1
    if at == LONG - 1:
        total = 0.0
        for j in range(LONG - RECENT, LONG):
            total += math.log(f[SIZES + j])
        f[LOG_SIZES] = total


@njit(cache=True)
def _bucket_size(f: Floats, k: Ints, at: int) -> float:
    """Volume of the bucket that opens at `at`, by the volume of the hours up to then; 0 while too little is known."""
    covered = min(at - k[FIRST], at - (k[HOUR] - HOURS + 1) * HOUR_NS) / 1e9
    if covered < KNOWN_S:
        return 0.0
    total = 0.0
    for hour in range(HOURS):
        total += f[DAY + hour]
    return float(total / covered * DAY_S / BUCKETS_A_DAY)


@njit(cache=True)
def _take_volume(f: Floats, k: Ints, at: int, size: float, sign: float) -> None:
    """Into the day's volume and the buckets; a print that is larger than what is left of a bucket fills the next."""
    hour = at // HOUR_NS
    if k[FIRST] == 0:
        k[FIRST], k[HOUR] = at, hour
    if hour > k[HOUR]:
        for passed in range(max(k[HOUR] + 1, hour - HOURS + 1), hour + 1):
            f[DAY + passed % HOURS] = 0.0
        k[HOUR] = hour
    f[DAY + k[HOUR] % HOURS] += size
    rest = size
    while rest > 0.0:
        if f[BUCKET_SIZE] == 0.0:
            f[BUCKET_SIZE] = _bucket_size(f, k, at)
            if f[BUCKET_SIZE] == 0.0:
                return
            f[BUCKET_VOLUME] = f[BUCKET_NET] = 0.0
        room = f[BUCKET_SIZE] - f[BUCKET_VOLUME]
        if rest < room:
            f[BUCKET_VOLUME] += rest
            f[BUCKET_NET] += sign * rest
            return
        f[BUCKET_NET] += sign * room
        f[VPIN + k[FILLED] % BUCKETS] = abs(f[BUCKET_NET]) / f[BUCKET_SIZE]
        k[FILLED] += 1
        f[BUCKET_SIZE] = 0.0
        rest -= room


@njit(cache=True)
def take_prints(
    f: Floats, k: Ints, sums: Floats, ends: Ints, ts: Ints, price: Floats, size: Floats, side: Ints, digit: Ints
) -> None:
    """Take prints in their order.

    ends: end of the last bar of each interval, ns; a print before it came too late for the sums of that interval.
    side: +1 bought, -1 sold, 0 unknown. digit: 0 to 9, or -1 when it is not known.
    """
    for j in range(len(ts)):
        at = ts[j]
        move = price[j] - f[PRICE] if k[PRINTS] > 0 else 0.0
        if move > 0.0:
            f[SIGN] = 1.0
        elif move < 0.0:
            f[SIGN] = -1.0
        sign = float(side[j]) if side[j] != 0 else f[SIGN]
        f[INTENSITY] *= math.exp(-max(at - k[NEWEST], 0) / 1e9 * DECAY)
        if at > k[SINCE]:  # the print with which listening began says nothing of how often prints come
            f[INTENSITY] += DECAY
        traded = size[j] > 0.0
        large = traded and k[SIZED] >= LONG and size[j] > quantile(f, LONG_SORTED, LONG, LARGE_QUANTILE)
        for i in range(len(ends)):
            if at < ends[i]:
                continue
            sums[i, SIGNS] += f[SIGN]
            sums[i, SIGNED] += 1.0
            if not traded:
                continue
            sums[i, COUNTED] += 1.0
            if sign > 0.0:
                sums[i, BOUGHT] += size[j]
            elif sign < 0.0:
                sums[i, SOLD] += size[j]
            if large:
                sums[i, LARGE] += 1.0
                sums[i, LARGE_NET] += sign * size[j]
        if traded:
            _take_size(f, k, size[j])
            _take_volume(f, k, at, size[j], sign)
        take_digit(k, digit[j], move)
        f[PRICE] = price[j]
        k[NEWEST] = max(k[NEWEST], at)
        k[PRINTS] += 1
