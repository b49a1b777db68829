"""Kline intervals: their names and the boundaries they keep, milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MONTH: Final = "1M"
# Weeks begin on Monday; 1970-01-05 was one.
_WEEK_OFFSET_MS: Final = 4 * DAY_MS

FIXED_MS: Final[dict[str, int]] = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
INTERVALS: Final = (*FIXED_MS, MONTH)


def open_of(interval: str, ms: int) -> int:
    """Return the open time of the bar that holds `ms`."""
    if interval == MONTH:
        moment = datetime.fromtimestamp(ms / 1_000, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * 1_000
    offset = _WEEK_OFFSET_MS if interval == "1w" else 0
    length = FIXED_MS[interval]
    return (ms - offset) // length * length + offset


def end_of(interval: str, open_ms: int) -> int:
    """Return the end (exclusive) of the bar that opens at `open_ms`: the open of the next one."""
    if interval == MONTH:
        moment = datetime.fromtimestamp(open_ms / 1_000, UTC)
        year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
        return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000
    return open_ms + FIXED_MS[interval]


def step_back(interval: str, open_ms: int, bars: int) -> int:
    """Return the open time `bars` bars before `open_ms`."""
    if interval in FIXED_MS:
        return open_ms - bars * FIXED_MS[interval]
    for _ in range(bars):
        open_ms = open_of(interval, open_ms - 1)
    return open_ms


def nests(inner: str, outer: str) -> bool:
    """Tell whether bars of `outer` can be put together from bars of `inner`."""
    if outer == MONTH:
        return inner == MONTH or DAY_MS % FIXED_MS[inner] == 0
    if inner == MONTH:
        return False
    return FIXED_MS[outer] % FIXED_MS[inner] == 0 and (outer != "1w" or inner != "3d")
