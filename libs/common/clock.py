"""The data clocks: one per venue, following what the venue says, extrapolated live and never in a replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from libs.core.types import Event, FeedState, Nanos, VenueClock


@dataclass(slots=True)
class _Clock:
    data_ns: Nanos = 0
    at_mono_ns: Nanos = 0
    extrapolate: bool = False
    state: FeedState = FeedState.OPEN
    newest_ns: Nanos = 0


class DataClocks:
    """What time it is at each venue. `monotonic` is the machine's clock, injected for tests."""

    def __init__(self, monotonic: Callable[[], Nanos] = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._clocks: dict[str, _Clock] = {}

    def observe(self, event: Event) -> None:
        """Learn from a clock message or from any market event (`venue`, `ts_event`)."""
        venue = getattr(event, "venue", "")
        if not venue:
            return
        clock = self._clocks.setdefault(venue, _Clock())
        if isinstance(event, VenueClock):
            clock.data_ns = event.ts_event
            clock.at_mono_ns = self._monotonic()
            clock.extrapolate = event.extrapolate
            clock.state = event.state
        clock.newest_ns = max(clock.newest_ns, event.ts_event)

    def now(self, venue: str) -> Nanos:
        """Data time at `venue`, ns UTC, never falling; 0 when nothing has been heard."""
        clock = self._clocks.get(venue)
        if clock is None:
            return 0
        if clock.extrapolate and clock.data_ns:
            running = clock.data_ns + self._monotonic() - clock.at_mono_ns
            clock.newest_ns = max(clock.newest_ns, running)
        return clock.newest_ns

    def state(self, venue: str) -> FeedState:
        """Open, closed, ended or down, as the venue's clock last said."""
        clock = self._clocks.get(venue)
        return clock.state if clock else FeedState.DOWN

    def extrapolates(self, venue: str) -> bool:
        """True live, False in a replay or before anything was heard."""
        clock = self._clocks.get(venue)
        return bool(clock and clock.extrapolate)
