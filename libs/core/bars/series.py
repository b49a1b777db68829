"""Checks of closed bars against those before: missing intervals, continuity, repeats, impossible prices and volumes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from libs.core.bars.health import Failure, FeedCheck
from libs.core.bars.sessions import SessionCalendar, calendar_named, opens_between
from libs.core.types import SECOND, Bar, BarFlag, Nanos, interval_token

CONTINUITY_BP: Final = 100.0
VOLUME_FACTOR: Final = 50.0

WINDOW: Final = 120
"""Bars before this one that tell what is usual."""

ENOUGH: Final = 30
"""Bars that must have been seen before anything is called unusual."""

USUAL_GAPS: Final = 10.0
"""A bar may open so many times the median distance from the last close, however large the market's steps are."""


@dataclass(slots=True)
class _Series:
    end: Nanos = 0
    close: float = 0.0
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    volumes: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))


class BarWatch:
    """Watches the closed bars of one symbol, each interval by itself.

    `continuity_bp`: largest distance of an open from the close before, basis points; `volume_factor`: largest volume as
    a multiple of the largest of the last WINDOW bars.
    """

    def __init__(
        self,
        *,
        calendar: SessionCalendar | None = None,
        continuity_bp: float = CONTINUITY_BP,
        volume_factor: float = VOLUME_FACTOR,
    ) -> None:
        self._calendar = calendar or calendar_named("always")
        self._continuity, self._factor = continuity_bp / 10_000, volume_factor
        self._series: dict[int, _Series] = {}

    def take(self, bar: Bar) -> list[Failure]:
        """What is wrong with `bar`, a closed one."""
        series = self._series.setdefault(bar.interval_s, _Series())
        name = f"{interval_token(bar.interval_s)} bar at {bar.open_time // SECOND}"
        if fault := _impossible(bar):
            return [Failure(FeedCheck.PRICE, f"{name}: {fault}")]
        if series.end and bar.ts_event <= series.end:
            return [Failure(FeedCheck.DUPLICATE, f"{name}: came before, or a newer one did")]
        failures = []
        if not 0.0 <= bar.buy_volume <= bar.volume:
            failures.append(Failure(FeedCheck.VOLUME, f"{name}: {bar.buy_volume:g} of {bar.volume:g} were bought"))
        if series.end and opens_between(self._calendar, series.end, bar.open_time):
            missing = (bar.open_time - series.end) // (bar.interval_s * SECOND) or 1
            failures.append(Failure(FeedCheck.MISSING, f"{name}: up to {missing} before it did not come"))
        elif series.end == bar.open_time and not bar.flags & BarFlag.GAP:
            failures += self._unusual(series, bar, name)
        series.end, series.close = bar.ts_event, bar.close
        if bar.volume > 0.0:
            series.volumes.append(bar.volume)
        return failures

    def _unusual(self, series: _Series, bar: Bar, name: str) -> list[Failure]:
        failures = []
        gap = abs(bar.open / series.close - 1.0)
        if gap > self._continuity and len(series.gaps) >= ENOUGH and gap > USUAL_GAPS * median(series.gaps):
            detail = f"{name}: opens {gap * 10_000:.0f} bp from the close before"
            failures.append(Failure(FeedCheck.CONTINUITY, detail))
        series.gaps.append(gap)
        if len(series.volumes) >= ENOUGH and bar.volume > self._factor * max(series.volumes):
            detail = f"{name}: volume {bar.volume:g} is more than {self._factor:g} times any of the last {WINDOW}"
            failures.append(Failure(FeedCheck.VOLUME, detail))
        return failures


def _impossible(bar: Bar) -> str:
    if not 0.0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < float("inf"):
        return f"open {bar.open:g}, high {bar.high:g}, low {bar.low:g}, close {bar.close:g} cannot be"
    return "" if 0.0 <= bar.volume < float("inf") else f"volume {bar.volume:g} cannot be"
