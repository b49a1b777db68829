"""Bars of one symbol from its prints: every interval in step, each bar closed once and never changed."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from libs.core.bars.forming import Forming, size_scale
from libs.core.bars.sessions import HALF_HOUR_S, SessionCalendar, bar_span, calendar_named, open_until, opens_between
from libs.core.types import DAY_S, MILLISECOND, SECOND, Bar, BarFlag, Nanos, Trade, is_bar_length

NOTHING: Final[tuple[Bar, ...]] = ()

TIMER: Final[Nanos] = 250 * MILLISECOND
MAX_EMPTY: Final = 600
"""Longest run of empty base bars that is written out (ten minutes of 1 s bars); a longer silence is one jump."""


class BarBuilder:
    """Builds the bars of one symbol for several intervals.

    The greatest common divisor of the intervals is the base; longer bars are put together from closed base bars, so
    they agree with them by construction. The base slot [open, end) is always the one after the last closed bar: prints
    before it are late, prints after its end close it. A bar comes out only when its beginning was seen. 1d and 1w bars
    are the calendar's sessions and trading weeks; a silence while the market is closed is none.

    Attributes:
        late, duplicates: prints counted since start.
        last_seq: newest venue sequence taken.
    """

    def __init__(
        self,
        venue: str,
        symbol: str,
        intervals_s: Sequence[int],
        *,
        timer: Nanos = TIMER,
        max_empty: int = MAX_EMPTY,
        calendar: SessionCalendar | None = None,
    ) -> None:
        """`timer`: a bar closes this long (data time, ns) after its end without a print. `calendar`: always open.

        Raises:
            ValueError: no interval, or one that neither divides a day nor is a week.
        """
        wanted = sorted(set(intervals_s))
        if not wanted or not all(map(is_bar_length, wanted)):
            raise ValueError("bars need intervals of whole seconds that divide a day, or 1w")
        fixed = [seconds for seconds in wanted if seconds < DAY_S]
        # Sessions begin and end at full and half hours, so what they are made of must not reach across one.
        base_s = math.gcd(*fixed, *([HALF_HOUR_S] if len(fixed) < len(wanted) else []))
        self.base: Nanos = base_s * SECOND
        self.late = 0
        self.duplicates = 0
        self.last_seq = 0
        self._calendar = calendar or calendar_named("always")
        self._emits_base = base_s == wanted[0]
        self._timer = timer
        self._max_empty = max_empty
        self._slot = Forming(venue, symbol, self.base, size_scale())
        self._levels = [Forming(venue, symbol, s * SECOND, size_scale()) for s in wanted if s != base_s]
        self._open: Nanos = 0
        self._end: Nanos = 0
        self._prints: list[Trade] = []
        self._complete_from: Nanos | None = None
        self._missing_from: Nanos = 0
        self._missing_to: Nanos = 0

    @property
    def open_time(self) -> Nanos:
        """Opening time of the base bar in progress: everything before is closed. 0 before the first print."""
        return self._open

    def count_in(self, step: Decimal) -> None:
        """The instrument's quantities move in `step`: volumes are counted in it where it is finer than 10^-8."""
        scale = size_scale(step)
        for forming in (self._slot, *self._levels):
            if scale > forming.scale:
                forming.rescale(scale)

    def begins(self, at: Nanos) -> Nanos:
        """The earliest opening time of a bar that is in progress at `at`: what came since then completes them all."""
        spans = [bar_span(self._calendar, level.interval // SECOND, at) for level in self._levels]
        return min([at - at % self.base, *(span[0] for span in spans if span is not None)])

    def seed(self, bars: Sequence[Bar], from_time: Nanos) -> None:
        """Begin at `from_time` (a multiple of the base) with what came before: closed bars, oldest first.

        They may be longer than the base (older ones first): each serves the bars that are a multiple of it. Only the
        run of `bars` that ends at `from_time` and is broken by nothing but closed hours counts; longer bars that it
        covers from their beginning will come out whole. None of `bars` is emitted.

        Raises:
            ValueError: prints have been taken, or `from_time` is no multiple of the base.
        """
        if self._end or from_time % self.base:
            raise ValueError("seed before the first print, at a multiple of the base interval")
        run: list[Bar] = []
        expected = from_time
        for bar in reversed(bars):
            if bar.ts_event > expected or opens_between(self._calendar, bar.ts_event, expected):
                break
            run.append(bar)
            expected = bar.open_time
        self._begin(expected)
        self._complete_from = expected
        for bar in reversed(run):
            self._slot.close = bar.close
            self._begin(bar.open_time)
            self._rise(bar, None, 0, [])
        self._begin(from_time)

    def update(self, trade: Trade, recv_ns: Nanos = 0, flags: int = 0) -> Sequence[Bar]:
        """Take a print; the bars that it closes, oldest first, shorter before longer. `recv_ns` is stamped on them.

        `flags` are those that the print gives to the bars in which it lies (FILLED).
        """
        seq = trade.seq
        if seq:
            if seq <= self.last_seq:
                self.duplicates += 1
                return NOTHING
            self.last_seq = seq
        stamp = trade.ts_event
        closed: Sequence[Bar] = NOTHING
        if stamp >= self._end:
            closed = self._advance(stamp, 0, recv_ns)
        elif stamp < self._open:
            self.late += 1
            return closed
        self._slot.add(trade)
        if flags:
            self._slot.flags |= flags
        self._prints.append(trade)
        return closed

    def merge(self, trades: Iterable[Trade]) -> None:
        """Put in prints that history had and the stream lacked, by sequence; those of closed bars count as late.

        Raises:
            ValueError: a print lies beyond the open bar; hand that one to `update`.
        """
        fresh = False
        present = {trade.seq for trade in self._prints}
        for trade in trades:
            if trade.ts_event >= self._end:
                raise ValueError("a print beyond the open bar belongs to update")
            if trade.ts_event < self._open:
                self.late += 1
            elif trade.seq in present:
                self.duplicates += 1
            else:
                insort(self._prints, trade, key=lambda kept: kept.seq)
                present.add(trade.seq)
                fresh = True
        if fresh:
            self.last_seq = max(self.last_seq, self._prints[-1].seq)
            flags = self._slot.flags
            self._slot.begin(self._open, self._end)
            self._slot.flags = flags
            for trade in self._prints:
                self._slot.add(trade)

    def close_due(self, now: Nanos) -> Sequence[Bar]:
        """The bars whose end the data clock `now` has passed by the timer."""
        if not self._end or now < self._end + self._timer:
            return NOTHING
        return self._advance(now - self._timer, BarFlag.TIMER, 0)

    def mark_missing(self, start: Nanos, end: Nanos) -> None:
        """Prints in [start, end) are lost for good: every bar of that time that is still open gets GAP."""
        if self._missing_to <= self._open:
            self._missing_from = start
        self._missing_from = min(self._missing_from, start)
        self._missing_to = max(self._missing_to, end)

    def _begin(self, open_time: Nanos) -> None:
        self._open, self._end = open_time, open_time + self.base
        self._slot.begin(open_time, self._end)
        self._prints = []
        for level in self._levels:
            if level.parts == 0:
                self._begin_level(level, open_time)

    def _begin_level(self, level: Forming, at: Nanos) -> None:
        """The bar of that length which holds `at`; while the market is closed 1d and 1w bars have no extent."""
        level.begin(*(bar_span(self._calendar, level.interval // SECOND, at) or (at, at)))

    def _advance(self, stamp: Nanos, flags: int, recv_ns: Nanos) -> Sequence[Bar]:
        """Close everything that ends at or before `stamp`; the slot that holds it is open afterwards."""
        target = stamp - stamp % self.base
        if not self._end:
            self._begin(target)
            self._complete_from = target + self.base
            return NOTHING
        closed: list[Bar] = []
        self._close_slot(flags, recv_ns, closed)
        while self._open < target:
            if target - self._open <= self._max_empty * self.base:
                self._close_slot(flags, recv_ns, closed)
            else:
                self._shorten(target, flags, recv_ns, closed)
        return closed

    def _shorten(self, target: Nanos, flags: int, recv_ns: Nanos, closed: list[Bar]) -> None:
        """Take one step through a silence too long to write out: closed hours in one, a short rest of open ones bar by
        bar, anything longer in a jump."""
        closing = open_until(self._calendar, self._open, target)
        if closing <= self._open:
            opening = self._calendar.next_open(self._open)
            self._begin(max(self._end, min(target, opening - opening % self.base)))
        elif closing < target and closing - self._open <= self._max_empty * self.base:
            self._close_slot(flags, recv_ns, closed)
        else:
            self._jump(target, flags, recv_ns, closed)

    def _close_slot(self, flags: int, recv_ns: Nanos, closed: list[Bar]) -> None:
        slot = self._slot
        if slot.trades == 0:
            if slot.close == 0.0:  # no price is known yet: there is no bar to speak of
                self._begin(self._end)
                self._complete_from = self._open
                return
            if not self._calendar.is_open(self._open):
                self._begin(self._end)
                return
            slot.flatten()
        if self._open < self._missing_to and self._end > self._missing_from:
            flags |= BarFlag.GAP
        bar = slot.closed(flags, recv_ns)
        if self._emits_base and self._is_complete(bar.open_time):
            closed.append(bar)
        self._rise(bar, slot, recv_ns, closed)
        self._begin(self._end)

    def _rise(self, bar: Bar, part: Forming | None, recv_ns: Nanos, closed: list[Bar]) -> None:
        """Hand a closed bar to the longer ones, and close those that it completes."""
        for level in self._levels:
            if level.interval >= bar.interval_s * SECOND and level.open_time <= bar.open_time < level.end:
                level.absorb(bar, part)
                if bar.ts_event >= level.end:
                    self._close_level(level, bar.flags & BarFlag.TIMER, recv_ns, closed)

    def _close_level(self, level: Forming, flags: int, recv_ns: Nanos, closed: list[Bar]) -> None:
        if self._is_complete(level.open_time):
            closed.append(level.closed(flags, recv_ns))
        self._begin_level(level, level.end)

    def _is_complete(self, open_time: Nanos) -> bool:
        return self._complete_from is not None and open_time >= self._complete_from

    def _jump(self, target: Nanos, flags: int, recv_ns: Nanos, closed: list[Bar]) -> None:
        """Skip a silence too long to write out: bars cut short by it, and the first after it, carry GAP.

        Closed hours cut nothing short.
        """
        for level in self._levels:
            if level.parts == 0:
                continue
            if opens_between(self._calendar, self._open, min(target, level.end)):
                level.flags |= BarFlag.GAP
            if level.end <= target:
                self._close_level(level, flags, recv_ns, closed)
        closed.sort(key=lambda bar: (bar.ts_event, bar.interval_s))
        skipped = opens_between(self._calendar, self._open, target)
        self._begin(target)
        if skipped:
            self.mark_missing(target, target + self.base)
