"""Watches the feeds of one venue: freshness, health messages, the venue's clock, the numbers for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from libs.common.clock import DataClocks
from libs.common.settings.data import QualitySettings
from libs.core.bars import ClockWatch, FeedCheck, Reconciler, clock_words
from libs.core.types import MILLISECOND, SECOND, FeedHealth, FeedState, Nanos, VenueClock, stable_id
from services.ingest import metrics
from services.ingest.outgoing import Outgoing
from services.ingest.state import SymbolState

DRIFT_EVERY = 10
"""Beats between two estimates of the drift, which compares every second with every other."""

COUNTERS = {
    "ticks": metrics.TICKS,
    "bars": metrics.BARS,
    "late": metrics.LATE,
    "duplicates": metrics.DUPLICATES,
    "rejected": metrics.REJECTED,
    "gaps": metrics.GAPS,
    "refilled": metrics.REFILLED,
}


class FeedWatch:
    """Knows how each feed of `venue` does and says so on md.health and md.clock."""

    def __init__(
        self,
        venue: str,
        outgoing: Outgoing,
        clocks: DataClocks,
        stale_after_s: float,
        quality: QualitySettings,
        others: Reconciler,
    ) -> None:
        """`others`: the prices of all venues."""
        self.venue = venue
        self.speed = 1.0
        self.offset_ms = self.drift_ppm = 0.0
        self._out, self._clocks, self._others = outgoing, clocks, others
        self._quality = quality
        self._stale_after: Nanos = int(stale_after_s * SECOND)
        self._clock = ClockWatch()
        self._runs_as_ours = False
        self._beats = 0

    # clock -----------------------------------------------------------------------------------------------------------

    def clock_told(self, ts_event: Nanos, recv_ns: Nanos, *, extrapolate: bool, speed: float) -> None:
        """The venue told its clock; the offset to ours means something only while that clock runs as ours does."""
        self.speed = speed
        if (extrapolate and speed == 1.0) != self._runs_as_ours:
            self._runs_as_ours = not self._runs_as_ours
            self._clock.forget()
        self.stamped(ts_event, recv_ns)

    def stamped(self, stamp: Nanos, recv_ns: Nanos) -> None:
        """A message with the venue's own `stamp` arrived at machine time `recv_ns`."""
        if self._runs_as_ours:
            self._clock.saw(stamp, recv_ns)

    def publish_clock(self) -> None:
        """Tell where the data clock of the venue stands, once it is known."""
        now = self._clocks.now(self.venue)
        if not now:
            return
        machine = time.time_ns()
        self._out.put(
            VenueClock(
                id=stable_id("clock", self.venue, now, machine),
                ts_event=now,
                ts_init=machine,
                venue=self.venue,
                ts_machine=machine,
                extrapolate=self._clocks.extrapolates(self.venue),
                speed=self.speed,
                state=self._clocks.state(self.venue),
            )
        )

    # health ----------------------------------------------------------------------------------------------------------

    def failed(self, state: SymbolState, check: FeedCheck, event: str, detail: str, count: int = 1) -> None:
        """A check of a feed failed; `event` "" only counts."""
        self._count(state, check, self._clocks.now(self.venue), count)
        if event:
            self.event(state, event, detail)

    def _count(self, state: SymbolState, check: FeedCheck, now: Nanos, times: int = 1) -> None:
        state.health.failed(check, now, times)
        metrics.CHECKS_FAILED.labels(self.venue, state.symbol, check.value).inc(times)

    def event(self, state: SymbolState, event: str, detail: str) -> None:
        """Tell the health of a feed now, with what just happened to it."""
        now = self._clocks.now(self.venue)
        machine = time.time_ns()
        self._out.put(
            FeedHealth(
                id=stable_id("health", self.venue, state.symbol, event, now, machine),
                ts_event=now,
                ts_init=machine,
                venue=self.venue,
                symbol=state.symbol,
                score=state.health.score(now, stale=state.stale or bool(state.down_since)),
                state=self.feed_state(state),
                staleness_s=self._staleness(state, now) / SECOND,
                gaps=state.counts.gaps,
                late=state.counts.late,
                duplicates=state.counts.duplicates,
                rejected=state.counts.rejected,
                reconnects=state.counts.reconnects,
                clock_offset_ms=self.offset_ms,
                clock_drift_ppm=self.drift_ppm,
                failing=state.health.failing(now),
                event=event,
                detail=detail,
            )
        )

    def feed_state(self, state: SymbolState) -> FeedState:
        """Whether the feed should be delivering now."""
        venue = self._clocks.state(self.venue)
        if venue is FeedState.ENDED:
            return FeedState.ENDED
        if venue is FeedState.CLOSED or state.closed:
            return FeedState.CLOSED
        return FeedState.DOWN if state.stale or state.down_since else FeedState.OPEN

    def beat(self, states: Iterable[SymbolState]) -> None:
        """Once a second: count what failed, judge freshness, tell the health of every feed."""
        now = self._clocks.now(self.venue)
        mono = time.monotonic_ns()
        self._read_clock()
        for state in states:
            self._note_failures(state, now)
            self._judge_clock(state, now)
            self._judge_agreement(state, now)
            self._judge_freshness(state, now, mono)
            self.event(state, "", "")
            self._carry_over(state, now)

    def _note_failures(self, state: SymbolState, now: Nanos) -> None:
        """Tell what failed since the last beat, each check once however often it did."""
        counts, told = state.counts, state.told
        counts.late = state.builder.late
        if late := counts.late - told.late:
            state.noted[FeedCheck.LATE] = late, "prints came after their bar had closed"
        if repeated := counts.duplicates - told.duplicates:
            self._count(state, FeedCheck.DUPLICATE, now, repeated)
        for failure in state.outliers.settle(now):
            state.note(failure.check, failure.detail)
        noted, state.noted = state.noted, {}
        for check, (times, detail) in noted.items():
            self._count(state, check, now, times)
            self.event(state, check.value, f"{times} within a second, the last: {detail}" if times > 1 else detail)

    def _read_clock(self) -> None:
        self._beats += 1
        if self._clock.known:
            self.offset_ms = self._clock.offset / MILLISECOND
            if self._beats % DRIFT_EVERY == 0:
                self.drift_ppm = round(self._clock.drift_ppm(), 3)
        else:
            self.offset_ms = self.drift_ppm = 0.0
        metrics.CLOCK_OFFSET.labels(self.venue).set(self.offset_ms / 1000)
        metrics.CLOCK_DRIFT.labels(self.venue).set(self.drift_ppm / 1e6)

    def _judge_clock(self, state: SymbolState, now: Nanos) -> None:
        quality = self._quality
        far = abs(self.offset_ms) > quality.clock_offset_ms
        words = clock_words(int(self.offset_ms * MILLISECOND))
        self._lasting(state, FeedCheck.CLOCK_OFFSET, now, words, fails=far)
        fast = abs(self.drift_ppm) > quality.clock_drift_ppm
        words = f"the venue's clock gains {self.drift_ppm:.0f} microseconds a second on this machine's"
        self._lasting(state, FeedCheck.CLOCK_DRIFT, now, words, fails=fast)

    def _judge_agreement(self, state: SymbolState, now: Nanos) -> None:
        if not state.canonical:
            return
        if (price := state.price) is not None:
            self._others.note(state.canonical, self.venue, *price)
        differing = [
            (pair.other if pair.venue == self.venue else pair.venue, pair.bp)
            for pair in self._others.differing(state.canonical)
            if self.venue in (pair.venue, pair.other)
        ]
        words = ", ".join(f"{other} says a price {bp:.0f} bp away" for other, bp in differing) or "the venues agree"
        self._lasting(state, FeedCheck.RECONCILE, now, words, fails=bool(differing))

    def _lasting(self, state: SymbolState, check: FeedCheck, now: Nanos, detail: str, *, fails: bool) -> None:
        """A check that fails while something stands as it does: counted each beat, told when it begins and ends."""
        if fails:
            self._count(state, check, now)
        if fails != (check in state.lasting):
            state.lasting ^= {check}
            self.event(state, check.value if fails else f"{check.value}_over", detail)

    def _judge_freshness(self, state: SymbolState, now: Nanos, mono: Nanos) -> None:
        if state.seen != state.seen_at_beat or not state.heard_mono:
            state.seen_at_beat, state.heard_mono = state.seen, mono
        expected = self.feed_state(state) not in (FeedState.CLOSED, FeedState.ENDED)
        allowed = self._stale_after + (state.klines.longest_s * SECOND if state.klines.are_bars else 0)
        # Both clocks must say so: a fast replay leaps in data time, a slow one in machine time.
        silent = mono - state.heard_mono > self._stale_after and self._staleness(state, now) > allowed
        if (stale := expected and silent) != state.stale:
            state.stale = stale
            if stale:
                self._count(state, FeedCheck.STALE, now)
            detail = f"nothing for {self._staleness(state, now) / SECOND:.1f} s" if stale else "messages again"
            self.event(state, "stale" if stale else "fresh", detail)

    def _staleness(self, state: SymbolState, now: Nanos) -> Nanos:
        return max(0, now - state.last_stamp) if state.last_stamp else 0

    def _carry_over(self, state: SymbolState, now: Nanos) -> None:
        counts, told = state.counts, state.told
        for name, counter in COUNTERS.items():
            counter.labels(self.venue, state.symbol).inc(getattr(counts, name) - getattr(told, name))
        state.told = replace(counts)
        metrics.STALENESS.labels(self.venue, state.symbol).set(self._staleness(state, now) / SECOND)
        metrics.STALE.labels(self.venue, state.symbol).set(self.feed_state(state) is FeedState.DOWN)
        metrics.HEALTH.labels(self.venue, state.symbol).set(
            state.health.score(now, stale=state.stale or bool(state.down_since))
        )

    def not_ready(self, state: SymbolState) -> str:
        """Why the feed is not ready; "" when it is fresh, or has nothing to deliver now."""
        if self.feed_state(state) in (FeedState.CLOSED, FeedState.ENDED):
            return ""
        name = f"{self.venue} {state.symbol}"
        if state.down_since:
            return f"{name}: not connected"
        if not state.seen:
            return f"{name}: no data yet"
        if state.stale:
            return f"{name}: stale"
        return f"{name}: filling from history" if state.held is not None else ""
